// Depthwise two-dimensional convolution (one filter per channel) on channel-blocked tensors; one work-item owns TH x TW
// output pixels of one channel block. X: N x B x IH x IW x V, W: B x KH x KW x V, Y: N x B x OH x OW x V.
// A tile that would cross the right or lower edge is moved back over its neighbour, so TH <= OH and TW <= OW. A tile whose
// inputs all lie inside reads them in place, one at the border from a copy padded with zeros.

#ifndef KERNEL_NAME
#define KERNEL_NAME conv_depthwise
#endif
#ifndef V
#define V 16                                    // lanes of a channel block
#define X_T float                               // storage types
#define X_LDN LDN_float
#define W_T float
#define W_LDN LDN_float
#define Y_T float
#define Y_STN STN_float
#endif
#ifndef B
#define B 1                                     // channel blocks
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

#define TILES_Y ((OH + TH - 1) / TH)
#define TILES_X ((OW + TW - 1) / TW)
#define TILES (TILES_Y * TILES_X)
#define PATCH_H ((TH - 1) * SH + (KH - 1) * DH + 1)
#define PATCH_W ((TW - 1) * SW + (KW - 1) * DW + 1)

#define VEC MACE_JOIN(float, V)
#define TAIL_V VEC
#if ROLL_TAIL
#define STORE_LOOP _Pragma("unroll 1")
#else
#define STORE_LOOP _Pragma("unroll")
#endif
#define TAIL_LOAD(p, i) LDN_float(V, p, i)

// Adds all products of the tile; LOAD reads V elements of a source whose rows lie ROW vectors apart.
#define ADD_PRODUCTS(LOAD, source, ROW) \
    for (int kh = 0; kh < KH; ++kh) \
        _Pragma("unroll") for (int kw = 0; kw < KW; ++kw) \
        { \
            const VEC weight = W_LDN(V, w, ((block * KH + kh) * KW + kw) * V); \
            _Pragma("unroll") for (int p = 0; p < TH * TW; ++p) \
            { \
                const int at = (p / TW * SH + kh * DH) * (ROW) + p % TW * SW + kw * DW; \
                acc[p] = mad(LOAD(V, source, at * V), weight, acc[p]); \
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
    if (id >= TILES * B * N)
        return;
    const int tile = id % TILES, block = id / TILES % B, n = id / (TILES * B);
    const int oh = min(tile / TILES_X * TH, OH - TH), ow = min(tile % TILES_X * TW, OW - TW);
    const int h0 = oh * SH - PH, w0 = ow * SW - PW;

    VEC acc[TH * TW];
#pragma unroll
    for (int i = 0; i < TH * TW; ++i)
        acc[i] = (VEC)(0);

    __global const X_T *xp = x + (n * B + block) * (IH * IW * V);
    if (h0 >= 0 && w0 >= 0 && h0 + PATCH_H <= IH && w0 + PATCH_W <= IW) {
        xp += (h0 * IW + w0) * V;
        ADD_PRODUCTS(X_LDN, xp, IW)
    } else {
        float patch[PATCH_H * PATCH_W * V];
        for (int r = 0; r < PATCH_H; ++r)
            for (int q = 0; q < PATCH_W; ++q) {
                const int h = h0 + r, v = w0 + q;
                VEC value = (VEC)(0);
                if (h >= 0 && h < IH && v >= 0 && v < IW)
                    value = X_LDN(V, xp, (h * IW + v) * V);
                STN_float(V, patch, (r * PATCH_W + q) * V, value);
            }
        ADD_PRODUCTS(LDN_float, patch, PATCH_W)
    }

#if ROLL_TAIL
    VEC sums[TH * TW];
#pragma unroll
    for (int i = 0; i < TH * TW; ++i)
        sums[i] = acc[i];
#else
#define sums acc
#endif
    const int channel = block * V;
#if HAS_BIAS
    const VEC offset = BIAS_LDN(V, bias, channel);
#endif
    STORE_LOOP
    for (int p = 0; p < TH * TW; ++p) {
        VEC sum = sums[p];
#if HAS_BIAS
        sum += offset;
#endif
        const int at = ((n * B + block) * OH * OW + (oh + p / TW) * OW + ow + p % TW) * V;
        TAIL(sum, at, channel)
        Y_STN(V, y, at, sum);
    }
}
