// Softmax or its logarithm along contiguous rows so short that a vector holds several: each is folded across its own lanes.
// Index space: (⌈COUNT / ROWS⌉).

#ifndef LOAD_MANY
#define X_T float
#define Y_T float
#define VEC 4                       // lanes, a multiple of LENGTH
#define ROWS 2                      // rows per work-item, a multiple of VEC / LENGTH
#define COUNT 2                     // rows
#define LENGTH 2                    // elements of a row, a power of two
#define ACC_MANY float4             // VEC of the type that is computed in
#define ACC_ROW float2              // LENGTH of it
#define LOAD_MANY(i) vload4(0, x + i)
#define LOAD_ROW(i) vload2(0, x + i)
#define STORE_MANY(i, v) vstore4(v, 0, y + i)
#define STORE_ROW(i, v) vstore2(v, 0, y + i)
#define FOLD_MANY(join, v) v = join(v, v.s1032); // puts in each lane what joins all lanes of its row
#define FOLD_ROW(join, v) v = join(v, v.s10);
#define LOGARITHM 0                 // 1: the logarithm of the result
#define ATTRIBUTES
#endif
#define SUM(a, b) ((a) + (b))
#if LOGARITHM
#define RESULT less - log(sum)
#else
#define RESULT e / sum
#endif
#define SOFTMAX(ACC, LOAD, STORE, FOLD) \
    ACC top = LOAD(i); \
    ACC less = top; \
    FOLD(fmax, top) \
    less -= top; \
    const ACC e = exp(less); \
    ACC sum = e; \
    FOLD(SUM, sum) \
    const ACC r = RESULT; \
    STORE(i, r);

__kernel ATTRIBUTES void KERNEL_NAME(__global const X_T *restrict x, __global Y_T *restrict y)
{
    int i = (int)get_global_id(0) * (ROWS * LENGTH);
    const int end = min(i + ROWS * LENGTH, COUNT * LENGTH);
    for (; i + VEC <= end; i += VEC) {
        SOFTMAX(ACC_MANY, LOAD_MANY, STORE_MANY, FOLD_MANY)
    }
#if COUNT * LENGTH % VEC
    for (; i < end; i += LENGTH) {
        SOFTMAX(ACC_ROW, LOAD_ROW, STORE_ROW, FOLD_ROW)
    }
#endif
}
