// Transposed convolution, any spatial rank up to 3, on row-major tensors: one work-item per output element gathers the
// inputs that reach it. X: N x C x D x H x W, W: C x OC/GROUP x KD x KH x KW, Y: N x OC x OD x OH x OW.

#ifndef KERNEL_NAME
#define KERNEL_NAME conv_transpose_general
#endif
#ifndef X_T
#define X_T float    // storage type of X
#define X_LD LD_float
#define W_T float    // storage type of the weights
#define W_LD LD_float
#define Y_T float    // storage type of Y
#define Y_ST ST_float
#define ACC float    // type of the sum
#endif
#ifndef C
#define C 1          // input channels
#define OC 1         // output channels
#define GROUP 1
#define ID 1         // input depth, height, width
#define IH 1
#define IW 1
#define OD 1         // output depth, height, width
#define OH 1
#define OW 1
#define KD 1         // kernel depth, height, width
#define KH 1
#define KW 1
#define SD 1         // strides
#define SH 1
#define SW 1
#define DD 1         // dilations
#define DH 1
#define DW 1
#define PD 0         // padding cut off before the first element
#define PH 0
#define PW 0
#endif
#ifndef HAS_BIAS
#define HAS_BIAS 0
#define BIAS_T float
#define BIAS_LD LD_float
#endif
#ifndef TAIL_PARAMS
#define TAIL_PARAMS
#define TAIL(r, at, c)
#endif
#define TAIL_V ACC
#define TAIL_LOAD(p, i) ((p)[i])

__kernel void KERNEL_NAME(__global const X_T *restrict x, __global const W_T *restrict w,
#if HAS_BIAS
                          __global const BIAS_T *restrict bias,
#endif
                          __global Y_T *restrict y TAIL_PARAMS)
{
    const int at = get_global_id(0);
    const int oc = get_global_id(1);
    const int n = get_global_id(2);
    if (at >= OD * OH * OW)
        return;
    const int ow = at % OW, oh = at / OW % OH, od = at / (OW * OH);
    const int group = oc / (OC / GROUP), inside = oc % (OC / GROUP);
    ACC sum = 0;
    for (int kd = 0; kd < KD; ++kd) {
        const int d = od + PD - kd * DD;
        if (d < 0 || d % SD || d / SD >= ID)
            continue;
        for (int kh = 0; kh < KH; ++kh) {
            const int h = oh + PH - kh * DH;
            if (h < 0 || h % SH || h / SH >= IH)
                continue;
            for (int kw = 0; kw < KW; ++kw) {
                const int v = ow + PW - kw * DW;
                if (v < 0 || v % SW || v / SW >= IW)
                    continue;
                for (int i = 0; i < C / GROUP; ++i) {
                    const int c = group * (C / GROUP) + i;
                    sum += (ACC)X_LD(x, (((n * C + c) * ID + d / SD) * IH + h / SH) * IW + v / SW) *
                           (ACC)W_LD(w, (((c * (OC / GROUP) + inside) * KD + kd) * KH + kh) * KW + kw);
                }
            }
        }
    }
    const int out = (n * OC + oc) * (OD * OH * OW) + at;
#if HAS_BIAS
    sum += BIAS_LD(bias, oc);
#endif
    TAIL(sum, out, oc)
    Y_ST(y, out, sum);
}
