// Index of the largest or smallest element along an axis of an OUTER × LENGTH × INNER tensor; a work-item per result.
// A NaN counts as the extreme, the first one wins. Index space: (INNER, OUTER).

#ifndef LENGTH
#define X_T float
#define X_C float
#define X_LD LD_float
#define LENGTH 1            // elements along the axis
#define INNER 1             // elements behind it
#define BETTER(v, best) ((v) > (best)) // >= or <= where the last of equals is wanted
#endif

__kernel void KERNEL_NAME(__global const X_T *restrict x, __global long *restrict y)
{
    const int inner = get_global_id(0);
    const int outer = get_global_id(1);
    const int base = outer * LENGTH * INNER + inner;
    X_C best = X_LD(x, base);
    int at = 0;
    for (int k = 1; k < LENGTH; ++k) {
        const X_C v = X_LD(x, base + k * INNER);
        if (best == best && (BETTER(v, best) || v != v)) {
            best = v;
            at = k;
        }
    }
    y[outer * INNER + inner] = at;
}
