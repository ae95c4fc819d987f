// Range (ONNX Range-11): y[i] = start + i * delta.

#ifndef KERNEL_NAME
#define KERNEL_NAME range
#endif
#ifndef E_T
#define E_T float        // storage type
#define E_C float        // type computed in
#define E_LD LD_float
#define E_ST ST_float
#endif

__kernel void KERNEL_NAME(__global const E_T *restrict start, __global const E_T *restrict delta,
                          __global E_T *restrict y)
{
    const int i = get_global_id(0);
    E_ST(y, i, E_LD(start, 0) + (E_C)i * E_LD(delta, 0));
}
