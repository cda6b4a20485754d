# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run that goes wrong is said to suffer from: ten mistakes, each with a healthy twin (docs/diagnoses.md)."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from machine.config.loader import load
from machine.diagnosis import diagnose
from machine.diagnosis.case import Case
from machine.diagnosis.table import TABLE
from machine.end import GUEST_EXIT, STUCK, End
from machine.library import Session
from machine.machine import Machine
from tests.system.assemble import assemble
from tests.system.cli import ccabridge

# Number in firmware/host/seeded.c: the diagnosis, its text, the exit code.  All of it was written before the first run.
SEEDED = {
    1: (
        "wrong-ripas",
        r"REC 0 of realm 0x\w+ faults for ever at IPA 0x80fff000 \(0x\w+ <main\S*>\), RIPAS EMPTY: "
        r"the guest never called RSI_IPA_STATE_SET for it, nor the host RMI_RTT_INIT_RIPAS",
        3,
    ),
    2: (
        "missing-rtt",
        r"RMI_DATA_CREATE_UNKNOWN at IPA 0x80000000 needs a table of level 3, and the walk stops at level 1: "
        r"the host never called RMI_RTT_CREATE\(level=2\) for it",
        90,
    ),
    3: (
        "wrong-mpidr-order",
        r"RMI_REC_CREATE gives MPIDR 0x1, which is REC 1's, and the next one of realm 0x\w+ is REC 0: .*",
        90,
    ),
    4: (
        "unmapped-shared-page",
        r"REC 0 of realm 0x\w+ faults for ever at IPA 0x1800\w+000 \(0x\w+ <main\S*>\), unprotected and UNASSIGNED_NS: "
        r"the host neither called RMI_RTT_MAP_UNPROTECTED for it nor emulated the access",
        3,
    ),
    5: (
        "ns-access-to-delegated-granule",
        r"PE 0 of the Normal world at 0x\w+ <\S+> reads PA 0x94000000, which it has delegated \(DELEGATED\): "
        r"RMI_GRANULE_UNDELEGATE was never called for it",
        99,
    ),
    6: (
        "bad-level",
        r"RMI_RTT_CREATE\(ipa=0x0, level=1\) can never succeed: the tables of realm 0x\w+ start at level 1, "
        r"so that the command takes 2 to 3",
        90,
    ),
    7: (
        "mmio-at-protected-ipa",
        r"REC 0 of realm 0x\w+ faults for ever at IPA 0x9000000 \(0x\w+ <main\S*>\), the UART in the protected half, "
        r"RIPAS EMPTY: devices are at the unprotected alias, IPA 0x109000000",
        3,
    ),
    8: (
        "lost-interrupt",
        r"REC 0 of realm 0x\w+ waits at 0x\w+ <main\S*>: its virtual timer \(CNTV\) has fired .* ago and asserts "
        r"INTID 27, which the host has put into no list register",
        3,
    ),
    9: (
        "missing-psci-complete",
        r"REC 0 of realm 0x\w+ waits for RMI_PSCI_COMPLETE of its PSCI_CPU_ON \(target REC 1\): the host never "
        r"made it, and each RMI_REC_ENTER is refused",
        3,
    ),
    10: (
        "dirty-aux-granule",
        r"RMI_REC_CREATE gives auxiliary granule 0x\w+, which is DATA \(data of realm 0x\w+ at IPA 0x80000000\) "
        r"and not DELEGATED",
        90,
    ),
}


def settings(bug: int, *, healthy: bool) -> list[str]:
    out = [f"boot.registers.x1={bug}", f"boot.registers.x2={int(healthy)}"]
    return out if healthy or bug != 7 else [*out, "realms.0.personalization=hex:31"]


def lines_of(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith("ccabridge: diagnosis: ")]


@pytest.mark.parametrize("bug", SEEDED)
def test_seeded_bug__is_diagnosed_by_name_in_one_line(bug: int) -> None:
    name, text, code = SEEDED[bug]
    words = [word for setting in settings(bug, healthy=False) for word in ("-s", setting)]
    result = ccabridge("run", "seeded", *words)
    assert result.code == code, result.out[-2000:]
    (line,) = lines_of(result.out)
    assert re.fullmatch(f"ccabridge: diagnosis: {name}: {text}", line), line


def ended(*settings_: str, name: str = "seeded") -> tuple[Machine, End]:
    machine = Machine(load(name, list(settings_)), lambda line: None)
    return machine, machine.run()


@pytest.mark.parametrize("bug", SEEDED)
def test_healthy_twin__has_no_diagnosis(bug: int) -> None:
    """Nor has what is left of it, looked at as if it hung."""
    machine, end = ended(*settings(bug, healthy=True))
    try:
        assert (end.kind, end.code) == ("guest-exit", 0)
        assert diagnose(machine, end) is None
        case = Case(machine, End(STUCK, "is it?"))
        assert [entry.name for entry in TABLE if entry.find(case) is not None] == []
        assert machine.evidence.last_words == []
    finally:
        machine.close()


@pytest.mark.parametrize("cut", range(20_000, 400_000, 31_337))
def test_healthy_run_cut_short__has_no_diagnosis(cut: int) -> None:
    """Whatever the host was about to do next: calls that fail are part of building a realm."""
    machine, end = ended(f"limits.instructions={cut}")
    try:
        assert end.kind == "timeout"
        assert diagnose(machine, end) is None
    finally:
        machine.close()


def test_diagnosis__is_the_same_in_each_run_and_in_json() -> None:
    words = ("run", "seeded", "-s", "boot.registers.x1=4")
    first, second = ccabridge(*words), ccabridge(*words)
    assert first.out == second.out
    found = json.loads(ccabridge(*words, "--json").lines[-1])["diagnosis"]
    assert lines_of(first.out) == [f"ccabridge: diagnosis: {found['name']}: {found['text']}"]


def test_stuck_checks__can_be_turned_off() -> None:
    result = ccabridge("run", "seeded", "-s", "boot.registers.x1=4", "-s", "stuck.faults=0", "-s", "limits.time=4ms")
    assert result.code == 124
    assert lines_of(result.out)[0].startswith("ccabridge: diagnosis: unmapped-shared-page: ")


# Runs of a few instructions at EL2 of a bare board.


def bare(tmp_path: Path, words: Sequence[int], *options: str) -> tuple[int, list[str]]:
    image = tmp_path / "image.bin"
    image.write_bytes(struct.pack(f"<{len(words)}I", *words))
    result = ccabridge("run", "qemu-virt", "--load", f"{image}@0x60000000", "--entry", "0x60000000", *options)
    return result.code, [line.removeprefix("ccabridge: diagnosis: ") for line in lines_of(result.out)]


def test_branch_to_itself_with_interrupts_masked__spins(tmp_path: Path) -> None:
    code, found = bare(tmp_path, (0xD503201F, 0x14000000))  # nop ; b .
    assert code == 3
    assert found == [
        "spins-on-the-spot: normal world, PE 0 branches to itself at 0x60000004, with interrupts masked",
    ]


def test_loop_that_computes__is_not_stuck(tmp_path: Path) -> None:
    code, found = bare(tmp_path, (0x91000400, 0x17FFFFFF), "-s", "limits.time=90ms")  # add x0, x0, #1 ; b .-4
    assert code == 124
    assert [text.partition(":")[0] for text in found] == ["silent-loop"]


def test_silence__ends_the_run_when_the_machine_file_says_so(tmp_path: Path) -> None:
    code, found = bare(tmp_path, (0x91000400, 0x17FFFFFF), "-s", "stuck.silence=50ms")
    assert code == 3
    assert len(found) == 1
    assert found[0].startswith("silent-loop: normal world, PE 0 has run for ")


# IRQs of EL2 (HCR_EL2.IMO) with the timer of CNTP, INTID 30, every 1.6 ms; IHI 0069, 12.2.
TICKING = """
    adr x0, vectors
    msr vbar_el2, x0
    mov x0, #0x10
    msr hcr_el2, x0
    mrs x0, s3_4_c12_c9_5   // ICC_SRE_EL2
    orr x0, x0, #1
    msr s3_4_c12_c9_5, x0
    isb
    mov x1, #0x08000000
    mov w0, #0x12           // GICD_CTLR: ARE_NS, EnableGrp1A
    str w0, [x1]
    mov x1, #0x080a0000
    str wzr, [x1, #0x14]    // GICR_WAKER
    add x1, x1, #0x10000
    mov w0, #0x40000000
    str w0, [x1, #0x100]    // GICR_ISENABLER0
    mov x0, #0xff
    msr s3_0_c4_c6_0, x0    // ICC_PMR_EL1
    mov x0, #1
    msr s3_0_c12_c12_7, x0  // ICC_IGRPEN1_EL1
    mov x2, #0xffff
    msr cntp_tval_el0, x2
    msr cntp_ctl_el0, x0
    isb
    msr daifclr, #2
    b .
    .balign 0x800
vectors:
    .skip 0x280
    mrs x3, s3_0_c12_c12_0  // ICC_IAR1_EL1
    msr cntp_tval_el0, x2
    isb
    msr s3_0_c12_c12_1, x3  // ICC_EOIR1_EL1
    eret
"""


def test_loop_at_one_pc_with_timer_interrupts__is_not_stuck(tmp_path: Path) -> None:
    program = assemble(tmp_path, TICKING, 0x6000_0000)
    result = ccabridge("run", "qemu-virt", "--load", str(program), "-s", "limits.time=200ms", "--trace=exception")
    assert result.code == 124, result.out[-2000:]
    assert lines_of(result.out) == []


def test_realm_that_branches_to_itself__spins(tmp_path: Path) -> None:
    (tmp_path / "spin.bin").write_bytes(struct.pack("<I", 0x14000000))
    result = ccabridge("run", "hello-realm", "-s", f"realms.0.image={tmp_path / 'spin.bin'}")
    assert result.code == 3
    (line,) = lines_of(result.out)
    assert re.fullmatch(
        r"ccabridge: diagnosis: spins-on-the-spot: REC 0 of realm 0x94000000 branches to itself at 0x80000000, "
        r"and no interrupt can come",
        line,
    ), line


def test_wfi__waits_for_nothing(tmp_path: Path) -> None:
    code, found = bare(tmp_path, (0xD503207F,))
    assert code == 3
    assert found == [
        "waits-for-nothing: Normal NS-EL2, PE 0 waits by WFI at 0x60000000: no timer is armed, no interrupt is "
        "pending, and no device or input has one to come",
    ]


def test_fault_handler_that_mends_nothing__is_one_exception_for_ever(tmp_path: Path) -> None:
    """VBAR_EL2 = 0x60000000; the vector at 0x200 (synchronous, current EL with SP_ELx) is an ERET to the fault."""
    words = [0xD2AC0000, 0xD51CC000, 0xD2800001, 0xF9400022]  # mov x0 ; msr vbar_el2, x0 ; mov x1, #0 ; ldr x2, [x1]
    code, found = bare(tmp_path, words + [0] * (0x80 - len(words)) + [0xD69F03E0])
    assert code == 3
    assert len(found) == 1
    assert re.match(
        r"same-exception-for-ever: normal world, PE 0 has taken one exception [\d,]+ times in a row at "
        r"0x6000000c: ESR=0x96\w+ EC=DABT_CURRENT_EL",
        found[0],
    ), found


def test_host_that_ends_for_its_own_reasons__is_not_explained_by_a_fault_that_it_knows() -> None:
    """One that gives up at the fault is; one that has done something else since has had another reason."""
    with Session("seeded", overrides=settings(4, healthy=False)) as session:
        session.run(until="rmi:REC_ENTER")
        machine = session.machine
        own = End(GUEST_EXIT, "the host ended with 5", code=5)
        assert str(diagnose(machine, own)).startswith("missing-data: REC 0 ")
        spare = machine.config.memory["dram"].base + machine.config.memory["dram"].size - 0x1000
        session.rmi.GRANULE_DELEGATE(addr=spare)
        assert diagnose(machine, own) is None
        assert str(diagnose(machine, End(STUCK, "it hangs"))).startswith("missing-data: REC 0 ")
