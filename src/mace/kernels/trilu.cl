// Trilu (ONNX Trilu-14): keeps the upper or lower triangle of each matrix. Index dimensions: column, row, matrix.

#ifndef KERNEL_NAME
#define KERNEL_NAME trilu
#endif
#ifndef UNIT
#define UNIT uint      // an element, by size
#define ROWS 1
#define COLS 1
#define UPPER 1        // 1: keep what is on and above the diagonal; 0: on and below
#endif
#ifndef K
#define K 0            // diagonal, counted to the right of the main one
#endif

__kernel void KERNEL_NAME(__global const UNIT *restrict x, __global UNIT *restrict y)
{
    const int col = get_global_id(0), row = get_global_id(1);
    const int at = ((int)get_global_id(2) * ROWS + row) * COLS + col;
    const int offset = col - row - (K);
    const int keep = UPPER ? offset >= 0 : offset <= 0;
    y[at] = keep ? x[at] : (UNIT)0;
}
