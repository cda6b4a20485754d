# SPDX-License-Identifier: GPL-2.0-or-later
"""A hypervisor at NS-EL2, with and without VHE, and its guest with tables of its own under stage 2 (DDI 0487)."""

from __future__ import annotations

from pathlib import Path

import pytest

from machine.config import load
from machine.end import GUEST_EXIT
from machine.machine import Machine
from tests.system.assemble import assemble
from tests.system.test_cores import AT, MACROS, boot, run, words

# The log: a count at 0x7000_0000, then a doubleword each. Guest memory: PA 0x7020_0000, IPA 0x8000_0000.
HYPERVISOR = """
#if VHE
#define SCTLR_GUEST S3_5_C1_C0_0        // SCTLR_EL12
#define SPSR_HOST   spsr_el1
#define ELR_HOST    elr_el1
#define ESR_HOST    esr_el1
#define VBAR_HOST   vbar_el1
#define CPTR_HOST   cpacr_el1
#define HCR         0x480042001         // E2H, RW, TID3, TWI, VM
#define FP_OFF      0
#define FP_ON       0x300000
#else
#define SCTLR_GUEST sctlr_el1
#define SPSR_HOST   spsr_el2
#define ELR_HOST    elr_el2
#define ESR_HOST    esr_el2
#define VBAR_HOST   vbar_el2
#define CPTR_HOST   cptr_el2
#define HCR         0x080042001
#define FP_OFF      0x37ff
#define FP_ON       0x33ff
#endif

.macro log
    data x2
    ldr x3, [x2]
    add x3, x3, #1
    str x3, [x2]
    str x1, [x2, x3, lsl #3]
.endm

main:
    ldr x0, =0x71000000
    mov sp, x0
    ldr x0, =0x70200000
    ldr x1, =guest
    ldr x2, =guest_end
1:  ldp x3, x4, [x1], #16
    stp x3, x4, [x0], #16
    cmp x1, x2
    b.lo 1b
    dsb sy
    ic iallu
    isb
    ldr x0, =0x70100000
    ldr x1, =0x70101003
    str x1, [x0, #16]
    ldr x2, =0x70101000
    ldr x1, =0x702007fd
    str x1, [x2]
    msr vttbr_el2, x0
    ldr x0, =0x8002005f                 // 4K, 33-bit IPA from level 1, 40-bit PA
    msr vtcr_el2, x0
    ldr x0, =HCR
    msr hcr_el2, x0
    isb
    ldr x0, =vectors
    msr VBAR_HOST, x0
    ldr x0, =FP_OFF
    msr CPTR_HOST, x0
    ldr x0, =0x30d00800
    msr SCTLR_GUEST, x0
    mov x0, #0x3c5
    msr SPSR_HOST, x0
    ldr x0, =0x80000000
    msr ELR_HOST, x0
    isb
    eret

from_guest:
    stp x0, x1, [sp, #-16]!
    stp x2, x3, [sp, #-16]!
    mrs x0, ESR_HOST
    lsr x1, x0, #26
    cmp x1, #0x24
    b.eq data_abort
    cmp x1, #0x18
    b.eq trapped_register
    cmp x1, #0x01
    b.eq trapped_wait
    cmp x1, #0x07
    b.eq first_fp
    cmp x1, #0x16
    b.eq call_of_guest
    mov x1, #0xbad
    log
    system_off

data_abort:                             // a device of ours, or nothing
    ldr x1, [sp, #16]
    mrs x2, hpfar_el2
    lsl x2, x2, #8
    ldr x3, =0x09000000
    cmp x2, x3
    b.eq 1f
    mov x1, #'A'
1:  log
    b skip
trapped_register:
    mov x1, #'I'
    log
    mov x1, #0x11
    str x1, [sp, #16]
    b skip
trapped_wait:
    mov x1, #'W'
    log
    b skip
first_fp:
    mov x1, #'F'
    log
    ldr x0, =FP_ON
    msr CPTR_HOST, x0
    b back
call_of_guest:
    and x1, x0, #0xffff
    log
    system_off
skip:
    mrs x0, ELR_HOST
    add x0, x0, #4
    msr ELR_HOST, x0
back:
    ldp x2, x3, [sp], #16
    ldp x0, x1, [sp], #16
    eret

.balign 0x800
vectors:
.rept 8
    mov x1, #0xbad
    log
    system_off
    .balign 0x80
.endr
    b from_guest

.balign 0x1000
guest:
    adr x0, guest_vectors
    msr vbar_el1, x0
    movz x0, #0x8001, lsl #16           // its tables: VA 0x4000_0000 is IPA 0, a device; 0x8000_0000 is itself
    mov x1, #0x405
    str x1, [x0, #8]
    movz x1, #0x8000, lsl #16
    movk x1, #0x0401
    str x1, [x0, #16]
    msr ttbr0_el1, x0
    mov x1, #25
    movk x1, #0x80, lsl #16
    movk x1, #2, lsl #32
    msr tcr_el1, x1
    mov x1, #0x04ff
    msr mair_el1, x1
    isb
    mrs x1, sctlr_el1
    orr x1, x1, #1
    msr sctlr_el1, x1
    isb
    movz x1, #0x4900, lsl #16
    mov w0, #'G'
    str w0, [x1]
    msr spsr_el1, xzr
    adr x0, user
    msr elr_el1, x0
    eret
user:
    svc #1
    b .

.balign 0x800
guest_vectors:
.rept 8
    hvc #0xbad
    .balign 0x80
.endr
    mrs x0, esr_el1
    lsr x0, x0, #26
    cmp x0, #0x15
    b.ne .
    movz x1, #0x4900, lsl #16
    mov w0, #'S'
    str w0, [x1]
    mrs x0, id_aa64pfr0_el1
    str w0, [x1]
    wfi
    fmov d0, x0
    fmov x2, d0
    movz x3, #0x9000, lsl #16
    str w0, [x3]
    mov w0, w2
    str w0, [x1]
    hvc #7
guest_end:
    .quad 0
"""


@pytest.mark.parametrize("vhe", [0, 1])
def test_hypervisor__runs_a_guest_and_emulates_what_it_traps(tmp_path: Path, vhe: int) -> None:
    machine = boot(tmp_path, f"#define VHE {vhe}\n{HYPERVISOR}", pes=1)
    end = run(machine)
    assert end.kind == GUEST_EXIT
    count, *log = words(machine, 10)
    assert log == [ord("G"), ord("S"), ord("I"), 0x11, ord("W"), ord("F"), ord("A"), 0x11, 7]
    assert count == len(log)


@pytest.mark.parametrize("quantum", [200, 1_000, 20_000])
def test_guest_and_realm__on_two_pes_do_not_meet(tmp_path: Path, quantum: int) -> None:
    """A guest of the Normal world on PE 1, a realm that the shipped host runs on PE 0."""
    alone = boot(tmp_path, "#define VHE 0\n" + HYPERVISOR, pes=1)
    assert run(alone).kind == GUEST_EXIT
    (count,) = words(alone, 1)

    text = MACROS + "#define VHE 0\n    b main\n.ltorg\n" + HYPERVISOR.replace("system_off", "call 0x84000002")
    program = assemble(tmp_path, text + "\n.ltorg\n", AT)
    overrides = ["cpu.count=2", f"cpu.quantum={quantum}", "memory.low={base: 0x60000000, size: 512M}"]
    lines: list[str] = []
    machine = Machine(load("rsi-tour", overrides, extra={"load": {"program": {"file": str(program)}}}), lines.append)
    machine.power_on(machine.pes[1], AT, 0)
    end = machine.run()
    assert (end.kind, end.code) == (GUEST_EXIT, 0), lines[-3:]
    assert not machine.pes[1].on
    assert words(machine, count + 1) == words(alone, count + 1)
    assert any("rsi-tour: 0 checks failed" in line for line in lines)
    machine.close()
