"""Several PEs: PSCI of the Normal world (DEN0022), turns, resets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from machine.config import load
from machine.end import GUEST_EXIT, STUCK, End, Reset
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


@pytest.mark.parametrize("name", ["irqs", "guest", "secure", "smp"])
@pytest.mark.parametrize("at", [1_000, 40_000, 150_000])
def test_reset__at_any_time_is_a_cold_boot(name: str, at: int) -> None:
    """A bark in the midst of interrupts, of a guest, of a request, of RECs: GIC, timers and all work as before."""
    said: list[str] = []
    machine = Machine(load(name), said.append)
    end = run(machine)
    whole, kind = said[:], end.kind
    assert kind == GUEST_EXIT and machine.board.insns > at
    said.clear()
    machine = Machine(load(name), said.append)

    def bark() -> None:
        raise Reset("bark")

    machine.alarms.after(at, bark)
    assert (run(machine).code, machine.resets) == (0, 1)
    # Times differ; what is checked by the images themselves does not.
    assert [line for line in said if "checks passed" in line or "failed" in line] == [
        line for line in whole if "checks passed" in line or "failed" in line
    ]


WAITING = """
secondary:              // until an interrupt is pending, then marks its mailbox, and off
    mov x2, #0xf0
    msr S3_0_C4_C6_0, x2            // ICC_PMR_EL1
    mov x2, #1
    msr S3_0_C12_C12_7, x2          // ICC_IGRPEN1_EL1
    isb
    ldr x10, =0x080C0000            // PE 1's redistributor
    add x11, x10, #0x10000
    mov w12, #-1
    str w12, [x11, #0x80]
    str w12, [x11, #0x100]
    data x9
    str x12, [x9, #8]               // ready
    wfi
    mrs x13, cntpct_el0
    str x13, [x9]
    call 0x84000002
main:
    ldr x10, =0x08000000
    mov w11, #0x12
    str w11, [x10]
    cpu_on 1, secondary, 0
    data x9
1:  yield
    ldr x1, [x9, #8]
    cbz x1, 1b
    mov x1, #2000
2:  subs x1, x1, #1                 // PE 1 is in its WFI by now
    b.ne 2b
    mrs x14, cntpct_el0
    KICK
    ldr x1, =5000000
3:  subs x1, x1, #1
    b.ne 3b
    mrs x15, cntpct_el0
    stp x14, x15, [x9, #16]
    system_off
"""

KICKS = {
    "SGI": "ldr x1, =0x1000002; msr S3_0_C12_C11_5, x1; isb",
    "PPI": "ldr x1, =0x080D0200; mov w2, #0x100000; str w2, [x1]",
    "SPI": """
    mov x1, #1
    ldr x2, =0x6140
    str x1, [x10, x2]               // GICD_IROUTER40: PE 1
    mov w1, #-1
    str w1, [x10, #0x84]
    mov w1, #0x100
    str w1, [x10, #0x104]
    str w1, [x10, #0x204]""",
    "line": """
    mov x1, #1
    ldr x2, =0x6108
    str x1, [x10, x2]               // GICD_IROUTER33, the UART's
    mov w1, #-1
    str w1, [x10, #0x84]
    mov w1, #2
    str w1, [x10, #0x104]
    ldr x3, =0x09000000
    mov w1, #0x20
    str w1, [x3, #0x38]             // UARTIMSC.TXIM
    mov w1, #0x41
    str w1, [x3]""",
}


@pytest.mark.parametrize("kick", KICKS)
def test_wfi__a_pe_that_runs_alone_wakes_another_at_once(tmp_path: Path, kick: str) -> None:
    """What ends a WFI (DDI 0487, D1.6.2) does so within a quantum, though the PE that causes it has a long turn."""
    machine = boot(tmp_path, WAITING.replace("KICK", KICKS[kick]), pes=2)
    assert run(machine).kind == GUEST_EXIT
    woken, _, kicked, end = words(machine, 4)
    assert kicked <= woken <= kicked + 200 and end > kicked + 9_000_000


def test_wfi__a_timer_of_a_waiting_pe_ends_the_long_turn_of_another(tmp_path: Path) -> None:
    timer = """
    mov x1, #0
    mrs x2, cntpct_el0
    ldr x3, =1000000
    add x2, x2, x3
    msr cntp_cval_el0, x2
    mov x3, #1
    msr cntp_ctl_el0, x3
    str x2, [x9, #32]
    wfi"""
    machine = boot(tmp_path, WAITING.replace("KICK", "").replace("    wfi", timer), pes=2)
    assert run(machine).kind == GUEST_EXIT
    woken, _, _, end, deadline = words(machine, 5)
    assert deadline <= woken <= deadline + 200 < end


def test_idle_pes__cost_nothing(tmp_path: Path) -> None:
    """Seven PEs in WFI: the eighth is not interrupted on their account."""
    text = """
second:
    wfi
    b second
main:
    mov x20, #1
1:  mov x1, x20
    ldr x2, =second
    mov x3, #0
    call 0xC4000003
    add x20, x20, #1
    cmp x20, #8
    b.ne 1b
    ldr x1, =50000000
2:  subs x1, x1, #1
    b.ne 2b
    system_off
"""
    machine = boot(tmp_path, text, pes=8)
    turns = 0

    def poll() -> None:
        nonlocal turns
        turns += 1

    machine.poll = poll
    assert run(machine).kind == GUEST_EXIT
    assert machine.board.insns > 100_000_000
    assert turns < 60, "a turn each for the start of seven PEs, and a look at signals every 20 million instructions"


def test_trace__shows_the_arguments_of_the_normal_worlds_psci(tmp_path: Path) -> None:
    machine = boot(tmp_path, "secondary:\n    b .\nmain:\n    cpu_on 1, secondary, 0x77\n    system_off\n", pes=2)
    assert run(machine).kind == GUEST_EXIT
    record = next(record for record in machine.calls.ring if record.decl and record.decl.name == "PSCI_CPU_ON")
    assert record.args[0] == 1
    assert record.args[2] == 0x77
