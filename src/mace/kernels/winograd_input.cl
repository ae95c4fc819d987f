// Winograd convolution, first step: each TILE+2 square of the input, tiles TILE apart, as its products with the matrix B
// (Lavin and Gray 2015), for one channel block and STRIP neighbouring tiles per work-item.
// X: N x B x IH x IW x V, U: (TILE+2)^2 x B x TILES x V with TILES = N x TILES_Y x TILES_X.

#ifndef KERNEL_NAME
#define KERNEL_NAME winograd_input
#endif
#ifndef V
#define V 16            // lanes of a channel block
#define X_T float       // storage type of X
#define X_LDN LDN_float
#endif
#ifndef TILE
#define TILE 4          // extent of an output tile: 2 or 4
#endif
#ifndef B
#define B 1             // channel blocks
#define IH 1            // input extents
#define IW 1
#define PH 0            // padding before the first row and column
#define PW 0
#define N 1             // batch
#define TILES_Y 1       // tiles of the output
#define TILES_X 1
#define STRIP 1         // tiles of a row that one work-item transforms
#endif
#ifndef GROUP_ATTRIBUTE
#define GROUP_ATTRIBUTE // reqd_work_group_size where it helps
#endif

#define VEC MACE_JOIN(float, V)
#define SIDE (TILE + 2)
#define TILES (N * TILES_Y * TILES_X)
#define STRIPS ((TILES_X + STRIP - 1) / STRIP)

// SIDE values in IN(0) ... to SIDE values in OUT(0) ...
#if TILE == 4
#define TRANSFORM(IN, OUT) \
    { \
        const VEC a = IN(4) - 4 * IN(2), b = IN(3) - 4 * IN(1); \
        const VEC c = IN(4) - IN(2), d = 2 * (IN(3) - IN(1)); \
        const VEC first = 4 * IN(0) - 5 * IN(2) + IN(4), last = 4 * IN(1) - 5 * IN(3) + IN(5); \
        OUT(0, first) \
        OUT(1, a + b) \
        OUT(2, a - b) \
        OUT(3, c + d) \
        OUT(4, c - d) \
        OUT(5, last) \
    }
#else
#define TRANSFORM(IN, OUT) \
    { \
        const VEC a = IN(0) - IN(2), b = IN(1) + IN(2), c = IN(2) - IN(1), d = IN(1) - IN(3); \
        OUT(0, a) \
        OUT(1, b) \
        OUT(2, c) \
        OUT(3, d) \
    }
#endif

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const X_T *restrict x, __global float *restrict u)
{
    const int id = get_global_id(0);
    if (id >= STRIPS * TILES_Y * B * N)
        return;
    const int strip = id % STRIPS, ty = id / STRIPS % TILES_Y;
    const int block = id / (STRIPS * TILES_Y) % B, n = id / (STRIPS * TILES_Y * B);
    __global const X_T *xp = x + (n * B + block) * (IH * IW * V);
    const int end = min((strip + 1) * STRIP, TILES_X);
    for (int tx = strip * STRIP; tx < end; ++tx) {
        const int h0 = ty * TILE - PH, w0 = tx * TILE - PW;
        VEC square[SIDE * SIDE];
        const bool inside = h0 >= 0 && w0 >= 0 && h0 + SIDE <= IH && w0 + SIDE <= IW;
        for (int q = 0; q < SIDE; ++q) {
            VEC column[SIDE];
            const int v = w0 + q;
            if (inside) {
#pragma unroll
                for (int r = 0; r < SIDE; ++r)
                    column[r] = X_LDN(V, xp, ((h0 + r) * IW + v) * V);
            } else {
#pragma unroll
                for (int r = 0; r < SIDE; ++r) {
                    const int h = h0 + r;
                    column[r] = (VEC)(0);
                    if (h >= 0 && h < IH && v >= 0 && v < IW)
                        column[r] = X_LDN(V, xp, (h * IW + v) * V);
                }
            }
#define IN(i) column[i]
#define OUT(i, value) square[(i) * SIDE + q] = value;
            TRANSFORM(IN, OUT)
#undef IN
#undef OUT
        }
        const int tile = (n * TILES_Y + ty) * TILES_X + tx;
        for (int r = 0; r < SIDE; ++r) {
#define IN(i) square[r * SIDE + (i)]
#define OUT(i, value) STN_float(V, u, (((r * SIDE + (i)) * B + block) * TILES + tile) * V, value);
            TRANSFORM(IN, OUT)
#undef IN
#undef OUT
        }
    }
}
