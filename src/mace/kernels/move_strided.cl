// Copy between two strided views: y[Y_OFFSET + sum i * Y_STRIDES] = x[X_OFFSET + sum i * X_STRIDES] over the box DIMS.
// Index dimension 0 covers axes SPLIT and up (RUN neighbours of the last one per work-item), dimension 1 the axes
// before.

#ifndef KERNEL_NAME
#define KERNEL_NAME move_strided
#endif
#ifndef UNIT
#define UNIT uint    // what is moved as one, of any size up to 64 bytes
#define RANK 1       // axes of the box, at least 1
#define SPLIT 0      // first axis of index dimension 0
#define RUN 1        // neighbours per work-item; more than 1 only when SPLIT is the last axis
#define DIMS 1       // extents
#define X_STRIDES 1  // strides, in units
#define Y_STRIDES 1
#define X_OFFSET 0   // where the views begin, in units
#define Y_OFFSET 0
#endif

__kernel void KERNEL_NAME(__global const UNIT *restrict x, __global UNIT *restrict y)
{
    const int dims[RANK] = {DIMS}, xs[RANK] = {X_STRIDES}, ys[RANK] = {Y_STRIDES};
    int from = X_OFFSET, to = Y_OFFSET;
    int rest = get_global_id(1);
#pragma unroll
    for (int a = SPLIT - 1; a >= 0; --a) {
        const int i = a ? rest % dims[a] : rest;
        rest /= dims[a];
        from += i * xs[a];
        to += i * ys[a];
    }
#if RUN > 1
    const int first = get_global_id(0) * RUN;
    const int count = min(RUN, dims[SPLIT] - first);
    from += first * xs[SPLIT];
    to += first * ys[SPLIT];
    if (count == RUN) {
        for (int r = 0; r < RUN; ++r)
            y[to + r * ys[SPLIT]] = x[from + r * xs[SPLIT]];
    } else {
        for (int r = 0; r < count; ++r)
            y[to + r * ys[SPLIT]] = x[from + r * xs[SPLIT]];
    }
#else
    rest = get_global_id(0);
#pragma unroll
    for (int a = RANK - 1; a >= SPLIT; --a) {
        const int i = a > SPLIT ? rest % dims[a] : rest;
        rest /= dims[a];
        from += i * xs[a];
        to += i * ys[a];
    }
    y[to] = x[from];
#endif
}
