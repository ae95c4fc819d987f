// Pad (ONNX Pad-25) of any rank: one work-item per output element. Where padding is negative, x is cut first and the
// modes see only what is left of it. Index dimensions: last axis, last but one, all others.

#ifndef KERNEL_NAME
#define KERNEL_NAME pad_general
#endif
#ifndef UNIT
#define UNIT uint     // an element, by size
#define MODE 0        // 0 constant, 1 edge, 2 reflect, 3 wrap
#define RANK 1
#define IN 1          // extents of x and y
#define OUT 1
#define EMPTY 0       // 1: x has no elements
#define HAS_VALUE 0   // 1: what to pad with comes from a buffer; 0: zero
#endif
#ifndef BEGINS
#define BEGINS 0      // padding before the first element, per axis
#endif

__kernel void KERNEL_NAME(__global const UNIT *restrict x,
#if HAS_VALUE
                          __global const UNIT *restrict value,
#endif
                          __global UNIT *restrict y)
{
    const int in[RANK] = {IN}, out[RANK] = {OUT}, begins[RANK] = {BEGINS};
    int rest = get_global_id(2);
    int from = 0, stride = 1, inside = !EMPTY;
#pragma unroll
    for (int a = RANK - 1; a >= 0; --a) {
        const int begin = begins[a];
        const int end = out[a] - in[a] - begin;
        const int cut = max(-begin, 0);
        const int extent = in[a] - cut - max(-end, 0);
        int i = a == RANK - 1 ? (int)get_global_id(0) : a == RANK - 2 ? (int)get_global_id(1) : rest % out[a];
        rest /= a < RANK - 2 ? out[a] : 1;
        i -= max(begin, 0);
#if MODE == 0
        inside = inside && i >= 0 && i < extent;
#elif MODE == 2
        const int period = max(2 * (extent - 1), 1);
        i = (i % period + period) % period;
        i = extent == 1 ? 0 : i < extent ? i : period - i;
#elif MODE == 3
        const int period = max(extent, 1);
        i = (i % period + period) % period;
#endif
        i = cut + clamp(i, 0, max(extent - 1, 0));
        from += clamp(i, 0, max(in[a] - 1, 0)) * stride;
        stride *= in[a];
    }
#if HAS_VALUE
    const UNIT outside = value[0];
#else
    const UNIT outside = 0;
#endif
    const int to = ((int)get_global_id(2) * (int)get_global_size(1) + (int)get_global_id(1)) * (int)get_global_size(0);
    y[to + (int)get_global_id(0)] = inside ? x[from] : outside;
}
