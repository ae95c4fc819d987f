// Batched matrix product Y = ALPHA A B + BETA bias for devices with fast local memory, Y row-major. A work-group of
// WGN x WGM work-items owns a tile of MWG rows x NWG columns of Y and walks along K in steps of KWG, for which it keeps
// the pieces of A and B in local memory. A work-item owns MWG / WGM rows, WGM apart, and NWG / WGN columns in vectors of
// VEC, WGN vectors apart: neighbours load and store neighbouring memory. What lies beyond an edge counts as zero.
// A: M x K, B: K x N, any strides. Needs N to be a multiple of VEC, and what A_VEC and B_VEC say.

#ifndef KERNEL_NAME
#define KERNEL_NAME matmul_local
#endif
#ifndef A_T
#define A_T float    // storage types
#define A_LD LD_float
#define A_LDN LDN_float
#define B_T float
#define B_LD LD_float
#define B_LDN LDN_float
#define Y_T float
#define Y_ST ST_float
#define Y_STN STN_float
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
#ifndef MWG
#define MWG 16       // rows of a work-group's tile; a multiple of WGM
#define NWG 16       // columns of a work-group's tile; a multiple of WGN * VEC
#define KWG 8        // depth that lies in local memory at a time
#define WGM 4        // work-items of a group along the rows
#define WGN 4        // work-items of a group along the columns
#define VEC 1        // columns of a vector: 1 or 4
#endif
#ifndef A_ALONG_K
#define A_ALONG_K 1  // 1: neighbouring work-items load A along K; 0: along M
#define A_VEC 1      // elements of A loaded at once in that direction: 1, or 4 where K (M) and KWG (MWG) are multiples
#define B_ALONG_N 1  // 1: neighbouring work-items load B along N; 0: along K
#define B_VEC 1      // the same for B
#endif
#ifndef HAS_BIAS
#define HAS_BIAS 0
#define BIAS_T float
#define BIAS_LD LD_float
#define BIAS_LDN LDN_float
#define BIAS_M 0     // strides of the bias along M and N; 0 or 1 along N
#define BIAS_N 0
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
#define ROLL_TAIL 0  // 1: the tail is long text: compile it once, in a loop over sums put in memory
#endif

#define ITEMS (WGM * WGN)
#define ROWS (MWG / WGM)
#define VECTORS (NWG / (WGN * VEC))
#define A_ROW (MWG + 1) // distance in local memory of neighbouring k; odd, so that stores along K meet different banks
#if VEC == 1
#define VECTOR float
#define TAIL_LOAD(p, i) ((p)[i])
#else
#define VECTOR MACE_JOIN(float, VEC)
#define TAIL_LOAD(p, i) LDN_float(VEC, p, i)
#endif
#define TAIL_V VECTOR
#if ROLL_TAIL
#define STORE_LOOP _Pragma("unroll 1")
#else
#define STORE_LOOP _Pragma("unroll")
#endif

// Copy `count` neighbouring elements (1 or 4) to private memory.
#define LOAD_1(to, load, load_n, p, i) to[0] = load(p, i);
#define LOAD_4(to, load, load_n, p, i) vstore4(load_n(4, p, i), 0, to);
#define LOAD(count, to, load, load_n, p, i) MACE_JOIN(LOAD_, count)(to, load, load_n, p, i)

__attribute__((reqd_work_group_size(WGN, WGM, 1)))
__kernel void KERNEL_NAME(__global const A_T *restrict a, __global const B_T *restrict b,
#if HAS_BIAS
                          __global const BIAS_T *restrict bias,
#endif
                          __global Y_T *restrict y TAIL_PARAMS)
{
    __local float tile_a[KWG * A_ROW];
    __local VECTOR tile_b[KWG * NWG / VEC];
    __local float *flat_b = (__local float *)tile_b;
    const int x = get_local_id(0), z = get_local_id(1), id = z * WGN + x;
    const int m0 = get_group_id(1) * MWG, n0 = get_group_id(0) * NWG, batch = get_group_id(2);
    __global const A_T *ap = a + A_BATCH(batch);
    __global const B_T *bp = b + B_BATCH(batch);

    VECTOR acc[ROWS * VECTORS];
#pragma unroll
    for (int i = 0; i < ROWS * VECTORS; ++i)
        acc[i] = (VECTOR)(0);

    for (int k0 = 0; k0 < K; k0 += KWG) {
        for (int i = id; i < MWG * KWG / A_VEC; i += ITEMS) {
#if A_ALONG_K
            const int k = i % (KWG / A_VEC) * A_VEC, m = i / (KWG / A_VEC);
#else
            const int m = i % (MWG / A_VEC) * A_VEC, k = i / (MWG / A_VEC);
#endif
            float part[A_VEC] = {0};
            if (m0 + m < M && k0 + k < K) {
                LOAD(A_VEC, part, A_LD, A_LDN, ap, (m0 + m) * A_M + (k0 + k) * A_K)
            }
#pragma unroll
            for (int v = 0; v < A_VEC; ++v)
                tile_a[(A_ALONG_K ? k + v : k) * A_ROW + (A_ALONG_K ? m : m + v)] = part[v];
        }
        for (int i = id; i < NWG * KWG / B_VEC; i += ITEMS) {
#if B_ALONG_N
            const int n = i % (NWG / B_VEC) * B_VEC, k = i / (NWG / B_VEC);
#else
            const int k = i % (KWG / B_VEC) * B_VEC, n = i / (KWG / B_VEC);
#endif
            float part[B_VEC] = {0};
            if (n0 + n < N && k0 + k < K) {
                LOAD(B_VEC, part, B_LD, B_LDN, bp, (k0 + k) * B_K + (n0 + n) * B_N)
            }
#pragma unroll
            for (int v = 0; v < B_VEC; ++v)
                flat_b[(B_ALONG_N ? k : k + v) * NWG + (B_ALONG_N ? n + v : n)] = part[v];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < KWG; ++k) {
            VECTOR row[VECTORS];
#pragma unroll
            for (int j = 0; j < VECTORS; ++j)
                row[j] = tile_b[k * (NWG / VEC) + j * WGN + x];
#pragma unroll
            for (int i = 0; i < ROWS; ++i) {
                const VECTOR value = (VECTOR)(tile_a[k * A_ROW + i * WGM + z]);
#pragma unroll
                for (int j = 0; j < VECTORS; ++j)
                    acc[i * VECTORS + j] = mad(value, row[j], acc[i * VECTORS + j]);
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

#if ROLL_TAIL
    VECTOR sums[ROWS * VECTORS];
#pragma unroll
    for (int i = 0; i < ROWS * VECTORS; ++i)
        sums[i] = acc[i];
#else
#define sums acc
#endif
    STORE_LOOP
    for (int i = 0; i < ROWS; ++i)
        STORE_LOOP
        for (int j = 0; j < VECTORS; ++j) {
            const int row = m0 + i * WGM + z, column = n0 + (j * WGN + x) * VEC;
            if (row < M && column < N) {
                VECTOR sum = (VECTOR)(ALPHA) * sums[i * VECTORS + j];
#if HAS_BIAS
                const int from = row * BIAS_M + column * BIAS_N;
#if BIAS_N && VEC > 1
                sum += BETA * BIAS_LDN(VEC, bias, from);
#else
                sum += (VECTOR)(BETA * BIAS_LD(bias, from));
#endif
#endif
                const int at = (batch * M + row) * N + column;
                TAIL(sum, at, column)
#if VEC == 1
                Y_ST(y, at, sum);
#else
                Y_STN(VEC, y, at, sum);
#endif
            }
        }
}
