// Nearest-neighbour resizing of one or two neighbouring axes: y[o, h, w, r] = x[o, rows[h], columns[w], r].
// Index dimensions: (w, r), h, o.

#ifndef KERNEL_NAME
#define KERNEL_NAME resize_nearest
#endif
#ifndef UNIT
#define UNIT uint       // what is moved as one
#define OUTSIDE 0       // the bits of what stands where an index is negative
#endif
#ifndef HI
#define HI 1            // extents of the two axes in x and y
#define HO 1
#define WI 1
#define WO 1
#define HT 1            // always 1 here: indices per output position
#define WT 1
#define INNER 1         // extent of r, in units
#define EXTRAPOLATES 0  // 1: there are negative indices
#endif

__kernel void KERNEL_NAME(__global const UNIT *restrict x, __global const int *restrict rows,
                          __global const int *restrict columns, __global UNIT *restrict y)
{
    const int w = get_global_id(0) / INNER, r = get_global_id(0) % INNER;
    const int h = get_global_id(1), o = get_global_id(2);
    int row = rows[h], column = columns[w];
    const int to = ((o * HO + h) * WO + w) * INNER + r;
#if EXTRAPOLATES
    if (row < 0 || column < 0) {
        y[to] = (UNIT)OUTSIDE;
        return;
    }
#endif
    row = clamp(row, 0, HI - 1);  // whatever the tables hold
    column = clamp(column, 0, WI - 1);
    y[to] = x[((o * HI + row) * WI + column) * INNER + r];
}
