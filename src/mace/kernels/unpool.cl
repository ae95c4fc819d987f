// MaxUnpool (ONNX MaxUnpool-22) into a y that is zero: one work-item puts the values of one plane of x where the
// indices say, in order. An index that lies outside is passed over.

#ifndef KERNEL_NAME
#define KERNEL_NAME unpool
#endif
#ifndef UNIT
#define UNIT uint   // an element, by size
#define RANK 1      // spatial dimensions
#define FROM 1      // the extents that the indices count in, after batch and channel
#define TO 1        // extents of y
#define COUNT 1     // elements of a plane of x
#define PLANES 1    // batches times channels
#endif

__kernel void KERNEL_NAME(__global const UNIT *restrict x, __global const long *restrict indices,
                          __global UNIT *restrict y)
{
    const int from[RANK] = {FROM}, to[RANK] = {TO};
    const int first = get_global_id(0) * COUNT;
    for (int k = 0; k < COUNT; ++k) {
        long rest = indices[first + k];
        int cell = 0, stride = 1, inside = rest >= 0;
#pragma unroll
        for (int a = RANK - 1; a >= 0; --a) {
            const int i = (int)(rest % from[a]);
            rest /= from[a];
            inside = inside && i < to[a];
            cell += i * stride;
            stride *= to[a];
        }
        if (inside && rest < PLANES)
            y[(int)rest * stride + cell] = x[first + k];
    }
}
