# SPDX-License-Identifier: GPL-2.0-or-later
"""What the VMM does for a running realm: RIPAS changes, shared memory, aborts, PSCI.  The realms are assembled here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.image import flatten, read_image
from machine.bus import Bus
from machine.config import load
from machine.end import GUEST_EXIT, End
from machine.machine import Machine
from machine.vmm.memory import DATA, GIVEN, MAPPED, SHARED, STATE
from machine.vmm.pool import Pool
from machine.vmm.realm import Vmm
from machine.vmm.run import Runner
from machine.vmm.vgic import VGic
from rmm.abi.values import PsciStatus
from tests.system.assemble import assemble

MIB = 1 << 20
RAM = 0x8000_0000
PROBE = 0x0100_0000
PAGE = RAM + MIB
I = 256  # noqa: E741  the number of PAGE
VALUE = 0x1122_3344_5566_7788

PRELUDE = """
    .macro REPORT reg
    ldr x9, =0x101000000
    str \\reg, [x9]
    .endm
    .macro IPA_STATE_SET base, ripas, flags
    ldr x0, =0xc4000197
    ldr x1, =\\base
    add x2, x1, #0x1000
    mov x3, #\\ripas
    mov x4, #\\flags
    smc #0
    .endm
    .macro OFF
    ldr x0, =0x84000008
    smc #0
    .endm
"""


class Probe:
    """A device of the shared half: what the realm writes to it, and what the test does then."""

    size = 4096

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.then: Callable[[int], None] = lambda value: None

    def read(self, offset: int, size: int) -> int:
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        self.seen.append(value)
        self.then(value)


class Stage:
    """A realm of 4 MiB made of one program."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine = machine
        self.folder = folder
        pool = machine.config.boot.pool
        assert pool is not None
        self.vmm = Vmm(machine, Pool(pool.base, 128 * MIB))
        self.probe = Probe()

    def build(self, text: str, *, vcpus: int = 1, before: Callable[[Vmm], None] = lambda vmm: None) -> Vmm:
        vmm = self.vmm
        content = flatten(read_image(str(assemble(self.folder, PRELUDE + text, RAM))), RAM)
        vmm.configure(memory=4 * MIB)
        vmm.create(vcpus)
        assert vmm.options.shared_bit == 1 << 32
        vmm.init_ripas(RAM, 4 * MIB)
        vmm.populate(RAM, -(-len(content) // 4096) * 4096, content)
        before(vmm)
        for _ in range(vcpus):
            vcpu = vmm.add_vcpu()
            vcpu.set_pc(RAM)
            vmm.finalize(vcpu)
        vmm.activate()
        return vmm

    def runner(self, psci: str = "auto", interrupts: VGic | None = None) -> Runner:
        bus = Bus()
        bus.attach(PROBE, self.probe)
        return Runner(self.machine, self.vmm, devices=bus, interrupts=interrupts, console=lambda data: None, psci=psci)

    def run(self) -> Runner:
        runner = self.runner()
        with pytest.raises(End) as end:
            runner.run()
        assert end.value.kind == GUEST_EXIT, end.value.reason
        runner.halt()
        return runner


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    machine = Machine(load("hello-realm", ["boot.host=vmm"]), lambda _line: None)
    yield Stage(machine, tmp_path)
    machine.close()


# RIPAS changes (DEN0137, RSI_IPA_STATE_SET; DATA_DESTROY leaves the granule wiped)


def test_ripas__empty_gives_the_same_page_back_wiped_and_zero_when_it_is_ram_again(stage: Stage) -> None:
    vmm = stage.build(
        """
    ldr x1, =0x80100000
    ldr x8, [x1]
    REPORT x8
    IPA_STATE_SET 0x80100000, 0, 1
    REPORT x0
    ldr x1, =0x180100000
    ldr x8, [x1]
    REPORT x8
    mov x8, #0xab
    str x8, [x1]
    REPORT x8
    IPA_STATE_SET 0x80100000, 1, 0
    ldr x1, =0x80100000
    ldr x8, [x1]
    REPORT x8
    OFF
    """,
        before=lambda vmm: vmm.populate(PAGE, 4096, VALUE.to_bytes(8, "little")),
    )
    pages: list[int] = []
    stage.probe.then = lambda value: pages.append(vmm.memory.pages[I])
    runner = stage.run()
    assert stage.probe.seen == [VALUE, 0, 0, 0xAB, 0]
    assert [page & STATE for page in pages] == [DATA, GIVEN, MAPPED, MAPPED, DATA]
    assert len({page & ~STATE for page in pages[:4]}) == 1, "the page behind it stays"
    assert runner.ripas_changes == 2
    vmm.destroy()


# Shared memory


@pytest.mark.parametrize("mapped", [False, True])
def test_shared__host_content_is_there_at_the_first_access(stage: Stage, mapped: bool) -> None:
    def before(vmm: Vmm) -> None:
        vmm.memory.write_shared(PAGE | vmm.options.shared_bit, VALUE.to_bytes(8, "little"))
        if mapped:
            vmm.memory.map(I)

    stage.build("ldr x1, =0x180100000\n ldr x8, [x1]\n REPORT x8\n OFF\n", before=before)
    runner = stage.run()
    assert stage.probe.seen == [VALUE]
    assert runner.faults == (0 if mapped else 1)


def test_shared__unmapped_and_mapped_again_at_any_time(stage: Stage) -> None:
    vmm = stage.build(
        """
    IPA_STATE_SET 0x80100000, 0, 1
    ldr x1, =0x180100000
    ldr x8, =0x1122334455667788
    str x8, [x1]
    REPORT x8
    ldr x8, [x1]
    REPORT x8
    add x8, x8, #1
    str x8, [x1]
    REPORT x8
    OFF
    """
    )
    contents: list[int] = []

    def unmap(value: int) -> None:
        vmm.memory.unmap(I)
        vmm.memory.unmap(I)
        assert vmm.memory.pages[I] & STATE == SHARED
        contents.append(int.from_bytes(vmm.door.read(vmm.memory.pages[I] & ~STATE, 8), "little"))

    stage.probe.then = unmap
    runner = stage.run()
    assert stage.probe.seen == contents == [VALUE, VALUE, VALUE + 1]
    assert runner.faults == 3, "each access after an unmap asks for the page again"


# Accesses where nothing is (DDI 0487, ESR_ELx, ISS encoding for an exception from a Data Abort: DFSC 0b010000)

MMU_ON = """
    adr x0, vectors
    msr vbar_el1, x0
    mov x0, #0xff
    msr mair_el1, x0
    ldr x0, =0x500803519
    msr tcr_el1, x0
    adr x0, table
    msr ttbr0_el1, x0
    isb
    mrs x0, sctlr_el1
    orr x0, x0, #1
    msr sctlr_el1, x0
    isb
"""
# Blocks of 1 GiB, Normal write-back: RAM, and the shared half's first.
TABLES = """
    .balign 4096
table:
    .quad 0, 0, 0x80000701, 0, 0x100000701
    .balign 4096
    .balign 2048
vectors:
    .space 0x200
    mrs x8, esr_el1
    REPORT x8
    mrs x8, far_el1
    REPORT x8
    mrs x8, elr_el1
    add x8, x8, #4
    msr elr_el1, x8
    eret
    .ltorg
"""


@pytest.mark.parametrize(
    ("access", "address", "write"),
    [
        ("ldr w8, [x1]", 0x1_0200_0010, 0),
        ("str w8, [x1]", 0x1_0200_0010, 1),
        ("ldp x2, x3, [x1]", 0x1_0200_0010, 0),
        ("ldr x8, [x1]", 0x1_0200_0013, 0),
        ("ldp x2, x3, [x1]", 0x1_0100_0010, 0),  # a device, but no syndrome to emulate it by
    ],
)
def test_unclaimed_access__is_an_external_abort_and_the_realm_goes_on(
    stage: Stage, access: str, address: int, write: int
) -> None:
    stage.build(f"{MMU_ON}\n ldr x1, ={address:#x}\n {access}\n mov x8, #77\n REPORT x8\n OFF\n .ltorg\n {TABLES}")
    stage.run()
    esr, far, after = stage.probe.seen
    assert esr >> 26 == 0x25, "Data Abort without a change of EL"
    assert (esr & 0x3F, esr >> 6 & 1) == (0x10, write)
    assert far == address
    assert after == 77


# PSCI


def test_psci__manual_answers_denied_and_success(stage: Stage) -> None:
    vmm = stage.build(
        """
    mrs x8, mpidr_el1
    tst x8, #0xf
    b.ne second
    mov x10, #2
1:  ldr x0, =0xc4000003
    mov x1, #1
    adr x2, second
    mov x3, #0x55
    smc #0
    REPORT x0
    subs x10, x10, #1
    b.ne 1b
2:  b 2b
second:
    REPORT x0
    OFF
    """,
        vcpus=2,
    )
    runner = stage.runner("manual")
    request = runner.run()
    assert (request.vcpu.index, request.function, request.target) == (0, 0xC400_0003, 1)
    assert not vmm.vcpus[1].on
    vmm.psci_complete(request.vcpu, 1, PsciStatus.DENIED)
    assert not vmm.vcpus[1].on
    request = runner.run()
    vmm.psci_complete(request.vcpu, 1, PsciStatus.SUCCESS)
    assert vmm.vcpus[1].on
    with pytest.raises(End) as end:
        runner.run()
    assert end.value.kind == GUEST_EXIT
    assert sorted(stage.probe.seen) == [0, 0x55, (1 << 64) - 3]
    assert stage.probe.seen[0] == (1 << 64) - 3
    assert vmm.vcpus[0].entry is not None, "the first vCPU is in the middle of its REC_ENTER"
    runner.halt()
    vmm.destroy()


# Interrupts


def test_level_that_stays_up__interrupts_again_as_soon_as_it_is_ended(stage: Stage) -> None:
    """IHI 0069, ICH_LR<n>_EL2.EOI: the end is a maintenance interrupt, for which a realm exits (rmm-abi.md §7.3)."""
    stage.build(
        """
    adr x0, vectors
    msr vbar_el1, x0
    mov x0, #0xf0
    msr S3_0_C4_C6_0, x0        // ICC_PMR_EL1
    mov x0, #1
    msr S3_0_C12_C12_7, x0      // ICC_IGRPEN1_EL1
    isb
    mov x10, #0
    mov x11, #1000
    msr daifclr, #2
1:  cmp x10, #3
    b.eq 2f
    subs x11, x11, #1
    b.ne 1b
2:  msr daifset, #2
    REPORT x10
    OFF
    .balign 2048
vectors:
    .space 0x280
    mrs x12, S3_0_C12_C12_0     // ICC_IAR1_EL1
    msr S3_0_C12_C12_1, x12     // ICC_EOIR1_EL1
    isb
    add x10, x10, #1
    cmp x10, #3
    mov x12, #0x3c5             // masked, at EL1h
    b.ne 3f
    msr spsr_el1, x12
3:  eret
    """
    )
    gic = VGic([0], spis=32)
    gic.distributor.write(0x0000, 4, 0x12)  # GICD_CTLR: ARE, Group 1
    gic.distributor.write(0x0084, 4, 1 << 8)  # GICD_IGROUPR1, GICD_ISENABLER1
    gic.distributor.write(0x0104, 4, 1 << 8)
    gic.set_line(40, True)
    runner = stage.runner(interrupts=gic)
    with pytest.raises(End) as end:
        runner.run()
    assert end.value.kind == GUEST_EXIT, end.value.reason
    assert stage.probe.seen == [3]
