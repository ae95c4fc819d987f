// Local response normalisation over neighbouring channels of an N × C × SPACE tensor; a work-item per element.
// Index space: (SPACE, C, N).

#ifndef SPACE
#define X_T float
#define Y_T float
#define X_C float
#define X_LD LD_float
#define Y_ST ST_float
#define C 1           // channels
#define SPACE 1       // spatial elements
#define BEFORE 0      // neighbours before the channel and after it
#define AFTER 0
#define SCALE 1.0f    // alpha / size
#define BETA 0.75f
#define BIAS 1.0f
#endif

__kernel void KERNEL_NAME(__global const X_T *restrict x, __global Y_T *restrict y)
{
    const int s = get_global_id(0);
    const int c = get_global_id(1);
    const int base = (int)get_global_id(2) * C * SPACE + s;
    X_C sum = 0;
    for (int k = max(c - BEFORE, 0); k <= min(c + AFTER, C - 1); ++k) {
        const X_C v = X_LD(x, base + k * SPACE);
        sum += v * v;
    }
    const X_C v = X_LD(x, base + c * SPACE);
    Y_ST(y, base + c * SPACE, v / pow(BIAS + SCALE * sum, BETA));
}
