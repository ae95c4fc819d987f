// Attention, Y = softmax(scale Q K) V per batch and head, for any extents and strides: one work-item per row of queries,
// which keeps the sum of values in Y and rescales it whenever a larger score comes (Milakov and Gimelshein 2018).

#ifndef KERNEL_NAME
#define KERNEL_NAME attention_general
#endif
#ifndef S
#define BATCH 1                   // batches
#define HEADS 1                   // heads of each
#define S 1                       // queries
#define T 1                       // keys
#define D 1                       // extent of a query and a key
#define DV 1                      // extent of a value
#define Q_AT 0                    // where each begins, and its strides in elements
#define Q_BATCH 0
#define Q_HEAD 0
#define Q_ROW 1
#define Q_COLUMN 1
#define K_AT 0
#define K_BATCH 0
#define K_HEAD 0
#define K_ROW 1                   // between elements of a key
#define K_COLUMN 1                // between keys
#define V_AT 0
#define V_BATCH 0
#define V_HEAD 0
#define V_ROW 1
#define V_COLUMN 1
#define Y_BATCH 0
#define Y_HEAD 0
#define Y_ROW 1
#endif
#ifndef SCALE
#define SCALE(r, at, c)           // what is done to the scores before the softmax
#endif
#define TAIL_V float

__kernel void KERNEL_NAME(__global const float *restrict q, __global const float *restrict k,
                          __global const float *restrict v, __global float *restrict y)
{
    const int m = get_global_id(0), head = get_global_id(1), batch = get_global_id(2);
    q += Q_AT + batch * Q_BATCH + head * Q_HEAD + m * Q_ROW;
    k += K_AT + batch * K_BATCH + head * K_HEAD;
    v += V_AT + batch * V_BATCH + head * V_HEAD;
    y += batch * Y_BATCH + head * Y_HEAD + m * Y_ROW;
    float top = -INFINITY, total = 0;
    for (int t = 0; t < T; ++t) {
        float score = 0;
        for (int d = 0; d < D; ++d)
            score = mad(q[d * Q_COLUMN], k[d * K_ROW + t * K_COLUMN], score);
        SCALE(score, 0, 0)
        const float above = fmax(top, score);
        const float fade = t ? exp(top - above) : 0, weight = exp(score - above);
        for (int c = 0; c < DV; ++c)
            y[c] = (t ? y[c] * fade : 0) + weight * v[t * V_ROW + c * V_COLUMN];
        total = total * fade + weight;
        top = above;
    }
    for (int c = 0; c < DV; ++c)
        y[c] /= total;
}
