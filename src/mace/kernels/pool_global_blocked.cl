// Maximum or average over all spatial positions of channel-blocked tensors, one work-item per channel block:
// x: NB x AREA x V, y: NB x V. Four partial results hide the latency of the additions.

#ifndef KERNEL_NAME
#define KERNEL_NAME pool_global_blocked
#endif
#ifndef X_T
#define X_T float    // storage types
#define X_LDN LDN_float
#define Y_T float
#define Y_STN STN_float
#endif
#ifndef V
#define V 16     // lanes of a channel block
#define MODE 0   // 0 maximum, 1 average
#define AREA 1   // positions
#endif
#ifndef GROUP_ATTRIBUTE
#define GROUP_ATTRIBUTE // reqd_work_group_size where it helps
#endif

#define VEC MACE_JOIN(float, V)
#if MODE == 0
#define TAKE(sum, v) \
    do { \
        const VEC taken = v; /* sum is no NaN: one instruction where fmax, which asks for both, is four */ \
        sum = sum < taken ? taken : sum; \
    } while (0)
#else
#define TAKE(sum, v) sum += v
#endif

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const X_T *restrict x, __global Y_T *restrict y)
{
    const int plane = get_global_id(0);
    __global const X_T *xp = x + plane * (AREA * V);
    VEC a = MODE == 0 ? (VEC)(-INFINITY) : (VEC)(0.0f), b = a, c = a, d = a;
    int i = 0;
    for (; i + 4 <= AREA; i += 4) {
        TAKE(a, X_LDN(V, xp, i * V));
        TAKE(b, X_LDN(V, xp, (i + 1) * V));
        TAKE(c, X_LDN(V, xp, (i + 2) * V));
        TAKE(d, X_LDN(V, xp, (i + 3) * V));
    }
    for (; i < AREA; ++i)
        TAKE(a, X_LDN(V, xp, i * V));
    TAKE(a, b);
    TAKE(c, d);
    TAKE(a, c);
#if MODE == 1
    a *= 1.0f / (float)AREA;
#endif
    Y_STN(V, y, plane * V, a);
}
