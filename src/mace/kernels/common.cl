// Put in front of every program: loads and stores of each storage type, and functions that several templates share.

#ifdef POCL_DEVICE_ADDRESS_BITS // PoCL 3.1's mad is a product and a sum; as an expression the two are one instruction
#define mad(a, b, c) ((a) * (b) + (c))
#endif

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

// The same for n = 2, 4, 8 or 16 neighbouring elements at any aligned-to-one-element place: LDN_<suffix>(n, pointer, index).
#define MACE_PASTE(a, b) a##b
#define MACE_JOIN(a, b) MACE_PASTE(a, b)
#define LDN_float(n, p, i) MACE_JOIN(vload, n)(0, (p) + (i))
#ifdef POCL_DEVICE_ADDRESS_BITS // PoCL 3.1's vstore16 is three stores
#define STN_float(n, p, i, v) MACE_JOIN(mace_store, n)(v, (p) + (i))
#define MACE_STORE_IN(n, space) \
    static inline void __attribute__((overloadable)) mace_store##n(float##n v, space float *p) \
    { \
        typedef float##n Anywhere __attribute__((aligned(4))); \
        *(space Anywhere *)p = v; \
    }
#define MACE_STORE(n) MACE_STORE_IN(n, __global) MACE_STORE_IN(n, __local) MACE_STORE_IN(n, __private)
MACE_STORE(2)
MACE_STORE(4)
MACE_STORE(8)
MACE_STORE(16)
#else
#define STN_float(n, p, i, v) MACE_JOIN(vstore, n)(v, 0, (p) + (i))
#endif
#ifdef POCL_DEVICE_ADDRESS_BITS // PoCL 3.1 takes the address of vload_half16 for a multiple of 32: go over whole numbers
#define LDN_half(n, p, i) MACE_JOIN(mace_unpack_half, n)(MACE_JOIN(vload, n)(0, (__global const ushort *)((p) + (i))))
#define STN_half(n, p, i, v) MACE_JOIN(vstore, n)(MACE_JOIN(mace_pack_half, n)(v), 0, (__global ushort *)((p) + (i)))
#else
#define LDN_half(n, p, i) MACE_JOIN(vload_half, n)(0, (p) + (i))
#define STN_half(n, p, i, v) MACE_JOIN(MACE_JOIN(vstore_half, n), _rte)(v, 0, (p) + (i))
#endif
#define LDN_bfloat16(n, p, i) \
    MACE_JOIN(as_float, n)(MACE_JOIN(convert_uint, n)(MACE_JOIN(vload, n)(0, (p) + (i))) << 16)
#define STN_bfloat16(n, p, i, v) MACE_JOIN(vstore, n)(MACE_JOIN(mace_bfloat16_, n)(v), 0, (p) + (i))

// The first `count` of n lanes, stored with ST_<suffix>.
#define MACE_STORE_LANES(n, count, ST, p, i, v) \
    do { \
        float mace_lanes[n]; \
        STN_float(n, mace_lanes, 0, v); \
        for (int mace_lane = 0; mace_lane < (count); ++mace_lane) \
            ST(p, (i) + mace_lane, mace_lanes[mace_lane]); \
    } while (0)

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

#define MACE_BFLOAT16(n) \
    static inline ushort##n mace_bfloat16_##n(float##n v) \
    { \
        const uint##n u = as_uint##n(v); \
        const uint##n rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16; \
        return convert_ushort##n(select(rounded, (u >> 16) | 0x40, isnan(v))); \
    }
MACE_BFLOAT16(2)
MACE_BFLOAT16(4)
MACE_BFLOAT16(8)
MACE_BFLOAT16(16)

// ---- Kernels that do several stages of a plan one after the other (plan/chain.py). Their groups of one work-item are workers:
// each begins with its own share of a stage's items, goes on with what is left of the others', and waits until all are done.
// Whoever has taken items is running, so nobody waits for a group that may never run: one alone would do everything.
#define MACE_LINE 16                            // ints from one counter to the next: a cache line
#define MACE_SHARE(worker, items, workers) ((int)((long)(worker) * (items) / (workers)))

// A look at what others count, which leaves them the cache line. Until all have left a counter only grows, so a look is never wrong
// about what it has reached already.
#ifndef MACE_PEEK
#define MACE_PEEK(counter) (*(counter))
#endif

// Take the next of `items` things, `chunk` at a time: the first of them, or `items` when none is left.
static inline int mace_take(volatile __global int *next, int items, int chunk)
{
    return MACE_PEEK(next) >= items ? items : min(atomic_add(next, chunk), items);
}

// Say that so many are done; who waits for them sees what was written.
static inline void mace_done(volatile __global int *done, int items)
{
    mem_fence(CLK_GLOBAL_MEM_FENCE);
    atomic_add(done, items);
}

static inline void mace_wait(volatile __global int *done, int items)
{
    while (MACE_PEEK(done) < items)
        ;
    atomic_or(done, 0); // as a fence: what comes after is not read before
    mem_fence(CLK_GLOBAL_MEM_FENCE);
}

// The last of the workers to leave sets all counters back to zero for the next run.
static inline void mace_leave(volatile __global int *counters, int workers, int lines)
{
    if (atomic_inc(counters) < workers - 1)
        return;
    for (int line = 0; line < lines; ++line)
        atomic_xchg(counters + line * MACE_LINE, 0);
}

// One stage: the statements behind `chunk` do item `mace_item` of `items`.
#define MACE_STAGE(number, workers, items, chunk, ...) \
    do { \
        volatile __global int *const mace_next = mace_counters + (1 + (number) * ((workers) + 1)) * MACE_LINE; \
        volatile __global int *const mace_finished = mace_next + (workers) * MACE_LINE; \
        for (int mace_turn = 0; mace_turn < (workers); ++mace_turn) { \
            const int mace_owner = (mace_me + mace_turn) % (workers); \
            const int mace_first = MACE_SHARE(mace_owner, items, workers); \
            const int mace_own = MACE_SHARE(mace_owner + 1, items, workers) - mace_first; \
            for (int mace_at; \
                 (mace_at = mace_take(mace_next + mace_owner * MACE_LINE, mace_own, chunk)) < mace_own;) { \
                const int mace_end = min(mace_at + (chunk), mace_own); \
                for (int mace_item = mace_first + mace_at; mace_item < mace_first + mace_end; ++mace_item) { \
                    __VA_ARGS__ \
                } \
                mace_done(mace_finished, mace_end - mace_at); \
            } \
        } \
        mace_wait(mace_finished, items); \
    } while (0)

// Join one value of each of the `size` (a power of two) work-items of a group; everyone gets the result in `value`.
#define MACE_GROUP_FOLD(join, value, shared, size) \
    do { \
        const int mace_id = get_local_id(0); \
        shared[mace_id] = value; \
        for (int mace_half = (size) / 2; mace_half > 0; mace_half /= 2) { \
            barrier(CLK_LOCAL_MEM_FENCE); \
            if (mace_id < mace_half) \
                shared[mace_id] = join(shared[mace_id], shared[mace_id + mace_half]); \
        } \
        barrier(CLK_LOCAL_MEM_FENCE); \
        value = shared[0]; \
        barrier(CLK_LOCAL_MEM_FENCE); \
    } while (0)

#ifdef POCL_DEVICE_ADDRESS_BITS
#define MACE_HALF(n) \
    static inline float##n mace_unpack_half##n(ushort##n bits) \
    { \
        return vload_half##n(0, (__private const half *)&bits); \
    } \
    static inline ushort##n mace_pack_half##n(float##n v) \
    { \
        ushort##n bits; \
        vstore_half##n##_rte(v, 0, (__private half *)&bits); \
        return bits; \
    }
MACE_HALF(2)
MACE_HALF(4)
MACE_HALF(8)
MACE_HALF(16)
#endif
