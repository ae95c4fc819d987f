// ScatterND (ONNX ScatterND-18) into a y that holds the data already. Index dimensions: element of a slice, share of
// the output. Each work-item goes through all tuples and applies, in order, those that fall into its share of SHARE
// slices, so updates of one element keep their order. A tuple that is out of range is passed over.

#ifndef KERNEL_NAME
#define KERNEL_NAME scatter_nd
#endif
#ifndef E_T
#define E_T uint             // storage type of the elements
#define E_LD LD_uint
#define E_ST ST_uint
#define COMBINE(a, b) (b)    // what becomes of the old value a and the update b
#endif
#ifndef INDEX_T
#define INDEX_T long
#define INNER 1              // elements per slice
#define TUPLES 1
#define DEPTH 1              // indices per tuple
#define EXTENTS 1            // extents of the axes they speak of
#define SHARE 1              // slices per work-item
#endif

#define AXES (DEPTH ? DEPTH : 1)

__kernel void KERNEL_NAME(__global const INDEX_T *restrict indices, __global const E_T *restrict updates,
                          __global E_T *restrict y)
{
    const int extents[AXES] = {EXTENTS};
    const int r = get_global_id(0), share = get_global_id(1);
    for (int t = 0; t < TUPLES; ++t) {
        int slot = 0, valid = 1;
#pragma unroll
        for (int d = 0; d < DEPTH; ++d) {
            long at = indices[t * DEPTH + d];
            at = at < 0 ? at + extents[d] : at;
            valid = valid && at >= 0 && at < extents[d];
            slot = slot * extents[d] + (int)at;
        }
        if (!valid || slot / SHARE != share)
            continue;
        const int cell = slot * INNER + r;
        E_ST(y, cell, COMBINE(E_LD(y, cell), E_LD(updates, t * INNER + r)));
    }
}
