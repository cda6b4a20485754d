/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry of a service in the Secure world: S-EL1, MMU off. */
#include "vectors.h"

    .section .text.start, "ax"
    .global _start
    .type _start, %function
_start:
    adrp x9, __stack_top
    add x9, x9, :lo12:__stack_top
    mov sp, x9
    adrp x9, __bss_start
    add x9, x9, :lo12:__bss_start
    adrp x10, __bss_end
    add x10, x10, :lo12:__bss_end
1:  cmp x9, x10
    b.hs 2f
    stp xzr, xzr, [x9], #16
    b 1b
2:  adrp x9, vectors
    add x9, x9, :lo12:vectors
    msr vbar_el1, x9
    isb
    mov x29, #0
    mov x30, #0
    b secure_start
    .size _start, . - _start

    VECTORS secure_exception, el1
