// Batched matrix product Y = ALPHA * A B + BETA * bias with any strides, on row-major tensors: one work-item per element.
// The batch index is taken apart along up to BATCH_RANK dimensions; a stride of 0 broadcasts.

#ifndef KERNEL_NAME
#define KERNEL_NAME matmul_general
#endif
#ifndef A_T
#define A_T float    // storage types
#define A_LD LD_float
#define B_T float
#define B_LD LD_float
#define Y_T float
#define Y_ST ST_float
#define ACC float    // type of the sum
#endif
#ifndef M
#define M 1
#define N 1
#define K 1
#define A_M 1        // strides in elements: of A along M and K, of B along K and N
#define A_K 1
#define B_K 1
#define B_N 1
#define A_BATCH(b) 0 // offset of batch b in A and B
#define B_BATCH(b) 0
#endif
#ifndef HAS_BIAS
#define HAS_BIAS 0
#define BIAS_T float
#define BIAS_LD LD_float
#define BIAS_M 0     // strides of the bias along M and N
#define BIAS_N 0
#endif
#ifndef ALPHA
#define ALPHA 1
#define BETA 1
#endif
#ifndef A_ZERO
#define A_ZERO(m) 0  // zero points
#define B_ZERO(n) 0
#define ZERO_PARAMS
#endif
#ifndef TAIL_PARAMS
#define TAIL_PARAMS
#define TAIL(r, at, c)
#endif
#define TAIL_V ACC
#define TAIL_LOAD(p, i) ((p)[i])

__kernel void KERNEL_NAME(__global const A_T *restrict a, __global const B_T *restrict b,
#if HAS_BIAS
                          __global const BIAS_T *restrict bias,
#endif
                          __global Y_T *restrict y ZERO_PARAMS TAIL_PARAMS)
{
    const int n = get_global_id(0);
    const int m = get_global_id(1);
    const int batch = get_global_id(2);
    if (n >= N || m >= M)
        return;
    const int a0 = A_BATCH(batch) + m * A_M, b0 = B_BATCH(batch) + n * B_N;
    ACC sum = 0;
    for (int k = 0; k < K; ++k)
        sum += ((ACC)A_LD(a, a0 + k * A_K) - (ACC)A_ZERO(m)) * ((ACC)B_LD(b, b0 + k * B_K) - (ACC)B_ZERO(n));
    sum = (ACC)(ALPHA * sum);
#if HAS_BIAS
    sum += (ACC)(BETA * BIAS_LD(bias, m * BIAS_M + n * BIAS_N));
#endif
    const int out = (batch * M + m) * N + n;
    TAIL(sum, out, n)
    Y_ST(y, out, sum);
}
