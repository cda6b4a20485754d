# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtual GICv3: registers by IHI 0069 §12, list registers by its §6.3 and rmm-abi.md §7.3."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machine.vmm.vgic import NPIE, UIE, VGic
from rmm.features import Features
from rmm.run import HCR_HOST, lrs_valid

PENDING, ACTIVE, BOTH = 1, 2, 3
EOI = 1 << 41
PMR_OPEN = 0xF0 << 24
SGI_FRAME = 0x1_0000
SGI1R = 0x623A_3016
FEATURES = Features(gicv3_num_lrs=15)


class Pe:
    """The hardware of one vCPU: the virtual CPU interface between fill and fold (IHI 0069 §6.3)."""

    def __init__(self, gic: VGic, vcpu: int) -> None:
        self.gic, self.vcpu = gic, vcpu
        self.lrs: list[int] = []
        self.hcr = 0

    def enter(self) -> None:
        self.hcr, lrs = self.gic.fill(self.vcpu)
        assert not self.hcr & ~HCR_HOST and len(lrs) == 16
        assert lrs_valid(lrs, FEATURES), "the RMM takes these list registers"
        assert not any(lrs[self.gic.num_lrs :])
        self.lrs = list(lrs)

    def leave(self, vmcr: int = PMR_OPEN) -> None:
        self.gic.fold(self.vcpu, self.hcr, tuple(self.lrs), 0, vmcr)

    def state(self, at: int) -> int:
        return self.lrs[at] >> 62

    def acknowledge(self) -> int | None:
        """Reads ICC_IAR1_EL1: the pending interrupt of the highest priority becomes active."""
        waiting = [(lr >> 48 & 0xFF, lr & 0xFFFF_FFFF, at) for at, lr in enumerate(self.lrs) if lr >> 62 == PENDING]
        if not waiting:
            return None
        _, intid, at = min(waiting)
        self.lrs[at] ^= 3 << 62
        return intid

    def end(self, intid: int) -> bool:
        """Writes ICC_EOIR1_EL1 with EOImode 0; whether that is a maintenance interrupt."""
        for at, lr in enumerate(self.lrs):
            if lr & 0xFFFF_FFFF == intid and lr >> 63:
                self.lrs[at] = lr & ~(1 << 63)
                return self.lrs[at] >> 62 == 0 and bool(lr & EOI)
        self.hcr += 1 << 27  # EOIcount
        return False

    def handle(self) -> list[int]:
        """Enters, takes and ends all that is there, and leaves."""
        self.enter()
        taken = []
        while (intid := self.acknowledge()) is not None:
            taken.append(intid)
            self.end(intid)
        self.leave()
        return taken


def make(vcpus: int = 1, lrs: int = 16) -> VGic:
    """As Linux leaves it: groups on, all in Group 1, priority 0xA0, everything enabled."""
    gic = VGic(list(range(vcpus)), 64, lrs)
    gic.distributor.write(0x0, 4, 1 << 4 | 1 << 1)
    for at in (1, 2):
        gic.distributor.write(0x80 + 4 * at, 4, 0xFFFF_FFFF)
        gic.distributor.write(0x100 + 4 * at, 4, 0xFFFF_FFFF)
    for at in range(32, 96, 4):
        gic.distributor.write(0x400 + at, 4, 0xA0A0A0A0)
    for vcpu in range(vcpus):
        frame = vcpu * 0x2_0000 + SGI_FRAME
        gic.redistributors.write(frame + 0x80, 4, 0xFFFF_FFFF)
        gic.redistributors.write(frame + 0x100, 4, 0xFFFF_FFFF)
        for at in range(0, 32, 4):
            gic.redistributors.write(frame + 0x400 + at, 4, 0xA0A0A0A0)
        gic.fold(vcpu, 0, (0,) * 16, 0, PMR_OPEN)
    return gic


def edges(gic: VGic) -> None:
    for at in range(2, 6):
        gic.distributor.write(0xC00 + 4 * at, 4, 0xAAAA_AAAA)


def test_fill__nothing_pending_is_nothing() -> None:
    gic = make()
    assert gic.fill(0) == (0, (0,) * 16)
    assert gic.fill(0) is gic.fill(0), "the common case makes nothing anew"
    assert not gic.pending(0)


def test_spi__level_is_listed_with_eoi_until_it_falls() -> None:
    gic = make()
    pe = Pe(gic, 0)
    gic.set_line(40, True)
    assert gic.pending(0)
    pe.enter()
    assert pe.lrs[0] == 40 | EOI | 0xA0 << 48 | 1 << 60 | 1 << 62
    assert pe.acknowledge() == 40
    pe.leave()
    assert not gic.pending(0)
    gic.set_line(40, False)
    pe.enter()
    assert pe.lrs[0] == 40 | 0xA0 << 48 | 1 << 60 | 1 << 63, "the line fell: no exit at the end of interrupt"
    assert not pe.end(40)
    pe.leave()
    assert pe.handle() == []


def test_spi__level_still_high_comes_again() -> None:
    gic = make()
    pe = Pe(gic, 0)
    gic.set_line(40, True)
    pe.enter()
    pe.acknowledge()
    assert pe.end(40), "a maintenance interrupt, so that the line is looked at"
    pe.leave()
    assert pe.handle() == [40]
    gic.set_line(40, False)
    assert pe.handle() == []


def test_spi__level_that_falls_before_it_is_taken_is_gone() -> None:
    gic = make()
    pe = Pe(gic, 0)
    gic.set_line(40, True)
    pe.enter()
    pe.leave()
    gic.set_line(40, False)
    assert pe.handle() == [] and not gic.pending(0)


def test_spi__edge_once_for_each() -> None:
    gic = make()
    edges(gic)
    pe = Pe(gic, 0)
    gic.set_line(40, True)
    gic.set_line(40, False)
    pe.enter()
    assert pe.lrs[0] >> 62 == PENDING and not pe.lrs[0] & EOI
    assert pe.acknowledge() == 40
    gic.set_line(40, True)
    pe.leave()
    pe.enter()
    assert pe.state(0) == BOTH, "a second edge while the first is handled"
    pe.end(40)
    assert pe.state(0) == PENDING
    pe.leave()
    assert pe.handle() == [40]
    assert pe.handle() == []


def test_edge__while_the_vcpu_runs_is_not_lost() -> None:
    """Another vCPU's exit raises the line while this one has the interrupt in its list registers."""
    gic = make(2)
    edges(gic)
    pe = Pe(gic, 0)
    gic.set_line(40, True)
    pe.enter()
    gic.set_line(40, False)
    gic.set_line(40, True)
    assert pe.acknowledge() == 40
    pe.end(40)
    pe.leave()
    assert pe.handle() == [40] and pe.handle() == []


def test_priority__highest_first_and_overflow_asks_for_an_exit() -> None:
    gic = make(lrs=4)
    pe = Pe(gic, 0)
    edges(gic)
    for intid in range(40, 50):
        gic.distributor.write(0x400 + intid, 1, 0xF8 - 8 * (intid - 40))
        gic.set_line(intid, True)
    pe.enter()
    assert [lr & 0xFFFF for lr in pe.lrs[:4]] == [49, 48, 47, 46] and pe.hcr == UIE | NPIE
    pe.leave()
    assert pe.handle() == [49, 48, 47, 46]
    assert pe.handle() == [45, 44, 43, 42]
    pe.enter()
    assert pe.hcr == 0 and [lr & 0xFFFF for lr in pe.lrs[:3]] == [41, 40, 0]


def test_overflow__never_asks_for_what_is_already_so() -> None:
    """UIE with at most one valid LR and NPIE with no pending one would exit at once, for ever."""
    gic = make(lrs=1)
    edges(gic)
    pe = Pe(gic, 0)
    for intid in (40, 41):
        gic.set_line(intid, True)
    pe.enter()
    assert pe.hcr == NPIE
    assert pe.acknowledge() == 40
    pe.leave()
    pe.enter()
    assert pe.state(0) == ACTIVE and pe.hcr == 0
    pe.end(40)
    pe.leave()
    assert pe.handle() == [41]


def test_eoicount__ends_what_is_in_no_list_register() -> None:
    gic = make(lrs=1)
    pe = Pe(gic, 0)
    gic.distributor.write(0x304, 4, 0b11 << 8)  # 40 and 41 are active
    gic.distributor.write(0x400 + 40, 1, 0x80)
    pe.enter()
    assert pe.lrs[0] & 0xFFFF == 40 and pe.hcr == 1 << 2, "LRENPIE"
    assert gic.distributor.read(0x304, 4) == 0b11 << 8
    pe.end(41)
    pe.leave()
    assert gic.distributor.read(0x304, 4) == 0b1 << 8


@pytest.mark.parametrize(("timer", "intid"), [("v", 27), ("p", 30)])
def test_timer__level_from_its_control(timer: str, intid: int) -> None:
    gic = make()
    pe = Pe(gic, 0)

    def timers(ctl: int) -> None:
        gic.levels(0, ctl if timer == "p" else 0, ctl if timer == "v" else 0)

    for ctl in (0, 1, 4, 6, 7):  # ENABLE is bit 0, IMASK bit 1, ISTATUS bit 2
        timers(ctl)
        assert pe.handle() == []
    timers(5)
    assert pe.handle() == [intid]
    timers(5)
    assert pe.handle() == [intid], "the level is still there"
    timers(1)
    assert pe.handle() == []


def test_sgi__target_list_and_all_but_self() -> None:
    gic = make(4)
    pes = [Pe(gic, vcpu) for vcpu in range(4)]
    assert gic.sysreg(0, SGI1R, 3 << 24 | 0b1010)
    assert [pe.handle() for pe in pes] == [[], [3], [], [3]]
    assert gic.sysreg(1, SGI1R, 1 << 40 | 15 << 24)
    assert [pe.handle() for pe in pes] == [[15], [], [15], [15]]
    gic.sgi(0, 5 << 24 | 1)
    assert [pe.handle() for pe in pes] == [[5], [], [], []]
    assert not gic.sysreg(0, 0x6232_1C00, 0), "another register"


def test_sgi__other_affinities() -> None:
    gic = VGic([0x0, 0x1_00, 0x1_0000, 0x1_00_0000_0000, 0x11])
    for value, target in (
        (1, 0),
        (1 << 16 | 1, 1),
        (1 << 32 | 1, 2),
        (1 << 48, None),
        (1 << 44 | 2, 4),
        (16 << 16 | 1, None),
    ):
        gic.sgi(0, value | 7 << 24)
        hit = [at for at in range(5) if gic.redistributors.read(at * 0x2_0000 + SGI_FRAME + 0x200, 4)]
        assert hit == ([] if target is None else [target])
        for at in range(5):
            gic.redistributors.write(at * 0x2_0000 + SGI_FRAME + 0x280, 4, 0xFFFF_FFFF)


def test_sgi__group_0_registers_reach_group_0_only() -> None:
    gic = make(2)
    for op2 in (6, 7):
        assert gic.sysreg(0, SGI1R & ~(7 << 17) | op2 << 17, 2)
        assert Pe(gic, 1).handle() == []
    gic.redistributors.write(0x2_0000 + SGI_FRAME + 0x80, 4, 0)
    gic.distributor.write(0, 4, 3)
    assert gic.sysreg(0, SGI1R & ~(7 << 17) | 7 << 17, 2)
    pe = Pe(gic, 1)
    pe.enter()
    assert pe.lrs[0] & 0xFFFF == 0 and not pe.lrs[0] >> 60 & 1 and pe.state(0) == PENDING


@pytest.mark.parametrize("off", ["group", "enable", "mine"])
def test_withheld__stays_pending(off: str) -> None:
    gic = make(2)
    gic.set_line(40, True)
    if off == "group":
        gic.distributor.write(0, 4, 0)
    elif off == "enable":
        gic.distributor.write(0x184, 4, 1 << 8)
    else:
        gic.distributor.write(0x6000 + 8 * 40, 8, 1)
    assert Pe(gic, 0).handle() == [] and not gic.pending(0)
    assert gic.distributor.read(0x204, 4) == 1 << 8
    assert gic.pending(1) == (off == "mine")
    gic.distributor.write(0, 4, 2)
    gic.distributor.write(0x104, 4, 1 << 8)
    gic.distributor.write(0x6000 + 8 * 40, 8, 0)
    assert Pe(gic, 0).handle() == [40]


def test_route__not_to_two_vcpus_at_once() -> None:
    gic = make(2)
    first, second = Pe(gic, 0), Pe(gic, 1)
    gic.set_line(40, True)
    first.enter()
    gic.distributor.write(0x6000 + 8 * 40, 8, 1)
    second.enter()
    assert second.acknowledge() is None, "it is in the other's list registers"
    second.leave()
    assert first.acknowledge() == 40
    first.leave()
    assert second.handle() == [], "it is active there"
    first.enter()
    assert first.end(40)
    first.leave()
    assert second.handle() == [40]


def test_route__to_nobody() -> None:
    gic = make()
    gic.distributor.write(0x6000 + 8 * 40, 8, 0x3_0000_0007)
    assert gic.distributor.read(0x6000 + 8 * 40, 8) == 0x3_0000_0007
    gic.set_line(40, True)
    assert Pe(gic, 0).handle() == []


def test_pending__below_the_priority_mask_only() -> None:
    gic = make()
    gic.set_line(40, True)
    pe = Pe(gic, 0)
    for vmcr, wakes in ((0xA0 << 24, False), (0xA8 << 24, True), (0, False)):
        pe.enter()
        pe.leave(vmcr)
        assert gic.pending(0) is wakes


def test_registers__identification() -> None:
    gic = make(8)
    read, redist = gic.distributor.read, gic.redistributors.read
    assert read(0, 4) == 1 << 6 | 1 << 4 | 1 << 1, "DS, ARE, EnableGrp1"
    assert read(4, 4) & 0x1F == 2 and read(4, 4) >> 19 & 0x1F == 9 and not read(4, 4) >> 17 & 1
    assert read(8, 4) & 0xFFF == 0x43B and read(0xC, 4) == 0
    assert read(0xFFE8, 4) >> 4 & 0xF == 3 and redist(0xFFE8, 4) >> 4 & 0xF == 3
    assert [redist(at * 0x2_0000 + 8, 8) for at in (0, 7)] == [0, 7 << 32 | 7 << 8 | 1 << 4]
    assert redist(0x14, 4) == 0 and redist(0, 4) == 0, "awake; no write pending"
    assert gic.redistributors.size == 8 * 0x2_0000


def test_registers__set_and_clear_pairs() -> None:
    gic = make()
    write, read = gic.distributor.write, gic.distributor.read
    for base in (0x100, 0x200, 0x300):
        write(base + 0x84, 4, 0xFFFF_FFFF)
        write(base + 4, 4, 0x0F0)
        write(base + 0x84, 4, 0x030)
        assert read(base + 4, 4) == read(base + 0x84, 4) == 0x0C0
        write(base, 4, 0xFFFF_FFFF)
        assert read(base, 4) == 0, "private interrupts are the redistributors'"
    redist = gic.redistributors
    redist.write(SGI_FRAME + 0xC00, 4, 0)
    assert redist.read(SGI_FRAME + 0xC00, 4) == 0xAAAA_AAAA, "SGIs are edges"
    redist.write(SGI_FRAME + 0xC04, 4, 0xFFFF_FFFF)
    assert redist.read(SGI_FRAME + 0xC04, 4) == 0xAAAA_AAAA
    redist.write(SGI_FRAME + 0x400, 4, 0xFFFF_FFFF)
    assert redist.read(SGI_FRAME + 0x400, 4) == 0xF8F8_F8F8
    redist.write(SGI_FRAME + 0x41B, 1, 0x27)
    assert redist.read(SGI_FRAME + 0x418, 4) == 0x20A0_A0A0
    write(0x400 + 95, 1, 0x10)
    write(0x400 + 96, 1, 0x10)
    assert read(0x400 + 92, 4) == 0x10A0_A0A0 and read(0x400 + 96, 4) == 0


def test_exit_without_a_run__loses_nothing() -> None:
    """A host call that cannot be completed leaves the GIC and timer fields of the exit zero."""
    gic = make()
    edges(gic)
    gic.levels(0, 0, 5)
    gic.set_line(40, True)
    gic.fill(0)
    gic.fold(0, 0, (0,) * 16, 0, 0)
    gic.levels(0, 0, 0)
    assert gic.pending(0)
    assert sorted(Pe(gic, 0).handle()) == [27, 40]


def test_isactiver__on_the_vcpu_that_it_is_routed_to() -> None:
    gic = make(2)
    gic.distributor.write(0x6000 + 8 * 40, 8, 1)
    gic.distributor.write(0x304, 4, 1 << 8)
    gic.distributor.write(0x304, 4, 1 << 8)
    assert gic.fill(0)[1][0] == 0
    assert gic.fill(1)[1][0] == 40 | 0xA0 << 48 | 1 << 60 | 1 << 63
    gic.distributor.write(0x384, 4, 1 << 8)
    assert gic.distributor.read(0x304, 4) == 0


def test_ispendr__pends_a_level_until_it_is_taken() -> None:
    gic = make()
    pe = Pe(gic, 0)
    gic.distributor.write(0x204, 4, 1 << 8)
    assert pe.handle() == [40] and pe.handle() == []
    assert gic.distributor.read(0x204, 4) == 0


@given(
    accesses=st.lists(
        st.tuples(
            st.booleans(),
            st.booleans(),
            st.integers(0, 0x1_0FFF) | st.integers(0, 0xFFFF) | st.integers(0, 0xD00),
            st.sampled_from([1, 2, 4, 8]),
            st.integers(0, (1 << 64) - 1),
        ),
        max_size=40,
    )
)
def test_any_access__no_exception_and_legal_list_registers(
    accesses: list[tuple[bool, bool, int, int, int]],
) -> None:
    gic = make(2)
    pes = [Pe(gic, 0), Pe(gic, 1)]
    gic.set_line(33, True)
    gic.set_line(27, True, 1)
    for at, (write, distributor, offset, size, value) in enumerate(accesses):
        device = gic.distributor if distributor else gic.redistributors
        offset = min(offset + (0 if distributor else SGI_FRAME * (value & 1)), device.size - 8)
        if write:
            device.write(offset, size, value & (1 << 8 * size) - 1)
        else:
            assert 0 <= device.read(offset, size) < 1 << 8 * size
        if at % 3 == 0:
            gic.sgi(0, value)
            pes[at & 1].enter()
            pes[at & 1].acknowledge()
            pes[at & 1].leave()
            gic.pending(0)


STEPS = st.one_of(
    st.tuples(st.just("edge"), st.integers(40, 47)),
    st.tuples(st.just("raise"), st.integers(56, 59)),
    st.tuples(st.just("sgi"), st.integers(0, 15)),
    st.tuples(st.just("enter"), st.integers(0, 1)),
    st.tuples(st.just("leave"), st.integers(0, 1)),
    st.tuples(st.just("ack"), st.integers(0, 1)),
    st.tuples(st.just("end"), st.integers(0, 1)),
    st.tuples(st.just("look"), st.just(0)),
)


@settings(max_examples=400)
@given(steps=st.lists(STEPS, max_size=80), lrs=st.sampled_from([1, 2, 4, 16]))
def test_no_interrupt_is_lost_or_duplicated(steps: list[tuple[str, int]], lrs: int) -> None:
    """Two vCPUs; SPIs with odd numbers belong to the second.  Edges: one is taken after each, and never more than came.
    Levels: taken until the handler lowers the line.
    """
    gic = make(2, lrs)
    for at in range(2, 3):
        gic.distributor.write(0xC00 + 4 * at, 4, 0xAAAA_AAAA)
    for intid in range(32, 96):
        gic.distributor.write(0x6000 + 8 * intid, 8, intid & 1)
    pes = [Pe(gic, 0), Pe(gic, 1)]
    inside = [False, False]
    handling: list[list[int]] = [[], []]
    came = dict.fromkeys([*range(16), *range(40, 48)], 0)
    taken = dict.fromkeys(came, 0)
    owed: set[int] = set()
    high: set[int] = set()

    def take(vcpu: int) -> bool:
        intid = pes[vcpu].acknowledge()
        if intid is None:
            return False
        handling[vcpu].append(intid)
        if intid in came:
            taken[intid] += 1
            assert taken[intid] <= came[intid], f"{intid} was taken more often than it came"
            owed.discard(intid)
        else:
            assert intid in high, f"level {intid} without its line"
        return True

    def end(vcpu: int) -> None:
        if handling[vcpu]:
            intid = handling[vcpu].pop()
            pes[vcpu].end(intid)

    def leave(vcpu: int) -> None:
        pes[vcpu].leave()
        inside[vcpu] = False
        for intid in list(high):
            if intid & 1 == vcpu and intid in handling[vcpu]:
                high.discard(intid)
                gic.set_line(intid, False)

    for step, argument in steps:
        if step == "edge":
            came[argument] += 1
            owed.add(argument)
            gic.set_line(argument, True)
            gic.set_line(argument, False)
        elif step == "raise":
            high.add(argument)
            gic.set_line(argument, True)
        elif step == "sgi":
            came[argument] += 1
            owed.add(argument)
            gic.sgi(0, argument << 24 | 2)
        elif step == "look":
            gic.distributor.read(0x204, 4)
            gic.distributor.read(0x304, 4)
        elif step == "enter" and not inside[argument]:
            pes[argument].enter()
            inside[argument] = True
        elif step == "leave" and inside[argument]:
            leave(argument)
        elif step == "ack" and inside[argument]:
            take(argument)
        elif step == "end" and inside[argument]:
            end(argument)
    for _ in range(60):
        for vcpu in (0, 1):
            if not inside[vcpu]:
                pes[vcpu].enter()
                inside[vcpu] = True
            while handling[vcpu]:
                end(vcpu)
            while take(vcpu):
                if handling[vcpu][-1] in came:
                    end(vcpu)
            leave(vcpu)
    assert not owed, f"lost: {owed}"
    assert not high, f"lines that nobody served: {high}"
    assert not gic.pending(0) and not gic.pending(1)


def test_pmu__overflow_of_an_exit_is_ppi_23_until_an_exit_without() -> None:
    """Arm BSA: INTID 23; DEN0137, RmiRecExit.pmu_ovf_status."""
    gic = make()
    pe = Pe(gic, 0)
    assert pe.handle() == []
    gic.levels(0, 0, 0, 1)
    assert pe.handle() == [23]
    assert pe.handle() == [23], "the level is still there"
    gic.levels(0, 0, 0, 0)
    assert pe.handle() == []
