// Running sum or product along one axis of an OUTER × LENGTH × INNER tensor; a work-item per line.
// Index space: (INNER, OUTER).

#ifndef LENGTH
#define X_T float
#define X_C float
#define X_LD LD_float
#define X_ST ST_float
#define LENGTH 1        // elements along the axis
#define INNER 1         // elements behind it
#define JOIN(a, b) ((a) + (b))
#define INIT 0          // neutral element
#define EXCLUSIVE 0     // 1: the element itself does not count
#define REVERSE 0       // 1: from the end
#endif

__kernel void KERNEL_NAME(__global const X_T *restrict x, __global X_T *restrict y)
{
    const int base = (int)get_global_id(1) * LENGTH * INNER + (int)get_global_id(0);
    X_C all = INIT;
    for (int k = 0; k < LENGTH; ++k) {
        const int at = base + (REVERSE ? LENGTH - 1 - k : k) * INNER;
        const X_C v = X_LD(x, at);
        const X_C joined = JOIN(all, v);
        X_ST(y, at, EXCLUSIVE ? all : joined);
        all = joined;
    }
}
