// Winograd convolution, last step: sums of products back to output pixels with the matrix A (Lavin and Gray 2015), with
// bias and tail; one work-item owns STRIP neighbouring tiles of one channel block.
// M: (TILE+2)^2 x YB x TILES x V with TILES = N x TILES_Y x TILES_X, Y: N x YB x OH x OW x V.

#ifndef KERNEL_NAME
#define KERNEL_NAME winograd_output
#endif
#ifndef V
#define V 16            // lanes of a channel block
#define Y_T float       // storage type of Y
#define Y_STN STN_float
#endif
#ifndef TILE
#define TILE 4          // extent of an output tile: 2 or 4
#endif
#ifndef YB
#define YB 1            // channel blocks
#define OH 1            // output extents
#define OW 1
#define N 1             // batch
#define TILES_Y 1       // tiles of the output
#define TILES_X 1
#define STRIP 1         // tiles of a row that one work-item transforms
#endif
#ifndef HAS_BIAS
#define HAS_BIAS 0
#define BIAS_T float
#define BIAS_LDN LDN_float
#endif
#ifndef TAIL_PARAMS
#define TAIL_PARAMS
#define TAIL(r, at, c)
#endif
#ifndef GROUP_ATTRIBUTE
#define GROUP_ATTRIBUTE // reqd_work_group_size where it helps
#endif

#define VEC MACE_JOIN(float, V)
#define TAIL_V VEC
#define TAIL_LOAD(p, i) LDN_float(V, p, i)
#define SIDE (TILE + 2)
#define TILES (N * TILES_Y * TILES_X)
#define STRIPS ((TILES_X + STRIP - 1) / STRIP)

// SIDE values in IN(0) ... to TILE values in OUT(0) ...
#if TILE == 4
#define TRANSFORM(IN, OUT) \
    { \
        const VEC a = IN(1) + IN(2), b = IN(1) - IN(2), c = IN(3) + IN(4), d = IN(3) - IN(4); \
        OUT(0, IN(0) + a + c) \
        OUT(1, b + 2 * d) \
        OUT(2, a + 4 * c) \
        OUT(3, b + 8 * d + IN(5)) \
    }
#else
#define TRANSFORM(IN, OUT) \
    { \
        OUT(0, IN(0) + IN(1) + IN(2)) \
        OUT(1, IN(1) - IN(2) - IN(3)) \
    }
#endif

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const float *restrict m,
#if HAS_BIAS
                          __global const BIAS_T *restrict bias,
#endif
                          __global Y_T *restrict y TAIL_PARAMS)
{
    const int id = get_global_id(0);
    if (id >= STRIPS * TILES_Y * YB * N)
        return;
    const int strip = id % STRIPS, ty = id / STRIPS % TILES_Y;
    const int block = id / (STRIPS * TILES_Y) % YB, n = id / (STRIPS * TILES_Y * YB);
    const int channel = block * V;
#if HAS_BIAS
    const VEC offset = BIAS_LDN(V, bias, channel);
#endif
    const int end = min((strip + 1) * STRIP, TILES_X);
    for (int tx = strip * STRIP; tx < end; ++tx) {
        const int tile = (n * TILES_Y + ty) * TILES_X + tx;
        VEC columns[TILE * SIDE];
        for (int q = 0; q < SIDE; ++q) {
            VEC column[SIDE];
#pragma unroll
            for (int r = 0; r < SIDE; ++r)
                column[r] = LDN_float(V, m, (((r * SIDE + q) * YB + block) * TILES + tile) * V);
#define IN(i) column[i]
#define OUT(i, value) columns[(i) * SIDE + q] = value;
            TRANSFORM(IN, OUT)
#undef IN
#undef OUT
        }
        const int rows = min(TILE, OH - ty * TILE);
        for (int r = 0; r < rows; ++r) {
            VEC row[TILE];
#define IN(i) columns[r * SIDE + (i)]
#define OUT(i, value) row[i] = value;
            TRANSFORM(IN, OUT)
#undef IN
#undef OUT
#pragma unroll
            for (int q = 0; q < TILE; ++q)
                if (tx * TILE + q < OW) {
                    VEC sum = row[q];
#if HAS_BIAS
                    sum += offset;
#endif
                    const int at = ((n * YB + block) * OH * OW + (ty * TILE + r) * OW + tx * TILE + q) * V;
                    TAIL(sum, at, channel)
                    Y_STN(V, y, at, sum);
                }
        }
    }
}
