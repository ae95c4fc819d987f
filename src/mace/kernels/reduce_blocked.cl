// Reduction over the spatial axes of a channel-blocked tensor into a row-major N×C result: a work-item per channel block.
// Index space: (⌈C / BLOCK⌉, N).

#ifndef LOAD
#define X_T float
#define Y_T float
#define C 4                         // channels
#define BLOCK 4                     // lanes of a channel block
#define LENGTH 1                    // spatial elements
#define ACC_V float4                // accumulator, BLOCK lanes
#define LOAD(i) vload4(0, x + i)    // a channel block at i
#define MAP(v) (v)                  // what is joined of an element
#define STORE(i, v) vstore4(v, 0, y + i)
#define STORE_ONE(i, v) y[i] = (v)
#define INIT 0.0f
#define JOIN(a, b) ((a) + (b))
#define FINISH(a) (a)
#define LANES const float lanes[4] = {r.s0, r.s1, r.s2, r.s3}; // the lanes of the result `r` as an array
#endif
#ifndef GROUP_ATTRIBUTE
#define GROUP_ATTRIBUTE             // reqd_work_group_size where it helps
#endif
#define PARTS 4                     // independent partial results

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const X_T *restrict x, __global Y_T *restrict y)
{
    const int block = get_global_id(0);
    const int n = get_global_id(1);
    const int base = (n * ((C + BLOCK - 1) / BLOCK) + block) * LENGTH * BLOCK;
    ACC_V p0 = (ACC_V)(INIT), p1 = (ACC_V)(INIT), p2 = (ACC_V)(INIT), p3 = (ACC_V)(INIT);
    int s = 0;
    for (; s + PARTS <= LENGTH; s += PARTS) {
        const ACC_V v0 = LOAD(base + s * BLOCK);
        const ACC_V v1 = LOAD(base + (s + 1) * BLOCK);
        const ACC_V v2 = LOAD(base + (s + 2) * BLOCK);
        const ACC_V v3 = LOAD(base + (s + 3) * BLOCK);
        p0 = JOIN(p0, MAP(v0));
        p1 = JOIN(p1, MAP(v1));
        p2 = JOIN(p2, MAP(v2));
        p3 = JOIN(p3, MAP(v3));
    }
    for (; s < LENGTH; ++s) {
        const ACC_V v = LOAD(base + s * BLOCK);
        p0 = JOIN(p0, MAP(v));
    }
    const ACC_V p01 = JOIN(p0, p1), p23 = JOIN(p2, p3);
    const ACC_V all = JOIN(p01, p23);
    const ACC_V r = FINISH(all);
    const int channel = block * BLOCK;
    if (channel + BLOCK <= C) {
        STORE(n * C + channel, r);
    } else {
        LANES
        for (int lane = 0; channel + lane < C; ++lane)
            STORE_ONE(n * C + channel + lane, lanes[lane]);
    }
}
