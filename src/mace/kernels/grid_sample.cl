// GridSample (ONNX GridSample-22): x: N x C x EXTENTS, grid: N x OUT_AREA x RANK (innermost dimension of x first), each
// coordinate in [-1, 1], y: N x C x OUT_AREA. Index dimensions: position, batch and channel. With border padding a
// cubic patch is not moved as a whole, only its elements are clamped, as PyTorch and ONNX Runtime do.

#ifndef KERNEL_NAME
#define KERNEL_NAME grid_sample
#endif
#ifndef X_T
#define X_T float         // storage types of x (and y) and of the grid, and the types they are computed in
#define X_C float
#define X_LD LD_float
#define X_ST ST_float
#define G_T float
#define G_C float
#define G_LD LD_float
#define G_ST ST_float
#endif
#ifndef MODE
#define MODE 1            // 0 nearest, 1 linear, 2 cubic
#define PADDING 0         // 0 zeros, 1 border, 2 reflection
#define ALIGN_CORNERS 0   // 1: -1 and 1 are the centres of the outermost elements; 0: their outer edges
#define RANK 2            // spatial dimensions
#define EXTENTS 1, 1      // their extents
#define AREA 1            // elements of a plane of x
#define OUT_AREA 1        // elements of a plane of y
#define C 1               // channels
#endif

#if MODE == 0
#define TAPS 1
#elif MODE == 1
#define TAPS 2
#else
#define TAPS 4
#endif
// v brought between low and high by reflection at both.
#define REFLECT(v, low, high) \
    do { \
        const G_C range = (high) - (low); \
        if (range <= 0) { \
            v = (low); \
        } else if (v < (low) || v > (high)) { \
            const G_C over = v < (low) ? (low) - v : v - (high); \
            const G_C turns = floor(over / range), rest = over - turns * range; \
            const int odd = (int)fmod(turns, (G_C)2); \
            v = (v < (low)) != odd ? (low) + rest : (high) - rest; \
        } \
    } while (0)

__kernel void KERNEL_NAME(__global const X_T *restrict x, __global const G_T *restrict grid, __global X_T *restrict y)
{
    const int extents[RANK] = {EXTENTS};
    const int at = get_global_id(0), plane = get_global_id(1);
    int first[RANK];
    X_C weights[RANK][TAPS];
#pragma unroll
    for (int a = 0; a < RANK; ++a) {
        const G_C low = ALIGN_CORNERS ? (G_C)0 : (G_C)-0.5f;
        const G_C high = ALIGN_CORNERS ? (G_C)(extents[a] - 1) : (G_C)extents[a] - (G_C)0.5f;
        G_C v = G_LD(grid, (plane / C * OUT_AREA + at) * RANK + RANK - 1 - a);
        v = ALIGN_CORNERS ? (v + 1) / 2 * (extents[a] - 1) : ((v + 1) * extents[a] - 1) / 2;
#if MODE == 0
        v = rint(v);
#endif
        if (v < low || v > high) {
#if PADDING == 1 && MODE != 2
            v = clamp(v, (G_C)0, (G_C)(extents[a] - 1));
#elif PADDING == 2
            REFLECT(v, low, high);
#endif
        }
        v = clamp(v, (G_C)-1e9f, (G_C)1e9f);
        const int left = (int)floor(v);
        const X_C t = (X_C)(v - left);
#if MODE == 0
        first[a] = (int)v;
        weights[a][0] = 1;
#elif MODE == 1
        first[a] = left;
        weights[a][0] = 1 - t;
        weights[a][1] = t;
#else
        const X_C k = (X_C)-0.75f, s = 1 - t;
        first[a] = left - 1;
        weights[a][0] = ((k * (t + 1) - 5 * k) * (t + 1) + 8 * k) * (t + 1) - 4 * k;
        weights[a][1] = ((k + 2) * t - (k + 3)) * t * t + 1;
        weights[a][2] = ((k + 2) * s - (k + 3)) * s * s + 1;
        weights[a][3] = ((k * (s + 1) - 5 * k) * (s + 1) + 8 * k) * (s + 1) - 4 * k;
#endif
    }
    int count = 1;
#pragma unroll
    for (int a = 0; a < RANK; ++a)
        count *= TAPS;
    X_C sum = 0;
    for (int k = 0; k < count; ++k) {
        int rest = k, from = 0, stride = 1, inside = 1;
        X_C weight = 1;
#pragma unroll
        for (int a = RANK - 1; a >= 0; --a) {
            const int tap = rest % TAPS;
            rest /= TAPS;
            weight *= weights[a][tap];
            int i = first[a] + tap;
#if PADDING == 0
            inside = inside && i >= 0 && i < extents[a];
#elif PADDING == 2
            G_C v = i;
            REFLECT(v, (ALIGN_CORNERS ? (G_C)0 : (G_C)-0.5f),
                    (ALIGN_CORNERS ? (G_C)(extents[a] - 1) : (G_C)extents[a] - (G_C)0.5f));
            i = (int)v;
#endif
            from += clamp(i, 0, extents[a] - 1) * stride;
            stride *= extents[a];
        }
        if (inside)
            sum += weight * X_LD(x, plane * AREA + from);
    }
    X_ST(y, plane * OUT_AREA + at, sum);
}
