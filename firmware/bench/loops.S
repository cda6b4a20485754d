/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is timed, in a realm and on a bare engine: flat, position-independent, no calls, X0..X15 only, ends with RET.
 * The same machine code runs in both, and the final X0..X15 are compared. */

/* x0: iterations, at least 1. */
    .section .text.bench_int, "ax"
    .balign 64
    .global bench_int
    .type bench_int, %function
bench_int:
    mov x1, #1
    mov x2, #0x1234
    mov x3, #0
    mov x5, #0x5851
    movk x5, #0xf42d, lsl #16
    movk x5, #0x4c95, lsl #32
1:  madd x1, x1, x5, x2
    eor x3, x3, x1, lsr #29
    add x2, x2, x3
    ror x4, x1, #17
    and x6, x4, #0xff
    sub x3, x3, x6
    orr x7, x4, #1
    add x2, x2, x7, lsl #2
    subs x0, x0, #1
    b.ne 1b
    ret
    .size bench_int, . - bench_int

/* x0: a buffer of 64 KB, aligned to 64 KB; x1: passes over it, at least 1.  Loads, changes and stores each word. */
    .section .text.bench_mem, "ax"
    .balign 64
    .global bench_mem
    .type bench_mem, %function
bench_mem:
    mov x2, #0
    mov x3, #1
1:  mov x4, #0
2:  add x5, x0, x4
    ldp x6, x7, [x5]
    add x6, x6, x3
    eor x7, x7, x6
    add x2, x2, x7
    stp x7, x6, [x5]
    ldr x8, [x5, #16]
    add x8, x8, x2
    str x8, [x5, #24]
    add x3, x3, #3
    add x4, x4, #32
    tbz x4, #16, 2b
    subs x1, x1, #1
    b.ne 1b
    ret
    .size bench_mem, . - bench_mem

/* x0: function; x1, x2: its X0 and X1; x3: where X0..X15 are left, 128 bytes. */
    .section .text.bench_call, "ax"
    .global bench_call
    .type bench_call, %function
bench_call:
    stp x29, x30, [sp, #-32]!
    str x3, [sp, #16]
    mov x9, x0
    mov x0, x1
    mov x1, x2
    mov x2, #0
    mov x3, #0
    mov x4, #0
    mov x5, #0
    mov x6, #0
    mov x7, #0
    mov x8, #0
    mov x10, #0
    mov x11, #0
    mov x12, #0
    mov x13, #0
    mov x14, #0
    mov x15, #0
    mov x16, x9
    mov x9, #0
    blr x16
    ldr x16, [sp, #16]
    stp x0, x1, [x16, #0]
    stp x2, x3, [x16, #16]
    stp x4, x5, [x16, #32]
    stp x6, x7, [x16, #48]
    stp x8, x9, [x16, #64]
    stp x10, x11, [x16, #80]
    stp x12, x13, [x16, #96]
    stp x14, x15, [x16, #112]
    ldp x29, x30, [sp], #32
    ret
    .size bench_call, . - bench_call
