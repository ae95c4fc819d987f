// A 1 x 1 convolution to more channels, a depthwise one and a 1 x 1 one to fewer, in one: one work-item owns TH x TW output
// pixels of every channel. For EB channel blocks at a time it makes the rows of the wide tensor that its pixels need, row by
// row, and what the depthwise convolution makes of them, both in private memory; then it sums over the latter.
// X: N x XB x IH x IW x V, W0: B/EB x XB x (channels of a block) x EB x V, W1: B x KH x KW x V,
// W2: YB/NB x B x (channels of a block) x NB x V, Y: N x YB x OH x OW x V.
// A tile that would cross the right or lower edge is moved back over its neighbour, so TH <= OH and TW <= OW. So is a
// register tile in its row: EP <= the columns of every tile that lie inside the input, DP <= TW, PP <= COLUMNS.

#ifndef KERNEL_NAME
#define KERNEL_NAME conv_bottleneck
#endif
#ifndef V
#define V 16                                    // lanes of a channel block
#define X_T float                               // storage types
#define X_LD LD_float
#define W0_T float
#define W0_LDN LDN_float
#define W1_T float
#define W1_LDN LDN_float
#define W2_T float
#define W2_LDN LDN_float
#define Y_T float
#define Y_STN STN_float
#endif
#ifndef XC
#define XC 16                                   // input channels
#define C 16                                    // channels of the wide tensor
#define YB 1                                    // blocks of output channels
#define IH 1                                    // extents of the input and of the wide tensor
#define IW 1
#define OH 1                                    // extents of the output
#define OW 1
#define KH 1                                    // kernel extents of the depthwise one, and so on
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
#define EP 1                                    // pixels and blocks of the wide tensor summed at a time; EB divides B
#define EB 1
#define DP 1                                    // pixels that the depthwise one sums at a time
#define PP 1                                    // pixels and blocks of output channels summed at a time; NB divides YB
#define NB 1
#endif
#ifndef HAS_BIAS0
#define HAS_BIAS0 0                             // whether the first convolution has a bias
#define BIAS0_T float
#define BIAS0_LDN LDN_float
#endif
#ifndef HAS_BIAS1
#define HAS_BIAS1 0                             // whether the depthwise convolution has one
#define BIAS1_T float
#define BIAS1_LDN LDN_float
#endif
#ifndef LAST
#define LAST 0                                  // 1: Y has its channels last, N x OH x OW x OC
#define OC 16
#define Y_ST ST_float
#endif
#ifndef HAS_BIAS
#define HAS_BIAS 0
#define BIAS_T float
#define BIAS_LDN LDN_float
#endif
#ifndef WIDE_TAIL
#define WIDE_TAIL(r, at, c)                     // what is done to the results of the first convolution
#endif
#ifndef INNER_TAIL
#define INNER_TAIL(r, at, c)                    // what is done to the results of the depthwise convolution
#endif
#ifndef ROLL_WIDE
#define ROLL_WIDE 0                             // 1: that is long text: compile it once, in a loop over sums put in memory
#define ROLL_INNER 0
#endif
#ifndef TAIL_PARAMS
#define TAIL_PARAMS
#define TAIL(r, at, c)
#endif
#ifndef ROLL_TAIL
#define ROLL_TAIL 0                             // and so for the tail
#endif
#ifndef UNROLL
#define UNROLL 0                                // 1: write out the steps of a channel block; the channels fill whole ones
#endif
#ifndef GROUP_ATTRIBUTE
#define GROUP_ATTRIBUTE                         // reqd_work_group_size where it helps
#endif

#define XB ((XC + V - 1) / V)
#define B ((C + V - 1) / V)
#define TILES_Y ((OH + TH - 1) / TH)
#define TILES_X ((OW + TW - 1) / TW)
#define TILES (TILES_Y * TILES_X)
#define PIXELS (TH * TW)
#define RING ((KH - 1) * DH + 1)                // rows of the wide tensor that one row of the output needs
#define PATCH_W ((TW - 1) * SW + (KW - 1) * DW + 1)
// Whole rows of the output lie behind each other: the sums at the end take them for one.
#define ROWS (TW == OW ? 1 : TH)
#define COLUMNS (TW == OW ? PIXELS : TW)
#define VEC MACE_JOIN(float, V)
#define TAIL_V VEC
#if ROLL_TAIL
#define STORE_LOOP _Pragma("unroll 1")
#else
#define STORE_LOOP _Pragma("unroll")
#endif
#if ROLL_WIDE
#define WIDE_LOOP _Pragma("unroll 1")
#else
#define WIDE_LOOP _Pragma("unroll")
#endif
#if ROLL_INNER
#define INNER_LOOP _Pragma("unroll 1")
#else
#define INNER_LOOP _Pragma("unroll")
#endif
#if UNROLL
#define STEP_LOOP _Pragma("unroll")
#else
#define STEP_LOOP
#endif
#define TAIL_LOAD(p, i) LDN_float(V, p, i)

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const X_T *restrict x, __global const W0_T *restrict w0,
#if HAS_BIAS0
                          __global const BIAS0_T *restrict bias0,
#endif
                          __global const W1_T *restrict w1,
#if HAS_BIAS1
                          __global const BIAS1_T *restrict bias1,
#endif
                          __global const W2_T *restrict w2,
#if HAS_BIAS
                          __global const BIAS_T *restrict bias,
#endif
                          __global Y_T *restrict y TAIL_PARAMS)
{
    const int id = get_global_id(0);
    if (id >= TILES * N)
        return;
    const int tile = id % TILES, n = id / TILES;
    const int oh = min(tile / TILES_X * TH, OH - TH);
    const int ow = TILES_X == 1 ? 0 : min(tile % TILES_X * TW, OW - TW);
    const int top = oh * SH - PH, left = ow * SW - PW;
    const int before = max(left, 0), behind = min(left + PATCH_W, IW);

    VEC wide[EB * RING * PATCH_W];
    VEC between[B * PIXELS];
    for (int row = 0; row < EB * RING; ++row) {
        for (int q = 0; q < min(before - left, PATCH_W); ++q)
            wide[row * PATCH_W + q] = (VEC)(0);
        for (int q = max(behind - left, 0); q < PATCH_W; ++q)
            wide[row * PATCH_W + q] = (VEC)(0);
    }

    for (int outer = 0; outer < B / EB; ++outer) {
        int next = 0;
        for (int r = 0; r < TH; ++r) {
            for (next = max(next, r * SH); next < r * SH + RING; ++next) {
                const int h = top + next;
                if (h < 0 || h >= IH) {
                    for (int b = 0; b < EB; ++b)
                        for (int q = 0; q < PATCH_W; ++q)
                            wide[(b * RING + next % RING) * PATCH_W + q] = (VEC)(0);
                    continue;
                }
                for (int q = before; q < behind; q += EP) {
                    const int v = min(q, behind - EP);
                    VEC acc[EP * EB];
#pragma unroll
                    for (int b = 0; b < EB; ++b) {
#if HAS_BIAS0
                        const VEC offset = BIAS0_LDN(V, bias0, (outer * EB + b) * V);
#else
                        const VEC offset = (VEC)(0);
#endif
#pragma unroll
                        for (int p = 0; p < EP; ++p)
                            acc[p * EB + b] = offset;
                    }
                    __global const W0_T *wp = w0 + outer * (XC * EB * V);
                    for (int block = 0; block < XB; ++block) {
                        __global const X_T *xp = x + (((n * XB + block) * IH + h) * IW + v) * V;
                        const int channels = XC % V == 0 ? V : min(V, XC - block * V);
                        STEP_LOOP
                        for (int c = 0; c < channels; ++c) {
                            VEC weight[EB];
#pragma unroll
                            for (int b = 0; b < EB; ++b)
                                weight[b] = W0_LDN(V, wp, b * V);
                            wp += EB * V;
#pragma unroll
                            for (int p = 0; p < EP; ++p) {
                                const VEC value = (VEC)(X_LD(xp, p * V + c));
#pragma unroll
                                for (int b = 0; b < EB; ++b)
                                    acc[p * EB + b] = mad(value, weight[b], acc[p * EB + b]);
                            }
                        }
                    }
#if ROLL_WIDE
                    VEC expanded[EP * EB];
#pragma unroll
                    for (int i = 0; i < EP * EB; ++i)
                        expanded[i] = acc[i];
#else
#define expanded acc
#endif
                    WIDE_LOOP
                    for (int b = 0; b < EB; ++b)
                        WIDE_LOOP
                        for (int p = 0; p < EP; ++p) {
                            VEC value = expanded[p * EB + b];
                            WIDE_TAIL(value, 0, (outer * EB + b) * V)
                            wide[(b * RING + next % RING) * PATCH_W + v - left + p] = value;
                        }
                }
            }

            for (int b = 0; b < EB; ++b) {
                const int block = outer * EB + b;
                for (int at = 0; at < TW; at += DP) {
                    const int q = min(at, TW - DP);
                    VEC acc[DP];
#if HAS_BIAS1
                    const VEC offset = BIAS1_LDN(V, bias1, block * V);
#else
                    const VEC offset = (VEC)(0);
#endif
#pragma unroll
                    for (int p = 0; p < DP; ++p)
                        acc[p] = offset;
                    for (int kh = 0; kh < KH; ++kh)
#pragma unroll
                        for (int kw = 0; kw < KW; ++kw) {
                            const VEC weight = W1_LDN(V, w1, ((block * KH + kh) * KW + kw) * V);
                            __private const VEC *row =
                                wide + (b * RING + (r * SH + kh * DH) % RING) * PATCH_W + q * SW + kw * DW;
#pragma unroll
                            for (int p = 0; p < DP; ++p)
                                acc[p] = mad(row[p * SW], weight, acc[p]);
                        }
#if ROLL_INNER
                    VEC filtered[DP];
#pragma unroll
                    for (int p = 0; p < DP; ++p)
                        filtered[p] = acc[p];
#else
#define filtered acc
#endif
                    INNER_LOOP
                    for (int p = 0; p < DP; ++p) {
                        VEC value = filtered[p];
                        INNER_TAIL(value, 0, block * V)
                        between[block * PIXELS + r * TW + q + p] = value;
                    }
                }
            }
        }
    }

    for (int outer = 0; outer < YB / NB; ++outer)
        for (int r = 0; r < ROWS; ++r)
            for (int start = 0; start < COLUMNS; start += PP) {
                const int first = r * TW + min(start, COLUMNS - PP);
                __private const float *lane = (__private const float *)between + first * V;
                __global const W2_T *wp = w2 + outer * (C * NB * V);
                VEC acc[PP * NB];
#pragma unroll
                for (int i = 0; i < PP * NB; ++i)
                    acc[i] = (VEC)(0);
                for (int block = 0; block < B; ++block) {
                    const int channels = C % V == 0 ? V : min(V, C - block * V);
                    STEP_LOOP
                    for (int c = 0; c < channels; ++c) {
                        VEC weight[NB];
#pragma unroll
                        for (int b = 0; b < NB; ++b)
                            weight[b] = W2_LDN(V, wp, b * V);
                        wp += NB * V;
#pragma unroll
                        for (int p = 0; p < PP; ++p) {
                            const VEC value = (VEC)(lane[(block * PIXELS + p) * V + c]);
#pragma unroll
                            for (int b = 0; b < NB; ++b)
                                acc[p * NB + b] = mad(value, weight[b], acc[p * NB + b]);
                        }
                    }
                }
#if ROLL_TAIL
                VEC sums[PP * NB];
#pragma unroll
                for (int i = 0; i < PP * NB; ++i)
                    sums[i] = acc[i];
#else
#define sums acc
#endif
                STORE_LOOP
                for (int b = 0; b < NB; ++b) {
                    const int channel = (outer * NB + b) * V;
#if HAS_BIAS
                    const VEC offset = BIAS_LDN(V, bias, channel);
#endif
                    STORE_LOOP
                    for (int p = 0; p < PP; ++p) {
                        VEC sum = sums[p * NB + b];
#if HAS_BIAS
                        sum += offset;
#endif
                        const int pixel = (oh + r) * OW + ow + first - r * TW + p;
#if LAST
                        const int at = (n * OH * OW + pixel) * OC + channel;
#else
                        const int at = ((n * YB + outer * NB + b) * OH * OW + pixel) * V;
#endif
                        TAIL(sum, at, channel)
#if LAST && OC % V
                        if (channel + V > OC) {
                            MACE_STORE_LANES(V, OC % V, Y_ST, y, at, sum);
                            continue;
                        }
#endif
                        Y_STN(V, y, at, sum);
                    }
                }
            }
}
