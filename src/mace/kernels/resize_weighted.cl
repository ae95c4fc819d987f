// Resizing of one or two neighbouring axes by weighted sums: y[o, h, w, r] = sum over i, j of
// row_weights[h, i] * column_weights[w, j] * x[o, rows[h, i], columns[w, j], r]. Index dimensions: (w, r), h, o.

#ifndef KERNEL_NAME
#define KERNEL_NAME resize_weighted
#endif
#ifndef X_T
#define X_T float            // storage types
#define X_LD LD_float
#define Y_T float
#define Y_ST ST_float
#define ACC float            // type computed in
#define V 1                  // lanes of r per work-item; more than 1 only for float
#endif
#ifndef ROUND
#define ROUND(v) (v)         // what is stored of a sum: integers are rounded and clamped
#endif
#ifndef HI
#define HI 1                 // extents of the two axes in x and y
#define HO 1
#define WI 1
#define WO 1
#define HT 1                 // input positions per output position
#define WT 1
#define INNER 1              // extent of r, in vectors
#define EXTRAPOLATES 0       // 1: where an index is negative, OUTSIDE is the result
#define OUTSIDE 0.0f
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#if V == 1
#define VEC ACC
#define LOAD(p, i) X_LD(p, i)
#define STORE(p, i, v) Y_ST(p, i, ROUND(v))
#else
#define VEC JOIN(ACC, V)
#define LOAD(p, i) JOIN(vload, V)(i, p)
#define STORE(p, i, v) JOIN(vstore, V)(v, i, p)
__attribute__((vec_type_hint(VEC)))
#endif
__kernel void KERNEL_NAME(__global const X_T *restrict x, __global const int *restrict rows,
                          __global const ACC *restrict row_weights, __global const int *restrict columns,
                          __global const ACC *restrict column_weights, __global Y_T *restrict y)
{
    const int w = get_global_id(0) / INNER, r = get_global_id(0) % INNER;
    const int h = get_global_id(1), o = get_global_id(2);
    const int to = ((o * HO + h) * WO + w) * INNER + r;
#if EXTRAPOLATES
    if (rows[h * HT] < 0 || columns[w * WT] < 0) {
        STORE(y, to, (VEC)(OUTSIDE));
        return;
    }
#endif
    VEC sum = (VEC)(0);
#pragma unroll
    for (int i = 0; i < HT; ++i) {
        const int base = (o * HI + clamp(rows[h * HT + i], 0, HI - 1)) * WI;
        VEC line = (VEC)(0);
#pragma unroll
        for (int j = 0; j < WT; ++j) {
            const int column = clamp(columns[w * WT + j], 0, WI - 1);
            const VEC value = (VEC)(LOAD(x, (base + column) * INNER + r));
            line += column_weights[w * WT + j] * value;
        }
        sum += row_weights[h * HT + i] * line;
    }
    STORE(y, to, sum);
}
