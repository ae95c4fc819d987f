// LSTM, GRU or RNN over all steps (ONNX LSTM-22, GRU-22, RNN-22): a work-group per batch element and direction goes
// through time with its state in local memory. What the inputs contribute to the gates is computed beforehand. gates:
// rows of (step, batch) x DIRECTIONS x outputs, with outputs = gates of the cell x HIDDEN. A work-item computes LANES
// neighbouring hidden units; with more than one, the recurrent weights come as panels DIRECTIONS x HIDDEN/LANES x
// HIDDEN x gates x LANES, which are read from end to end.

#ifndef KERNEL_NAME
#define KERNEL_NAME recurrent
#endif
#ifndef X_T
#define X_T float          // storage type of all tensors but the gates
#define X_C float
#define X_LD LD_float
#define X_ST ST_float
#define ACC float          // type computed in, and of the gates
#endif
#ifndef CELL
#define CELL 2             // 0 RNN, 1 GRU, 2 LSTM
#define STEPS 1
#define BATCH 1
#define HIDDEN 1
#define DIRECTIONS 1
#define FIRST 0            // direction of the first group along dimension 2
#define BATCH_FIRST 0      // 1: batch x step in x and y, 0: step x batch
#define BACKWARD 0         // 1: the only direction goes backward
#define RESET_AFTER 0      // GRU: 1 applies the reset gate after the product
#define COUPLED 0          // LSTM: 1 forgets as much as it takes in
#define LANES 1            // hidden units per work-item; divides HIDDEN, more than 1 only when X_T is float
#define HAS_B 0            // optional operands: bias, lengths, initial states, peepholes
#define HAS_LENGTHS 0
#define HAS_H0 0
#define HAS_C0 0
#define HAS_P 0
#define HAS_Y 1            // outputs that are wanted: all steps, last hidden state, last cell state
#define HAS_YH 0
#define HAS_YC 0
#endif
#ifndef HAS_CLIP
#define HAS_CLIP 0
#define CLIP 0.0f          // gates are clamped to [-CLIP, CLIP] before their functions are applied
#endif
#ifndef F
#define F(x) (1 / (1 + exp(-(x))))
#endif
#ifndef G
#define G(x) tanh(x)
#endif
#ifndef H
#define H(x) tanh(x)
#endif

#define GATES (CELL == 0 ? 1 : CELL == 1 ? 3 : 4)
#define OUTPUTS (GATES * HIDDEN)
#if HAS_CLIP
#define CLIPPED(v) clamp(v, (ACC)-(CLIP), (ACC)(CLIP))
#else
#define CLIPPED(v) (v)
#endif
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#if LANES == 1
#define VEC ACC
#define LOAD(p, i) ((p)[i])
#define STORE(p, i, v) ((p)[i] = (v))
#define X_LOAD(p, i) X_LD(p, i)
#define X_STORE(p, i, v) X_ST(p, i, v)
#define WEIGHT(gate, k) X_LD(r, d * (OUTPUTS * HIDDEN) + ((gate) * HIDDEN + j) * HIDDEN + (k))
#else
#define VEC JOIN(ACC, LANES)
#define LOAD(p, i) JOIN(vload, LANES)(0, (p) + (i))
#define STORE(p, i, v) JOIN(vstore, LANES)(v, 0, (p) + (i))
#define X_LOAD(p, i) LOAD(p, i)
#define X_STORE(p, i, v) STORE(p, i, v)
#define WEIGHT(gate, k) LOAD(r, d * (OUTPUTS * HIDDEN) + j * (HIDDEN * GATES) + ((k) * GATES + (gate)) * LANES)
#endif
#if HAS_B
#define BIAS(gate) X_LOAD(bias, d * (2 * OUTPUTS) + (gate) * HIDDEN + j)
#define STATE_BIAS(gate) X_LOAD(bias, d * (2 * OUTPUTS) + OUTPUTS + (gate) * HIDDEN + j)
#else
#define BIAS(gate) (VEC)(0)
#define STATE_BIAS(gate) (VEC)(0)
#endif
#define AT_STATE(j) (BATCH_FIRST ? (n * DIRECTIONS + d) * HIDDEN + (j) : (d * BATCH + n) * HIDDEN + (j))

__kernel void KERNEL_NAME(__global const ACC *restrict gates, __global const X_T *restrict r,
#if HAS_B
                          __global const X_T *restrict bias,
#endif
#if HAS_LENGTHS
                          __global const int *restrict lengths,
#endif
#if HAS_H0
                          __global const X_T *restrict h0,
#endif
#if HAS_C0
                          __global const X_T *restrict c0,
#endif
#if HAS_P
                          __global const X_T *restrict peephole,
#endif
#if HAS_Y
                          __global X_T *restrict y,
#endif
#if HAS_YH
                          __global X_T *restrict yh,
#endif
#if HAS_YC
                          __global X_T *restrict yc,
#endif
                          __local ACC *state)
{
    const int first = get_local_id(0) * LANES, stride = get_local_size(0) * LANES;
    const int n = get_group_id(1), d = FIRST + get_group_id(2);
    const int backward = BACKWARD || d == 1;
    // state: two hidden states that take turns, then the cell state (LSTM) or what the reset gate leaves (GRU).
    __local ACC *extra = state + 2 * HIDDEN;
    for (int j = first; j < HIDDEN; j += stride) {
#if HAS_H0
        STORE(state, j, X_LOAD(h0, AT_STATE(j)));
#else
        STORE(state, j, (VEC)(0));
#endif
#if CELL == 2 && HAS_C0
        STORE(extra, j, X_LOAD(c0, AT_STATE(j)));
#elif CELL == 2
        STORE(extra, j, (VEC)(0));
#endif
    }
    barrier(CLK_LOCAL_MEM_FENCE);
#if HAS_LENGTHS
    const int length = clamp(lengths[n], 0, STEPS);
#else
    const int length = STEPS;
#endif
    for (int step = 0; step < length; ++step) {
        const int t = backward ? length - 1 - step : step;
        const int row = BATCH_FIRST ? n * STEPS + t : t * BATCH + n;
        __global const ACC *in = gates + (row * DIRECTIONS + d) * OUTPUTS;
        __local const ACC *old = state + (step & 1) * HIDDEN;
        __local ACC *now = state + (~step & 1) * HIDDEN;
#if CELL == 1 && !RESET_AFTER
        for (int j = first; j < HIDDEN; j += stride) {
            VEC reset = LOAD(in, HIDDEN + j) + BIAS(1) + STATE_BIAS(1);
            for (int k = 0; k < HIDDEN; ++k)
                reset += old[k] * WEIGHT(1, k);
            reset = CLIPPED(reset);
            STORE(extra, j, F(reset) * LOAD(old, j));
        }
        barrier(CLK_LOCAL_MEM_FENCE);
#endif
        for (int j = first; j < HIDDEN; j += stride) {
#if CELL == 0
            VEC sum = LOAD(in, j) + BIAS(0) + STATE_BIAS(0);
            for (int k = 0; k < HIDDEN; ++k)
                sum += old[k] * WEIGHT(0, k);
            sum = CLIPPED(sum);
            const VEC next = F(sum);
#elif CELL == 1
            VEC update = LOAD(in, j) + BIAS(0) + STATE_BIAS(0);
            VEC fresh = STATE_BIAS(2);
#if RESET_AFTER
            VEC reset = LOAD(in, HIDDEN + j) + BIAS(1) + STATE_BIAS(1);
            for (int k = 0; k < HIDDEN; ++k) {
                update += old[k] * WEIGHT(0, k);
                reset += old[k] * WEIGHT(1, k);
                fresh += old[k] * WEIGHT(2, k);
            }
            reset = CLIPPED(reset);
            fresh *= F(reset);
#else
            for (int k = 0; k < HIDDEN; ++k) {
                update += old[k] * WEIGHT(0, k);
                fresh += extra[k] * WEIGHT(2, k);
            }
#endif
            fresh += LOAD(in, 2 * HIDDEN + j) + BIAS(2);
            update = CLIPPED(update);
            fresh = CLIPPED(fresh);
            const VEC keep = F(update);
            const VEC next = (1 - keep) * G(fresh) + keep * LOAD(old, j);
#else
            VEC input = LOAD(in, j) + BIAS(0) + STATE_BIAS(0);
            VEC output = LOAD(in, HIDDEN + j) + BIAS(1) + STATE_BIAS(1);
            VEC forget = LOAD(in, 2 * HIDDEN + j) + BIAS(2) + STATE_BIAS(2);
            VEC fresh = LOAD(in, 3 * HIDDEN + j) + BIAS(3) + STATE_BIAS(3);
            for (int k = 0; k < HIDDEN; ++k) {
                input += old[k] * WEIGHT(0, k);
                output += old[k] * WEIGHT(1, k);
                forget += old[k] * WEIGHT(2, k);
                fresh += old[k] * WEIGHT(3, k);
            }
            VEC cell = LOAD(extra, j);
#if HAS_P
            input += X_LOAD(peephole, d * (3 * HIDDEN) + j) * cell;
            forget += X_LOAD(peephole, d * (3 * HIDDEN) + 2 * HIDDEN + j) * cell;
#endif
            input = CLIPPED(input);
            forget = CLIPPED(forget);
            fresh = CLIPPED(fresh);
            const VEC taken = F(input);
            cell = (COUPLED ? 1 - taken : F(forget)) * cell + taken * G(fresh);
            STORE(extra, j, cell);
#if HAS_P
            output += X_LOAD(peephole, d * (3 * HIDDEN) + HIDDEN + j) * cell;
#endif
            output = CLIPPED(output);
            const VEC next = F(output) * H(cell);
#endif
            STORE(now, j, next);
#if HAS_Y
            const int to = BATCH_FIRST ? (row * DIRECTIONS + d) * HIDDEN : ((t * DIRECTIONS + d) * BATCH + n) * HIDDEN;
            X_STORE(y, to + j, next);
#endif
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    for (int j = first; j < HIDDEN; j += stride) {
#if HAS_Y
        for (int t = length; t < STEPS; ++t) {
            const int row = n * STEPS + t;
            const int to = BATCH_FIRST ? (row * DIRECTIONS + d) * HIDDEN : ((t * DIRECTIONS + d) * BATCH + n) * HIDDEN;
            X_STORE(y, to + j, (VEC)(0));
        }
#endif
#if HAS_YH
        X_STORE(yh, AT_STATE(j), LOAD(state, (length & 1) * HIDDEN + j));
#endif
#if HAS_YC
        X_STORE(yc, AT_STATE(j), LOAD(extra, j));
#endif
    }
}
