// Pooling over all spatial positions of row-major tensors, one work-item per channel: x: NC x AREA, y: NC.
// Sixteen partial results keep rounding errors small and let a compiler use vectors.

#ifndef KERNEL_NAME
#define KERNEL_NAME pool_global
#endif
#ifndef X_T
#define X_T float            // storage type of x
#define X_LD LD_float
#define Y_T float            // storage type of y
#define Y_ST ST_float
#define ACC float            // type computed in
#define LOWEST (-INFINITY)   // what every value is at least
#endif
#ifndef MODE
#define MODE 0               // 0 maximum, 1 average, 2 p-norm
#define P 2                  // the p of the norm
#define AREA 1               // positions
#endif

#define PARTS 16
#if MODE == 0
#define TAKE(sum, v) sum = v > sum ? v : sum
#define MERGE(sum, v) TAKE(sum, v)
#else
#define MERGE(sum, v) sum += v
#if MODE == 1
#define TAKE(sum, v) sum += v
#elif P == 1
#define TAKE(sum, v) sum += fabs(v)
#elif P == 2
#define TAKE(sum, v) sum += v * v
#else
#define TAKE(sum, v) sum += pow(fabs(v), (ACC)P)
#endif
#endif

__kernel void KERNEL_NAME(__global const X_T *restrict x, __global Y_T *restrict y)
{
    const int plane = get_global_id(0), base = plane * AREA;
    ACC part[PARTS];
    for (int l = 0; l < PARTS; ++l)
        part[l] = MODE == 0 ? (ACC)(LOWEST) : (ACC)0;
    int i = 0;
    for (; i + PARTS <= AREA; i += PARTS)
        for (int l = 0; l < PARTS; ++l) {
            const ACC v = X_LD(x, base + i + l);
            TAKE(part[l], v);
        }
    for (; i < AREA; ++i) {
        const ACC v = X_LD(x, base + i);
        TAKE(part[0], v);
    }
    ACC value = part[0];
    for (int l = 1; l < PARTS; ++l)
        MERGE(value, part[l]);
#if MODE == 1
    value /= (ACC)AREA;
#elif MODE == 2 && P == 2
    value = sqrt(value);
#elif MODE == 2 && P != 1
    value = pow(value, (ACC)1 / (ACC)P);
#endif
    Y_ST(y, plane, value);
}
