# SPDX-License-Identifier: GPL-2.0-or-later
"""The Secure world in whole machines: FF-A from end to end, granules that change hands, attacks from both sides."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.pas import GPI
from machine.calls import CallRecord
from machine.config import load
from machine.end import GUEST_EXIT, STUCK, UNHANDLED, End
from machine.ffa.partition import State
from machine.machine import Machine
from tests.system.cli import ccabridge

SERVICE = 0x0604_0000
SECRET = struct.pack("<512Q", *(0x5EC2E75EC2E75EC2 * (i + 1) & (1 << 64) - 1 for i in range(512)))
ERROR, BUSY, ABORTED, DENIED = 0x8400_0060, 0xFFFF_FFFC, 0xFFFF_FFF8, 0xFFFF_FFFA
SMC, HVC, ERET = 0xD400_0003, 0xD400_0002, 0xD69F_03E0


def boot(name: str, *overrides: str, **options: object) -> tuple[Machine, list[str]]:
    lines: list[str] = []
    return Machine(load(name, list(overrides), **options), lines.append), lines  # type: ignore[arg-type]


class Watch:
    """Calls `seen` with each call of the Secure world."""

    def __init__(self, seen: Callable[[CallRecord], None]) -> None:
        self.seen = seen

    def call(self, record: CallRecord) -> None:
        if record.secure:
            self.seen(record)

    def event(self, name: str, insns: int, text: str, depth: int) -> None:
        """Only calls are looked at."""


# ---- configs/secure.yaml ----


def test_secure__every_step_is_as_it_must_be() -> None:
    result = ccabridge("run", "secure")
    assert result.code == 0, result.out
    match = re.search(r"host: (\d+) steps, (\d+) failed", result.out)
    assert match is not None and int(match[1]) == 31 == sum(line.endswith(" ok") for line in result.lines)
    assert "WRONG" not in result.out


def test_secure__same_run_twice() -> None:
    first, second = (ccabridge("run", "secure", "--trace") for _ in range(2))
    assert (first.code, first.out) == (0, second.out)


def test_trace__names_every_call_of_both_worlds() -> None:
    result = ccabridge("run", "secure", "--trace=ffa_*,sip_*,secure_*,gpf,smc_unknown")
    calls = [line for line in result.lines if re.search(r"\] (FFA|SIP)_[A-Z_]+\(", line)]
    assert not any("unknown function id" in line for line in result.lines)
    for wanted in (
        "[Secure→Root] FFA_MSG_WAIT(target=0x0 vcpu 0) -> Normal",
        "[NS→Root] FFA_VERSION(version=2.0) = NOT_SUPPORTED [version_major]",
        "[NS→Root] FFA_MSG_WAIT(target=0x0 vcpu 0) = ERROR NOT_SUPPORTED [caller]",
        "[NS→Root] FFA_RUN(target=0x8001 vcpu 0) = FFA_YIELD(target=0x8001 vcpu 0)",
        "SIP_GRANULE_TAKE(addr=0x94004000) = OK",
        "SIP_GRANULE_TAKE(addr=0x94004000) = BAD_PAS [addr_realm]",
        "SIP_GRANULE_GIVE_BACK(addr=0x6040000) = BAD_PAS [addr_boot]",
    ):
        assert any(wanted in line for line in calls), wanted
    assert any("gpf: PA 0x94004000 is secure" in line for line in result.lines)
    events = [re.search(r"secure_(enter|leave)", line) for line in result.lines]
    assert [event[1] for event in events if event] == ["enter", "leave"] * (len(list(filter(None, events))) // 2)


def test_take_and_give_back__gpt_secret_and_wipe() -> None:
    machine, _ = boot("secure")
    before = list(machine.gpt.ranges())
    seen: list[str] = []

    def watch(record: CallRecord) -> None:
        assert record.decl is not None
        if record.condition is not None or record.decl.interface != "SIP":
            return
        pa = record.args[0]
        if record.decl.short == "GRANULE_TAKE":
            assert machine.gpt.get(pa) == GPI.SECURE
            assert machine.memory.read64(pa) == 0x77, "what the host left there"
        else:
            assert machine.gpt.get(pa) == GPI.NON_SECURE
            assert machine.memory.read(pa, 4096) == bytes(4096)
        seen.append(record.decl.short)

    machine.calls.listener = Watch(watch)
    assert machine.run().code == 0
    assert seen == ["GRANULE_TAKE", "GRANULE_GIVE_BACK"]
    assert list(machine.gpt.ranges()) == before
    machine.close()


def test_buffers__are_checked_against_the_gpt() -> None:
    """A pair in another world's memory is not taken; a granule that leaves the Normal world is not written."""
    machine, _ = boot("secure")
    assert machine.secure is not None
    machine.secure.boot()
    smc = machine.monitor.normal

    def rxtx_map(tx: int, rx: int) -> tuple[int, ...]:
        return smc((0xC400_0066, tx, rx, 1, 0, 0, 0, 0))

    for pa in (0x0600_0000, 0x0580_0000, 0x0400_0000, 0x0900_0000, 0x7000_0000, (1 << 64) - 4096):
        assert rxtx_map(0x9400_0000, pa)[:3] == (ERROR, 0, 0xFFFF_FFFE), hex(pa)
        assert rxtx_map(pa, 0x9400_0000)[:3] == (ERROR, 0, 0xFFFF_FFFE), hex(pa)
    assert rxtx_map(0x9400_0000, 0x9400_1000)[0] == 0x8400_0061
    assert smc((0xC400_0151, 0x9400_1000, 0, 0, 0, 0, 0, 0))[0] == 0  # RMI_GRANULE_DELEGATE
    before = machine.memory.read(0x9400_1000, 4096)
    assert smc((0x8400_0068, 0, 0, 0, 0, 0, 0, 0))[:3] == (ERROR, 0, DENIED)
    assert machine.memory.read(0x9400_1000, 4096) == before
    machine.close()


def test_service__runs_before_the_normal_world() -> None:
    machine, _ = boot("secure")

    def watch(record: CallRecord) -> None:
        if record.decl is not None and record.decl.name == "FFA_MSG_WAIT":
            assert machine.host.insns == 0 and machine.secure is not None and machine.secure.core.insns > 0
            raise End(GUEST_EXIT, "seen", code=0)

    machine.calls.listener = Watch(watch)
    assert machine.run().reason == "seen"
    machine.close()


# ---- a service of one's own: hostile, or broken ----


def service(tmp_path: Path, words: list[int], *overrides: str) -> Machine:
    """configs/secure.yaml with raw code at 0x0605_0000 as the service."""
    image = tmp_path / "service.bin"
    image.write_bytes(struct.pack(f"<{len(words)}I", *words))
    extra = {"load": {"service": {"file": str(image), "at": 0x0605_0000, "world": "secure"}}}
    return boot("secure", *overrides, extra=extra)[0]


def call(fid: int, x2: int = 0) -> list[int]:
    """movz/movk w0, #fid ; mov w1, #0 ; movn/movz x2 ; smc"""
    mov_x2 = 0x9280_0002 | (~x2 & 0xFFFF) << 5 if x2 < 0 else 0xD280_0002 | x2 << 5
    return [0x5280_0000 | (fid & 0xFFFF) << 5, 0x72A0_0000 | fid >> 16 << 5, 0x5280_0001, mov_x2, SMC]


REQUEST = (0xC400_006F, 0x8001, 0, 1, 2, 3, 4, 5)
RUN = (0x8400_006D, 0x8001_0000, 0, 0, 0, 0, 0, 0)


def test_service__that_fails_to_initialise_is_aborted_and_the_machine_goes_on(tmp_path: Path) -> None:
    machine = service(tmp_path, call(0x8400_0060, -3))
    assert machine.run().kind == GUEST_EXIT
    for request in (REQUEST, RUN):
        assert machine.monitor.normal(request)[:3] == (ERROR, 0, ABORTED)
    machine.close()


def test_service__that_waits_for_ever_sees_its_messages(tmp_path: Path) -> None:
    loop = [*call(0x8400_006B), 0x1400_0000 | -5 & 0x03FF_FFFF]
    machine = service(tmp_path, loop)
    assert machine.secure is not None
    machine.secure.boot()
    # FFA_MSG_WAIT is denied while a request is served, again and again: the limit ends it
    machine.board.set_limit(machine.board.insns + 1000)
    with pytest.raises(End, match="limit"):
        machine.monitor.normal(REQUEST)
    record = machine.calls.ring[-1]
    assert record.secure and record.condition == "model" and record.result[2] == DENIED
    machine.close()


OWN_SERVICE = """
#include "secure.h"
int secure_init(void) { return FAIL; }
void secure_request(uint16_t sender, uint64_t payload[5])
{
    if (payload[0] == 99)
        *(volatile int *)0 = 1;
    for (int i = 0; i < 5; i++)
        payload[i] = payload[i] * 2 + sender;
}
"""


def own_service(tmp_path: Path, flag: str) -> Machine:
    from firmware import toolchain

    source, image = tmp_path / "own.c", tmp_path / "own.elf"
    source.write_text(OWN_SERVICE)
    assert toolchain.main(["service", flag, "-o", str(image), str(source)]) == 0
    machine, _ = boot("secure", f"load.service.file={image}")
    assert machine.secure is not None
    machine.secure.boot()
    return machine


def test_own_service__made_with_the_sdk_answers_in_the_width_of_the_request(tmp_path: Path) -> None:
    machine = own_service(tmp_path, "-DFAIL=0")
    high = 1 << 40
    answer = machine.monitor.normal((0xC400_006F, 7 << 16 | 0x8001, 0, high, 2, 3, 4, 5))
    assert answer == (0xC400_0070, 0x8001_0007, 0, high * 2 + 7, 11, 13, 15, 17)
    answer = machine.monitor.normal((0x8400_006F, 7 << 16 | 0x8001, 0, high | 1, 2, 3, 4, 5))
    assert answer == (0x8400_0070, 0x8001_0007, 0, 9, 11, 13, 15, 17)
    machine.close()


def test_own_service__whose_handler_gives_up_fails_this_request_and_the_next_ones(tmp_path: Path) -> None:
    machine = own_service(tmp_path, "-DFAIL=0")
    for payload in (99, 1):
        answer = machine.monitor.normal((0xC400_006F, 0x8001, 0, payload, 0, 0, 0, 0))
        assert answer == (ERROR, 0x8001_0000, ABORTED, 0, 0, 0, 0, 0)
    machine.close()


def test_own_service__may_fail_to_initialise(tmp_path: Path) -> None:
    machine = own_service(tmp_path, "-DFAIL=FFA_NO_MEMORY")
    assert machine.monitor.normal(REQUEST)[:3] == (ERROR, 0, ABORTED)
    machine.close()


@pytest.mark.parametrize(
    ("words", "kind", "reason"),
    [
        ([0xD503_207F], STUCK, "WFI in the Secure world"),
        ([HVC], UNHANDLED, "exceptions nest"),  # no EL2 in the Secure state: UNDEFINED, and there is no vector
        ([0xF940_0000 | 30], UNHANDLED, "exceptions nest"),
        ([0x5280_0200, 0xD518_4000, 0xD518_4020, ERET], UNHANDLED, "AArch32"),  # SPSR_EL1.M[4]
        ([0xD45E_0000], UNHANDLED, "exceptions nest"),  # semihosting is the boot world's
        # mov x0, #0x800_0000_0000; ldr x1, [x0]: rmm-abi.md 13.8, beyond PPS
        ([0xD2C1_0000, 0xF940_0001], UNHANDLED, "GPC exception: PA 0x80000000000 is beyond"),
    ],
)
def test_service__what_nobody_handles_ends_the_machine_by_name(
    tmp_path: Path, words: list[int], kind: str, reason: str
) -> None:
    machine = service(tmp_path, words)
    end = machine.run()
    assert (end.kind, end.core) == (kind, machine.secure and machine.secure.core), end.reason
    assert reason in end.reason
    machine.close()


def test_report__says_that_it_was_the_service() -> None:
    result = ccabridge("run", "secure", "-s", "limits.instructions=20000")
    assert result.code == 124
    assert "in: secure service, EL1" in result.out
    assert re.search(r"PC: 0x604[0-9a-f]+ <\w+", result.out)


@pytest.mark.parametrize("seed", range(4))
def test_random_calls_of_both_worlds__are_answered(seed: int, tmp_path: Path) -> None:
    rnd = random.Random(seed)
    machine = service(tmp_path, [*call(0x8400_006B), 0x1400_0000])
    assert machine.secure is not None
    machine.secure.boot()
    world = machine.secure.world
    pages = [0x9400_0000 + i * 4096 for i in range(8)] + [SERVICE, 0x0400_0000, 0x0580_0000, 0x0900_0000, 1 << 45]
    words = [0, 1, 2, 0x8001, 0x8001_0000, 0x10001, (1 << 64) - 1, *pages]
    entered = 0
    for _ in range(5000):
        x = [rnd.choice(words) if rnd.random() < 0.9 else rnd.getrandbits(64) for _ in range(8)]
        x[0] = 0x8400_0000 | rnd.getrandbits(1) << 30 | rnd.randrange(0x60, 0x90)
        if rnd.random() < 0.5:
            x[1:3] = rnd.choice((0x8001, 0x8001_0000)), 0
        running = world.partition.state.value == "running"
        if running and rnd.random() < 0.5:
            x[0] = rnd.choice((0xC200_0020, 0xC200_0021, 0xC400_0070, 0x8400_006C))
        result = world.from_secure(x) if running else world.from_normal(0, x)
        entered += type(result).__name__ == "Enter"
        assert all(0 <= word < 1 << 64 for word in result.regs)
        if rnd.random() < 0.3:
            machine.monitor.normal([0xC400_0151 + rnd.getrandbits(1), rnd.choice(pages), *[0] * 6])
    for pa in pages[:8]:
        delegated = machine.rmm.granule_state(pa) != 0
        assert (machine.gpt.get(pa) == GPI.REALM) is delegated
    assert entered > 5
    assert [machine.gpt.get(pa) for pa in pages[8:12]] == [GPI.SECURE, GPI.ROOT, GPI.REALM, GPI.NON_SECURE]
    machine.close()


# ---- several PEs ----

SPINNING_SERVICE = """
#include "secure.h"
int secure_init(void) { return 0; }
void secure_request(uint16_t sender, uint64_t payload[5])
{
    (void)sender;
    for (volatile uint64_t i = 0; i < payload[0]; i++)
        ;
    payload[1]++;
    payload[0] = read_sysreg(mpidr_el1);
}
"""
# X19: the PE's area: responses, BUSYs, last MPIDR_EL1, anything else; ends after 20 responses
TWO_CALLERS = """
.macro call fid
    movz w0, #(\\fid & 0xffff)
    movk w0, #(\\fid >> 16), lsl #16
    smc #0
.endm
    mov x1, #1
    adr x2, requests
    ldr x3, =0x81000100
    call 0xC4000003
    ldr x0, =0x81000000
    ldr x9, =0x81000120
1:  ldr x10, [x9]       // until the other PE has begun
    cbz x10, 1b
requests:
    mov x19, x0
    str x0, [x19, #32]
again:
    ldr x1, =0x8001
    mov x2, #0
    mov x3, #500
    mov x4, #41
    mov x5, #0
    mov x6, #0
    mov x7, #0
    call 0xC400006F
    ldr w9, =0xC4000070
    cmp w0, w9
    b.eq answered
    ldr w9, =0xFFFFFFFC
    mov x10, #8
    mov x11, #24
    cmp w2, w9
    csel x10, x10, x11, eq
    ldr x12, [x19, x10]
    add x12, x12, #1
    str x12, [x19, x10]
    b again
answered:
    str x3, [x19, #16]
    cmp x4, #42
    b.ne .
    ldr x12, [x19]
    add x12, x12, #1
    str x12, [x19]
    cmp x12, #20
    b.ne again
    ldr x9, =0x81000000
1:  ldr x10, [x9]
    ldr x11, [x9, #0x100]
    add x10, x10, x11
    cmp x10, #40
    b.ne 1b
    call 0x84000008
"""


def two_callers(tmp_path: Path) -> Machine:
    from firmware import toolchain
    from tests.system.assemble import assemble

    source, image = tmp_path / "spin.c", tmp_path / "spin.elf"
    source.write_text(SPINNING_SERVICE)
    assert toolchain.main(["service", "-o", str(image), str(source)]) == 0
    program = assemble(tmp_path, TWO_CALLERS, 0x8800_0000)
    overrides = ("cpu.count=2", "cpu.quantum=1000", f"load.service.file={image}", f"load.host.file={program}")
    return boot("secure", *overrides)[0]


def test_two_pes__one_has_the_service_and_the_other_one_is_told_busy(tmp_path: Path) -> None:
    """DEN0077A §15.2: BUSY; one execution context, which is on the PE of its caller (MPIDR_EL1)."""
    seen = []
    for _ in range(2):
        machine = two_callers(tmp_path)
        end = machine.run()
        assert end.kind == GUEST_EXIT, end.reason
        areas = [[machine.memory.read64(0x8100_0000 + 0x100 * pe + 8 * i) for i in range(4)] for pe in range(2)]
        for pe, (responses, busy, mpidr, other) in enumerate(areas):
            assert (responses, mpidr, other) == (20, 0x8000_0000 | pe, 0)
            assert busy > 0
        seen.append((machine.board.insns, areas))
        machine.close()
    assert seen[0] == seen[1]


def test_reset__boots_the_service_again(tmp_path: Path) -> None:
    machine = own_service(tmp_path, "-DFAIL=0")
    machine.monitor.normal((0x8400_0066, 0x8100_0000, 0x8100_1000, 1, 0, 0, 0, 0))
    before = machine.secure
    machine.reset()
    assert machine.secure is not None and machine.secure is not before
    assert not machine.secure.world.normal.pages
    assert machine.secure.boot() is None
    answer = machine.monitor.normal((0x8400_006F, 0x8001, 0, 4, 0, 0, 0, 0))
    assert answer[:4] == (0x8400_0070, 0x8001_0000, 0, 8)
    machine.close()


# ---- interrupts (DEN0077A chapter 9; IHI 0069 4.6.2), configs/secure-irqs.yaml ----


@pytest.mark.parametrize("quantum", [300, 50_000])
def test_interrupts__each_world_has_its_own_whoever_runs(quantum: int) -> None:
    result = ccabridge("run", "secure-irqs", "-s", f"cpu.quantum={quantum}")
    assert result.code == 0, result.out
    assert sum(line.endswith(" ok") and line.startswith("[NS] host: ") for line in result.lines) == 20
    assert "[NS] host: 20 steps, 0 failed" in result.lines


def test_interrupts__trace_shows_the_way_of_each() -> None:
    result = ccabridge("run", "secure-irqs", "--trace=ffa_msg_send_direct_req,ffa_run,secure_enter,rec_exit")
    assert re.search(
        r"rec_exit: REC 0x[0-9a-f]+ exits: FIQ\n[^\n]*secure_enter: [^\n]*handles an interrupt", result.out
    )
    assert re.search(r"FFA_MSG_SEND_DIRECT_REQ\([^\n]* = FFA_INTERRUPT\(", result.out)
    assert re.search(r"FFA_RUN\([^\n]* = FFA_MSG_SEND_DIRECT_RESP\(", result.out)


def test_secure_interrupt__of_an_aborted_service_ends_the_machine_by_name() -> None:
    machine, _ = boot("secure-irqs")
    service = machine.secure
    assert service is not None and machine.gic is not None
    assert service.boot() is None
    service.world.partition.state = State.ABORTED
    machine.gic.write(0x0800_0080 + 4, 0)  # GICD_IGROUPR1: Group 0
    machine.gic.write(0x0800_0104, 1 << 8)
    machine.gic.set_line(40, True)
    end = machine.run()
    machine.close()
    assert (end.kind, end.code) == (UNHANDLED, 3)
    assert end.reason == "a Secure interrupt is pending, and nobody in the Secure world waits for it"


# ---- no Secure world, other worlds ----


def test_machine_without_a_service__has_no_ffa() -> None:
    machine, _ = boot("hello-realm")
    assert machine.secure is None
    assert machine.monitor.normal([0x8400_0063, 0x10001, *[0] * 6]) == ((1 << 64) - 1,)
    machine.close()


@pytest.mark.parametrize("fid", [0x8400_0063, 0xC400_006F, 0x8400_006D, 0xC200_0020])
def test_realm__may_not_call_ffa(fid: int) -> None:
    """rmm-abi.md §1.2: a realm's unknown call gets -1; the partition is not entered."""
    from tests.rmm.fakes import World

    guest = World().running_realm()
    assert guest.rsi(fid, 0x8001)[0] == (1 << 64) - 1


# ---- configs/attacker.yaml ----


def test_attacker__reaches_nothing_from_the_secure_world() -> None:
    result = ccabridge("run", "attacker")
    assert result.code == 0, result.out[-3000:]
    match = re.search(r"attacker: (\d+) cases, (\d+) passed; from the Secure world (\d+) of them", result.out)
    assert match is not None
    # Normal: 10 targets x 9 columns and 5 more; Secure: 7 targets x (8 + 8 + 1); the granule that comes back
    assert [int(group) for group in match.groups()] == [10 * 9 + 5 + 7 * 17 + 1, 215, 7 * 17]
    assert "BAD" not in result.out.replace("BAD_PAS", "")


def test_attacker__changes_no_byte_from_the_secure_world() -> None:
    """Root memory, the RMM's, and the granules of the realm, from the first attack of the service to the last one."""
    _, lines = run_attacker(lambda _machine, _pa: None)
    target = {m[1]: int(m[2], 16) for line in lines if (m := re.match(r"\[NS\] (\w+) +0x([0-9a-f]{9}) ", line))}
    assert set(target) == {"DATA", "RTT", "RD", "REC", "Secure", "GPT", "monitor", "RMM", "service", "taken"}
    pages = [target[name] for name in ("DATA", "RTT", "RD", "REC", "Secure", "RMM", "service", "taken")]
    found: list[tuple[bytes, ...]] = []

    def snapshot(machine: Machine, _pa: int) -> None:
        root = machine.memory.region(machine.gpt.base)
        found.append((bytes(root.bytes), *(machine.memory.read(pa, 4096) for pa in pages)))

    run_attacker(snapshot)
    assert len(found) == 7 and all(one == found[0] for one in found)
    assert found[0][-1] == SECRET
    assert set(found[0][5]) == {0x5A}, "Secure memory as it was before the machine started"


def run_attacker(refused_take: Callable[[Machine, int], None]) -> tuple[Machine, list[str]]:
    """Runs it; `refused_take` is called at each refused SIP_GRANULE_TAKE, once for each target of the service."""
    machine, lines = boot("attacker", "memory.secure.fill=0x5a")

    def watch(record: CallRecord) -> None:
        if record.decl is not None and record.decl.name == "SIP_GRANULE_TAKE" and record.condition is not None:
            refused_take(machine, record.args[0])

    machine.calls.listener = Watch(watch)
    assert machine.run().code == 0
    machine.close()
    return machine, lines
