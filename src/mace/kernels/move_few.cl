// Copy between two strided views of few units: y[Y_OFFSET + sum i * Y_STRIDES] = x[X_OFFSET + sum i * X_STRIDES] over the box
// DIMS, SHARE neighbouring units of it per work-item.
// Index space: (⌈COUNT / SHARE⌉).

#ifndef UNIT
#define UNIT uint    // what is moved as one, of any size up to 64 bytes
#define RANK 1       // axes of the box, at least 1
#define DIMS 1       // extents
#define COUNT 1      // their product
#define SHARE 1      // units per work-item
#define X_STRIDES 1  // strides, in units
#define Y_STRIDES 1
#define X_OFFSET 0   // where the views begin, in units
#define Y_OFFSET 0
#define GROUP_ATTRIBUTE // reqd_work_group_size where it helps
#endif

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const UNIT *restrict x, __global UNIT *restrict y)
{
    const int dims[RANK] = {DIMS}, xs[RANK] = {X_STRIDES}, ys[RANK] = {Y_STRIDES};
    const int first = (int)get_global_id(0) * SHARE;
    const int last = min(first + SHARE, COUNT);
    for (int unit = first; unit < last; ++unit) {
        int from = X_OFFSET, to = Y_OFFSET, rest = unit;
#pragma unroll
        for (int a = RANK - 1; a >= 0; --a) {
            const int i = a ? rest % dims[a] : rest;
            rest /= dims[a];
            from += i * xs[a];
            to += i * ys[a];
        }
        y[to] = x[from];
    }
}
