// Batched matrix product Y = ALPHA A B + BETA bias, Y row-major; one work-item owns TM rows x NB vectors of Y and keeps
// their sums in registers. A: M x K with any strides. B is either row-major (K x N, rows B_ROW apart) or packed in panels:
// N/(NB V) x K x NB V. A tile that would cross the last row or column is moved back over its neighbour, in B as in Y, so
// TM <= M and NB * V <= N; panels are packed so too.

#ifndef KERNEL_NAME
#define KERNEL_NAME matmul_tiled
#endif
#ifndef V
#define V 16         // lanes of a vector
#define A_T float    // storage types
#define A_LD LD_float
#define B_T float
#define B_LDN LDN_float
#define Y_T float
#define Y_STN STN_float
#endif
#ifndef M
#define M 1
#define N 16
#define K 1
#define BATCHES 1
#define A_M 1        // strides of A in elements along M and K
#define A_K 1
#define A_BATCH(b) 0 // offset of batch b in A and B
#define B_BATCH(b) 0
#endif
#ifndef TM
#define TM 1         // rows of the tile
#define NB 1         // vectors of the tile
#define PACKED 0     // 1: B lies in panels
#define B_ROW N      // distance of the rows of B when it is not packed
#define ROWS_FIRST 1 // 1: neighbouring work-items own neighbouring rows; 0: neighbouring columns
#define SPLIT 1      // sums of every TM x NB tile kept apart for SPLIT neighbouring k, to hide latency; divides nothing
#endif
#ifndef HAS_BIAS
#define HAS_BIAS 0
#define BIAS_T float
#define BIAS_LD LD_float
#define BIAS_LDN LDN_float
#define BIAS_M 0     // strides of the bias along M and N; 0 or 1 along N
#define BIAS_N 0
#endif
#ifndef BIAS_BATCH
#define BIAS_BATCH(b) 0 // offset of batch b in the bias
#endif
#ifndef ALPHA
#define ALPHA 1.0f
#define BETA 1.0f
#endif
#ifndef TAIL_PARAMS
#define TAIL_PARAMS
#define TAIL(r, at, c)
#endif
#ifndef ROLL_TAIL
#define ROLL_TAIL 0 // 1: the tail is long text: compile it once, in a loop over sums put in memory
#endif
#ifndef GROUP_ATTRIBUTE
#define GROUP_ATTRIBUTE // reqd_work_group_size where it helps
#endif

#define COLUMNS (NB * V)
#define PANELS ((N + COLUMNS - 1) / COLUMNS)
#define STRIPES ((M + TM - 1) / TM)
#define VEC MACE_JOIN(float, V)
#define TAIL_V VEC
#if ROLL_TAIL
#define STORE_LOOP _Pragma("unroll 1")
#else
#define STORE_LOOP _Pragma("unroll")
#endif
#define TAIL_LOAD(p, i) LDN_float(V, p, i)
#if PACKED
#define STEP_B COLUMNS
#else
#define STEP_B B_ROW
#endif

// One step of the sums: row k of B times column k of A.
#define ADD_STEP(k, s) \
    { \
        VEC row[NB]; \
        _Pragma("unroll") for (int j = 0; j < NB; ++j) row[j] = B_LDN(V, bp, (k) * STEP_B + j * V); \
        _Pragma("unroll") for (int i = 0; i < TM; ++i) \
        { \
            const VEC value = (VEC)(A_LD(ap, i * A_M + (k) * A_K)); \
            _Pragma("unroll") for (int j = 0; j < NB; ++j) \
                acc[((s) * TM + i) * NB + j] = mad(value, row[j], acc[((s) * TM + i) * NB + j]); \
        } \
    }

GROUP_ATTRIBUTE
__kernel void KERNEL_NAME(__global const A_T *restrict a, __global const B_T *restrict b,
#if HAS_BIAS
                          __global const BIAS_T *restrict bias,
#endif
                          __global Y_T *restrict y TAIL_PARAMS)
{
    const int id = get_global_id(0);
    if (id >= PANELS * STRIPES * BATCHES)
        return;
#if ROWS_FIRST
    const int stripe = id % STRIPES, panel = id / STRIPES % PANELS, batch = id / (STRIPES * PANELS);
#else
    const int panel = id % PANELS, stripe = id / PANELS % STRIPES, batch = id / (STRIPES * PANELS);
#endif
    const int m = min(stripe * TM, M - TM), n = min(panel * COLUMNS, N - COLUMNS);

    VEC acc[SPLIT * TM * NB];
#pragma unroll
    for (int i = 0; i < SPLIT * TM * NB; ++i)
        acc[i] = (VEC)(0);

    __global const A_T *ap = a + A_BATCH(batch) + m * A_M;
    __global const B_T *bp = b + B_BATCH(batch) + (PACKED ? panel * (K * COLUMNS) : n);
    int k = 0;
    for (; k + SPLIT <= K; k += SPLIT) {
#pragma unroll
        for (int s = 0; s < SPLIT; ++s)
            ADD_STEP(k + s, s)
    }
#if SPLIT > 1
    for (; k < K; ++k)
        ADD_STEP(k, 0)
#pragma unroll
    for (int i = TM * NB; i < SPLIT * TM * NB; ++i)
        acc[i % (TM * NB)] += acc[i];
#endif

#if ROLL_TAIL
    VEC sums[TM * NB];
#pragma unroll
    for (int i = 0; i < TM * NB; ++i)
        sums[i] = acc[i];
#else
#define sums acc
#endif
    STORE_LOOP
    for (int i = 0; i < TM; ++i)
        STORE_LOOP
        for (int j = 0; j < NB; ++j) {
            const int row = m + i, column = n + j * V;
            VEC sum = (VEC)(ALPHA)*sums[i * NB + j];
#if HAS_BIAS
            const int from = BIAS_BATCH(batch) + row * BIAS_M + column * BIAS_N;
#if BIAS_N
            sum += BETA * BIAS_LDN(V, bias, from);
#else
            sum += (VEC)(BETA * BIAS_LD(bias, from));
#endif
#endif
            const int at = (batch * M + row) * N + column;
            TAIL(sum, at, column)
            Y_STN(V, y, at, sum);
        }
}
