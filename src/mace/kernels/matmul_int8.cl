// Product of 8-bit integer matrices, signed or not, with sums in int32: one work-item owns TM rows x TN columns and takes
// four products at a time. A: M x K, rows A_M apart. B is packed: K/4 x N_PACKED x 4, filled up with zeros.
// sum((a - za)(b - zb)) is taken as sum(ab) - za sum(b) - zb sum(a) + K za zb; sums of B's columns come packed.
// A tile that would cross the last row is moved back over its neighbour, so TM <= M.

#ifndef KERNEL_NAME
#define KERNEL_NAME matmul_int8
#endif
#ifndef A_T
#define A_T char          // storage types
#define B_T char
#define Y_T int
#define Y_ST ST_int
#endif
#ifndef M
#define M 1
#define N 1
#define K 1
#define A_M 1             // distance of the rows of A in elements
#define A_BATCH(b) 0      // offset of batch b in A
#endif
#ifndef TM
#define TM 1              // rows of the tile
#define TN 1              // columns of the tile
#define N_PACKED N        // columns of packed B; a multiple of TN
#endif
#ifndef INTEGER_DOT
#define INTEGER_DOT 0     // 1: the device has cl_khr_integer_dot_product
#endif
#ifndef A_ZERO
#define A_ZERO(m) 0       // zero points
#define B_ZERO(n) 0
#define A_HAS_ZERO 0      // 0: they are all zero, nothing has to be taken off
#define B_HAS_ZERO 0
#define ZERO_PARAMS
#endif
#ifndef TAIL
#define TAIL(r, at, c)
#endif

#define A4 MACE_JOIN(A_T, 4)
#define B4 MACE_JOIN(B_T, 4)
#if INTEGER_DOT
#define SUM_T int
#define ADD_PRODUCT(sum, p, q) (sum) += (int)dot(p, q)
#define ADD_ALL(sum, p) (sum) += (int)dot(p, (A4)(1))
#define TOTAL(sum) (sum)
#else
#define SUM_T int4
#define ADD_PRODUCT(sum, p, q) (sum) += convert_int4(p) * convert_int4(q)
#define ADD_ALL(sum, p) (sum) += convert_int4(p)
#define TOTAL(sum) ((sum).x + (sum).y + (sum).z + (sum).w)
#endif

// Add the products of four neighbouring k, from step k4 of B.
#define ADD_STEP(k4, four) \
    { \
        B4 column[TN]; \
        _Pragma("unroll") for (int j = 0; j < TN; ++j) column[j] = vload4((k4) * N_PACKED + n + j, b); \
        _Pragma("unroll") for (int i = 0; i < TM; ++i) \
        { \
            const A4 row = four(ap + i * A_M + (k4) * 4); \
            _Pragma("unroll") for (int j = 0; j < TN; ++j) ADD_PRODUCT(acc[i * TN + j], row, column[j]); \
            if (B_HAS_ZERO) \
                ADD_ALL(rows[i], row); \
        } \
    }
#define WHOLE(p) vload4(0, p)
#define PART(p) (A4)((p)[0], K % 4 > 1 ? (p)[K % 4 > 1 ? 1 : 0] : 0, K % 4 > 2 ? (p)[K % 4 > 2 ? 2 : 0] : 0, 0)

__kernel void KERNEL_NAME(__global const A_T *restrict a, __global const B_T *restrict b,
                          __global const int *restrict column_sums, __global Y_T *restrict y ZERO_PARAMS)
{
    const int n = get_global_id(0) * TN, m = min((int)get_global_id(1) * TM, M - TM), batch = get_global_id(2);
    if (n >= N)
        return;
    SUM_T acc[TM * TN], rows[TM];
#pragma unroll
    for (int i = 0; i < TM * TN; ++i)
        acc[i] = (SUM_T)(0);
#pragma unroll
    for (int i = 0; i < TM; ++i)
        rows[i] = (SUM_T)(0);
    __global const A_T *ap = a + A_BATCH(batch) + m * A_M;
    for (int k4 = 0; k4 < K / 4; ++k4)
        ADD_STEP(k4, WHOLE)
#if K % 4
    ADD_STEP(K / 4, PART)
#endif
#pragma unroll
    for (int i = 0; i < TM; ++i)
#pragma unroll
        for (int j = 0; j < TN; ++j)
            if (n + j < N) {
                int sum = TOTAL(acc[i * TN + j]);
#if A_HAS_ZERO
                sum -= (int)A_ZERO(m + i) * column_sums[n + j];
#endif
#if B_HAS_ZERO
                sum -= (int)B_ZERO(n + j) * (TOTAL(rows[i]) - K * (int)A_ZERO(m + i));
#endif
                const int at = (batch * M + m + i) * N + n + j;
                TAIL(sum, at, n + j)
                Y_ST(y, at, sum);
            }
}
