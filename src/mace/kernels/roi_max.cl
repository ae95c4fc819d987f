// MaxRoiPool (ONNX MaxRoiPool-22): the maximum over each bin of a region; an empty bin is 0. x: N x C x H x W, rois: R
// x 5 (batch, left, top, right, bottom), y: R x C x OH x OW. Index dimensions: bin, channel, region.

#ifndef KERNEL_NAME
#define KERNEL_NAME roi_max
#endif
#ifndef X_T
#define X_T float        // storage type of x, rois and y
#define X_C float        // type computed in
#define X_LD LD_float
#define X_ST ST_float
#endif
#ifndef N
#define N 1              // extents of x, and of y's bins
#define C 1
#define H 1
#define W 1
#define OH 1
#define OW 1
#define SCALE 1.0f       // from the regions' coordinates to those of x
#endif

__kernel void KERNEL_NAME(__global const X_T *restrict x, __global const X_T *restrict rois, __global X_T *restrict y)
{
    const int bin = get_global_id(0), c = get_global_id(1), region = get_global_id(2);
    const int batch = clamp((int)X_LD(rois, region * 5), 0, N - 1);
    const int left = (int)round(X_LD(rois, region * 5 + 1) * (X_C)SCALE);
    const int top = (int)round(X_LD(rois, region * 5 + 2) * (X_C)SCALE);
    const int right = (int)round(X_LD(rois, region * 5 + 3) * (X_C)SCALE);
    const int bottom = (int)round(X_LD(rois, region * 5 + 4) * (X_C)SCALE);
    const X_C bin_h = (X_C)max(bottom - top + 1, 1) / OH, bin_w = (X_C)max(right - left + 1, 1) / OW;
    const int row = bin / OW, column = bin % OW;
    const int h0 = clamp((int)floor(row * bin_h) + top, 0, H), h1 = clamp((int)ceil((row + 1) * bin_h) + top, 0, H);
    const int w0 = clamp((int)floor(column * bin_w) + left, 0, W);
    const int w1 = clamp((int)ceil((column + 1) * bin_w) + left, 0, W);
    const int base = (batch * C + c) * (H * W);
    X_C value = h1 > h0 && w1 > w0 ? -INFINITY : 0;
    for (int h = h0; h < h1; ++h)
        for (int w = w0; w < w1; ++w)
            value = fmax(value, X_LD(x, base + h * W + w));
    X_ST(y, (region * C + c) * (OH * OW) + bin, value);
}
