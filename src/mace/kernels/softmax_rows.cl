// Softmax or its logarithm along contiguous rows: a work-group of WG work-items per row, for ROWS rows.
// Index space: (⌈COUNT / ROWS⌉ · WG), in groups of WG.

#ifndef LOAD_MANY
#define X_T float
#define Y_T float
#define VEC 4                       // lanes
#define WG 1                        // work-items per row
#define ROWS 1                      // rows per work-group
#define COUNT 1                     // rows
#define LENGTH 4                    // elements of a row
#define ACC float                   // type that is computed in
#define ACC_V float4                // VEC of them
#define LOAD_MANY(i) vload4(0, x + i)
#define LOAD_ONE(i) x[i]
#define STORE_MANY(i, v) vstore4(v, 0, y + i)
#define STORE_ONE(i, v) y[i] = (v)
#define AGAIN_MANY(i) vload4(0, y + i) // a value stored before
#define AGAIN_ONE(i) y[i]
#define FOLD_MAX const float2 f2 = fmax(many.lo, many.hi); one = fmax(f2.lo, f2.hi); // joins the lanes of `many`
#define FOLD_SUM const float2 f2 = many.lo + many.hi; one = f2.lo + f2.hi;
#define LOGARITHM 0                 // 1: the logarithm of the result
#define KEEP 1                      // 1: exponentials are kept in the result, which is wide enough; 0: computed again
#define FRESH (int4)(-1)            // lanes of the row's last VEC elements that whole vectors have not covered: -1, else 0
#define ATTRIBUTES
#endif
#define SUM(a, b) ((a) + (b))
#define OVERLAP (WG == 1 && VEC > 1 && LENGTH > VEC && LENGTH % VEC) // the rest is a vector that overlaps the one before

__kernel ATTRIBUTES void KERNEL_NAME(__global const X_T *restrict x, __global Y_T *restrict y)
{
#if WG > 1
    __local ACC shared[WG];
#endif
    const int me = get_local_id(0);
    const int first = (int)get_group_id(0) * ROWS;
    const int last = min(first + ROWS, COUNT);
    for (int row = first; row < last; ++row) {
        const int base = row * LENGTH;
        const int end = base + LENGTH;
#if OVERLAP
        const int rest = end;
#else
        const int rest = base + (VEC > 1 ? LENGTH / VEC * VEC : 0) + me; // walked one by one
#endif
        ACC top = -INFINITY;
#if VEC > 1
        {
            ACC_V many = (ACC_V)(-INFINITY);
            ACC one;
            for (int i = base + me * VEC; i + VEC <= end; i += WG * VEC)
                many = fmax(many, LOAD_MANY(i));
#if OVERLAP
            many = fmax(many, LOAD_MANY(end - VEC));
#endif
            FOLD_MAX
            top = one;
        }
#endif
        for (int i = rest; i < end; i += WG)
            top = fmax(top, LOAD_ONE(i));
#if WG > 1
        MACE_GROUP_FOLD(fmax, top, shared, WG);
#endif
        ACC sum = 0;
#if VEC > 1
        {
            ACC_V many = (ACC_V)(0);
            ACC one;
            for (int i = base + me * VEC; i + VEC <= end; i += WG * VEC) {
                const ACC_V e = exp(LOAD_MANY(i) - top);
#if KEEP
                STORE_MANY(i, e);
#endif
                many += e;
            }
#if OVERLAP
            const ACC_V e = exp(LOAD_MANY(end - VEC) - top);
#if KEEP
            STORE_MANY(end - VEC, e);
#endif
            many += FRESH ? e : (ACC_V)(0);
#endif
            FOLD_SUM
            sum = one;
        }
#endif
        for (int i = rest; i < end; i += WG) {
            const ACC e = exp(LOAD_ONE(i) - top);
#if KEEP
            STORE_ONE(i, e);
#endif
            sum += e;
        }
#if WG > 1
        MACE_GROUP_FOLD(SUM, sum, shared, WG);
#endif
#if LOGARITHM
        const ACC shift = log(sum);
#define RESULT_MANY(i) (LOAD_MANY(i) - top) - shift
#define RESULT_ONE(i) (LOAD_ONE(i) - top) - shift
#elif KEEP
        const ACC scale = 1 / sum;
#define RESULT_MANY(i) AGAIN_MANY(i) * scale
#define RESULT_ONE(i) AGAIN_ONE(i) * scale
#else
        const ACC scale = 1 / sum;
#define RESULT_MANY(i) exp(LOAD_MANY(i) - top) * scale
#define RESULT_ONE(i) exp(LOAD_ONE(i) - top) * scale
#endif
#if OVERLAP
        const ACC_V final = RESULT_MANY(end - VEC); // before the loop changes what it is made of
#endif
#if VEC > 1
        for (int i = base + me * VEC; i + VEC <= end; i += WG * VEC) {
            const ACC_V r = RESULT_MANY(i);
            STORE_MANY(i, r);
        }
#endif
#if OVERLAP
        STORE_MANY(end - VEC, final);
#endif
        for (int i = rest; i < end; i += WG) {
            const ACC r = RESULT_ONE(i);
            STORE_ONE(i, r);
        }
    }
}
