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

// A float rounded to what bfloat16 can hold.
static inline float mace_round_bfloat16(float v)
{
    return as_float((uint)mace_bfloat16(v) << 16);
}

// A float rounded to what float16 can hold, to nearest even; too large becomes infinite.
static inline float mace_round_half(float v)
{
    ushort bits;
    vstore_half_rte(v, 0, (__private half *)&bits);
    return vload_half(0, (__private const half *)&bits);
}

// base to an integer power, wrapping around; a negative power of anything but 1 and -1 is 0.
static inline long mace_power(long base, long exponent)
{
    ulong result = 1, factor = (ulong)base;
    if (exponent < 0)
        return base == 1 ? 1 : base == -1 ? ((exponent & 1) ? -1 : 1) : 0;
    for (; exponent; exponent >>= 1) {
        if (exponent & 1)
            result *= factor;
        factor *= factor;
    }
    return (long)result;
}

// An integer to a real power, truncated; exact where the power is a whole number.
static inline long mace_power_real(long base, float exponent)
{
    if (exponent == trunc(exponent) && fabs(exponent) < 65536.0f)
        return mace_power(base, (long)exponent);
    return convert_long_sat_rtz(pow((float)base, exponent));
}
