# SPDX-License-Identifier: GPL-2.0-or-later
"""REC entry and exit (rmm-abi.md §7), and realm exceptions as the host and the realm see them (§6)."""

from __future__ import annotations

from typing import Any

import pytest

from rmm.abi import rmi
from rmm.abi.structs import REC_EXIT
from rmm.bare import exception, interrupt, smc
from rmm.frame import Panic
from rmm.protocols import ExitKind, Gic, Timers
from tests.rmm.fakes import EMUL_MMIO, INJECT_SEA, REC, TRAP_WFE, TRAP_WFI, G, Guest, World, features

SYNC, IRQ, FIQ, PSCI, RIPAS_CHANGE, HOST_CALL, SERROR = range(7)
NS_HALF = 1 << 39
DABT, IABT = 0x24 << 26, 0x20 << 26
IL, ISV, SSE, SF, WNR = 1 << 25, 1 << 24, 1 << 21, 1 << 15, 1 << 6
TRANSLATION_3 = 7


def guest(**fields: Any) -> Guest:
    return World().running_realm(**fields)


def sas(size: int) -> int:
    return size << 22


def srt(register: int) -> int:
    return register << 16


def abort(esr: int, ipa: int, low: int = 0x123, el: int = 1) -> Any:
    """An abort at a VA that ends in `low`."""
    return exception(esr, 0xFFFF_8000_0000_0000 | low, ipa >> 8, el)


def only(exit_: dict[str, Any], *names: str) -> None:
    """Every field but the named ones is zero."""
    for name, value in exit_.items():
        if name not in names:
            assert value == 0 or (isinstance(value, tuple) and not any(value)), name


# §7.2, §6.1: data aborts


def test_data_abort__unprotected_read() -> None:
    """Exactly the visible bits: ISV, SAS, SF, WnR beside the common ones; FAR's page offset; no register."""
    pe = guest()
    esr = DABT | IL | ISV | sas(2) | SSE | srt(5) | SF | 1 << 14 | 1 << 8 | TRANSLATION_3
    exit_ = pe.enter(abort(esr, NS_HALF))
    assert exit_["exit_reason"] == SYNC
    assert exit_["esr"] == DABT | ISV | sas(2) | SF | TRANSLATION_3
    assert (exit_["far"], exit_["hpfar"]) == (0x123, NS_HALF >> 8)
    only(exit_, "esr", "far", "hpfar")
    assert pe.pe.pc == 0x1000


@pytest.mark.parametrize(("size", "mask"), [(0, 0xFF), (1, 0xFFFF), (2, 0xFFFF_FFFF), (3, (1 << 64) - 1)])
def test_data_abort__unprotected_write(size: int, mask: int) -> None:
    """gprs[0] is what is written, cut to the access size."""
    pe = guest()
    pe.pe.x[9] = 0x8877_6655_4433_2211
    exit_ = pe.enter(abort(DABT | ISV | sas(size) | srt(9) | WNR | TRANSLATION_3, NS_HALF))
    assert exit_["gprs"][0] == 0x8877_6655_4433_2211 & mask and not any(exit_["gprs"][1:])
    assert exit_["esr"] == DABT | ISV | sas(size) | WNR | TRANSLATION_3


def test_data_abort__write_of_xzr() -> None:
    pe = guest()
    pe.pe.x[30] = 5
    assert pe.enter(abort(DABT | ISV | srt(31) | WNR | 7, NS_HALF))["gprs"][0] == 0


def test_data_abort__unprotected_without_isv() -> None:
    """§6.1, §7.7: the non-emulatable format: FAR and WnR are not shown."""
    exit_ = guest().enter(abort(DABT | IL | WNR | 1 << 7 | TRANSLATION_3, NS_HALF))
    assert (exit_["esr"], exit_["far"], exit_["hpfar"]) == (DABT | TRANSLATION_3, 0, NS_HALF >> 8)


def with_ripas(state: str) -> Guest:
    """A guest whose page 0x5000 has the RIPAS `state`, unassigned."""
    world = World()
    realm = world.realm()
    world.tables(realm, 0x5000)
    if state != "EMPTY":
        world.ok(rmi.RTT_INIT_RIPAS, realm.rd, 0x5000, 0x6000)
    if state == "DESTROYED":
        world.data(realm, 0x5000)
        world.ok(rmi.DATA_DESTROY, realm.rd, 0x5000)
    rec = world.rec(realm)
    world.ok(rmi.REALM_ACTIVATE, realm.rd)
    return Guest(world, realm, rec, {})


@pytest.mark.parametrize("state", ["RAM", "DESTROYED"])
@pytest.mark.parametrize("isv", [0, ISV | sas(3) | srt(3) | SF])
def test_data_abort__protected(state: str, isv: int) -> None:
    """Non-emulatable whatever the syndrome says."""
    exit_ = with_ripas(state).enter(abort(DABT | IL | isv | WNR | TRANSLATION_3, 0x5000))
    assert (exit_["esr"], exit_["far"], exit_["hpfar"]) == (DABT | TRANSLATION_3, 0, 0x50)
    only(exit_, "esr", "hpfar")


@pytest.mark.parametrize("ipa", [0x5000, 1 << 40, 1 << 43])
@pytest.mark.parametrize("esr", [DABT | IL | WNR | ISV, IABT | IL])
def test_abort__empty_or_outside_is_a_sea_to_the_realm(ipa: int, esr: int) -> None:
    """§6.1, §6.2, §6.3: no exit; ESR_EL1 with the same-EL class, FSC 0x10, EA; ISV and what it vouches for cleared."""
    pe = with_ripas("EMPTY")
    exit_ = pe.enter(abort(esr | 1 << 10 | 1 << 7 | TRANSLATION_3, ipa))
    assert exit_["exit_reason"] == FIQ  # the script's end
    assert pe.pe.injected == [((esr & ~ISV) + (1 << 26) | 1 << 9 | 0x10, 0xFFFF_8000_0000_0123)]
    assert pe.pe.pc == 0x200


def test_abort__sea_from_el0_keeps_the_class() -> None:
    pe = with_ripas("EMPTY")
    pe.enter(abort(DABT | TRANSLATION_3, 0x5000, el=0))
    assert pe.pe.injected[0][0] >> 26 == 0x24


# §6.2


@pytest.mark.parametrize("state", ["RAM", "DESTROYED"])
def test_instruction_abort__protected(state: str) -> None:
    exit_ = with_ripas(state).enter(abort(IABT | IL | TRANSLATION_3, 0x5000))
    assert (exit_["esr"], exit_["far"], exit_["hpfar"]) == (IABT | TRANSLATION_3, 0, 0x50)
    only(exit_, "esr", "hpfar")


def test_instruction_abort__other_fault() -> None:
    """Not a translation fault: nothing is shown."""
    only(with_ripas("RAM").enter(abort(IABT | 0x0F, 0x5000)))


def test_instruction_abort__unprotected() -> None:
    """Never executable: SEA, mapped or not."""
    pe = guest()
    pe.enter(abort(IABT | IL | 0x0F, NS_HALF))
    assert pe.pe.injected[0][0] >> 26 == 0x21


# §6.6


@pytest.mark.parametrize(("severity", "injected"), [(0, True), (3, False)])
def test_external_abort(severity: int, injected: bool) -> None:
    pe = guest()
    exit_ = pe.enter(abort(DABT | IL | severity << 11 | 0x10, 0x5000))
    assert exit_["exit_reason"] == SYNC and exit_["esr"] == DABT | severity << 11 | 0x10
    only(exit_, "esr")
    assert bool(pe.pe.injected) == injected


def test_external_abort__uncontainable() -> None:
    with pytest.raises(Panic):
        guest().enter(abort(DABT | 2 << 11 | 0x10, 0x5000))


def test_serror() -> None:
    exit_ = guest().enter(interrupt(ExitKind.SERROR, 0x2F << 26 | IL | 3 << 10 | 0x11))
    assert exit_["exit_reason"] == SERROR and exit_["esr"] == 3 << 10 | 0x11
    only(exit_, "exit_reason", "esr")
    for esr in (1 << 24 | 3 << 10 | 0x11, 3 << 10, 0x11):
        with pytest.raises(Panic):
            guest().enter(interrupt(ExitKind.SERROR, esr))


# §6.4, §6.5, §6.7


@pytest.mark.parametrize("ec", [0x16, 0x19, 0x1D])
def test_hvc_and_absent_extensions__are_undefined(ec: int) -> None:
    pe = guest()
    assert pe.enter(exception(ec << 26 | IL))["exit_reason"] == FIQ
    assert pe.pe.injected == [(0x0200_0000, None)]


@pytest.mark.parametrize("ti", [0, 1])
def test_wfx(ti: int) -> None:
    """PC is advanced first; only EC and TI are shown."""
    pe = guest()
    exit_ = pe.enter(exception(1 << 26 | IL | 0x1F << 20 | ti), flags=TRAP_WFI | TRAP_WFE)
    assert exit_["exit_reason"] == SYNC and exit_["esr"] == 1 << 26 | ti
    only(exit_, "esr")
    assert pe.pe.pc == 0x1004 and pe.pe.traps == [(True, True)]


@pytest.mark.parametrize(
    ("flags", "traps"), [(0, (False, False)), (TRAP_WFI, (True, False)), (TRAP_WFE, (False, True))]
)
def test_trap_flags(flags: int, traps: tuple[bool, bool]) -> None:
    pe = guest()
    pe.enter(flags=flags)
    assert pe.pe.traps == [traps]


def sysreg(op0: int, op1: int, crn: int, crm: int, op2: int, register: int, read: bool) -> int:
    return 0x18 << 26 | IL | op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | register << 5 | crm << 1 | read


@pytest.mark.parametrize(("crm", "op2"), [(11, 5), (11, 7), (11, 1)])
def test_sysreg__interrupt_writes_go_to_the_host(crm: int, op2: int) -> None:
    """ICC_SGI1R_EL1, ICC_SGI0R_EL1, ICC_DIR_EL1: full syndrome, the value in gprs[0]."""
    pe = guest()
    pe.pe.x[6] = 0x1234
    esr = sysreg(3, 0, 12, crm, op2, 6, False)
    exit_ = pe.enter(exception(esr))
    assert exit_["exit_reason"] == SYNC and exit_["esr"] == esr and exit_["gprs"][0] == 0x1234
    only(exit_, "esr", "gprs")
    assert pe.pe.pc == 0x1004


@pytest.mark.parametrize("read", [True, False])
def test_sysreg__anything_else_is_raz_wi(read: bool) -> None:
    pe = guest()
    pe.pe.x[6] = 0x1234
    exit_ = pe.enter(exception(sysreg(3, 3, 9, 12, 0, 6, read)))
    assert exit_["exit_reason"] == FIQ
    assert pe.pe.x[6] == (0 if read else 0x1234) and pe.pe.pc == 0x1004


def test_sysreg__read_of_an_interrupt_register_stays() -> None:
    assert guest().enter(exception(sysreg(3, 0, 12, 11, 5, 6, True)))["exit_reason"] == FIQ


@pytest.mark.parametrize(("kind", "reason"), [(ExitKind.IRQ, IRQ), (ExitKind.FIQ, FIQ)])
def test_interrupts(kind: ExitKind, reason: int) -> None:
    pe = guest()
    pe.pe.x[0] = 5
    exit_ = pe.enter(interrupt(kind))
    assert exit_["exit_reason"] == reason
    only(exit_, "exit_reason")


# §7.2: what the next entry may do


READ = DABT | ISV | srt(5) | TRANSLATION_3
# syndrome, host's X0, X5 afterwards
LOADS = [
    (READ | sas(0), 0x1FF, 0xFF),
    (READ | sas(1), 0x18000, 0x8000),
    (READ | sas(0) | SSE | SF, 0x80, 0xFFFF_FFFF_FFFF_FF80),
    (READ | sas(0) | SSE, 0x80, 0xFFFF_FF80),
    (READ | sas(0) | SSE | SF, 0x7F, 0x7F),
    (READ | sas(2) | SF, 0x1_8000_0000, 0x8000_0000),
    (READ | sas(2) | SSE | SF, 0x8000_0000, 0xFFFF_FFFF_8000_0000),
    (READ | sas(3) | SF, 0xFEDC_BA98_7654_3210, 0xFEDC_BA98_7654_3210),
]


@pytest.mark.parametrize(("esr", "value", "loaded"), LOADS)
def test_emul_mmio__read(esr: int, value: int, loaded: int) -> None:
    pe = guest()
    pe.enter(abort(esr, NS_HALF))
    pe.enter(flags=EMUL_MMIO, gprs=[value] + [0] * 30)
    assert pe.pe.x[5] == loaded and pe.pe.pc == 0x1004


def test_emul_mmio__write_and_xzr_touch_no_register() -> None:
    for esr in (READ | WNR, DABT | ISV | srt(31) | 7):
        pe = guest()
        before = list(pe.pe.x)
        pe.enter(abort(esr, NS_HALF))
        pe.enter(flags=EMUL_MMIO, gprs=[7] + [0] * 30)
        assert pe.pe.x == before and pe.pe.pc == 0x1004


def test_without_emul_mmio_the_access_is_retried() -> None:
    pe = guest()
    pe.enter(abort(READ, NS_HALF))
    pe.enter()
    assert pe.pe.pc == 0x1000 and pe.pe.x[5] == 0


def test_inject_sea() -> None:
    """§6.3; it wins over EMUL_MMIO (§7.1)."""
    for flags in (INJECT_SEA, INJECT_SEA | EMUL_MMIO):
        pe = guest()
        pe.enter(abort(READ | IL, NS_HALF))
        pe.enter(flags=flags, gprs=[7] + [0] * 30)
        assert pe.pe.injected == [(DABT | IL | 1 << 26 | 1 << 9 | 0x10, 0xFFFF_8000_0000_0123)]
        assert pe.pe.x[5] == 0 and pe.pe.entries[-1][5] == 0x200


def test_inject_sea__without_isv() -> None:
    """An unprotected data abort need not be emulatable."""
    pe = guest()
    pe.enter(abort(DABT | 7, NS_HALF))
    assert pe.refused(flags=EMUL_MMIO) == (REC, 0, "emul_mmio")
    pe.enter(flags=INJECT_SEA)
    assert len(pe.pe.injected) == 1


def test_protected_abort__neither_flag_fits() -> None:
    """§3.10 #10, #11, §12: ISV does not make a protected abort emulatable."""
    pe = with_ripas("RAM")
    pe.enter(abort(READ, 0x5000))
    assert pe.refused(flags=INJECT_SEA) == (REC, 0, "inject_sea")
    assert pe.refused(flags=EMUL_MMIO) == (REC, 0, "emul_mmio")


@pytest.mark.parametrize("act", [smc(0xC400_0001), exception(1 << 26), interrupt(ExitKind.IRQ)])
def test_other_exits__neither_flag_fits(act: Any) -> None:
    pe = guest()
    pe.enter(act)
    assert pe.refused(flags=INJECT_SEA)[2] == "inject_sea"
    assert pe.refused(flags=EMUL_MMIO)[2] == "emul_mmio"


def test_instruction_abort__no_sea_by_the_host() -> None:
    pe = with_ripas("RAM")
    pe.enter(abort(IABT | 7, 0x5000))
    assert pe.refused(flags=INJECT_SEA)[2] == "inject_sea"


def test_the_last_exit_counts_once() -> None:
    """§5.6: only the very next successful entry may refer to it; a failed one does not use it up."""
    pe = guest()
    pe.enter(abort(READ, NS_HALF))
    assert pe.refused(flags=EMUL_MMIO, gicv3_hcr=1)[2] == "gicv3_hcr"
    pe.enter(flags=EMUL_MMIO)
    assert pe.refused(flags=EMUL_MMIO)[2] == "emul_mmio"


def test_reserved_flags_are_ignored() -> None:
    """§7.1"""
    guest().enter(flags=~0x1F & (1 << 64) - 1)


# §7.3: the virtual GIC

PENDING = 1 << 62
# list register 0 (and 1), accepted
LIST_REGISTERS = [
    ((PENDING | 27,), True),
    ((PENDING | 1019,), True),
    ((PENDING | 1020,), False),
    ((PENDING | 8191,), False),
    ((PENDING | 8192,), True),
    ((PENDING | 0xFFFF,), True),
    ((PENDING | 0x10000,), False),
    ((PENDING | 1056,), False),
    ((1 << 61 | 1020,), True),  # invalid state: the rest is not looked at
    ((PENDING | 1 << 61 | 27,), False),  # HW
    ((PENDING | 1 << 41 | 27,), True),  # EOI
    ((PENDING | 1 << 32 | 27,), False),  # pINTID
    ((PENDING | 1 << 42 | 27,), False),
    ((PENDING | 0xF8 << 48 | 27,), True),
    ((PENDING | 0x04 << 48 | 27,), False),  # below the implemented priority bits
    ((PENDING | 1 << 60 | 27,), True),  # group 1
    ((PENDING | 27, PENDING | 27), False),  # the same interrupt twice
    ((PENDING | 27, 27), True),
    ((2 * PENDING | 27, 3 * PENDING | 28), True),
    ((0, 0, 0, 0, PENDING | 1 << 61), True),  # not implemented
]


@pytest.mark.parametrize(("lrs", "accepted"), LIST_REGISTERS)
def test_list_registers(lrs: tuple[int, ...], accepted: bool) -> None:
    pe = guest()
    fields = {"gicv3_lrs": [*lrs, *[0] * (16 - len(lrs))]}
    if accepted:
        exit_ = pe.enter(**fields)
        implemented = (*lrs, *[0] * 16)[:4]
        assert exit_["gicv3_lrs"] == implemented + (0,) * 12
    else:
        assert pe.refused(**fields) == (REC, 0, "gicv3_lrs")


def test_list_registers__extended_range_and_wide_ids() -> None:
    pe = World(features(gic_ext_range=True, gic_id_bits=24)).running_realm()
    for intid in (1056, 1119, 4096, 5119, 0x10000, 0xFF_FFFF):
        pe.enter(gicv3_lrs=[PENDING | intid] + [0] * 15)
    for intid in (1055, 1120, 4095, 5120, 1 << 24):
        assert pe.refused(gicv3_lrs=[PENDING | intid] + [0] * 15)[2] == "gicv3_lrs"


@pytest.mark.parametrize("bit", range(64))
def test_gicv3_hcr(bit: int) -> None:
    """§2.7: UIE LRENPIE NPIE VGrp0EIE VGrp0DIE VGrp1EIE VGrp1DIE TDIR only; En and its companions are the RMM's."""
    pe = guest()
    if 0x40FE >> bit & 1:
        exit_ = pe.enter(gicv3_hcr=1 << bit)
        assert exit_["gicv3_hcr"] == 1 << bit
        assert pe.pe.present_gic.hcr == 1 << bit | 0x8101
    else:
        assert pe.refused(gicv3_hcr=1 << bit) == (REC, 0, "gicv3_hcr")


# §7.4, §7.5


def test_exit__gic_timers_and_pmu() -> None:
    pe = guest()

    def act(rec: Any) -> Any:
        rec.present_gic = Gic(0xF800_0000 | 0x8101, (1, 2, *[0] * 14), 3, 4)
        rec.present_timers = Timers(5, 6, 7, 8)
        rec.overflow = True
        return interrupt(ExitKind.IRQ)(rec)

    exit_ = pe.enter(act)
    assert exit_["gicv3_hcr"] == 0xF800_0000 and exit_["gicv3_lrs"][:3] == (1, 2, 0)
    assert [exit_[n] for n in ("gicv3_misr", "gicv3_vmcr")] == [3, 4]
    assert [exit_[n] for n in ("cntp_ctl", "cntp_cval", "cntv_ctl", "cntv_cval")] == [5, 6, 7, 8]
    assert exit_["pmu_ovf_status"] == 1


def test_exit__the_whole_block_is_written() -> None:
    """§2.3: padding reads as zero."""
    pe = guest()
    pe.world.memory.host_write(pe.run + 0x800, b"\xff" * 0x800)
    pe.enter(interrupt(ExitKind.IRQ))
    raw = pe.world.memory.host_read(pe.run + 0x800, 0x800)
    assert raw == REC_EXIT.pack({"exit_reason": IRQ})


def test_timer__a_change_exits_before_the_realm_runs() -> None:
    """§7.5"""
    pe = guest()
    for asserted in ((True, False), (True, True), (False, True), (False, False)):
        pe.pe.asserted = asserted
        entries = len(pe.pe.entries)
        exit_ = pe.enter()
        assert exit_["exit_reason"] == IRQ and len(pe.pe.entries) == entries
        assert pe.enter()["exit_reason"] == FIQ  # the state is known now: the realm runs
        assert len(pe.pe.entries) == entries + 1


def test_timer__a_change_while_running() -> None:
    """Looked at before each time that the realm goes on."""
    pe = guest()

    def act(rec: Any) -> Any:
        rec.asserted = (True, False)
        return smc(0xC400_0190, 0x10000)(rec)

    assert pe.enter(act)["exit_reason"] == IRQ
    assert len(pe.pe.entries) == 1


def test_observer() -> None:
    pe = guest()
    pe.enter(smc(0xC400_0190, 0x10000))
    log = pe.world.log
    assert log.runs == [("enter", pe.rec.pa, ""), ("exit", pe.rec.pa, "FIQ")]
    assert [call[0] for call in log.calls[-2:]] == ["RSI_VERSION", "RMI_REC_ENTER"]
    assert log.calls[-2][4] == pe.rec.pa and log.calls[-1][4] is None


def test_a_running_rec_is_locked() -> None:
    """§5.3: what other PEs may not do to a REC while it runs."""
    pe = guest()
    found: list[Any] = []

    def act(rec: Any) -> Any:
        world = pe.world
        assert pe.rec.state == "RUNNING"
        found.append(world.fails(rmi.REC_ENTER, pe.rec.pa, world.ns())[2])
        found.append(world.fails(rmi.REC_DESTROY, pe.rec.pa)[2])
        found.append(world.fails(rmi.RTT_SET_RIPAS, pe.realm.rd, pe.rec.pa, 0, G)[2])
        found.append(world.fails(rmi.REALM_DESTROY, pe.realm.rd)[2])
        return interrupt(ExitKind.IRQ)(rec)

    pe.enter(act)
    assert found == ["rec_running", "rec_running", "rec_running", "realm_recs"]
