"""Several PEs: PSCI of the Normal world (DEN0022), turns, resets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from machine.config import load
from machine.end import GUEST_EXIT, STUCK, End
from machine.machine import Machine
from tests.system.assemble import assemble

AT = 0x6000_0000
DATA = 0x7000_0000
MASK64 = (1 << 64) - 1
INVALID_PARAMETERS, DENIED, ALREADY_ON, INVALID_ADDRESS = (value & MASK64 for value in (-2, -3, -4, -9))

MACROS = """
.macro call fid
    movz w0, #(\\fid & 0xffff)
    movk w0, #(\\fid >> 16), lsl #16
    smc #0
.endm
.macro system_off
    call 0x84000008
.endm
.macro cpu_on target, entry, context
    ldr x1, =\\target
    ldr x2, =\\entry
    ldr x3, =\\context
    call 0xC4000003
.endm
.macro data register
    ldr \\register, =0x70000000
.endm
"""


def boot(tmp_path: Path, text: str, *overrides: str, pes: int = 4, board: str = "qemu-virt") -> Machine:
    program = assemble(tmp_path, MACROS + "    b main\n.ltorg\n" + text + "\n.ltorg\n", AT)
    extra = {"load": {"program": {"file": str(program)}}, "boot": {"entry": "program"}}
    return Machine(load(board, [f"cpu.count={pes}", *overrides], extra=extra), lambda _line: None)


def run(machine: Machine) -> End:
    end = machine.run()
    machine.close()
    return end


def words(machine: Machine, count: int, at: int = DATA) -> list[int]:
    return [machine.memory.read64(at + 8 * i) for i in range(count)]


START_ALL = """
secondary:              // X0: the context id, PE number
    data x9
    mrs x10, mpidr_el1
    mrs x11, CurrentEL
    add x12, x9, x0, lsl #4
    stp x10, x11, [x12]
    add x9, x9, #0x100
    str x0, [x9, x0, lsl #3]
    call 0x84000002     // CPU_OFF
main:
    mov x20, #1
1:  mov x1, x20
    ldr x2, =secondary
    mov x3, x20
    call 0xC4000003
    data x9
    add x9, x9, #0x200
    str x0, [x9, x20, lsl #3]
    add x20, x20, #1
    cmp x20, #4
    b.ne 1b
    data x9
    add x9, x9, #0x100
2:  ldp x1, x2, [x9, #8]
    ldr x3, [x9, #24]
    cbz x1, 2b
    cbz x2, 2b
    cbz x3, 2b
    system_off
"""


def test_cpu_on__starts_each_pe_at_its_entry_with_its_context_id(tmp_path: Path) -> None:
    machine = boot(tmp_path, START_ALL)
    assert run(machine).kind == GUEST_EXIT
    assert words(machine, 6, DATA + 16) == [0x8000_0001, 8, 0x8000_0002, 8, 0x8000_0003, 8]
    assert words(machine, 3, DATA + 0x208) == [0, 0, 0]
    assert machine.calls.counts["PSCI_CPU_ON"] == 3


def test_mpidr__is_that_of_the_machine_file(tmp_path: Path) -> None:
    text = START_ALL.replace("mov x1, x20", "lsl x1, x20, #8")
    machine = boot(tmp_path, text, "cpu.mpidr=[0, 0x100, 0x200, 0x300]")
    assert run(machine).kind == GUEST_EXIT
    assert words(machine, 6, DATA + 16)[::2] == [0x8000_0100, 0x8000_0200, 0x8000_0300]


@pytest.mark.parametrize(
    ("target", "entry", "expected"),
    [
        pytest.param("0x7", "secondary", INVALID_PARAMETERS, id="no such PE"),
        pytest.param("0x80000001", "secondary", INVALID_PARAMETERS, id="bits that are no affinity"),
        pytest.param("0x1", "secondary + 2", INVALID_ADDRESS, id="misaligned entry"),
        pytest.param("0x1", "0x0E000000", INVALID_ADDRESS, id="Secure entry"),
        pytest.param("0x1", "0xFFC0000000", INVALID_ADDRESS, id="Root entry"),
        pytest.param("0x1", "0x300000000000", INVALID_ADDRESS, id="nothing there"),
        pytest.param("0x0", "secondary", ALREADY_ON, id="itself"),
        pytest.param("0x1", "secondary", 0, id="well"),
    ],
)
def test_cpu_on__answers(tmp_path: Path, target: str, entry: str, expected: int) -> None:
    machine = boot(
        tmp_path,
        f"""
secondary:
    b .
main:
    ldr x1, ={target}
    ldr x2, ={entry}
    call 0xC4000003
    data x9
    str x0, [x9]
    system_off
""",
    )
    assert run(machine).kind == GUEST_EXIT
    assert words(machine, 1) == [expected]
    assert [pe.on for pe in machine.pes] == [True, expected == 0, False, False]


def test_affinity_info__tells_on_from_off_at_every_level(tmp_path: Path) -> None:
    cases = [(0, 0), (1, 0), (2, 0), (0x100, 0), (0x100, 1), (0x200, 1), (0, 3), (0, 4), (1 << 24, 0)]
    calls = "".join(
        f"""
    ldr x1, ={target:#x}
    mov x2, #{level}
    call 0xC4000004
    str x0, [x20], #8
"""
        for target, level in cases
    )
    machine = boot(
        tmp_path,
        f"secondary:\n    b .\nmain:\n    data x20\n    cpu_on 1, secondary, 0\n{calls}\n    system_off\n",
        "cpu.mpidr=[0, 1, 2, 0x100]",
    )
    assert run(machine).kind == GUEST_EXIT
    expected = [0, 0, 1, 1, 1, INVALID_PARAMETERS, 0, INVALID_PARAMETERS, INVALID_PARAMETERS]
    assert words(machine, len(cases)) == expected


def test_cpu_off__and_on_again_starts_from_reset(tmp_path: Path) -> None:
    machine = boot(
        tmp_path,
        """
secondary:
    data x9
    mrs x10, vbar_el2
    str x10, [x9, x0, lsl #3]
    msr vbar_el2, x9
    call 0x84000002
main:
    cpu_on 1, secondary, 4
1:  mov x1, #1
    mov x2, #0
    call 0xC4000004
    cbz x0, 1b
    cpu_on 1, secondary, 5
    data x9
    str x0, [x9]
2:  mov x1, #1
    mov x2, #0
    call 0xC4000004
    cbz x0, 2b
    system_off
""",
    )
    assert run(machine).kind == GUEST_EXIT
    assert words(machine, 1) == [0]
    assert words(machine, 2, DATA + 32) == [0, 0]


def test_all_pes_off__is_a_stuck_machine(tmp_path: Path) -> None:
    end = run(boot(tmp_path, "main:\n    call 0x84000002\n"))
    assert (end.kind, end.reason) == (STUCK, "every PE is off")


COUNT = """
.arch_extension lse
secondary:
    data x9
    mov x1, #1000
1:  ldxr x2, [x9]
    add x2, x2, #1
    stxr w3, x2, [x9]
    cbnz w3, 1b
    subs x1, x1, #1
    b.ne 1b
    mov x1, #1000
    mov x2, #1
    add x10, x9, #64
2:  ldadd x2, x3, [x10]
    subs x1, x1, #1
    b.ne 2b
    add x10, x9, #128
    ldaddal x2, x3, [x10]
3:  ldar x3, [x10]
    cmp x3, #4
    b.ne 3b
    cbz x0, 4f
    b .
4:  system_off
main:
    cpu_on 1, secondary, 1
    cpu_on 2, secondary, 2
    cpu_on 3, secondary, 3
    mov x0, #0
    b secondary
"""


@pytest.mark.parametrize("quantum", [100, 997, 20_000])
def test_atomics__of_four_pes_lose_nothing(tmp_path: Path, quantum: int) -> None:
    machine = boot(tmp_path, COUNT, f"cpu.quantum={quantum}")
    assert run(machine).kind == GUEST_EXIT
    assert words(machine, 1) == [4000]
    assert words(machine, 1, DATA + 64) == [4000]


def test_turns__are_the_same_in_each_run(tmp_path: Path) -> None:
    def once() -> tuple[int, list[int]]:
        machine = boot(tmp_path, COUNT, "cpu.quantum=101")
        insns = [core.insns for core in machine.cores]
        machine.run()
        insns = [core.insns for core in machine.cores]
        total = machine.board.insns
        machine.close()
        return total, insns

    assert once() == once()


RESET = """
main:
    data x9
    ldr x1, [x9]            // retained: how often it has started
    add x1, x1, #1
    str x1, [x9]
    ldr x2, =0x50000000     // forgotten
    ldr x3, [x2]
    str x1, [x2]
    adr x4, image
    ldr x5, [x4]            // part of the image
    str xzr, [x4]
    add x6, x9, x1, lsl #4
    stp x3, x5, [x6]
    cmp x1, #3
    b.eq 1f
    call 0x84000009         // SYSTEM_RESET
1:  system_off
    .balign 8
image: .quad 0x1234
"""


def test_system_reset__loads_images_again_and_keeps_what_is_marked_retain(tmp_path: Path) -> None:
    machine = boot(
        tmp_path,
        RESET,
        "memory.dram.size=768M",
        "memory.kept={base: 0x70000000, size: 64K, retain: true}",
    )
    assert run(machine).kind == GUEST_EXIT
    assert machine.resets == 2
    assert words(machine, 1) == [3]
    assert words(machine, 6, DATA + 16) == [0, 0x1234] * 3


def test_system_reset__turns_secondary_pes_off(tmp_path: Path) -> None:
    machine = boot(
        tmp_path,
        """
secondary:
    b .
main:
    data x9
    ldr x1, [x9]
    cbnz x1, 1f
    mov x1, #1
    str x1, [x9]
    cpu_on 1, secondary, 0
    call 0x84000009
1:  system_off
""",
        "memory.dram.size=768M",
        "memory.kept={base: 0x70000000, size: 64K, retain: true}",
    )
    assert run(machine).kind == GUEST_EXIT
    assert [pe.on for pe in machine.pes] == [True, False, False, False]


def test_psci_features__names_what_there_is(tmp_path: Path) -> None:
    fids = [0x8400_0000, 0xC400_0001, 0x8400_0002, 0xC400_0003, 0xC400_0004, 0x8400_0006, 0x8400_0008, 0x8400_0009]
    fids += [0x8400_000A, 0x8000_0000, 0x8400_0012, 0xC400_0007]
    calls = "".join(f"    ldr x1, ={fid:#x}\n    call 0x8400000A\n    str x0, [x20], #8\n" for fid in fids)
    machine = boot(tmp_path, f"main:\n    data x20\n{calls}\n    system_off\n", pes=1)
    assert run(machine).kind == GUEST_EXIT
    assert words(machine, len(fids)) == [0] * 10 + [MASK64] * 2


def test_cpu_suspend__with_nothing_to_wake_it_is_stuck(tmp_path: Path) -> None:
    end = run(boot(tmp_path, "main:\n    mov x1, #0\n    call 0xC4000001\n", pes=1))
    assert end.kind == STUCK
    assert re.search("no interrupt can come", end.reason)


def test_cpu_on__ends_the_long_turn_of_a_pe_that_was_alone(tmp_path: Path) -> None:
    machine = boot(
        tmp_path,
        """
secondary:
    data x9
    mov x1, #1
    str x1, [x9]
    b .
main:
    cpu_on 1, secondary, 0
    data x9
    mov x2, #0
1:  add x2, x2, #1
    ldr x1, [x9]
    cbz x1, 1b
    str x2, [x9, #8]
    system_off
""",
        "cpu.quantum=300",
        pes=2,
    )
    assert run(machine).kind == GUEST_EXIT
    assert words(machine, 2)[1] <= 200


def test_trace__shows_the_arguments_of_the_normal_worlds_psci(tmp_path: Path) -> None:
    machine = boot(tmp_path, "secondary:\n    b .\nmain:\n    cpu_on 1, secondary, 0x77\n    system_off\n", pes=2)
    assert run(machine).kind == GUEST_EXIT
    record = next(record for record in machine.calls.ring if record.decl and record.decl.name == "PSCI_CPU_ON")
    assert record.args[0] == 1
    assert record.args[2] == 0x77
