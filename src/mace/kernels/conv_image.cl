// Dense two-dimensional convolution for devices whose texture units read besides the caches of global memory, on tensors in
// channel blocks of 4, with its weights in an image. A work-item owns TW neighbouring columns of NB neighbouring channel
// blocks of the output; the work-items of a group lie along columns, so they read the same texels at the same time.
// X: N x GB x IH x IW x 4, Y: N x YB x OH x OW x 4. W: (YB 4) texels wide, (GB KH KW) high; texel (b 4 + i, (g KH + kh) KW + kw)
// holds the weights from channel i of input block g to the four channels of output block b, zero beyond either's last.

#ifndef KERNEL_NAME
#define KERNEL_NAME conv_image
#endif
#ifndef X_T
#define X_T float     // storage types
#define X_LDN LDN_float
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
#define WX 8          // work-items of a group along columns and rows
#define WY 1
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

#define GB ((GC + 3) / 4)
#define OUTERS ((YB + NB - 1) / NB)
#define TAIL_V float4
#define TAIL_LOAD(p, i) LDN_float(4, p, i)
#if ROLL_TAIL
#define STORE_LOOP _Pragma("unroll 1")
#else
#define STORE_LOOP _Pragma("unroll")
#endif

__attribute__((reqd_work_group_size(WX, WY, 1)))
__kernel void KERNEL_NAME(__global const X_T *restrict x, __read_only image2d_t w,
#if HAS_BIAS
                          __global const BIAS_T *restrict bias,
#endif
                          __global Y_T *restrict y TAIL_PARAMS)
{
    const sampler_t nearest = CLK_NORMALIZED_COORDS_FALSE | CLK_ADDRESS_CLAMP_TO_EDGE | CLK_FILTER_NEAREST;
    const int ow = get_global_id(0) * TW, oh = get_global_id(1);
    const int outer = get_global_id(2) % OUTERS, n = get_global_id(2) / OUTERS;
    if (ow >= OW || oh >= OH)
        return;

    float4 acc[NB * TW];
#pragma unroll
    for (int i = 0; i < NB * TW; ++i)
        acc[i] = (float4)(0);

    for (int g = 0; g < GB; ++g) {
        __global const X_T *xp = x + (n * GB + g) * (IH * IW * 4);
        for (int kh = 0; kh < KH; ++kh) {
            const int h = oh * SH - PH + kh * DH;
            if (h < 0 || h >= IH)
                continue;
            for (int kw = 0; kw < KW; ++kw) {
                float4 pixel[TW];
#pragma unroll
                for (int t = 0; t < TW; ++t) {
                    const int v = (ow + t) * SW - PW + kw * DW;
                    pixel[t] = (float4)(0);
                    if (v >= 0 && v < IW) {
                        pixel[t] = X_LDN(4, xp, (h * IW + v) * 4);
#if GC % 4 // lanes beyond the last channel hold anything
                        if (g == GB - 1)
                            pixel[t] = (float4)(pixel[t].x, GC % 4 > 1 ? pixel[t].y : 0, GC % 4 > 2 ? pixel[t].z : 0, 0);
#endif
                    }
                }
                const int row = (g * KH + kh) * KW + kw;
#pragma unroll
                for (int b = 0; b < NB; ++b) {
                    const int column = (outer * NB + b) * 4; // beyond the last block: clamped, and not stored
                    const float4 w0 = read_imagef(w, nearest, (int2)(column, row));
                    const float4 w1 = read_imagef(w, nearest, (int2)(column + 1, row));
                    const float4 w2 = read_imagef(w, nearest, (int2)(column + 2, row));
                    const float4 w3 = read_imagef(w, nearest, (int2)(column + 3, row));
#pragma unroll
                    for (int t = 0; t < TW; ++t) {
                        float4 sum = acc[b * TW + t];
                        sum = mad((float4)(pixel[t].x), w0, sum);
                        sum = mad((float4)(pixel[t].y), w1, sum);
                        sum = mad((float4)(pixel[t].z), w2, sum);
                        acc[b * TW + t] = mad((float4)(pixel[t].w), w3, sum);
                    }
                }
            }
        }
    }

    STORE_LOOP
    for (int i = 0; i < NB * TW; ++i) {
        const int out = outer * NB + i / TW, v = ow + i % TW;
        if (out < YB && v < OW) {
            float4 sum = acc[i];
#if HAS_BIAS
            sum += BIAS_LDN(4, bias, out * 4);
#endif
            const int at = (((n * YB + out) * OH + oh) * OW + v) * 4;
            TAIL(sum, at, out * 4)
            Y_STN(4, y, at, sum);
        }
    }
}
