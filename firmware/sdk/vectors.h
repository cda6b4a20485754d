/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the crt0 of each world is made of.  The vector table saves a struct frame (arch.h), calls the handler, restores and returns. */

#define FRAME_SIZE 288 /* 36 registers */

.macro VECTOR number
    .balign 0x80
    sub sp, sp, #FRAME_SIZE
    stp x0, x1, [sp, #0]
    mov x0, #\number
    b save_frame
.endm

.macro VECTORS handler, el
    .section .text.vectors, "ax"
    .balign 0x800
    .global vectors
    .type vectors, %object
vectors:
    VECTOR 0
    VECTOR 1
    VECTOR 2
    VECTOR 3
    VECTOR 4
    VECTOR 5
    VECTOR 6
    VECTOR 7
    VECTOR 8
    VECTOR 9
    VECTOR 10
    VECTOR 11
    VECTOR 12
    VECTOR 13
    VECTOR 14
    VECTOR 15
    .size vectors, . - vectors

    .type save_frame, %function
save_frame:
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    stp x8, x9, [sp, #64]
    stp x10, x11, [sp, #80]
    stp x12, x13, [sp, #96]
    stp x14, x15, [sp, #112]
    stp x16, x17, [sp, #128]
    stp x18, x19, [sp, #144]
    stp x20, x21, [sp, #160]
    stp x22, x23, [sp, #176]
    stp x24, x25, [sp, #192]
    stp x26, x27, [sp, #208]
    stp x28, x29, [sp, #224]
    mrs x1, elr_\el
    stp x30, x1, [sp, #240]
    mrs x2, spsr_\el
    mrs x3, esr_\el
    stp x2, x3, [sp, #256]
    mrs x4, far_\el
    stp x4, x0, [sp, #272]
    mov x0, sp
    bl \handler
    ldr x1, [sp, #248]
    msr elr_\el, x1
    ldr x2, [sp, #256]
    msr spsr_\el, x2
    ldp x2, x3, [sp, #16]
    ldp x4, x5, [sp, #32]
    ldp x6, x7, [sp, #48]
    ldp x8, x9, [sp, #64]
    ldp x10, x11, [sp, #80]
    ldp x12, x13, [sp, #96]
    ldp x14, x15, [sp, #112]
    ldp x16, x17, [sp, #128]
    ldp x18, x19, [sp, #144]
    ldp x20, x21, [sp, #160]
    ldp x22, x23, [sp, #176]
    ldp x24, x25, [sp, #192]
    ldp x26, x27, [sp, #208]
    ldp x28, x29, [sp, #224]
    ldr x30, [sp, #240]
    ldp x0, x1, [sp, #0]
    add sp, sp, #FRAME_SIZE
    eret
    .size save_frame, . - save_frame
.endm

.macro RUN_ON_VECTORS el
    adrp x9, vectors
    add x9, x9, :lo12:vectors
    msr vbar_\el, x9
    isb
    mov x29, #0
    mov x30, #0
.endm

/* The image's entry: a stack, .bss zero, vectors; X0 to X8 go on to `main`. */
.macro START main, el
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
2:  RUN_ON_VECTORS \el
    b \main
    .size _start, . - _start
.endm

/* Where further PEs begin: X0 is a stack, with the address to go to on top. */
.macro SECONDARY name, el
    .global \name
    .type \name, %function
\name:
    mov sp, x0
    RUN_ON_VECTORS \el
    ldr x9, [x0]
    br x9
    .size \name, . - \name
.endm
