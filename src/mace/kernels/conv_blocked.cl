// Dense or grouped two-dimensional convolution on channel-blocked tensors; a work-item owns a strip of STRIP tiles, each of
// TH x TW output pixels of NB channel blocks, whose sums it keeps in registers while it adds CHUNK input blocks to them.
// The weights of a chunk stay in the nearest cache for all tiles of the strip; between chunks sums wait in private memory.
// X: N x (input blocks) x IH x IW x V, Y: N x YB x OH x OW x V, W: YB/NB x GB x KH x KW x (channels of a block) x NB x V.
// A tile that would cross the right or lower edge is moved back over its neighbour, so TH <= OH and TW <= OW.

#ifndef KERNEL_NAME
#define KERNEL_NAME conv_blocked
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
#ifndef GC
#define GC 16                                   // input channels of one group
#define GROUP 1                                 // groups; each begins with a block of its own in X and Y
#define YB 1                                    // blocks of output channels, all groups together
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
#define NB 1                                    // blocks of output channels of the tile; divides the blocks of a group
#define STRIP 1                                 // neighbouring tiles of a work-item
#define CHUNK 1                                 // input blocks added to all tiles of the strip before the next ones
#define DIRECT 0                                // 1: no padding and a 1 x 1 kernel: read the input where it lies
#define PIXELS_FIRST 1                          // 1: neighbouring work-items own neighbouring strips; 0: neighbouring blocks
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
#define UNROLL 0                                // 1: write out the steps of a channel block; the channels fill whole ones
#endif
#ifndef GROUP_ATTRIBUTE
#define GROUP_ATTRIBUTE                         // reqd_work_group_size where it helps
#endif

#define GB ((GC + V - 1) / V)                   // input blocks of one group
#define TILES_Y ((OH + TH - 1) / TH)
#define TILES_X ((OW + TW - 1) / TW)
#define TILES (TILES_Y * TILES_X)
#define STRIPS ((TILES + STRIP - 1) / STRIP)
#define OUTERS (YB / NB)
// A kernel of one row or column never meets what lies between its strides: the patch leaves that out.
#define STEP_Y (KH == 1 ? 1 : SH)               // distance in the patch of neighbouring outputs
#define STEP_X (KW == 1 ? 1 : SW)
#define SKIP_Y (KH == 1 ? SH : 1)               // distance in the input of neighbouring patch elements
#define SKIP_X (KW == 1 ? SW : 1)
#define PATCH_H ((TH - 1) * STEP_Y + (KH - 1) * DH + 1)
#define PATCH_W ((TW - 1) * STEP_X + (KW - 1) * DW + 1)

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

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const X_T *restrict x, __global const W_T *restrict w,
#if HAS_BIAS
                          __global const BIAS_T *restrict bias,
#endif
                          __global Y_T *restrict y TAIL_PARAMS)
{
    const int id = get_global_id(0);
    if (id >= STRIPS * OUTERS * N)
        return;
#if PIXELS_FIRST
    const int strip = id % STRIPS, outer = id / STRIPS % OUTERS, n = id / (STRIPS * OUTERS);
#else
    const int outer = id % OUTERS, strip = id / OUTERS % STRIPS, n = id / (STRIPS * OUTERS);
#endif
    const int first = GROUP == 1 ? 0 : outer * NB / (YB / GROUP) * GB;
#if CHUNK < GB
    VEC waiting[STRIP * TH * TW * NB];
#endif

    for (int from = 0; from < GB; from += CHUNK)
        for (int tile = strip * STRIP; tile < min(strip * STRIP + STRIP, TILES); ++tile) {
            const int oh = min(tile / TILES_X * TH, OH - TH), ow = min(tile % TILES_X * TW, OW - TW);
            VEC acc[TH * TW * NB];
#if CHUNK < GB
            __private VEC *kept = waiting + (tile - strip * STRIP) * (TH * TW * NB);
#pragma unroll
            for (int i = 0; i < TH * TW * NB; ++i)
                acc[i] = from == 0 ? (VEC)(0) : kept[i];
#else
#pragma unroll
            for (int i = 0; i < TH * TW * NB; ++i)
                acc[i] = (VEC)(0);
#endif

            __global const W_T *wp = w + outer * (GC * KH * KW * NB * V) + from * (V * KH * KW * NB * V);
#if !DIRECT
            float patch[PATCH_H * PATCH_W * V];
#endif
            for (int block = from; block < min(from + CHUNK, GB); ++block) {
                __global const X_T *xp = x + (n * (GROUP * GB) + first + block) * (IH * IW * V);
#if DIRECT
                xp += (oh * IW + ow) * V;
#define PIXEL(r, q, c) X_LD(xp, ((r) * IW + (q)) * V + (c))
#else
                const int h0 = oh * SH - PH, w0 = ow * SW - PW;
                for (int r = 0; r < PATCH_H; ++r)
                    for (int q = 0; q < PATCH_W; ++q) {
                        const int h = h0 + r * SKIP_Y, v = w0 + q * SKIP_X;
                        VEC value = (VEC)(0);
                        if (h >= 0 && h < IH && v >= 0 && v < IW)
                            value = X_LDN(V, xp, (h * IW + v) * V);
                        STN_float(V, patch, (r * PATCH_W + q) * V, value);
                    }
#define PIXEL(r, q, c) patch[((r) * PATCH_W + (q)) * V + (c)]
#endif
                const int channels = GC % V == 0 ? V : min(V, GC - block * V);
                for (int kh = 0; kh < KH; ++kh)
                    for (int kw = 0; kw < KW; ++kw)
                        STEP_LOOP
                        for (int c = 0; c < channels; ++c) {
                            VEC weight[NB];
#pragma unroll
                            for (int b = 0; b < NB; ++b)
                                weight[b] = W_LDN(V, wp, b * V);
                            wp += NB * V;
#pragma unroll
                            for (int p = 0; p < TH * TW; ++p) {
                                const VEC value = (VEC)(PIXEL(p / TW * STEP_Y + kh * DH, p % TW * STEP_X + kw * DW, c));
#pragma unroll
                                for (int b = 0; b < NB; ++b)
                                    acc[p * NB + b] = mad(value, weight[b], acc[p * NB + b]);
                            }
                        }
#undef PIXEL
            }
#if CHUNK < GB
            if (from + CHUNK < GB) {
#pragma unroll
                for (int i = 0; i < TH * TW * NB; ++i)
                    kept[i] = acc[i];
                continue;
            }
#endif

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
