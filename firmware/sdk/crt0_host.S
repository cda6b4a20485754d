/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry of host firmware: NS-EL2, MMU off, X0 = host information block (docs/payload.md). */
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
    msr vbar_el2, x9
    isb
    mov x29, #0
    mov x30, #0
    b host_start
    .size _start, . - _start

    .global host_secondary_start
    .type host_secondary_start, %function
host_secondary_start:
    mov sp, x0
    adrp x9, vectors
    add x9, x9, :lo12:vectors
    msr vbar_el2, x9
    isb
    mov x29, #0
    mov x30, #0
    ldr x9, [x0]
    br x9
    .size host_secondary_start, . - host_secondary_start

    VECTORS host_exception, el2
