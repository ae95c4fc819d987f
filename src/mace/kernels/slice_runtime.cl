// Slice (ONNX Slice-13) that reads its starts, axes and steps from buffers: one work-item per output element.
// What the operands say is clamped into x, whatever it is.

#ifndef KERNEL_NAME
#define KERNEL_NAME slice_runtime
#endif
#ifndef UNIT
#define UNIT uint     // an element, by size
#define INDEX_T long  // type of starts, axes and steps
#define COUNT 1       // how many axes they speak of
#define RANK 1
#define IN 1          // extents of x and y
#define OUT 1
#define HAS_AXES 0
#define HAS_STEPS 0
#endif

__kernel void KERNEL_NAME(__global const UNIT *restrict x, __global const INDEX_T *restrict starts,
#if HAS_AXES
                          __global const INDEX_T *restrict axes,
#endif
#if HAS_STEPS
                          __global const INDEX_T *restrict steps,
#endif
                          __global UNIT *restrict y)
{
    const int in[RANK] = {IN}, out[RANK] = {OUT};
    int rest = get_global_id(0);
    int from = 0, stride = 1;
#pragma unroll
    for (int a = RANK - 1; a >= 0; --a) {
        long start = 0, step = 1;
        for (int e = 0; e < COUNT; ++e) {
#if HAS_AXES
            const long axis = axes[e] < 0 ? axes[e] + RANK : axes[e];
#else
            const long axis = e;
#endif
            if (axis != a)
                continue;
            start = starts[e] < 0 ? starts[e] + in[a] : starts[e];
#if HAS_STEPS
            step = steps[e];
#endif
        }
        start = clamp(start, 0L, step > 0 ? (long)in[a] : (long)in[a] - 1);
        const long i = start + rest % out[a] * step;
        rest /= out[a];
        from += (int)clamp(i, 0L, (long)in[a] - 1) * stride;
        stride *= in[a];
    }
    y[get_global_id(0)] = x[from];
}
