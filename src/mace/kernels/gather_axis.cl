// Gather along one axis: y[o, i, r] = x[o, indices[i], r]. Index dimensions: (i, r), o.

#ifndef KERNEL_NAME
#define KERNEL_NAME gather_axis
#endif
#ifndef UNIT
#define UNIT uint     // what is moved as one
#define INDEX_T long
#define INNER 1       // extent of r, in units
#define EXTENT 1      // extent of the axis in x
#define COUNT 1       // number of indices
#endif

__kernel void KERNEL_NAME(__global const UNIT *restrict x, __global const INDEX_T *restrict indices,
                          __global UNIT *restrict y)
{
    const int r = get_global_id(0) % INNER, i = get_global_id(0) / INNER, o = get_global_id(1);
    long at = indices[i];
    at = clamp(at < 0 ? at + EXTENT : at, 0L, (long)EXTENT - 1);
    y[(o * COUNT + i) * INNER + r] = x[(o * EXTENT + (int)at) * INNER + r];
}
