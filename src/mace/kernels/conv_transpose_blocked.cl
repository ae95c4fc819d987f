// Transposed two-dimensional convolution on channel-blocked tensors, without groups. Outputs whose place has the same rest
// by the stride (a phase) meet the same kernel positions: one work-item owns TH x TW outputs of one phase, SH and SW apart,
// of NB channel blocks and keeps their sums in registers.
// X: N x GB x IH x IW x V, Y: N x YB x OH x OW x V, W: YB/NB x GB x KH x KW x (channels of a block) x NB x V.
// A tile that would cross the last row or column of its phase is moved back over its neighbour, so TH <= OH / SH and
// TW <= OW / SW.

#ifndef KERNEL_NAME
#define KERNEL_NAME conv_transpose_blocked
#endif
#ifndef V
#define V 16                                    // lanes of a channel block
#define X_T float                               // storage types
#define X_LD LD_float
#define X_LDN LDN_float
#define W_T float
#define W_LDN LDN_float
#define Y_T float
#define Y_STN STN_float
#endif
#ifndef C
#define C 16                                    // input channels
#define YB 1                                    // blocks of output channels
#define IH 1                                    // input and output extents
#define IW 1
#define OH 1
#define OW 1
#define KH 1                                    // kernel extents
#define KW 1
#define SH 1                                    // strides
#define SW 1
#define DH 1                                    // dilations
#define DW 1
#define PH 0                                    // padding before the first row and column
#define PW 0
#define N 1                                     // batch
#endif
#ifndef TH
#define TH 1                                    // rows of the tile
#define TW 1                                    // columns of the tile
#define NB 1                                    // blocks of output channels of the tile; divides YB
#define PIXELS_FIRST 1                          // 1: neighbouring work-items own neighbouring tiles; 0: neighbouring blocks
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
#ifndef ROLL_TAIL
#define ROLL_TAIL 0                             // 1: the tail is long text: compile it once, in a loop over sums put in memory
#endif
#ifndef GROUP_ATTRIBUTE
#define GROUP_ATTRIBUTE                         // reqd_work_group_size where it helps
#endif

#define GB ((C + V - 1) / V)                    // input blocks
#define PHASES (SH * SW)
#define TILES_Y (((OH + SH - 1) / SH + TH - 1) / TH)
#define TILES_X (((OW + SW - 1) / SW + TW - 1) / TW)
#define TILES (TILES_Y * TILES_X * PHASES)
#define OUTERS (YB / NB)
#define REACH_Y ((KH - 1) * DH / SH)            // input rows that a phase reaches back, besides the first
#define REACH_X ((KW - 1) * DW / SW)
#define PATCH_H (TH + REACH_Y)
#define PATCH_W (TW + REACH_X)

#define VEC MACE_JOIN(float, V)
#define TAIL_V VEC
#if ROLL_TAIL
#define STORE_LOOP _Pragma("unroll 1")
#else
#define STORE_LOOP _Pragma("unroll")
#endif
#define TAIL_LOAD(p, i) LDN_float(V, p, i)

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const X_T *restrict x, __global const W_T *restrict w,
#if HAS_BIAS
                          __global const BIAS_T *restrict bias,
#endif
                          __global Y_T *restrict y TAIL_PARAMS)
{
    const int id = get_global_id(0);
    if (id >= TILES * OUTERS * N)
        return;
#if PIXELS_FIRST
    const int tile = id % TILES, outer = id / TILES % OUTERS, n = id / (TILES * OUTERS);
#else
    const int outer = id % OUTERS, tile = id / OUTERS % TILES, n = id / (TILES * OUTERS);
#endif
    const int phase = tile % PHASES, a = phase / SW, b = phase % SW;
    const int i0 = min(tile / PHASES / TILES_X * TH, (OH - a + SH - 1) / SH - TH);
    const int j0 = min(tile / PHASES % TILES_X * TW, (OW - b + SW - 1) / SW - TW);
    const int rest_y = (a + PH) % SH, rest_x = (b + PW) % SW;
    const int h0 = i0 + (a + PH) / SH - REACH_Y, w0 = j0 + (b + PW) / SW - REACH_X;

    VEC acc[TH * TW * NB];
#pragma unroll
    for (int i = 0; i < TH * TW * NB; ++i)
        acc[i] = (VEC)(0);

    float patch[PATCH_H * PATCH_W * V];
    for (int block = 0; block < GB; ++block) {
        __global const X_T *xp = x + (n * GB + block) * (IH * IW * V);
        for (int r = 0; r < PATCH_H; ++r)
            for (int q = 0; q < PATCH_W; ++q) {
                const int h = h0 + r, v = w0 + q;
                VEC value = (VEC)(0);
                if (h >= 0 && h < IH && v >= 0 && v < IW)
                    value = X_LDN(V, xp, (h * IW + v) * V);
                STN_float(V, patch, (r * PATCH_W + q) * V, value);
            }
        const int channels = C % V == 0 ? V : min(V, C - block * V);
        for (int kh = 0; kh < KH; ++kh) {
            if ((kh * DH - rest_y) % SH != 0)
                continue;
            for (int kw = 0; kw < KW; ++kw) {
                if ((kw * DW - rest_x) % SW != 0)
                    continue;
                const int row = REACH_Y - (kh * DH - rest_y) / SH, column = REACH_X - (kw * DW - rest_x) / SW;
                __global const W_T *wp = w + outer * (C * KH * KW * NB * V) + block * (KH * KW * V * NB * V)
                                         + (kh * KW + kw) * (channels * NB * V);
                const float *pixel = patch + (row * PATCH_W + column) * V;
                for (int c = 0; c < channels; ++c) {
                    VEC weight[NB];
#pragma unroll
                    for (int k = 0; k < NB; ++k)
                        weight[k] = W_LDN(V, wp, (c * NB + k) * V);
#pragma unroll
                    for (int p = 0; p < TH * TW; ++p) {
                        const VEC value = (VEC)(pixel[(p / TW * PATCH_W + p % TW) * V + c]);
#pragma unroll
                        for (int k = 0; k < NB; ++k)
                            acc[p * NB + k] = mad(value, weight[k], acc[p * NB + k]);
                    }
                }
            }
        }
    }

#if ROLL_TAIL
    VEC sums[TH * TW * NB];
#pragma unroll
    for (int i = 0; i < TH * TW * NB; ++i)
        sums[i] = acc[i];
#else
#define sums acc
#endif
    STORE_LOOP
    for (int k = 0; k < NB; ++k) {
        const int channel = (outer * NB + k) * V;
#if HAS_BIAS
        const VEC offset = BIAS_LDN(V, bias, channel);
#endif
        STORE_LOOP
        for (int p = 0; p < TH * TW; ++p) {
            VEC sum = sums[p * NB + k];
#if HAS_BIAS
            sum += offset;
#endif
            const int oh = a + (i0 + p / TW) * SH, ow = b + (j0 + p % TW) * SW;
            const int at = ((n * YB + outer * NB + k) * OH * OW + oh * OW + ow) * V;
            TAIL(sum, at, channel)
            Y_STN(V, y, at, sum);
        }
    }
}
