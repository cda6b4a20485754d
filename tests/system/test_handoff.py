# SPDX-License-Identifier: GPL-2.0-or-later
"""What the Normal world finds at its first instruction: the state that real EL3 firmware leaves.

Linux, Documentation/arch/arm64/booting.rst ("Call the kernel image"), and the registers' own definitions (DDI 0487 D19,
IHI 0069 12): software of the boards relies on each.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.symbols import SymbolTable
from machine.config import load
from machine.end import GUEST_EXIT
from machine.machine import Machine
from tests.system.assemble import assemble

BOARDS = {"fvp-base": (0x8800_0000, 0x2F00_0000, 0x2F10_0000), "qemu-virt": (0x4008_0000, 0x0800_0000, 0x080A_0000)}

REGISTERS = (
    *("CurrentEL", "sctlr_el2", "daif", "spsel", "S3_4_C12_C9_5", "id_aa64pfr0_el1", "cntfrq_el0", "hcr_el2"),
    *("mpidr_el1", "id_aa64isar1_el1", "cptr_el2", "mdcr_el2", "cntvoff_el2", "S3_0_C4_C6_0", "S3_0_C12_C12_7"),
    "id_aa64isar2_el1",
)

# A second PE runs the same code, with its context id in X0: where to write.  PE 0's X0 is 0.
PROGRAM = """
    mov x19, x0
    cbnz x0, 1f
    adr x19, found
1:
{reads}
    ldr x1, ={dist}
    ldr w2, [x1]
    str x2, [x19], #8                   // GICD_CTLR
    mrs x2, mpidr_el1
    ubfx x2, x2, {shift}, #8
    ldr x1, ={redist} + 0x14
    add x1, x1, x2, lsl #17
    ldr w2, [x1]
    str x2, [x19], #8                   // GICR_WAKER
    mov x3, #0x1234
    mov x4, x3
    {auth}
    str x3, [x19], #8
    adr x1, found
    sub x2, x19, x1
    cmp x2, #0x100
    b.hi 2f
    add x3, x1, #0x100
    adr x2, _start
    mov x1, {second}
    movz w0, #3
    movk w0, #0xc400, lsl #16
    smc #0
3:  yield
    adr x1, done
    ldr x1, [x1]
    cbz x1, 3b
    movz w0, #8
    movk w0, #0x8400, lsl #16
    smc #0
2:  adr x1, done
    mov x2, #1
    str x2, [x1]
    movz w0, #2
    movk w0, #0x8400, lsl #16
    smc #0
    .balign 16
found:
    .zero 0x200
done: .quad 0
"""


def handoff(tmp_path: Path, board: str, *overrides: str, auth: str = "nop") -> list[dict[str, int]]:
    """Registers by name of PE 0 at the boot, and of another at CPU_ON; `CTLR`, `WAKER`, `signed`."""
    entry, dist, redist = BOARDS[board]
    fvp = board == "fvp-base"
    text = PROGRAM.format(
        reads="\n".join(f"    mrs x2, {name}\n    str x2, [x19], #8" for name in REGISTERS),
        dist=hex(dist),
        redist=hex(redist),
        shift="#8" if fvp else "#0",
        second="#0x100" if fvp else "#1",
        auth=auth,
    )
    program = assemble(tmp_path, text, entry)
    extra = {"load": {"program": {"file": str(program)}}, "boot": {"entry": "program"}}
    own = [] if fvp else ["cpu.count=2"]
    machine = Machine(load(board, [*own, *overrides], extra=extra), lambda _line: None)
    end = machine.run()
    at = SymbolTable.from_elf(program).address("found")
    assert at is not None
    names = (*REGISTERS, "CTLR", "WAKER", "signed")
    found = [{name: machine.memory.read64(at + 0x100 * pe + 8 * i) for i, name in enumerate(names)} for pe in range(2)]
    machine.close()
    assert end.kind == GUEST_EXIT, end.reason
    return found


@pytest.mark.parametrize("board", BOARDS)
def test_handoff__is_what_el3_firmware_leaves(tmp_path: Path, board: str) -> None:
    for number, pe in enumerate(handoff(tmp_path, board)):
        assert pe["CurrentEL"] == 2 << 2
        assert pe["sctlr_el2"] & (1 | 1 << 2 | 1 << 25) == 0, "MMU and data cache off, little-endian"
        assert pe["sctlr_el2"] == 0x30C5_0830, "RES1 bits (DDI 0487, SCTLR_EL2)"
        assert pe["daif"] == 0xF << 6, "all exceptions masked"
        assert pe["spsel"] == 1
        assert pe["S3_4_C12_C9_5"] & 1, "ICC_SRE_EL2.SRE: EL3 has set ICC_SRE_EL3.SRE and .Enable"
        assert pe["id_aa64pfr0_el1"] >> 24 & 0xF == 1, "GIC: system registers of version 3"
        assert pe["id_aa64pfr0_el1"] >> 52 & 0xF == 1, "RME"
        assert pe["id_aa64pfr0_el1"] & 0xFFF == 0x111, "EL0 to EL2 are AArch64 alone"
        assert pe["cntfrq_el0"] == {"fvp-base": 100_000_000, "qemu-virt": 1_000_000_000}[board]
        assert pe["mpidr_el1"] == 0x8000_0000 | number * (0x100 if board == "fvp-base" else 1)
        assert pe["cntvoff_el2"] == 0
        assert pe["CTLR"] & 1 << 4, "GICD_CTLR.ARE_NS"
        assert pe["CTLR"] & 3 == 0, "its groups are the Normal world's to enable"
        assert pe["WAKER"] & 6 == 0, "awake: firmware waits for ChildrenAsleep to clear"
        assert pe["S3_0_C12_C12_7"] == 0, "ICC_IGRPEN1_EL1"


@pytest.mark.parametrize("board", BOARDS)
def test_handoff__pauth_does_not_trap_when_present(tmp_path: Path, board: str) -> None:
    """SCR_EL3.API and .APK are set: keys can be written and used; without PAuth the ID registers have none."""
    sign = "mov x5, #0x5678\n    msr S3_0_C2_C1_0, x5\n    msr S3_0_C2_C1_1, x5\n" + (
        "    mrs x6, sctlr_el2\n    orr x6, x6, #0x80000000\n    msr sctlr_el2, x6\n    isb\n"
        "    .inst 0xdac10083\n"  # PACIA X3, X4
    )
    first, second = handoff(tmp_path, board, "cpu.features.pauth=true", auth=sign)
    for pe in (first, second):
        assert pe["id_aa64isar1_el1"] & 0xFF0 or pe["id_aa64isar2_el1"] & 0xF000
        assert pe["signed"] != 0x1234 and pe["signed"] & 0xFFFF == 0x1234
    assert first["signed"] == second["signed"]
    for pe in handoff(tmp_path, board):
        assert not pe["id_aa64isar1_el1"] & 0xFF000FF0 and not pe["id_aa64isar2_el1"] & 0xFF00
