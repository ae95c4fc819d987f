// Dense two-dimensional convolution for devices with fast local memory, on tensors in channel blocks of 4. A work-group of
// WX x WY x WB work-items owns WX TW columns x WY rows of WB NB channel blocks of the output. For each input block it keeps
// the piece of the input and the weights in local memory. A work-item owns TW columns, WX apart, of NB neighbouring
// blocks: neighbours load and store neighbouring pixels. What lies beyond an edge counts as zero.
// X: N x GB x IH x IW x 4, Y: N x YB x OH x OW x 4, W: YB/(WB NB) x GB x KH x KW x (channels of a block) x WB NB x 4.

#ifndef KERNEL_NAME
#define KERNEL_NAME conv_local
#endif
#ifndef X_T
#define X_T float     // storage types
#define X_LDN LDN_float
#define W_T float
#define W_LDN LDN_float
#define Y_T float
#define Y_STN STN_float
#endif
#ifndef GC
#define GC 4          // input channels
#define YB 1          // blocks of output channels
#define N 1           // batch
#define IH 1          // input and output extents
#define IW 1
#define OH 1
#define OW 1
#define KH 1          // kernel extents
#define KW 1
#define SH 1          // strides
#define SW 1
#define DH 1          // dilations
#define DW 1
#define PH 0          // padding before the first row and column
#define PW 0
#endif
#ifndef WX
#define WX 8          // work-items of a group along columns, rows and channel blocks
#define WY 4
#define WB 1
#define TW 1          // columns of a work-item
#define NB 1          // channel blocks of a work-item
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
#define ROLL_TAIL 0   // 1: the tail is long text: compile it once, in a loop over sums put in memory
#endif

#define ITEMS (WX * WY * WB)
#define GB ((GC + 3) / 4)
#define BLOCKS (WB * NB)                                  // channel blocks of a work-group
#define OUTERS ((YB + BLOCKS - 1) / BLOCKS)
#define PATCH_H ((WY - 1) * SH + (KH - 1) * DH + 1)       // extents of the input that a work-group reads
#define PATCH_W ((WX * TW - 1) * SW + (KW - 1) * DW + 1)
#define TAIL_V float4
#define TAIL_LOAD(p, i) LDN_float(4, p, i)
#if ROLL_TAIL
#define STORE_LOOP _Pragma("unroll 1")
#else
#define STORE_LOOP _Pragma("unroll")
#endif

__attribute__((reqd_work_group_size(WX, WY, WB)))
__kernel void KERNEL_NAME(__global const X_T *restrict x, __global const W_T *restrict w,
#if HAS_BIAS
                          __global const BIAS_T *restrict bias,
#endif
                          __global Y_T *restrict y TAIL_PARAMS)
{
    __local float4 patch[PATCH_H * PATCH_W];
    __local float4 weights[KH * KW * 4 * BLOCKS];
    const int column = get_local_id(0), row = get_local_id(1), slice = get_local_id(2);
    const int id = (slice * WY + row) * WX + column;
    const int ow = get_group_id(0) * (WX * TW), oh = get_group_id(1) * WY;
    const int outer = get_group_id(2) % OUTERS, n = get_group_id(2) / OUTERS;

    float4 acc[TW * NB];
#pragma unroll
    for (int i = 0; i < TW * NB; ++i)
        acc[i] = (float4)(0);

    for (int block = 0; block < GB; ++block) {
        const int channels = GC % 4 == 0 ? 4 : min(4, GC - block * 4);
        __global const X_T *xp = x + (n * GB + block) * (IH * IW * 4);
        __global const W_T *wp = w + (outer * GC + block * 4) * (KH * KW * BLOCKS * 4);
        for (int i = id; i < PATCH_H * PATCH_W; i += ITEMS) {
            const int h = oh * SH - PH + i / PATCH_W, v = ow * SW - PW + i % PATCH_W;
            float4 value = (float4)(0);
            if (h >= 0 && h < IH && v >= 0 && v < IW) {
                value = X_LDN(4, xp, (h * IW + v) * 4);
#if GC % 4 // lanes beyond the last channel hold anything
                value = (float4)(value.x, channels > 1 ? value.y : 0, channels > 2 ? value.z : 0, channels > 3 ? value.w : 0);
#endif
            }
            patch[i] = value;
        }
        for (int i = id; i < KH * KW * 4 * BLOCKS; i += ITEMS) {
            const int b = i % BLOCKS, c = i / BLOCKS % 4, tap = i / (BLOCKS * 4);
            float4 value = (float4)(0);
            if (c < channels)
                value = W_LDN(4, wp, ((tap * channels + c) * BLOCKS + b) * 4);
            weights[i] = value;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int kh = 0; kh < KH; ++kh)
            for (int kw = 0; kw < KW; ++kw) {
                __local const float4 *from = patch + (row * SH + kh * DH) * PATCH_W + column * SW + kw * DW;
                __local const float4 *factor = weights + (kh * KW + kw) * (4 * BLOCKS) + slice * NB;
                float4 pixel[TW];
#pragma unroll
                for (int t = 0; t < TW; ++t)
                    pixel[t] = from[t * (WX * SW)];
#pragma unroll
                for (int b = 0; b < NB; ++b) {
                    const float4 w0 = factor[b], w1 = factor[BLOCKS + b];
                    const float4 w2 = factor[2 * BLOCKS + b], w3 = factor[3 * BLOCKS + b];
#pragma unroll
                    for (int t = 0; t < TW; ++t) {
                        float4 sum = acc[t * NB + b];
                        sum = mad((float4)(pixel[t].x), w0, sum);
                        sum = mad((float4)(pixel[t].y), w1, sum);
                        sum = mad((float4)(pixel[t].z), w2, sum);
                        acc[t * NB + b] = mad((float4)(pixel[t].w), w3, sum);
                    }
                }
            }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

#if ROLL_TAIL
    float4 sums[TW * NB];
#pragma unroll
    for (int i = 0; i < TW * NB; ++i)
        sums[i] = acc[i];
#else
#define sums acc
#endif
    STORE_LOOP
    for (int b = 0; b < NB; ++b)
        STORE_LOOP
        for (int t = 0; t < TW; ++t) {
            const int out = outer * BLOCKS + slice * NB + b, h = oh + row, v = ow + t * WX + column;
            if (out < YB && h < OH && v < OW) {
                float4 sum = sums[t * NB + b];
#if HAS_BIAS
                sum += BIAS_LDN(4, bias, out * 4);
#endif
                const int at = (((n * YB + out) * OH + h) * OW + v) * 4;
                TAIL(sum, at, out * 4)
                Y_STN(4, y, at, sum);
            }
        }
}
