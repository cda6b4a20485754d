# SPDX-License-Identifier: GPL-2.0-or-later
"""PSCI from a realm, and RMI_PSCI_COMPLETE (rmm-abi.md §8, §3.22)."""

from __future__ import annotations

from typing import Any

import pytest

from rmm.abi import rmi
from rmm.bare import ScriptedRec, smc
from rmm.rec import Rec
from tests.rmm.fakes import REALM, REC, X4, Guest, World, context

VERSION, CPU_OFF, SYSTEM_OFF, SYSTEM_RESET, FEATURES = 0x84000000, 0x84000002, 0x84000008, 0x84000009, 0x8400000A
SUSPEND = (0x84000001, 0xC4000001)
CPU_ON = (0x84000003, 0xC4000003)
AFFINITY = (0x84000004, 0xC4000004)
M1 = (1 << 64) - 1
NOT_SUPPORTED, INVALID_PARAMETERS, DENIED, ALREADY_ON, INVALID_ADDRESS = M1, M1 - 1, M1 - 2, M1 - 3, M1 - 8
ON, OFF = 0, 1
FIQ, PSCI = 2, 3
NS_HALF = 1 << 39


class Pair(Guest):
    """A realm of two RECs; the second is off unless it is `on`."""

    def __init__(self, on: bool = False) -> None:
        world = World()
        realm = world.realm()
        first = world.rec(realm)
        self.other: Rec = world.rec(realm, flags=int(on), pc=0x9000)
        world.ok(rmi.REALM_ACTIVATE, realm.rd)
        super().__init__(world, realm, first, {})

    @property
    def other_pe(self) -> ScriptedRec:
        return context(self.other)

    def complete(self, status: int = 0) -> Any:
        """(status, index, condition) of PSCI_COMPLETE."""
        return self.world.fails(rmi.PSCI_COMPLETE, self.rec.pa, self.other.pa, status)


def test_version() -> None:
    pair = Pair()
    assert pair.rsi(VERSION)[:4] == [0x10001, 0, 0, 0]
    assert pair.rsi(0x80000000)[:4] == [0x10002, 0, 0, 0]  # SMCCC_VERSION


SUPPORTED = (*SUSPEND, CPU_OFF, *CPU_ON, *AFFINITY, SYSTEM_OFF, SYSTEM_RESET, FEATURES, 0x80000000)


@pytest.mark.parametrize("fid", SUPPORTED)
def test_features__supported(fid: int) -> None:
    assert Pair().rsi(FEATURES, fid)[0] == 0


@pytest.mark.parametrize("fid", [VERSION, 0x8400000B, 0x80000001, 0xC4000002, 0xC4000190, 0])
def test_features__not_supported(fid: int) -> None:
    """§8: PSCI_VERSION among them."""
    assert Pair().rsi(FEATURES, fid)[0] == NOT_SUPPORTED


@pytest.mark.parametrize("fid", [0x84000005, 0x84000014, 0xC4000014, 0xC4000002, 0xC4000008])
def test_others(fid: int) -> None:
    pair = Pair()
    assert pair.enter(smc(fid, 1, 2, 3, X4))["exit_reason"] == FIQ
    assert pair.pe.x[:5] == [NOT_SUPPORTED, 0, 0, 0, X4]


def shown(exit_: dict[str, Any], *gprs: int) -> None:
    """A PSCI exit shows these registers and nothing else."""
    assert exit_["exit_reason"] == PSCI and exit_["esr"] == 0
    assert exit_["gprs"] == gprs + (0,) * (31 - len(gprs))


@pytest.mark.parametrize("fid", SUSPEND)
def test_cpu_suspend(fid: int) -> None:
    """§8.1: arguments stay hidden."""
    pair = Pair()
    shown(pair.enter(smc(fid, 1, 0x5000, 3)), fid)
    pair.enter()
    assert pair.pe.entries[-1] == (0, 0, 0, 0, 0, 0x1004)


def test_cpu_off() -> None:
    """§8.4"""
    pair = Pair()
    shown(pair.enter(smc(CPU_OFF)), CPU_OFF)
    assert pair.refused() == (REC, 0, "rec_runnable") and pair.pe.x[0] == 0


@pytest.mark.parametrize("fid", [SYSTEM_OFF, SYSTEM_RESET])
def test_system_off(fid: int) -> None:
    pair = Pair()
    shown(pair.enter(smc(fid)), fid)
    assert pair.realm.state == 2
    assert pair.refused() == (REALM, 1, "system_off")


@pytest.mark.parametrize("fid", CPU_ON)
def test_cpu_on(fid: int) -> None:
    """§8.3: the target starts at the entry point with the context id; the caller sees SUCCESS."""
    pair = Pair()
    pair.pe.is_big_endian = True
    shown(pair.enter(smc(fid, 1, 0x7000, 0x77, X4)), fid, 1)
    assert pair.refused() == (REC, 0, "rec_psci")
    assert pair.complete() == (0, 0, None)
    assert pair.other.runnable and pair.other_pe.is_big_endian
    assert (pair.other_pe.pc, pair.other_pe.x[0]) == (0x7000, 0x77)
    pair.enter()
    assert pair.pe.entries[-1] == (0, 0, 0, 0, X4, 0x1004)


# call, X0: §8's checks, in the order address, target, self
REFUSED = [
    ((CPU_ON[1], 1, NS_HALF, 0), INVALID_ADDRESS),
    ((CPU_ON[1], 9, NS_HALF, 0), INVALID_ADDRESS),
    ((CPU_ON[1], 0, NS_HALF, 0), INVALID_ADDRESS),
    ((CPU_ON[1], 2, 0x1000, 0), INVALID_PARAMETERS),
    ((CPU_ON[1], 0x100, 0x1000, 0), INVALID_PARAMETERS),
    ((CPU_ON[1], 1 << 32, 0x1000, 0), INVALID_PARAMETERS),
    ((CPU_ON[1], 0, 0x1000, 0), ALREADY_ON),
    ((CPU_ON[1], 1 << 31 | 0xF0, 0x1000, 0), ALREADY_ON),  # only affinity fields count
    ((AFFINITY[1], 1, 1), INVALID_PARAMETERS),
    ((AFFINITY[1], 0, 1), INVALID_PARAMETERS),
    ((AFFINITY[1], 9, 1), INVALID_PARAMETERS),
    ((AFFINITY[1], 2, 0), INVALID_PARAMETERS),
    ((AFFINITY[1], 0, 0), ON),
]
NAMES = [
    *["entry_point_bound"] * 3,
    *["target_bound"] * 3,
    *["target_self"] * 2,
    *["level_valid"] * 3,
    "target_bound",
    None,
]


@pytest.mark.parametrize(("call", "x0", "condition"), [(*row, n) for row, n in zip(REFUSED, NAMES, strict=True)])
def test_immediate_results(call: tuple[int, ...], x0: int, condition: str | None) -> None:
    pair = Pair()
    assert pair.enter(smc(*call))["exit_reason"] == FIQ
    assert pair.pe.x[:4] == [x0, 0, 0, 0] and pair.rec.psci is None
    assert pair.world.log.calls[-2][3] == condition


def test_cpu_on__denied() -> None:
    pair = Pair()
    pair.enter(smc(CPU_ON[1], 1, 0x7000, 0))
    assert pair.complete(DENIED) == (0, 0, None)
    assert not pair.other.runnable and pair.pe.x[0] == DENIED
    assert pair.complete(DENIED)[2] == "pending"


def test_cpu_on__already_on() -> None:
    pair = Pair(on=True)
    pair.enter(smc(CPU_ON[1], 1, 0x7000, 0))
    assert pair.complete() == (0, 0, None)
    assert pair.pe.x[0] == ALREADY_ON and pair.other_pe.pc == 0x9000


def test_cpu_on__denied_on() -> None:
    """§3.22 #8: INPUT for the host, but the request is consumed as ALREADY_ON."""
    pair = Pair(on=True)
    pair.enter(smc(CPU_ON[1], 1, 0x7000, 0))
    assert pair.complete(DENIED) == (1, 0, "denied_on")
    assert pair.pe.x[0] == ALREADY_ON and pair.rec.psci is None
    pair.enter()


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("fid", AFFINITY)
def test_affinity_info(fid: int, on: bool) -> None:
    pair = Pair(on=on)
    shown(pair.enter(smc(fid, 1, 0)), fid, 1)
    assert pair.complete(DENIED) == (1, 0, "status")
    assert pair.complete() == (0, 0, None)
    assert pair.pe.x[:4] == [ON if on else OFF, 0, 0, 0]


def test_affinity_info__a_running_target_is_on() -> None:
    pair = Pair()
    pair.enter(smc(AFFINITY[1], 1, 0))
    pair.other.running = True
    pair.complete()
    assert pair.pe.x[0] == ON


@pytest.mark.parametrize("status", [1, NOT_SUPPORTED, INVALID_PARAMETERS, ALREADY_ON, 1 << 32, M1 - 2 & ~(1 << 63)])
def test_complete__status(status: int) -> None:
    """§3.22 #7: SUCCESS and DENIED are all that CPU_ON allows."""
    pair = Pair()
    pair.enter(smc(CPU_ON[1], 1, 0x7000, 0))
    assert pair.complete(status) == (1, 0, "status")
    assert pair.rec.psci is not None and not pair.other.runnable


def test_complete__target_before_status() -> None:
    pair = Pair()
    third = pair.world.ns()
    pair.enter(smc(CPU_ON[1], 1, 0x7000, 0))
    assert pair.world.fails(rmi.PSCI_COMPLETE, pair.rec.pa, third, 5)[2] == "target_state"
    pair.other.index = 7
    assert pair.complete(5)[2] == "target"
