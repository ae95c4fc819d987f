// Attention, Y = softmax(scale Q K) V per batch and head; one work-item owns TM rows of queries. Their scores against all
// T keys stay in private memory, from which the sums of values are taken.
// Q: rows of D, K: D rows of T (keys side by side), V_: T rows of DV, Y: rows of DV, each with strides for batch, head and row.
// Tiles that would cross the last row or column are moved back over their neighbours: TM <= S, NB V <= T, NV V <= DV.

#ifndef KERNEL_NAME
#define KERNEL_NAME attention
#endif
#ifndef V
#define V 4                       // lanes of a vector
#define FRESH (int4)(-1)          // lanes of the last V scores that whole vectors have not covered: -1, else 0
#define FOLD_MAX const float2 f2 = fmax(many.lo, many.hi); one = fmax(f2.lo, f2.hi); // joins the lanes of `many` into `one`
#define FOLD_SUM const float2 f2 = many.lo + many.hi; one = f2.lo + f2.hi;
#endif
#ifndef S
#define BATCH 1                   // batches
#define HEADS 1                   // heads of each
#define S 1                       // queries
#define T 4                       // keys
#define D 1                       // extent of a query and a key
#define DV 4                      // extent of a value
#endif
#ifndef Q_ROW
#define Q_AT 0                    // where each begins, and its strides in elements
#define Q_BATCH 0
#define Q_HEAD 0
#define Q_ROW D
#define Q_COLUMN 1
#define K_AT 0
#define K_BATCH 0
#define K_HEAD 0
#define K_ROW T
#define V_AT 0
#define V_BATCH 0
#define V_HEAD 0
#define V_ROW DV
#define Y_BATCH 0
#define Y_HEAD 0
#define Y_ROW DV
#endif
#ifndef TM
#define TM 1                      // rows of queries of the tile
#define NB 1                      // vectors of scores summed at a time
#define NV 1                      // vectors of values summed at a time
#endif
#ifndef SCALE
#define SCALE(r, at, c)           // what is done to the scores before the softmax
#endif
#ifndef GROUP_ATTRIBUTE
#define GROUP_ATTRIBUTE           // reqd_work_group_size where it helps
#endif

#define STRIPES ((S + TM - 1) / TM)
#define ROW ((T + V - 1) / V * V) // distance of the rows of scores
#define VEC MACE_JOIN(float, V)
#define TAIL_V VEC
#define REST (T % V)

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const float *restrict q, __global const float *restrict k,
                          __global const float *restrict v, __global float *restrict y)
{
    const int id = get_global_id(0);
    if (id >= STRIPES * HEADS * BATCH)
        return;
    const int head = id / STRIPES % HEADS, batch = id / (STRIPES * HEADS), m = min(id % STRIPES * TM, S - TM);
    q += Q_AT + batch * Q_BATCH + head * Q_HEAD + m * Q_ROW;
    k += K_AT + batch * K_BATCH + head * K_HEAD;
    v += V_AT + batch * V_BATCH + head * V_HEAD;
    y += batch * Y_BATCH + head * Y_HEAD + m * Y_ROW;

    VEC vectors[TM * ROW / V];
    __private float *scores = (__private float *)vectors;
    for (int panel = 0; panel < (T + NB * V - 1) / (NB * V); ++panel) {
        const int t = min(panel * NB * V, T - NB * V);
        VEC acc[TM * NB];
#pragma unroll
        for (int i = 0; i < TM * NB; ++i)
            acc[i] = (VEC)(0);
        for (int d = 0; d < D; ++d) {
            VEC row[NB];
#pragma unroll
            for (int j = 0; j < NB; ++j)
                row[j] = LDN_float(V, k, d * K_ROW + t + j * V);
#pragma unroll
            for (int i = 0; i < TM; ++i) {
                const VEC value = (VEC)(q[i * Q_ROW + d * Q_COLUMN]);
#pragma unroll
                for (int j = 0; j < NB; ++j)
                    acc[i * NB + j] = mad(value, row[j], acc[i * NB + j]);
            }
        }
#pragma unroll
        for (int i = 0; i < TM; ++i)
#pragma unroll
            for (int j = 0; j < NB; ++j) {
                VEC sum = acc[i * NB + j];
                SCALE(sum, 0, 0)
                STN_float(V, scores, i * ROW + t + j * V, sum);
            }
    }

    float inverse[TM];
    for (int i = 0; i < TM; ++i) {
        __private float *row = scores + i * ROW;
        float top, total;
        {
            VEC many = LDN_float(V, row, T - V);
            float one;
            for (int t = 0; t + V <= T; t += V)
                many = fmax(many, LDN_float(V, row, t));
            FOLD_MAX
            top = one;
        }
        {
            const VEC last = LDN_float(V, row, T - V); // before the loop changes what it is made of
            VEC many = (VEC)(0);
            float one;
            for (int t = 0; t + V <= T; t += V) {
                const VEC e = exp(LDN_float(V, row, t) - top);
                STN_float(V, row, t, e);
                many += e;
            }
#if REST
            const VEC e = exp(last - top);
            STN_float(V, row, T - V, e);
            many += FRESH ? e : (VEC)(0);
#endif
            FOLD_SUM
            total = one;
        }
        inverse[i] = 1 / total;
    }

    for (int panel = 0; panel < (DV + NV * V - 1) / (NV * V); ++panel) {
        const int c = min(panel * NV * V, DV - NV * V);
        VEC acc[TM * NV];
#pragma unroll
        for (int i = 0; i < TM * NV; ++i)
            acc[i] = (VEC)(0);
        for (int t = 0; t < T; ++t) {
            VEC row[NV];
#pragma unroll
            for (int j = 0; j < NV; ++j)
                row[j] = LDN_float(V, v, t * V_ROW + c + j * V);
#pragma unroll
            for (int i = 0; i < TM; ++i) {
                const VEC value = (VEC)(scores[i * ROW + t]);
#pragma unroll
                for (int j = 0; j < NV; ++j)
                    acc[i * NV + j] = mad(value, row[j], acc[i * NV + j]);
            }
        }
#pragma unroll
        for (int i = 0; i < TM; ++i)
#pragma unroll
            for (int j = 0; j < NV; ++j)
                STN_float(V, y, i * Y_ROW + c + j * V, acc[i * NV + j] * inverse[i]);
    }
}
