/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single accesses.  Leaf functions that keep X30: the exception handler returns to the caller by it. */

.macro PROBE name
    .section .text.\name, "ax"
    .global \name
    .type \name, %function
\name:
.endm

PROBE probe_load
    ldr x0, [x0]
    ret

PROBE probe_store
    str x1, [x0]
    ret

/* Where the fetch succeeds there is a `ret`. */
PROBE probe_fetch
    mov x9, x30
    blr x0
    mov x30, x9
    ret

/* x0: the last eight bytes before the target. */
PROBE probe_ldp
    ldp x1, x2, [x0]
    mov x0, x2
    ret

PROBE probe_ldxr
    ldxr x1, [x0]
    add x1, x1, #1
    stxr w2, x1, [x0]
    mov w0, w2
    ret

/* x0: VA; x1: its descriptor; x2: the target's descriptor; x3: TLBI argument, of the present EL.  The monitor is armed by the page that
 * the VA showed first: a store that passes the monitor still has to pass the granule protection check.  0 = stored,
 * 1 = the monitor refused. */
PROBE probe_stxr
    mrs x6, CurrentEL
    ldxr x4, [x0]
    str x2, [x1]
    dsb ish
    tbnz x6, #3, 1f
    tlbi vaae1, x3
    b 2f
1:  tlbi vae2, x3
2:  dsb ish
    isb
    stxr w5, x4, [x0]
    mov w0, w5
    ret

    .arch_extension lse
PROBE probe_atomic
    mov x1, #1
    ldadd x1, x0, [x0]
    ret

PROBE probe_zero
    dc zva, x0
    ret
