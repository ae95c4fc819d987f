// Pooling over up to three spatial dimensions of row-major tensors, one work-item per output element.
// x: NC x ID x IH x IW, y: NC x OD x OH x OW. Index dimensions: position, batch and channel.

#ifndef KERNEL_NAME
#define KERNEL_NAME pool_general
#endif
#ifndef X_T
#define X_T float            // storage type of x
#define X_LD LD_float
#define Y_T float            // storage type of y
#define Y_ST ST_float
#define ACC float            // type computed in
#define LOWEST (-INFINITY)   // what every value is at least
#endif
#ifndef MODE
#define MODE 0               // 0 maximum, 1 average, 2 p-norm
#define P 2                  // the p of the norm
#define COUNT_PADDING 0      // 1: an average counts padding as zeros
#define HAS_INDICES 0        // 1: also write where in x each maximum was found, the first of several
#define COLUMN_MAJOR 0       // 1: these positions count the first spatial dimension fastest
#define ID 1                 // extents of x and y
#define IH 1
#define IW 1
#define OD 1
#define OH 1
#define OW 1
#define KD 1                 // window, strides, dilations, padding before the first element
#define KH 1
#define KW 1
#define SD 1
#define SH 1
#define SW 1
#define DD 1
#define DH 1
#define DW 1
#define PD 0
#define PH 0
#define PW 0
#define ED 1                 // where the padding after the last element ends
#define EH 1
#define EW 1
#endif

// Taps of a dimension that lie inside: from FIRST to before LAST, for a window that begins at p.
#define FIRST(p, D) ((p) < 0 ? (-(p) + (D) - 1) / (D) : 0)
#define LAST(p, D, K, END) min(K, ((END) - (p) + (D) - 1) / (D))

__kernel void KERNEL_NAME(__global const X_T *restrict x, __global Y_T *restrict y
#if HAS_INDICES
                          , __global long *restrict indices
#endif
)
{
    const int at = get_global_id(0), plane = get_global_id(1);
    const int d0 = at / (OW * OH) * SD - PD, h0 = at / OW % OH * SH - PH, w0 = at % OW * SW - PW;
    const int base = plane * (ID * IH * IW);
    const int last_d = LAST(d0, DD, KD, ID), last_h = LAST(h0, DH, KH, IH), last_w = LAST(w0, DW, KW, IW);
    ACC value = MODE == 0 ? (ACC)(LOWEST) : (ACC)0;
#if HAS_INDICES
    int best = -1;
#endif
    for (int kd = FIRST(d0, DD); kd < last_d; ++kd)
        for (int kh = FIRST(h0, DH); kh < last_h; ++kh)
            for (int kw = FIRST(w0, DW); kw < last_w; ++kw) {
                const int d = d0 + kd * DD, h = h0 + kh * DH, w = w0 + kw * DW;
                const int from = (d * IH + h) * IW + w;
                const ACC v = X_LD(x, base + from);
#if MODE == 0 && !HAS_INDICES
                value = v > value ? v : value;
#elif MODE == 0
                if (best < 0 || v > value) {
                    value = v;
                    best = COLUMN_MAJOR ? (w * IH + h) * ID + d : from;
                }
#elif MODE == 1
                value += v;
#elif P == 1
                value += fabs(v);
#elif P == 2
                value += v * v;
#else
                value += pow(fabs(v), (ACC)P);
#endif
            }
#if MODE == 1
#if COUNT_PADDING
    const int count = LAST(d0, DD, KD, ED) * LAST(h0, DH, KH, EH) * LAST(w0, DW, KW, EW);
#else
    const int count = (last_d - FIRST(d0, DD)) * (last_h - FIRST(h0, DH)) * (last_w - FIRST(w0, DW));
#endif
    value /= (ACC)max(count, 1);
#elif MODE == 2 && P == 2
    value = sqrt(value);
#elif MODE == 2 && P != 1
    value = pow(value, (ACC)1 / (ACC)P);
#endif
    const int to = plane * (OD * OH * OW) + at;
    Y_ST(y, to, value);
#if HAS_INDICES
    indices[to] = (long)base + best;
#endif
}
