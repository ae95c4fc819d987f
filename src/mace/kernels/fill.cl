// Sets every element to one value.

#ifndef KERNEL_NAME
#define KERNEL_NAME fill
#endif
#ifndef UNIT
#define UNIT uint   // an element, by size
#define VALUE 0     // its bits
#endif

__kernel void KERNEL_NAME(__global UNIT *restrict y)
{
    y[get_global_id(0)] = (UNIT)VALUE;
}
