// ScatterElements (ONNX ScatterElements-18) into a y that holds the data already: one work-item applies, in order, the
// updates of one line along the axis. An index that is out of range is passed over.

#ifndef KERNEL_NAME
#define KERNEL_NAME scatter_elements
#endif
#ifndef E_T
#define E_T uint             // storage type of the elements
#define E_LD LD_uint
#define E_ST ST_uint
#define COMBINE(a, b) (b)    // what becomes of the old value a and the update b
#endif
#ifndef INDEX_T
#define INDEX_T long
#define RANK 0               // axes of the updates besides the axis, their extents and strides in y and the updates
#define LINES 1
#define Y_STRIDES 0
#define U_STRIDES 0
#define COUNT 1              // updates per line
#define EXTENT 1             // extent of the axis in y
#define Y_STEP 1             // strides of the axis
#define U_STEP 1
#endif

#define AXES (RANK ? RANK : 1)

__kernel void KERNEL_NAME(__global const INDEX_T *restrict indices, __global const E_T *restrict updates,
                          __global E_T *restrict y)
{
    const int lines[AXES] = {LINES}, ys[AXES] = {Y_STRIDES}, us[AXES] = {U_STRIDES};
    int rest = get_global_id(0), to = 0, from = 0;
#pragma unroll
    for (int a = RANK - 1; a >= 0; --a) {
        const int i = a ? rest % lines[a] : rest;
        rest /= lines[a];
        to += i * ys[a];
        from += i * us[a];
    }
    for (int k = 0; k < COUNT; ++k) {
        long at = indices[from + k * U_STEP];
        at = at < 0 ? at + EXTENT : at;
        if (at < 0 || at >= EXTENT)
            continue;
        const int cell = to + (int)at * Y_STEP;
        E_ST(y, cell, COMBINE(E_LD(y, cell), E_LD(updates, from + k * U_STEP)));
    }
}
