// GatherND (ONNX GatherND-13): each tuple of DEPTH indices fetches INNER contiguous units. One work-item per unit.

#ifndef KERNEL_NAME
#define KERNEL_NAME gather_nd
#endif
#ifndef UNIT
#define UNIT uint       // what is moved as one
#define INDEX_T long
#define INNER 1         // units per tuple
#define DEPTH 1         // indices per tuple
#define EXTENTS 1       // extents of the axes they speak of
#define STRIDES 1       // their strides, in units
#define PER_BATCH 1     // tuples of one batch element
#define BATCH_STRIDE 1  // units of one batch element of x
#endif

#define AXES (DEPTH ? DEPTH : 1)

__kernel void KERNEL_NAME(__global const UNIT *restrict x, __global const INDEX_T *restrict indices,
                          __global UNIT *restrict y)
{
    const int extents[AXES] = {EXTENTS}, strides[AXES] = {STRIDES};
    const int r = get_global_id(0) % INNER, tuple = get_global_id(0) / INNER;
    int from = tuple / PER_BATCH * BATCH_STRIDE + r;
#pragma unroll
    for (int d = 0; d < DEPTH; ++d) {
        long at = indices[tuple * DEPTH + d];
        at = clamp(at < 0 ? at + extents[d] : at, 0L, (long)extents[d] - 1);
        from += (int)at * strides[d];
    }
    y[tuple * INNER + r] = x[from];
}
