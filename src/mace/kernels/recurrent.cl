// LSTM, GRU or RNN over all steps (ONNX LSTM-22, GRU-22, RNN-22): a work-group per batch element and direction goes through
// time with its state in local memory. What the inputs contribute to the gates is computed beforehand.
// gates: rows of (step, batch) x DIRECTIONS x outputs, with outputs = gates of the cell x HIDDEN.

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
#define R_J 1              // strides of the recurrent weights along outputs and hidden units
#define R_K 1
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
#define WEIGHT(gate, k) X_LD(r, d * (OUTPUTS * HIDDEN) + ((gate) * HIDDEN + j) * R_J + (k) * R_K)
#if HAS_B
#define BIAS(gate) (X_LD(bias, d * (2 * OUTPUTS) + (gate) * HIDDEN + j))
#define STATE_BIAS(gate) (X_LD(bias, d * (2 * OUTPUTS) + OUTPUTS + (gate) * HIDDEN + j))
#else
#define BIAS(gate) 0
#define STATE_BIAS(gate) 0
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
    const int item = get_local_id(0), items = get_local_size(0);
    const int n = get_group_id(1), d = FIRST + get_group_id(2);
    const int backward = BACKWARD || d == 1;
    // state: two hidden states that take turns, then the cell state (LSTM) or the hidden state after the reset gate (GRU).
    __local ACC *extra = state + 2 * HIDDEN;
    for (int j = item; j < HIDDEN; j += items) {
#if HAS_H0
        state[j] = X_LD(h0, AT_STATE(j));
#else
        state[j] = 0;
#endif
#if CELL == 2 && HAS_C0
        extra[j] = X_LD(c0, AT_STATE(j));
#elif CELL == 2
        extra[j] = 0;
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
        for (int j = item; j < HIDDEN; j += items) {
            ACC reset = in[HIDDEN + j] + BIAS(1) + STATE_BIAS(1);
            for (int k = 0; k < HIDDEN; ++k)
                reset += old[k] * WEIGHT(1, k);
            reset = CLIPPED(reset);
            extra[j] = F(reset) * old[j];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
#endif
        for (int j = item; j < HIDDEN; j += items) {
#if CELL == 0
            ACC sum = in[j] + BIAS(0) + STATE_BIAS(0);
            for (int k = 0; k < HIDDEN; ++k)
                sum += old[k] * WEIGHT(0, k);
            sum = CLIPPED(sum);
            now[j] = F(sum);
#elif CELL == 1
            ACC update = in[j] + BIAS(0) + STATE_BIAS(0);
            ACC fresh = STATE_BIAS(2);
#if RESET_AFTER
            ACC reset = in[HIDDEN + j] + BIAS(1) + STATE_BIAS(1);
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
            fresh += in[2 * HIDDEN + j] + BIAS(2);
            update = CLIPPED(update);
            fresh = CLIPPED(fresh);
            const ACC keep = F(update);
            now[j] = (1 - keep) * G(fresh) + keep * old[j];
#else
            ACC input = in[j] + BIAS(0) + STATE_BIAS(0);
            ACC output = in[HIDDEN + j] + BIAS(1) + STATE_BIAS(1);
            ACC forget = in[2 * HIDDEN + j] + BIAS(2) + STATE_BIAS(2);
            ACC fresh = in[3 * HIDDEN + j] + BIAS(3) + STATE_BIAS(3);
            for (int k = 0; k < HIDDEN; ++k) {
                input += old[k] * WEIGHT(0, k);
                output += old[k] * WEIGHT(1, k);
                forget += old[k] * WEIGHT(2, k);
                fresh += old[k] * WEIGHT(3, k);
            }
            ACC cell = extra[j];
#if HAS_P
            input += X_LD(peephole, d * (3 * HIDDEN) + j) * cell;
            forget += X_LD(peephole, d * (3 * HIDDEN) + 2 * HIDDEN + j) * cell;
#endif
            input = CLIPPED(input);
            forget = CLIPPED(forget);
            fresh = CLIPPED(fresh);
            const ACC taken = F(input);
            cell = (COUPLED ? 1 - taken : F(forget)) * cell + taken * G(fresh);
            extra[j] = cell;
#if HAS_P
            output += X_LD(peephole, d * (3 * HIDDEN) + HIDDEN + j) * cell;
#endif
            output = CLIPPED(output);
            now[j] = F(output) * H(cell);
#endif
#if HAS_Y
            const int to = BATCH_FIRST ? (row * DIRECTIONS + d) * HIDDEN : ((t * DIRECTIONS + d) * BATCH + n) * HIDDEN;
            X_ST(y, to + j, now[j]);
#endif
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    for (int j = item; j < HIDDEN; j += items) {
#if HAS_Y
        for (int t = length; t < STEPS; ++t) {
            const int row = n * STEPS + t;
            const int to = BATCH_FIRST ? (row * DIRECTIONS + d) * HIDDEN : ((t * DIRECTIONS + d) * BATCH + n) * HIDDEN;
            X_ST(y, to + j, (ACC)0);
        }
#endif
#if HAS_YH
        X_ST(yh, AT_STATE(j), state[(length & 1) * HIDDEN + j]);
#endif
#if HAS_YC
        X_ST(yc, AT_STATE(j), extra[j]);
#endif
    }
}
