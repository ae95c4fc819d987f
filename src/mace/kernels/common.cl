// Put in front of every program: loads and stores of each storage type, and functions that several templates share.

#define LD_float(p, i) ((p)[i])
#define ST_float(p, i, v) ((p)[i] = (v))
#define LD_half(p, i) vload_half((i), (p))
#define ST_half(p, i, v) vstore_half_rte((v), (i), (p))
#define LD_bfloat16(p, i) as_float((uint)(p)[i] << 16)
#define ST_bfloat16(p, i, v) ((p)[i] = mace_bfloat16(v))
#define LD_double(p, i) ((p)[i])
#define ST_double(p, i, v) ((p)[i] = (v))
#define LD_char(p, i) ((p)[i])
#define ST_char(p, i, v) ((p)[i] = (char)(v))
#define LD_uchar(p, i) ((p)[i])
#define ST_uchar(p, i, v) ((p)[i] = (uchar)(v))
#define LD_bool(p, i) ((p)[i])
#define ST_bool(p, i, v) ((p)[i] = (v) ? 1 : 0)
#define LD_short(p, i) ((p)[i])
#define ST_short(p, i, v) ((p)[i] = (short)(v))
#define LD_ushort(p, i) ((p)[i])
#define ST_ushort(p, i, v) ((p)[i] = (ushort)(v))
#define LD_int(p, i) ((p)[i])
#define ST_int(p, i, v) ((p)[i] = (int)(v))
#define LD_uint(p, i) ((p)[i])
#define ST_uint(p, i, v) ((p)[i] = (uint)(v))
#define LD_long(p, i) ((p)[i])
#define ST_long(p, i, v) ((p)[i] = (long)(v))
#define LD_ulong(p, i) ((p)[i])
#define ST_ulong(p, i, v) ((p)[i] = (ulong)(v))

// Round a float to bfloat16, to nearest even; a NaN stays one.
static inline ushort mace_bfloat16(float v)
{
    uint u = as_uint(v);
    if (isnan(v))
        return (ushort)((u >> 16) | 0x40);
    return (ushort)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}
