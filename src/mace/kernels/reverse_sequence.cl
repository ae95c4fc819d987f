// ReverseSequence (ONNX ReverseSequence-10): the first lengths[b] steps of each batch element in reverse order.
// Index dimensions: (second axis, unit of a step), first axis.

#ifndef KERNEL_NAME
#define KERNEL_NAME reverse_sequence
#endif
#ifndef UNIT
#define UNIT uint     // what is moved as one
#define INDEX_T long
#define INNER 1       // units of one step of one batch element
#define SECOND 1      // extent of the second axis
#define TIME 1        // extent of the time axis
#define TIME_FIRST 1  // 1: time is the first axis and batch the second; 0: the other way round
#endif

__kernel void KERNEL_NAME(__global const UNIT *restrict x, __global const INDEX_T *restrict lengths,
                          __global UNIT *restrict y)
{
    const int r = get_global_id(0) % INNER, second = get_global_id(0) / INNER, first = get_global_id(1);
    const int time = TIME_FIRST ? first : second, batch = TIME_FIRST ? second : first;
    const int length = (int)clamp((long)lengths[batch], 0L, (long)TIME);
    const int from = time < length ? length - 1 - time : time;
    const int source = TIME_FIRST ? from * SECOND + batch : batch * SECOND + from;
    y[(first * SECOND + second) * INNER + r] = x[source * INNER + r];
}
