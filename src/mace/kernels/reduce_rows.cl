// Reduction of contiguous rows: a work-group of WG work-items computes one result per row, for ROWS rows.
// Index space: (⌈COUNT / ROWS⌉ · WG), in groups of WG.

#ifndef LOAD_MANY
#define X_T float
#define Y_T float
#define VEC 4                       // lanes
#define WG 1                        // work-items per row
#define ROWS 1                      // rows per work-group
#define COUNT 1                     // rows
#define LENGTH 4                    // elements of a row
#define ACC float                   // type that is accumulated in
#define ACC_V float4                // VEC of them
#define LOAD_MANY(i) vload4(0, x + i) // elements i … i + VEC - 1
#define LOAD_ONE(i) x[i]            // element i
#define MAP(v) (v)                  // what is joined of an element
#define STORE(i, v) y[i] = (v)
#define INIT 0.0f                   // neutral element
#define JOIN(a, b) ((a) + (b))
#define FOLD const float2 f2 = many.lo + many.hi; one = f2.lo + f2.hi; // joins the lanes of `many` into `one`
#define FINISH(a) (a)               // result from the accumulated value
#define ATTRIBUTES
#endif

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
        ACC one = INIT;
        int at = me; // first element of the part that is walked one by one
#if VEC > 1
        ACC_V many = (ACC_V)(INIT);
        for (int i = me * VEC; i + VEC <= LENGTH; i += WG * VEC) {
            const ACC_V v = LOAD_MANY(base + i);
            many = JOIN(many, MAP(v));
        }
        FOLD
        at += LENGTH / VEC * VEC;
#endif
        for (; at < LENGTH; at += WG) {
            const ACC v = LOAD_ONE(base + at);
            one = JOIN(one, MAP(v));
        }
#if WG > 1
        MACE_GROUP_FOLD(JOIN, one, shared, WG);
#endif
        if (me == 0)
            STORE(row, FINISH(one));
    }
}
