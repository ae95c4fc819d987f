// RoiAlign (ONNX RoiAlign-22): each output samples a grid inside its bin by bilinear interpolation, and averages or
// takes the largest. x: N x C x H x W, rois: R x 4 (left, top, right, bottom), y: R x C x OH x OW. In mode max the
// largest of the four weighted neighbours counts, as ONNX's reference has it. Index dimensions: bin, channel, region.

#ifndef KERNEL_NAME
#define KERNEL_NAME roi_align
#endif
#ifndef X_T
#define X_T float        // storage type of x, rois and y
#define X_C float        // type computed in
#define X_LD LD_float
#define X_ST ST_float
#define INDEX_T long     // type of the batch numbers
#endif
#ifndef N
#define N 1              // extents of x, and of y's bins
#define C 1
#define H 1
#define W 1
#define OH 1
#define OW 1
#endif
#ifndef MODE
#define MODE 0           // 0 average, 1 maximum
#define HALF_PIXEL 1     // 1: coordinates are shifted by half a pixel; 0: a region is at least one pixel wide
#define RATIO 0          // samples per bin and dimension; 0: as many as pixels
#define SCALE 1.0f       // from the regions' coordinates to those of x
#endif

__kernel void KERNEL_NAME(__global const X_T *restrict x, __global const X_T *restrict rois,
                          __global const INDEX_T *restrict batches, __global X_T *restrict y)
{
    const int bin = get_global_id(0), c = get_global_id(1), region = get_global_id(2);
    const X_C shift = HALF_PIXEL ? (X_C)0.5f : (X_C)0;
    const X_C left = X_LD(rois, region * 4) * (X_C)SCALE - shift, top = X_LD(rois, region * 4 + 1) * (X_C)SCALE - shift;
    X_C width = X_LD(rois, region * 4 + 2) * (X_C)SCALE - shift - left;
    X_C height = X_LD(rois, region * 4 + 3) * (X_C)SCALE - shift - top;
#if !HALF_PIXEL
    width = fmax(width, (X_C)1);
    height = fmax(height, (X_C)1);
#endif
    const X_C bin_h = height / OH, bin_w = width / OW;
    const int rows = RATIO > 0 ? RATIO : (int)ceil(bin_h), columns = RATIO > 0 ? RATIO : (int)ceil(bin_w);
    const int batch = (int)clamp((long)batches[region], 0L, (long)N - 1);
    const int base = (batch * C + c) * (H * W);
    X_C value = 0;
    for (int i = 0; i < rows; ++i) {
        X_C v = top + (bin / OW) * bin_h + (i + (X_C)0.5f) * bin_h / rows;
        for (int j = 0; j < columns; ++j) {
            X_C u = left + (bin % OW) * bin_w + (j + (X_C)0.5f) * bin_w / columns;
            X_C sample = 0;
            if (v >= -1 && v <= H && u >= -1 && u <= W) {
                const X_C cv = clamp(v, (X_C)0, (X_C)(H - 1)), cu = clamp(u, (X_C)0, (X_C)(W - 1));
                const int h0 = (int)cv, w0 = (int)cu, h1 = min(h0 + 1, H - 1), w1 = min(w0 + 1, W - 1);
                const X_C lh = cv - h0, lw = cu - w0;
                const X_C a = (1 - lh) * (1 - lw) * X_LD(x, base + h0 * W + w0);
                const X_C b = (1 - lh) * lw * X_LD(x, base + h0 * W + w1);
                const X_C d = lh * (1 - lw) * X_LD(x, base + h1 * W + w0);
                const X_C e = lh * lw * X_LD(x, base + h1 * W + w1);
                sample = MODE == 0 ? a + b + d + e : fmax(fmax(a, b), fmax(d, e));
            }
            value = MODE == 0 ? value + sample : i + j == 0 ? sample : fmax(value, sample);
        }
    }
#if MODE == 0
    value /= max(rows * columns, 1);
#endif
    X_ST(y, (region * C + c) * (OH * OW) + bin, value);
}
