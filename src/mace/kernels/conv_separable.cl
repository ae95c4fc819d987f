// Depthwise convolution and the 1 x 1 convolution behind it, in one: one work-item owns TH x TW output pixels of every
// channel. It keeps what the first one makes of its pixels, DP of a row at a time, in private memory, then sums over it for PP
// pixels and NB channel blocks at a time in registers, so the tensor in between exists nowhere else.
// X: N x B x IH x IW x V, W1: B x KH x KW x V, W2: YB/NB x B x (channels of a block) x NB x V, Y: N x YB x OH x OW x V.
// A tile that would cross the right or lower edge is moved back over its neighbour, so TH <= OH and TW <= OW.

#ifndef KERNEL_NAME
#define KERNEL_NAME conv_separable
#endif
#ifndef V
#define V 16                                    // lanes of a channel block
#define X_T float                               // storage types
#define X_LDN LDN_float
#define W1_T float
#define W1_LDN LDN_float
#define W2_T float
#define W2_LDN LDN_float
#define Y_T float
#define Y_STN STN_float
#endif
#ifndef C
#define C 16                                    // channels between the two
#define YB 1                                    // blocks of output channels
#define IH 1                                    // extents of the input, and of what both convolutions make
#define IW 1
#define OH 1
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
#define DP 1                                    // pixels that the depthwise one sums at a time; at most TW
#define PP 1                                    // pixels that the other one does; at most TH * TW
#define NB 1                                    // blocks of output channels summed at a time; divides YB
#endif
#ifndef HAS_BIAS1
#define HAS_BIAS1 0                             // whether the depthwise convolution has a bias
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
#ifndef INNER_TAIL
#define INNER_TAIL(r, at, c)                    // what is done to the results of the depthwise convolution
#endif
#ifndef TAIL_PARAMS
#define TAIL_PARAMS
#define TAIL(r, at, c)
#endif
#ifndef ROLL_TAIL
#define ROLL_TAIL 0                             // 1: the tail is long text: compile it once, in a loop over sums put in memory
#endif
#ifndef UNROLL
#define UNROLL 0                                // 1: write out the steps of a channel block; the channels fill whole ones
#endif
#ifndef GROUP_ATTRIBUTE
#define GROUP_ATTRIBUTE                         // reqd_work_group_size where it helps
#endif

#define B ((C + V - 1) / V)
#define TILES_Y ((OH + TH - 1) / TH)
#define TILES_X ((OW + TW - 1) / TW)
#define TILES (TILES_Y * TILES_X)
#define PIXELS (TH * TW)
#define VEC MACE_JOIN(float, V)
#define TAIL_V VEC
#if ROLL_TAIL
#define STORE_LOOP _Pragma("unroll 1")
#else
#define STORE_LOOP _Pragma("unroll")
#endif
#if UNROLL
#define STEP_LOOP _Pragma("unroll")
#else
#define STEP_LOOP
#endif
#define TAIL_LOAD(p, i) LDN_float(V, p, i)

// Whether column q of a tile meets the input at column kw of the kernel. Where no tile can miss it, that is known here.
#define MEETS(q, kw) \
    (((q) * SW + (kw) * DW >= PW || left + (q) * SW + (kw) * DW >= 0) && \
     ((OW - TW + (q)) * SW + (kw) * DW - PW < IW || left + (q) * SW + (kw) * DW < IW))

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const X_T *restrict x, __global const W1_T *restrict w1,
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

    VEC between[B * PIXELS];
    for (int block = 0; block < B; ++block) {
        __global const X_T *xp = x + (n * B + block) * (IH * IW * V);
#if HAS_BIAS1
        const VEC offset = BIAS1_LDN(V, bias1, block * V);
#else
        const VEC offset = (VEC)(0);
#endif
        for (int r = 0; r < TH; ++r) {
#pragma unroll
            for (int piece = 0; piece < (TW + DP - 1) / DP; ++piece) {
                const int q = min(piece * DP, TW - DP);
                VEC acc[DP];
#pragma unroll
                for (int p = 0; p < DP; ++p)
                    acc[p] = offset;
                for (int kh = 0; kh < KH; ++kh) {
                    const int h = top + r * SH + kh * DH;
                    if (h >= 0 && h < IH) {
#pragma unroll
                        for (int kw = 0; kw < KW; ++kw) {
                            const VEC weight = W1_LDN(V, w1, ((block * KH + kh) * KW + kw) * V);
#pragma unroll
                            for (int p = 0; p < DP; ++p)
                                if (MEETS(q + p, kw))
                                    acc[p] = mad(X_LDN(V, xp, (h * IW + left + (q + p) * SW + kw * DW) * V), weight,
                                                 acc[p]);
                        }
                    }
                }
#pragma unroll
                for (int p = 0; p < DP; ++p) {
                    VEC value = acc[p];
                    INNER_TAIL(value, 0, block * V)
                    between[block * PIXELS + r * TW + q + p] = value;
                }
            }
        }
    }

    for (int outer = 0; outer < YB / NB; ++outer)
        for (int start = 0; start < PIXELS; start += PP) {
            const int first = min(start, PIXELS - PP);
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
                    const int row = TW == OW ? 0 : (first + p) / TW;
                    const int pixel = (oh + row) * OW + ow + first + p - row * TW;
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
