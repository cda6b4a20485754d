/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The header of an arm64 Image (Linux, Documentation/arch/arm64/booting.rst), then crt0's entry: X0 is the IPA of the
 * device tree. */
    .section .text.head, "ax"
    .global image_head
image_head:
    b _start
    .long 0
    .quad 0 /* text_offset */
    .quad image_size
    .quad 0x2 /* flags: little-endian, 4K pages, at the start of RAM */
    .quad 0, 0, 0
    .ascii "ARM\x64"
    .long 0
