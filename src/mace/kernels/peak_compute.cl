// The arithmetic a device can do at most: chains of fused multiply-adds in registers, nothing read from memory.

#ifndef PEAK_VEC
#define PEAK_VEC 4 // float lanes per vector: 1, 2, 4, 8 or 16
#endif
#ifndef PEAK_CHAINS
#define PEAK_CHAINS 10 // independent chains, enough to hide the latency of one multiply-add
#endif
#ifndef PEAK_STEPS
#define PEAK_STEPS 4096 // multiply-adds of each chain
#endif
#ifndef KERNEL_NAME
#define KERNEL_NAME peak_compute
#endif

#define PEAK_JOIN_(a, b) a##b
#define PEAK_JOIN(a, b) PEAK_JOIN_(a, b)
#if PEAK_VEC == 1
#define PEAK_T float
#else
#define PEAK_T PEAK_JOIN(float, PEAK_VEC)
#endif

__kernel void KERNEL_NAME(__global float *restrict out)
{
    const int id = (int)get_global_id(0);
    float lanes[PEAK_VEC];
    for (int lane = 0; lane < PEAK_VEC; ++lane)
        lanes[lane] = 1.0f + 0.001f * (lane + id);
#if PEAK_VEC == 1
    const PEAK_T first = lanes[0];
#else
    const PEAK_T first = PEAK_JOIN(vload, PEAK_VEC)(0, lanes);
#endif
    PEAK_T sum[PEAK_CHAINS];
    const PEAK_T a = (PEAK_T)(0.999f + 1e-9f * id), b = (PEAK_T)(1e-3f);
    for (int c = 0; c < PEAK_CHAINS; ++c)
        sum[c] = first + 0.01f * c;
    for (int i = 0; i < PEAK_STEPS; ++i)
    {
#pragma unroll
        for (int c = 0; c < PEAK_CHAINS; ++c)
            sum[c] = mad(sum[c], a, b);
    }
    PEAK_T all = sum[0];
    for (int c = 1; c < PEAK_CHAINS; ++c)
        all += sum[c];
#if PEAK_VEC == 1
    lanes[0] = all;
#else
    PEAK_JOIN(vstore, PEAK_VEC)(all, 0, lanes);
#endif
    float total = 0.0f;
    for (int lane = 0; lane < PEAK_VEC; ++lane)
        total += lanes[lane];
    out[id] = total;
}
