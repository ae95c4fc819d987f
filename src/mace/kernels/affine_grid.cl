// AffineGrid (ONNX AffineGrid-20): y[n, …, r] = theta[n, r, :] · (x, y, (z,) 1), where x, y and z run over [-1, 1].
// Index dimensions: position (x fastest), n.

#ifndef KERNEL_NAME
#define KERNEL_NAME affine_grid
#endif
#ifndef E_T
#define E_T float        // storage type
#define E_C float        // type computed in
#define E_LD LD_float
#define E_ST ST_float
#endif
#ifndef RANK
#define RANK 2           // spatial dimensions
#define EXTENTS 5, 4     // of the grid, x first
#define ALIGN_CORNERS 0  // whether -1 and 1 are the centres of the outermost elements, not their edges
#endif

__kernel void KERNEL_NAME(__global const E_T *restrict theta, __global E_T *restrict y)
{
    const int extents[RANK] = {EXTENTS};
    const int position = get_global_id(0), n = get_global_id(1);
    E_C at[RANK];
    int rest = position;
    for (int d = 0; d < RANK; d++) {
        const E_C i = (E_C)(rest % extents[d]);
        rest /= extents[d];
#if ALIGN_CORNERS
        at[d] = extents[d] > 1 ? (E_C)2 * i / (E_C)(extents[d] - 1) - (E_C)1 : (E_C)-1;
#else
        at[d] = ((E_C)2 * i + (E_C)1) / (E_C)extents[d] - (E_C)1;
#endif
    }
    const int out = (n * (int)get_global_size(0) + position) * RANK;
    for (int r = 0; r < RANK; r++) {
        const int row = (n * RANK + r) * (RANK + 1);
        E_C sum = E_LD(theta, row + RANK);
        for (int d = 0; d < RANK; d++)
            sum += E_LD(theta, row + d) * at[d];
        E_ST(y, out + r, sum);
    }
}
