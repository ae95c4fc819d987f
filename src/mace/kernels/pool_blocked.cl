// Maximum or average pooling over two spatial dimensions of channel-blocked float32 tensors: a work-item computes TW
// neighbouring outputs of one channel block. x: NB x IH x IW x V, y: NB x OH x OW x V. Index dimensions: tile, batch and block.
// A tile that would cross the right edge is moved back over its neighbour, so TW <= OW.

#ifndef KERNEL_NAME
#define KERNEL_NAME pool_blocked
#endif
#ifndef V
#define V 16              // lanes of a channel block
#define MODE 0            // 0 maximum, 1 average
#define COUNT_PADDING 0   // 1: an average counts padding as zeros
#define TW 1              // outputs per work-item
#define IH 1              // extents of x and y
#define IW 1
#define OH 1
#define OW 1
#define KH 1              // window, strides, dilations, padding before the first element
#define KW 1
#define SH 1
#define SW 1
#define DH 1
#define DW 1
#define PH 0
#define PW 0
#define EH 1              // where the padding after the last element ends
#define EW 1
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define VEC JOIN(float, V)
#define TILES ((OW + TW - 1) / TW)

__attribute__((vec_type_hint(VEC)))
__kernel void KERNEL_NAME(__global const float *restrict x, __global float *restrict y)
{
    const int tile = get_global_id(0), plane = get_global_id(1);
    const int oh = tile / TILES, ow = min(tile % TILES * TW, OW - TW);
    const int h0 = oh * SH - PH, w0 = ow * SW - PW;
    __global const float *xp = x + plane * (IH * IW * V);
    VEC acc[TW];
    for (int t = 0; t < TW; ++t)
        acc[t] = MODE == 0 ? (VEC)(-INFINITY) : (VEC)(0.0f);
#if MODE == 0
#define TAKE(t, v) acc[t] = fmax(acc[t], v)
#else
#define TAKE(t, v) acc[t] += v
#endif
    const int inside = w0 >= 0 && w0 + (TW - 1) * SW + (KW - 1) * DW < IW;
    for (int kh = 0; kh < KH; ++kh) {
        const int h = h0 + kh * DH;
        if (h < 0 || h >= IH)
            continue;
        __global const float *row = xp + h * (IW * V);
        if (inside) {
#pragma unroll
            for (int kw = 0; kw < KW; ++kw)
#pragma unroll
                for (int t = 0; t < TW; ++t)
                    TAKE(t, JOIN(vload, V)(w0 + t * SW + kw * DW, row));
        } else {
            for (int kw = 0; kw < KW; ++kw)
#pragma unroll
                for (int t = 0; t < TW; ++t) {
                    const int w = w0 + t * SW + kw * DW;
                    if (w >= 0 && w < IW)
                        TAKE(t, JOIN(vload, V)(w, row));
                }
        }
    }
#if MODE == 1
    int rows = 0;
    for (int kh = 0; kh < KH; ++kh) {
        const int h = h0 + kh * DH;
        rows += COUNT_PADDING ? h < EH : h >= 0 && h < IH;
    }
    for (int t = 0; t < TW; ++t) {
        int columns = 0;
        for (int kw = 0; kw < KW; ++kw) {
            const int w = w0 + t * SW + kw * DW;
            columns += COUNT_PADDING ? w < EW : w >= 0 && w < IW;
        }
        acc[t] *= 1.0f / (float)max(rows * columns, 1);
    }
#endif
    __global float *yp = y + ((plane * OH + oh) * OW + ow) * V;
    for (int t = 0; t < TW; ++t)
        JOIN(vstore, V)(acc[t], t, yp);
}
