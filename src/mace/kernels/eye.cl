// EyeLike (ONNX EyeLike-22): ones on diagonal K, zeros elsewhere. Index dimensions: column, row.

#ifndef KERNEL_NAME
#define KERNEL_NAME eye
#endif
#ifndef UNIT
#define UNIT uint   // an element, by size
#define ONE 1       // the bits of one
#define K 0         // diagonal, counted to the right of the main one
#endif

__kernel void KERNEL_NAME(__global UNIT *restrict y)
{
    const int col = get_global_id(0), row = get_global_id(1);
    y[row * (int)get_global_size(0) + col] = col - row == K ? (UNIT)ONE : (UNIT)0;
}
