// Reduction over any axes: a work-item computes VEC neighbouring results, walking the reduced axes with their strides.
// Partial results of the innermost loop keep long float sums accurate.
// Index space: (INNER / VEC, the other kept elements).

#ifndef LOAD
#define X_T float
#define Y_T float
#define VEC 1                       // results per work-item, along the innermost kept axis
#define INNER 1                     // elements of the innermost kept axis when it is contiguous, else 1
#define ACC float                   // type that is accumulated in, VEC lanes
#define LOAD(i) x[i]                // element(s) at i
#define MAP(v) (v)                  // what is joined of an element
#define STORE(i, v) y[i] = (v)      // write result(s)
#define INIT 0.0f                   // neutral element
#define JOIN(a, b) ((a) + (b))
#define FINISH(a) (a)               // result from the accumulated value
#define BASE 0                      // first element of kept row `row`
#define LOOPS_OUTER                 // loops over all reduced axes but the last
#define LOOP_INNER for (int k = 0; k < 4; ++k)
#define WALK k                      // offset of the current reduced element
#define LOG_SUM_EXP 0               // 1: log of the sum of exponentials, kept in range by subtracting the maximum
#endif
#ifndef GROUP_ATTRIBUTE
#define GROUP_ATTRIBUTE             // reqd_work_group_size where it helps
#endif

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const X_T *restrict x, __global Y_T *restrict y)
{
    const int lane = (int)get_global_id(0) * VEC;
    const int row = get_global_id(1);
    const int base = BASE + lane;
#if LOG_SUM_EXP
    ACC top = -INFINITY;
    LOOPS_OUTER
    LOOP_INNER {
        const ACC v = LOAD(base + WALK);
        top = fmax(top, v);
    }
    top = (fabs(top) == INFINITY) ? (ACC)(0) : top;
#endif
    ACC all = INIT;
    LOOPS_OUTER {
        ACC part = INIT;
        LOOP_INNER {
            ACC v = LOAD(base + WALK);
#if LOG_SUM_EXP
            v = exp(v - top);
#endif
            part = JOIN(part, MAP(v));
        }
        all = JOIN(all, part);
    }
#if LOG_SUM_EXP
    all = top + log(all);
#endif
    STORE(row * INNER + lane, FINISH(all));
}
