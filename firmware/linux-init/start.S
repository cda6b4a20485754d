/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel enters with the stack pointer at argc; argv, the environment and the auxiliary vector follow. */
    .section .text.start, "ax"
    .global _start
    .type _start, %function
_start:
    mov     x29, #0
    mov     x30, #0
    mov     x0, sp
    bl      init_main
    and     x0, x0, #0xff
    mov     x8, #94         // exit_group
    svc     #0
1:  b       1b
    .size _start, . - _start
