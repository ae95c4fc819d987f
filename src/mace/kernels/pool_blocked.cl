// Maximum or average pooling over two spatial dimensions of channel-blocked tensors: a work-item computes TW
// neighbouring outputs of one channel block. x: NB x IH x IW x V, y: NB x OH x OW x V. Index dimensions: tile, batch
// and block. A tile that would cross the right edge is moved back over its neighbour, so TW <= OW.

#ifndef KERNEL_NAME
#define KERNEL_NAME pool_blocked
#endif
#ifndef X_T
#define X_T float    // storage types
#define X_LDN LDN_float
#define Y_T float
#define Y_STN STN_float
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

#ifndef GROUP_ATTRIBUTE
#define GROUP_ATTRIBUTE   // reqd_work_group_size where it helps
#endif

#define VEC MACE_JOIN(float, V)
#define TILES ((OW + TW - 1) / TW)
// Taps of a dimension that lie inside: from FIRST to before LAST, for a window that begins at p.
#define FIRST(p, D) ((p) < 0 ? (-(p) + (D) - 1) / (D) : 0)
#define LAST(p, D, K, END) min(K, ((END) - (p) + (D) - 1) / (D))

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const X_T *restrict x, __global Y_T *restrict y)
{
    const int tile = get_global_id(0), plane = get_global_id(1);
    const int oh = tile / TILES, ow = min(tile % TILES * TW, OW - TW);
    const int h0 = oh * SH - PH, w0 = ow * SW - PW;
    __global const X_T *xp = x + plane * (IH * IW * V);
    VEC acc[TW];
#pragma unroll
    for (int t = 0; t < TW; ++t)
        acc[t] = MODE == 0 ? (VEC)(-INFINITY) : (VEC)(0.0f);
#if MODE == 0
#define TAKE(t, v) \
    do { \
        const VEC taken = v; /* acc is no NaN: one instruction where fmax, which asks for both, is four */ \
        acc[t] = acc[t] < taken ? taken : acc[t]; \
    } while (0)
#else
#define TAKE(t, v) acc[t] += v
#endif
    const int inside = w0 >= 0 && w0 + (TW - 1) * SW + (KW - 1) * DW < IW;
    const int first_h = FIRST(h0, DH), last_h = LAST(h0, DH, KH, IH);
    for (int kh = first_h; kh < last_h; ++kh) {
        __global const X_T *row = xp + (h0 + kh * DH) * (IW * V);
        if (inside) {
#pragma unroll
            for (int kw = 0; kw < KW; ++kw)
#pragma unroll
                for (int t = 0; t < TW; ++t)
                    TAKE(t, X_LDN(V, row, (w0 + t * SW + kw * DW) * V));
        } else {
            for (int kw = 0; kw < KW; ++kw)
#pragma unroll
                for (int t = 0; t < TW; ++t) {
                    const int w = w0 + t * SW + kw * DW;
                    if (w >= 0 && w < IW)
                        TAKE(t, X_LDN(V, row, w * V));
                }
        }
    }
#if MODE == 1
    const int rows = COUNT_PADDING ? LAST(h0, DH, KH, EH) : last_h - first_h;
    for (int t = 0; t < TW; ++t) {
        const int w = w0 + t * SW;
        const int columns = COUNT_PADDING ? LAST(w, DW, KW, EW) : LAST(w, DW, KW, IW) - FIRST(w, DW);
        acc[t] *= 1.0f / (float)max(rows * columns, 1);
    }
#endif
    __global Y_T *yp = y + ((plane * OH + oh) * OW + ow) * V;
#pragma unroll
    for (int t = 0; t < TW; ++t)
        Y_STN(V, yp, t * V, acc[t]);
}
