// The bytes a device can move at most: two arrays read, one written, a multiply-add in between.

#ifndef PEAK_VEC
#define PEAK_VEC 4 // float lanes per access: 2, 4, 8 or 16
#endif
#ifndef PEAK_RUN
#define PEAK_RUN 64 // consecutive vectors of one work-item; 1 where neighbouring work-items share an access (GPUs)
#endif
#ifndef PEAK_COUNT
#define PEAK_COUNT 4096 // vectors in each array, a multiple of PEAK_RUN
#endif
#ifndef KERNEL_NAME
#define KERNEL_NAME peak_memory
#endif

#define PEAK_JOIN_(a, b) a##b
#define PEAK_JOIN(a, b) PEAK_JOIN_(a, b)
#define PEAK_T PEAK_JOIN(float, PEAK_VEC)

__kernel void KERNEL_NAME(__global const PEAK_T *restrict x, __global const PEAK_T *restrict y, __global PEAK_T *restrict z)
{
    const int first = (int)get_global_id(0) * PEAK_RUN;
    if (first >= PEAK_COUNT)
        return;
    for (int i = 0; i < PEAK_RUN; ++i)
        z[first + i] = mad(x[first + i], (PEAK_T)(0.5f), y[first + i]);
}
