// Dense two-dimensional convolution from a row-major input of few channels (an image) to a channel-blocked output; a tile is
// TH x TW output pixels of NB channel blocks, whose sums stay in registers. A work-item owns one, or a strip of STRIP
// neighbours with all their channel blocks.
// X: N x C x IH x IW, Y: N x YB x OH x OW x V, W: YB/NB x C x KH x KW x NB x V.
// A tile that would cross the right or lower edge is moved back over its neighbour, so TH <= OH and TW <= OW. A tile whose
// inputs all lie inside reads them in place, one at the border from a copy padded with zeros.

#ifndef KERNEL_NAME
#define KERNEL_NAME conv_planar
#endif
#ifndef V
#define V 16                                    // lanes of a channel block
#define X_T float                               // storage types
#define X_LD LD_float
#define W_T float
#define W_LDN LDN_float
#define Y_T float
#define Y_STN STN_float
#endif
#ifndef C
#define C 3                                     // input channels
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
#define STRIP 1                                 // neighbouring tiles of a work-item, which then owns all blocks of them
#define NB 1                                    // blocks of output channels of the tile; divides YB
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
#ifndef TAIL_PARAMS
#define TAIL_PARAMS
#define TAIL(r, at, c)
#endif
#ifndef ROLL_TAIL
#define ROLL_TAIL 0                             // 1: the tail is long text: compile it once, in a loop over sums put in memory
#endif
#ifndef UNROLL
#define UNROLL 0                                // 1: write out the steps of a row of the kernel
#endif
#ifndef GROUP_ATTRIBUTE
#define GROUP_ATTRIBUTE                         // reqd_work_group_size where it helps
#endif

#define TILES_Y ((OH + TH - 1) / TH)
#define TILES_X ((OW + TW - 1) / TW)
#define TILES (TILES_Y * TILES_X)
#define STRIPS ((TILES + STRIP - 1) / STRIP)
#define OUTERS (YB / NB)
#define SPREAD (STRIP == 1 ? OUTERS : 1)        // work-items that share a strip
#define PATCH_H ((TH - 1) * SH + (KH - 1) * DH + 1)
#define PATCH_W ((TW - 1) * SW + (KW - 1) * DW + 1)

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

// Adds all products of the tile; LOAD reads element i of a source whose rows and channels lie ROW and PLANE apart.
#define ADD_PRODUCTS(LOAD, source, ROW, PLANE) \
    for (int c = 0; c < C; ++c) \
        for (int kh = 0; kh < KH; ++kh) \
            STEP_LOOP for (int kw = 0; kw < KW; ++kw) { \
                VEC weight[NB]; \
                _Pragma("unroll") for (int b = 0; b < NB; ++b) weight[b] = W_LDN(V, wp, b * V); \
                wp += NB * V; \
                const int at = c * (PLANE) + kh * DH * (ROW) + kw * DW; \
                _Pragma("unroll") for (int p = 0; p < TH * TW; ++p) \
                { \
                    const VEC value = (VEC)(LOAD(source, at + p / TW * SH * (ROW) + p % TW * SW)); \
                    _Pragma("unroll") for (int b = 0; b < NB; ++b) \
                        acc[p * NB + b] = mad(value, weight[b], acc[p * NB + b]); \
                } \
            }

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const X_T *restrict x, __global const W_T *restrict w,
#if HAS_BIAS
                          __global const BIAS_T *restrict bias,
#endif
                          __global Y_T *restrict y TAIL_PARAMS)
{
    const int id = get_global_id(0);
    if (id >= STRIPS * SPREAD * N)
        return;
    const int part = id % SPREAD, strip = id / SPREAD % STRIPS, n = id / (STRIPS * SPREAD);
    for (int outer = part; outer < OUTERS; outer += SPREAD)
        for (int tile = strip * STRIP; tile < min(strip * STRIP + STRIP, TILES); ++tile) {
            const int oh = min(tile / TILES_X * TH, OH - TH), ow = min(tile % TILES_X * TW, OW - TW);
            const int h0 = oh * SH - PH, w0 = ow * SW - PW;

            VEC acc[TH * TW * NB];
#pragma unroll
            for (int i = 0; i < TH * TW * NB; ++i)
                acc[i] = (VEC)(0);

            __global const X_T *xp = x + n * (C * IH * IW);
            __global const W_T *wp = w + outer * (C * KH * KW * NB * V);
            if (h0 >= 0 && w0 >= 0 && h0 + PATCH_H <= IH && w0 + PATCH_W <= IW) {
                xp += h0 * IW + w0;
                ADD_PRODUCTS(X_LD, xp, IW, IH * IW)
            } else {
                float patch[C * PATCH_H * PATCH_W];
                for (int c = 0; c < C; ++c)
                    for (int r = 0; r < PATCH_H; ++r)
                        for (int q = 0; q < PATCH_W; ++q) {
                            const int h = h0 + r, v = w0 + q;
                            const bool inside = h >= 0 && h < IH && v >= 0 && v < IW;
                            patch[(c * PATCH_H + r) * PATCH_W + q] = inside ? X_LD(xp, (c * IH + h) * IW + v) : 0.0f;
                        }
                ADD_PRODUCTS(LD_float, patch, PATCH_W, PATCH_H * PATCH_W)
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
            for (int b = 0; b < NB; ++b) {
                const int channel = (outer * NB + b) * V;
#if HAS_BIAS
                const VEC offset = BIAS_LDN(V, bias, channel);
#endif
                STORE_LOOP
                for (int p = 0; p < TH * TW; ++p) {
                    VEC sum = sums[p * NB + b];
#if HAS_BIAS
                    sum += offset;
#endif
                    const int pixel = (oh + p / TW) * OW + ow + p % TW;
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
