// Transposition of two axes, ROWS contiguous in x and COLS contiguous in y, under any number of outer axes: each
// work-item moves a tile by squares of eight, in registers; squares at the edges go element by element.

#ifndef KERNEL_NAME
#define KERNEL_NAME move_tiled
#endif
#ifndef UNIT
#define UNIT uint    // what is moved as one, up to 8 bytes
#define UNITS uint8  // eight of them
#define TILE 8       // extents of the tile, a multiple of 8
#define ROWS 8       // extent of the axis that is contiguous in x
#define COLS 8       // extent of the axis that is contiguous in y
#define X_COL 8      // stride in x of the columns
#define Y_ROW 8      // stride in y of the rows
#define RANK 0       // outer axes, their extents and strides in units
#define DIMS 1
#define X_STRIDES 0
#define Y_STRIDES 0
#define X_OFFSET 0   // where the views begin, in units
#define Y_OFFSET 0
#endif

#ifndef GROUP_ATTRIBUTE
#define GROUP_ATTRIBUTE // reqd_work_group_size where it helps
#endif

#define AXES (RANK ? RANK : 1)

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const UNIT *restrict x, __global UNIT *restrict y)
{
    const int dims[AXES] = {DIMS}, xs[AXES] = {X_STRIDES}, ys[AXES] = {Y_STRIDES};
    const int first_row = get_global_id(0) * TILE, first_col = get_global_id(1) * TILE;
    int from = X_OFFSET, to = Y_OFFSET;
    int rest = get_global_id(2);
#pragma unroll
    for (int a = RANK - 1; a >= 0; --a) {
        const int i = a ? rest % dims[a] : rest;
        rest /= dims[a];
        from += i * xs[a];
        to += i * ys[a];
    }
    x += from;
    y += to;
    for (int row = first_row; row < min(first_row + TILE, ROWS); row += 8)
        for (int col = first_col; col < min(first_col + TILE, COLS); col += 8) {
            if (row + 8 > ROWS || col + 8 > COLS) {
                const int rows = min(8, ROWS - row), cols = min(8, COLS - col);
                for (int r = row; r < row + rows; ++r)
                    for (int c = col; c < col + cols; ++c)
                        y[r * Y_ROW + c] = x[r + c * X_COL];
                continue;
            }
            __global const UNIT *xp = x + row + col * X_COL;
            __global UNIT *yp = y + row * Y_ROW + col;
            const UNITS a0 = vload8(0, xp), a1 = vload8(0, xp + X_COL);
            const UNITS a2 = vload8(0, xp + 2 * X_COL), a3 = vload8(0, xp + 3 * X_COL);
            const UNITS a4 = vload8(0, xp + 4 * X_COL), a5 = vload8(0, xp + 5 * X_COL);
            const UNITS a6 = vload8(0, xp + 6 * X_COL), a7 = vload8(0, xp + 7 * X_COL);
#define ACROSS(r) (UNITS)(a0.s##r, a1.s##r, a2.s##r, a3.s##r, a4.s##r, a5.s##r, a6.s##r, a7.s##r)
#define WRITE(r) vstore8(ACROSS(r), 0, yp + r * Y_ROW)
            WRITE(0);
            WRITE(1);
            WRITE(2);
            WRITE(3);
            WRITE(4);
            WRITE(5);
            WRITE(6);
            WRITE(7);
#undef WRITE
#undef ACROSS
        }
}
