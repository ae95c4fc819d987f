// Normalisation along one axis of an OUTER × LENGTH × INNER tensor: a work-item handles VEC neighbouring lines.
// Index space: (INNER / VEC, OUTER).

#define SOFTMAX 0     // kinds
#define LOG_SOFTMAX 1
#define HARDMAX 2     // 1 at the first of the largest, else 0
#define LP_ONE 3      // divided by the sum of magnitudes, 0 where that is 0
#define LP_TWO 4      // divided by the Euclidean length, 0 where that is 0
#ifndef LOAD
#define X_T float
#define Y_T float
#define KIND SOFTMAX
#define VEC 1         // lines per work-item, a divisor of INNER
#define LENGTH 1      // elements along the axis
#define INNER 1       // elements behind it
#define ACC float     // type that is computed in, VEC lanes
#define LOAD(i) x[i]
#define STORE(i, v) y[i] = (v)
#endif

__kernel void KERNEL_NAME(__global const X_T *restrict x, __global Y_T *restrict y)
{
    const int base = (int)get_global_id(1) * LENGTH * INNER + (int)get_global_id(0) * VEC;
#if KIND == LP_ONE || KIND == LP_TWO
    ACC sum = (ACC)(0);
    for (int k = 0; k < LENGTH; ++k) {
        const ACC v = LOAD(base + k * INNER);
        sum += KIND == LP_ONE ? fabs(v) : v * v;
    }
    const ACC norm = KIND == LP_ONE ? sum : sqrt(sum);
    for (int k = 0; k < LENGTH; ++k) {
        const ACC v = LOAD(base + k * INNER);
        const ACC r = norm == (ACC)(0) ? (ACC)(0) : v / norm;
        STORE(base + k * INNER, r);
    }
#else
    ACC top = (ACC)(-INFINITY);
    for (int k = 0; k < LENGTH; ++k)
        top = fmax(top, LOAD(base + k * INNER));
#if KIND == HARDMAX
    ACC found = (ACC)(0);
    for (int k = 0; k < LENGTH; ++k) {
        const ACC v = LOAD(base + k * INNER);
        const ACC r = (v == top) ? (ACC)(1) - found : (ACC)(0);
        found = (v == top) ? (ACC)(1) : found;
        STORE(base + k * INNER, r);
    }
#else
    ACC sum = (ACC)(0);
    for (int k = 0; k < LENGTH; ++k)
        sum += exp(LOAD(base + k * INNER) - top);
    const ACC factor = KIND == SOFTMAX ? 1 / sum : log(sum);
    for (int k = 0; k < LENGTH; ++k) {
        const ACC v = LOAD(base + k * INNER) - top;
        const ACC r = KIND == SOFTMAX ? exp(v) * factor : v - factor;
        STORE(base + k * INNER, r);
    }
#endif
#endif
}
