// The K largest (or smallest) elements along one axis of an OUTER × LENGTH × INNER tensor, best first, and their indices;
// of equal ones the first comes first. A work-item per line keeps its results sorted in place.
// Index space: (INNER, OUTER).

#ifndef LENGTH
#define X_T float
#define X_C float
#define X_LD LD_float
#define LENGTH 1                  // elements along the axis
#define INNER 1                   // elements behind it
#define K 1                       // results along the axis
#define BETTER(a, b) ((a) > (b))  // whether a comes before b
#endif

__kernel void KERNEL_NAME(__global const X_T *restrict x, __global X_T *restrict values, __global long *restrict indices)
{
    const int inner = get_global_id(0);
    const int outer = get_global_id(1);
    const int base = outer * LENGTH * INNER + inner;
    const int out = outer * K * INNER + inner;
    for (int k = 0; k < LENGTH; ++k) {
        const X_C v = X_LD(x, base + k * INNER);
        int slot = min(k, K);
        if (slot == K && !BETTER(v, X_LD(values, out + (K - 1) * INNER)))
            continue;
        slot = min(slot, K - 1);
        for (; slot > 0 && BETTER(v, X_LD(values, out + (slot - 1) * INNER)); --slot) {
            values[out + slot * INNER] = values[out + (slot - 1) * INNER];
            indices[out + slot * INNER] = indices[out + (slot - 1) * INNER];
        }
        values[out + slot * INNER] = x[base + k * INNER];
        indices[out + slot * INNER] = k;
    }
}
