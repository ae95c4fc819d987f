// Normalisation of contiguous rows by their own mean and deviation: LayerNormalization, RMSNormalization, and group and
// instance normalisation, where a row is a group of channels. A work-group of WG work-items per row, for ROWS rows.
// Index space: (⌈COUNT / ROWS⌉ · WG), in groups of WG.

#ifndef LOAD_MANY
#define X_T float
#define Y_T float
#define VEC 4                       // lanes
#define WG 1                        // work-items per row
#define ROWS 1                      // rows per work-group
#define COUNT 1                     // rows
#define LENGTH 4                    // elements of a row
#define SEGMENT 4                   // elements that share a scale and bias; only when PER_ELEMENT is 0
#define SEGMENT_OF(row, s) (s)      // number of a row's segment among the scales
#define PER_ELEMENT 1               // 1: a scale and bias per element of the row; 0: per segment
#define CENTER 1                    // 1: the mean is subtracted
#define EPSILON 1e-5f
#define ACC float                   // type that is computed in
#define ACC_V float4                // VEC of them
#define LOAD_MANY(i) vload4(0, x + i)
#define LOAD_ONE(i) x[i]
#define STORE_MANY(i, v) vstore4(v, 0, y + i)
#define STORE_ONE(i, v) y[i] = (v)
#define FOLD const float2 f2 = many.lo + many.hi; one = f2.lo + f2.hi; // joins the lanes of `many` into `one`
#define SCALE_MANY(i) (ACC_V)(1)
#define SCALE_ONE(i) 1
#define BIAS_MANY(i) (ACC_V)(0)
#define BIAS_ONE(i) 0
#define PARAMS                      // parameters after x: scale, bias, y, statistics
#define KEEP_STATISTICS(row, mean, inverse)
#define ATTRIBUTES
#endif
#define SUM(a, b) ((a) + (b))

__kernel ATTRIBUTES void KERNEL_NAME(__global const X_T *restrict x PARAMS, __global Y_T *restrict y)
{
#if WG > 1
    __local ACC shared[WG];
#endif
    const int me = get_local_id(0);
    const int first = (int)get_group_id(0) * ROWS;
    const int last = min(first + ROWS, COUNT);
    for (int row = first; row < last; ++row) {
        const int base = row * LENGTH;
        const int rest = base + (VEC > 1 ? LENGTH / VEC * VEC : 0) + me; // walked one by one
        const int end = base + LENGTH;
        ACC mean = 0;
#if CENTER
#if VEC > 1
        {
            ACC_V many = (ACC_V)(0);
            ACC one;
            for (int i = base + me * VEC; i + VEC <= end; i += WG * VEC)
                many += LOAD_MANY(i);
            FOLD
            mean = one;
        }
#endif
        for (int i = rest; i < end; i += WG)
            mean += LOAD_ONE(i);
#if WG > 1
        MACE_GROUP_FOLD(SUM, mean, shared, WG);
#endif
        mean /= LENGTH;
#endif
        ACC spread = 0;
#if VEC > 1
        {
            ACC_V many = (ACC_V)(0);
            ACC one;
            for (int i = base + me * VEC; i + VEC <= end; i += WG * VEC) {
                const ACC_V d = LOAD_MANY(i) - mean;
                many += d * d;
            }
            FOLD
            spread = one;
        }
#endif
        for (int i = rest; i < end; i += WG) {
            const ACC d = LOAD_ONE(i) - mean;
            spread += d * d;
        }
#if WG > 1
        MACE_GROUP_FOLD(SUM, spread, shared, WG);
#endif
        const ACC inverse = 1 / sqrt(spread / LENGTH + EPSILON);
        if (me == 0) {
            KEEP_STATISTICS(row, mean, inverse);
        }
#if PER_ELEMENT
#if VEC > 1
        for (int i = base + me * VEC; i + VEC <= end; i += WG * VEC) {
            const ACC_V r = (LOAD_MANY(i) - mean) * inverse * SCALE_MANY(i - base) + BIAS_MANY(i - base);
            STORE_MANY(i, r);
        }
#endif
        for (int i = rest; i < end; i += WG) {
            const ACC r = (LOAD_ONE(i) - mean) * inverse * SCALE_ONE(i - base) + BIAS_ONE(i - base);
            STORE_ONE(i, r);
        }
#else
        for (int s = 0; s < LENGTH / SEGMENT; ++s) {
            const int from = base + s * SEGMENT, to = from + SEGMENT;
            const ACC factor = inverse * SCALE_ONE(SEGMENT_OF(row, s));
            const ACC shift = BIAS_ONE(SEGMENT_OF(row, s));
            int at = from + me;
#if VEC > 1
            for (int i = from + me * VEC; i + VEC <= to; i += WG * VEC) {
                const ACC_V r = (LOAD_MANY(i) - mean) * factor + shift;
                STORE_MANY(i, r);
            }
            at += SEGMENT / VEC * VEC;
#endif
            for (; at < to; at += WG) {
                const ACC r = (LOAD_ONE(at) - mean) * factor + shift;
                STORE_ONE(at, r);
            }
        }
#endif
    }
}
