// Maximum or average over all spatial positions of channel-blocked float32 tensors, one work-item per channel block:
// x: NB x AREA x V, y: NB x V. Four partial results hide the latency of the additions.

#ifndef KERNEL_NAME
#define KERNEL_NAME pool_global_blocked
#endif
#ifndef V
#define V 16     // lanes of a channel block
#define MODE 0   // 0 maximum, 1 average
#define AREA 1   // positions
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define VEC JOIN(float, V)
#if MODE == 0
#define TAKE(sum, v) sum = fmax(sum, v)
#else
#define TAKE(sum, v) sum += v
#endif

__attribute__((vec_type_hint(VEC)))
__kernel void KERNEL_NAME(__global const float *restrict x, __global float *restrict y)
{
    const int plane = get_global_id(0);
    __global const float *xp = x + plane * (AREA * V);
    VEC a = MODE == 0 ? (VEC)(-INFINITY) : (VEC)(0.0f), b = a, c = a, d = a;
    int i = 0;
    for (; i + 4 <= AREA; i += 4) {
        TAKE(a, JOIN(vload, V)(i, xp));
        TAKE(b, JOIN(vload, V)(i + 1, xp));
        TAKE(c, JOIN(vload, V)(i + 2, xp));
        TAKE(d, JOIN(vload, V)(i + 3, xp));
    }
    for (; i < AREA; ++i)
        TAKE(a, JOIN(vload, V)(i, xp));
    TAKE(a, b);
    TAKE(c, d);
    TAKE(a, c);
#if MODE == 1
    a *= 1.0f / (float)AREA;
#endif
    JOIN(vstore, V)(a, plane, y);
}
