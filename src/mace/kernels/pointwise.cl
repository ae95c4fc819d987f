// Any expression, element by element, over operands that broadcast or are views. The result is OUTER rows of INNER elements;
// a work-item computes SPAN elements of ROWS rows: VEC at a time, the rest one by one, or TOGETHER whole rows at a time. The
// statements are generated.
// Index space: (⌈INNER / SPAN⌉, ⌈OUTER / ROWS⌉).

#ifndef PARAMS
#define PARAMS __global const float *restrict x0, __global float *restrict y // the operands, then the result
// declares at0, at1 … and out: where row number `row` begins in each operand and in the result
#define ROW_OFFSETS const int at0 = row * INNER; const int out = row * INNER;
#define VECTOR_BODY vstore4(vload4(0, x0 + at0 + i), 0, y + out + i); // computes elements i … i + VEC - 1 of a row
#define SCALAR_BODY y[out + i] = x0[at0 + i];                         // computes element i of a row
#define ROWS_BODY   // computes TOGETHER rows from number `row` on
#define OUTER 1     // rows
#define INNER 16    // elements of a row
#define VEC 4       // lanes
#define SPAN 16     // elements of a row per work-item, a multiple of VEC or INNER
#define ROWS 1      // rows per work-item
#define TOGETHER 1  // rows that fill one vector; above 1, VEC is INNER
#define ATTRIBUTES
#endif

__kernel ATTRIBUTES void KERNEL_NAME(PARAMS)
{
    const int from = (int)get_global_id(0) * SPAN;
    const int to = min(from + SPAN, INNER);
    const int last = min(((int)get_global_id(1) + 1) * ROWS, OUTER);
    int row = (int)get_global_id(1) * ROWS;
#if TOGETHER > 1
    for (; row + TOGETHER <= last; row += TOGETHER) {
        ROW_OFFSETS
        ROWS_BODY
    }
#endif
    for (; row < last; ++row) {
        ROW_OFFSETS
        int i = from;
#if VEC > 1
        for (; i + VEC <= to; i += VEC) {
            VECTOR_BODY
        }
#endif
#if VEC == 1 || INNER % VEC
        for (; i < to; ++i) {
            SCALAR_BODY
        }
#endif
    }
}
