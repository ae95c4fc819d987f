// GatherElements (ONNX GatherElements-13): each output element fetches along AXIS what its index says.

#ifndef KERNEL_NAME
#define KERNEL_NAME gather_elements
#endif
#ifndef UNIT
#define UNIT uint      // an element, by size
#define INDEX_T long
#define RANK 1
#define OUT 1          // extents of the indices and of y
#define X_STRIDES 1    // strides of x
#define AXIS 0
#define EXTENT 1       // extent of the axis in x
#endif

__kernel void KERNEL_NAME(__global const UNIT *restrict x, __global const INDEX_T *restrict indices,
                          __global UNIT *restrict y)
{
    const int out[RANK] = {OUT}, strides[RANK] = {X_STRIDES};
    const int id = get_global_id(0);
    long at = indices[id];
    at = clamp(at < 0 ? at + EXTENT : at, 0L, (long)EXTENT - 1);
    int rest = id, from = 0;
#pragma unroll
    for (int a = RANK - 1; a >= 0; --a) {
        from += (a == AXIS ? (int)at : rest % out[a]) * strides[a];
        rest /= out[a];
    }
    y[id] = x[from];
}
