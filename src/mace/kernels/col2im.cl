// Col2Im (ONNX Col2Im-18): every element of the image sums the column elements that fall on it, in the order of the
// block. x: NC x BLOCK_AREA x COLUMNS, y: NC x IMAGE. Index dimensions: position in the image, batch and channel.

#ifndef KERNEL_NAME
#define KERNEL_NAME col2im
#endif
#ifndef E_T
#define E_T float        // storage type
#define E_C float        // type of the sum
#define E_LD LD_float
#define E_ST ST_float
#endif
#ifndef RANK
#define RANK 1           // spatial dimensions, and per dimension:
#define IMAGE 1          // extent of the image
#define BLOCK 1          // extent of a block
#define STEPS 1          // positions of the block
#define STRIDES 1
#define DILATIONS 1
#define PADS 0           // padding before the first element
#define AREA 1           // elements of the image
#define BLOCK_AREA 1     // elements of a block
#define COLUMNS 1        // positions of the block, all dimensions together
#endif

__kernel void KERNEL_NAME(__global const E_T *restrict x, __global E_T *restrict y)
{
    const int image[RANK] = {IMAGE}, block[RANK] = {BLOCK}, steps[RANK] = {STEPS};
    const int strides[RANK] = {STRIDES}, dilations[RANK] = {DILATIONS}, pads[RANK] = {PADS};
    const int plane = get_global_id(1);
    E_C sum = 0;
    for (int k = 0; k < BLOCK_AREA; ++k) {
        int position = get_global_id(0), element = k, column = 0, scale = 1, hit = 1;
#pragma unroll
        for (int a = RANK - 1; a >= 0; --a) {
            const int offset = position % image[a] + pads[a] - element % block[a] * dilations[a];
            position /= image[a];
            element /= block[a];
            const int step = offset / strides[a];
            hit = hit && offset >= 0 && offset % strides[a] == 0 && step < steps[a];
            column += step * scale;
            scale *= steps[a];
        }
        if (hit)
            sum += E_LD(x, (plane * BLOCK_AREA + k) * COLUMNS + column);
    }
    E_ST(y, plane * AREA + (int)get_global_id(0), sum);
}
