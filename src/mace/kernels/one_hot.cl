// OneHot (ONNX OneHot-11): y[o, d, r] = values[indices[o, r] == d]. Index dimensions: (d, r), o.

#ifndef KERNEL_NAME
#define KERNEL_NAME one_hot
#endif
#ifndef I_T
#define I_T long       // storage type of the indices; fractions are cut off
#define I_C long
#define I_LD LD_long
#define I_ST ST_long
#endif
#ifndef UNIT
#define UNIT uint      // an element of values and y, by size
#define DEPTH 1        // extent of d
#define INNER 1        // extent of r
#endif

__kernel void KERNEL_NAME(__global const I_T *restrict indices, __global const UNIT *restrict values,
                          __global UNIT *restrict y)
{
    const int r = get_global_id(0) % INNER, d = get_global_id(0) / INNER, o = get_global_id(1);
    long at = (long)I_LD(indices, o * INNER + r);
    at = at < 0 ? at + DEPTH : at;
    y[(o * DEPTH + d) * INNER + r] = values[at == d];
}
