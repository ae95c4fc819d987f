// Convolution of 8-bit integers, signed or not, over up to two spatial dimensions of row-major tensors, with sums in int32:
// one work-item owns a pixel of TO output channels and takes the products of four input channels at a time.
// X: N x C x IH x IW, Y: N x OC x OH x OW. W is packed: OC/TO x C/4 x KH x KW x TO x 4, filled up with zeros.
// sum((x - zx)(w - zw)) is taken as sum(xw) - zx sum(w) - zw sum(x) + C KH KW zx zw, where padding counts as zx; sums of the
// weights of each output channel come packed.

#ifndef KERNEL_NAME
#define KERNEL_NAME conv_int8
#endif
#ifndef X_T
#define X_T char          // storage types
#define W_T char
#define Y_T int
#define Y_ST ST_int
#endif
#ifndef C
#define C 1               // input and output channels
#define OC 1
#define IH 1              // input and output extents
#define IW 1
#define OH 1
#define OW 1
#define KH 1              // kernel extents
#define KW 1
#define SH 1              // strides
#define SW 1
#define DH 1              // dilations
#define DW 1
#define PH 0              // padding before the first row and column
#define PW 0
#endif
#ifndef TO
#define TO 1              // output channels of a work-item
#endif
#ifndef INTEGER_DOT
#define INTEGER_DOT 0     // 1: the device has cl_khr_integer_dot_product
#endif
#ifndef HAS_BIAS
#define HAS_BIAS 0
#define BIAS_T int
#define BIAS_LD LD_int
#endif
#ifndef X_ZERO
#define X_ZERO(c) 0       // zero points
#define W_ZERO(oc) 0
#define X_HAS_ZERO 0      // 0: they are all zero, nothing has to be taken off
#define W_HAS_ZERO 0
#define ZERO_PARAMS
#endif
#ifndef TAIL
#define TAIL(r, at, c)
#endif

#define C4 ((C + 3) / 4)
#define X4 MACE_JOIN(X_T, 4)
#if INTEGER_DOT
#define SUM_T int
#define ADD_PRODUCT(sum, p, q) (sum) += (int)dot(p, q)
#define ADD_ALL(sum, p) (sum) += (int)dot(p, (X4)(1))
#define TOTAL(sum) (sum)
#else
#define SUM_T int4
#define ADD_PRODUCT(sum, p, q) (sum) += convert_int4(p) * convert_int4(q)
#define ADD_ALL(sum, p) (sum) += convert_int4(p)
#define TOTAL(sum) ((sum).x + (sum).y + (sum).z + (sum).w)
#endif
// Channel c of a pixel; nothing where there is none.
#define CHANNEL(c) ((C % 4 == 0 || (c) < C) ? (inside ? xp[(c) * (IH * IW)] : padding) : (X_T)0)

__kernel void KERNEL_NAME(__global const X_T *restrict x, __global const W_T *restrict w,
                          __global const int *restrict weight_sums,
#if HAS_BIAS
                          __global const BIAS_T *restrict bias,
#endif
                          __global Y_T *restrict y ZERO_PARAMS)
{
    const int pixel = get_global_id(0), outer = get_global_id(1), n = get_global_id(2);
    if (pixel >= OH * OW)
        return;
    const int ow = pixel % OW, oh = pixel / OW, first = outer * TO;
    const X_T padding = (X_T)X_ZERO(0);
    SUM_T acc[TO], total = (SUM_T)(0);
#pragma unroll
    for (int o = 0; o < TO; ++o)
        acc[o] = (SUM_T)(0);
    __global const W_T *wp = w + outer * (C4 * KH * KW * TO * 4);
    for (int c = 0; c < C; c += 4)
        for (int kh = 0; kh < KH; ++kh)
            for (int kw = 0; kw < KW; ++kw) {
                const int h = oh * SH - PH + kh * DH, v = ow * SW - PW + kw * DW;
                const int inside = h >= 0 && h < IH && v >= 0 && v < IW;
                __global const X_T *xp = x + ((n * C * IH + h) * IW + v);
                const X4 four = (X4)(CHANNEL(c), CHANNEL(c + 1), CHANNEL(c + 2), CHANNEL(c + 3));
#pragma unroll
                for (int o = 0; o < TO; ++o)
                    ADD_PRODUCT(acc[o], four, vload4(o, wp));
                wp += TO * 4;
                if (W_HAS_ZERO)
                    ADD_ALL(total, four);
            }
#pragma unroll
    for (int o = 0; o < TO; ++o) {
        const int oc = first + o;
        if (oc < OC) {
            int sum = TOTAL(acc[o]);
#if X_HAS_ZERO
            sum -= (int)X_ZERO(0) * weight_sums[oc];
#endif
#if W_HAS_ZERO
            sum -= (int)W_ZERO(oc) * (TOTAL(total) - C * KH * KW * (int)X_ZERO(0));
#endif
#if HAS_BIAS
            sum += BIAS_LD(bias, oc);
#endif
            const int at = (n * OC + oc) * (OH * OW) + pixel;
            TAIL(sum, at, oc)
            Y_ST(y, at, sum);
        }
    }
}
