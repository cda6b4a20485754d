"""The four worlds of a whole machine: who owns which granule, and what nobody else can change."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from bridge.pas import GPI, PAS
from machine.calls import CallRecord
from machine.config import load
from machine.end import GUEST_EXIT, End
from machine.machine import Machine


def boot(name: str, *overrides: str, **options: object) -> Machine:
    return Machine(load(name, list(overrides), **options), lambda _line: None)  # type: ignore[arg-type]


class EndAt:
    """Ends the run at the first call of a name, with the realm alive."""

    def __init__(self, name: str) -> None:
        self.name = name

    def call(self, record: CallRecord) -> None:
        if record.decl is not None and record.decl.name == self.name:
            raise End(GUEST_EXIT, "seen", code=0)

    def event(self, name: str, insns: int, text: str, depth: int) -> None:
        """Only calls are looked at."""


def test_hello__its_granules_are_realm_in_the_gpt_while_it_runs() -> None:
    machine = boot("hello-realm")
    machine.calls.listener = EndAt("RSI_HOST_CALL")
    assert machine.run().reason == "seen"
    pool = machine.config.boot.pool
    assert pool is not None
    realm = [(base, end) for base, end, gpi in machine.gpt.ranges() if gpi == GPI.REALM and pool.base <= base]
    owned = sum(end - base for base, end in realm) // 4096
    rec = machine.rmm.recs()[0]
    assert owned == machine.calls.counts["RMI_GRANULE_DELEGATE"] > 20
    assert machine.gpt.get(rec.pa) == GPI.REALM
    steps = machine.rmm.walk(rec.rd, 0x8000_0000)
    assert machine.gpt.get(steps[-1].pa) == GPI.REALM
    machine.close()


def test_hello__leaves_the_gpt_as_it_was() -> None:
    machine = boot("hello-realm")
    before = list(machine.gpt.ranges())
    assert machine.run().code == 0
    assert list(machine.gpt.ranges()) == before
    machine.close()


def test_attacker__changes_no_byte_of_secure_and_root_memory() -> None:
    machine = boot("attacker", "memory.secure.fill=0x5a", "memory.rmm.fill=0xa5")
    root = machine.memory.region(machine.gpt.base)
    before = bytes(root.bytes)
    assert machine.run().code == 0
    # The service stands at 0x0604_0000: its code, then its data.
    segments = machine.images.loads["service"].segments
    text, end = segments[0], max(segment.address + segment.size for segment in segments) + 0xFFF & ~0xFFF
    assert set(machine.memory.read(0x0600_0000, 0x4_0000)) == {0x5A}
    assert set(machine.memory.read(end, 0x0610_0000 - end)) == {0x5A}
    assert machine.memory.read(text.address, len(text.data)) == bytes(text.data)
    assert set(machine.memory.read(0x0580_0000, 0x8_0000)) == {0xA5}
    used = machine.gpt.end - machine.gpt.base
    assert bytes(root.bytes[used:]) == before[used:]
    machine.close()


def run_words(machine_name: str, words: Sequence[int], tmp_path: Path, *overrides: str) -> Machine:
    image = tmp_path / "image.bin"
    image.write_bytes(struct.pack(f"<{len(words)}I", *words))
    extra = {"load": {"image": {"file": str(image), "at": 0x6000_0000}}}
    machine = boot(machine_name, *overrides, extra=extra)
    assert machine.run().kind == GUEST_EXIT
    return machine


SYSTEM_OFF = (0x52800100, 0x72B08000, 0xD4000003)


def test_qemu_virt__all_of_its_dram_is_usable(tmp_path: Path) -> None:
    machine = boot("qemu-virt", extra={"load": {"x": {"file": "/etc/hostname", "at": 0x7000_0000}}})
    dram = machine.config.memory["dram"]
    assert dram.base == 0x4000_0000
    assert dram.size >= 3 << 30
    assert list(machine.gpt.ranges()).count((dram.base, dram.base + dram.size, GPI.NON_SECURE)) == 1
    machine.close()
    last = dram.base + dram.size - 8
    # mov x1, #last ; mov x2, #0x42 ; str x2, [x1] ; ldr x3, [x1]
    words = [
        0xD2800001 | (last & 0xFFFF) << 5,
        0xF2A00001 | (last >> 16 & 0xFFFF) << 5,
        0xF2C00001 | (last >> 32 & 0xFFFF) << 5,
        0xD2800842,
        0xF9000022,
        0xF9400023,
        *SYSTEM_OFF,
    ]
    machine = run_words("qemu-virt", words, tmp_path)
    assert machine.host.get_x(3, 1) == [0x42]
    assert machine.memory.read64(last) == 0x42
    machine.close()


def test_qemu_virt__enters_at_el2_with_the_mmu_off_and_cntfrq_1_ghz(tmp_path: Path) -> None:
    # mrs x10, currentel ; mrs x11, sctlr_el2 ; mrs x12, cntfrq_el0 ; mrs x13, daif
    words = [0xD538424A, 0xD53C100B, 0xD53BE00C, 0xD53B422D, *SYSTEM_OFF]
    machine = run_words("qemu-virt", words, tmp_path)
    el, sctlr, cntfrq, daif = machine.host.get_x(10, 4)
    assert (el, sctlr & 1, cntfrq, daif) == (2 << 2, 0, 1_000_000_000, 0x3C0)
    machine.close()


def test_unknown_call__answers_minus_one_and_keeps_the_other_registers(tmp_path: Path) -> None:
    # movz x0, #0x8600, lsl #16 ; mov x1..x4 = 1..4 ; smc ; mov x20..x24, x0..x4 ; off
    words = [0xD2B0C000, 0xD2800021, 0xD2800042, 0xD2800063, 0xD2800084, 0xD4000003]
    words += [0xAA0003E0 | n << 16 | (20 + n) for n in range(5)]
    machine = run_words("qemu-virt", [*words, *SYSTEM_OFF], tmp_path)
    assert machine.host.get_x(20, 5) == [(1 << 64) - 1, 1, 2, 3, 4]
    assert machine.calls.counts["unknown"] == 1
    machine.close()


def test_rmm_el3_calls__are_unknown_to_the_normal_world(tmp_path: Path) -> None:
    # mov w0, #0x1b0 ; movk w0, #0xc400, lsl #16 ; mov x1, #0x40000000 ; smc ; mov x20, x0
    words = [0x52803600, 0x72B88000, 0xD2A80001, 0xD4000003, 0xAA0003F4, *SYSTEM_OFF]
    machine = run_words("qemu-virt", words, tmp_path)
    assert machine.host.get_x(20, 1) == [(1 << 64) - 1]
    assert machine.gpt.get(0x4000_0000) == PAS.NON_SECURE
    machine.close()
