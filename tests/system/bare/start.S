/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a port to a board brings along: entry, vectors, stack; linked where the board's boot loader puts images. */
#include "board.h"

    .global IMAGE_BASE
    IMAGE_BASE = LOAD_ADDRESS
    .section .head, "ax"
    .global _start
_start:
    mrs x1, mpidr_el1
    ubfx x2, x1, #0, #24
    cbnz x2, .              /* firmware starts one PE */
    adr x2, stack_top
    mov sp, x2
    adr x2, table
    msr vbar_el2, x2
    isb
    adr x9, bss_start
    adr x10, bss_end
1:  cmp x9, x10
    b.hs 2f
    str xzr, [x9], #8
    b 1b
2:  bl start
    b .

    .macro vector handler
    .balign 128
    b \handler
    .endm
    .balign 2048
table:
    .rept 4
    vector bad
    .endr
    vector bad              /* synchronous, from EL2 with SP_EL2 */
    vector irq
    vector bad
    vector bad
    .rept 8
    vector bad
    .endr
bad:
    mrs x0, esr_el2
    mrs x1, far_el2
    bl fault
    eret
irq:
    sub sp, sp, #176
    stp x0, x1, [sp]
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    stp x8, x9, [sp, #64]
    stp x10, x11, [sp, #80]
    stp x12, x13, [sp, #96]
    stp x14, x15, [sp, #112]
    stp x16, x17, [sp, #128]
    stp x18, x29, [sp, #144]
    str x30, [sp, #160]
    bl interrupt
    ldp x0, x1, [sp]
    ldp x2, x3, [sp, #16]
    ldp x4, x5, [sp, #32]
    ldp x6, x7, [sp, #48]
    ldp x8, x9, [sp, #64]
    ldp x10, x11, [sp, #80]
    ldp x12, x13, [sp, #96]
    ldp x14, x15, [sp, #112]
    ldp x16, x17, [sp, #128]
    ldp x18, x29, [sp, #144]
    ldr x30, [sp, #160]
    add sp, sp, #176
    eret

    .global secondary
secondary:                  /* PE 1: X0 = where to write its MPIDR, then off */
    mrs x1, mpidr_el1
    str x1, [x0]
    dsb sy
    movz w0, #2
    movk w0, #0x8400, lsl #16
    smc #0
    b .
