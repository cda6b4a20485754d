# SPDX-License-Identifier: GPL-2.0-or-later
"""Features of the RMM as parameters (rmm-abi.md §2.6), and the ID registers of a realm (§6.7)."""

from __future__ import annotations

from typing import Any

import pytest

from rmm.abi import rmi
from rmm.features import Features
from rmm.idregs import realm_id_registers
from tests.rmm.fakes import World, features

ONES = (1 << 64) - 1


def test_encode__recorded_machines() -> None:
    """The feature registers of the two machines whose answers are recorded."""
    first = Features(lpa2=True, pmu=True, pmu_num_ctrs=31, gicv3_num_lrs=0)
    assert first.encode() == 0x283FC104130
    second = Features(s2sz=40, num_bps=5, num_wps=3, pmu=True, pmu_num_ctrs=6, gicv3_num_lrs=3, pa_width=40)
    assert second.encode() == 0x28F34314028


@pytest.mark.parametrize("register", [0x283FC104130, 0x28F34314028])
def test_decode(register: int) -> None:
    assert Features.decode(register).encode() == register


def test_defaults() -> None:
    default = Features()
    assert (default.s2sz, default.num_bps, default.num_wps, default.max_recs_order) == (48, 1, 1, 10)
    assert not (default.lpa2 or default.pmu or default.sve) and default.gicv3_num_lrs >= 3
    assert str(default).startswith("S2SZ=48|NUM_BPS=1")


@pytest.mark.parametrize(
    "wrong", [{"s2sz": 49}, {"rec_aux_count": 17}, {"num_bps": 64}, {"gicv3_num_lrs": 16}, {"max_recs_order": -1}]
)
def test_values_that_do_not_fit(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Features(**wrong)


def test_what_is_off_is_not_shown() -> None:
    register = Features(sve_vl=7, pmu_num_ctrs=6).encode()
    assert register & (0xF << 10 | 0x1F << 27) == 0


@pytest.mark.parametrize("count", [0, 1, 16])
def test_rec_aux_count(count: int) -> None:
    world = World(features(rec_aux_count=count))
    realm = world.realm()
    assert world.ok(rmi.REC_AUX_COUNT, realm.rd)[0] == count
    assert len(world.rec(realm).aux) == count


def test_vmid_width() -> None:
    World(features(vmid_bits=16)).realm(vmid=0xFFFF)
    world = World(features(vmid_bits=8))
    assert world.fails(rmi.REALM_CREATE, world.delegated(), world.params(vmid=0x100))[2] == "vmid_bound"


def test_hpmn0() -> None:
    World(features(pmu=True, pmu_num_ctrs=1, hpmn0=True)).realm(flags=4, pmu_num_ctrs=0)


def test_max_recs() -> None:
    """§2.6: at most 2^order - 1."""
    world = World(features(max_recs_order=1))
    realm = world.realm()
    world.rec(realm)
    assert world.fails(rmi.REC_CREATE, realm.rd, world.delegated(), world.rec_params(1))[2] == "realm_recs"


# §6.7: register, bits that a realm without SVE sees of all ones
ID_REGISTERS = [
    ("ID_AA64PFR0_EL1", ONES & ~(0xF << 44 | 0xF << 40 | 0xF << 32)),
    ("ID_AA64PFR1_EL1", ONES & ~(0xF << 8 | 0xF << 24 | 0xF << 16)),
    ("ID_AA64DFR1_EL1", ONES & ~(0xF << 48 | 0xF << 36)),
    ("ID_AA64ZFR0_EL1", 0),
    ("ID_AA64SMFR0_EL1", 0),
    ("ID_AA64ISAR0_EL1", ONES),
    ("ID_AA64ISAR1_EL1", ONES),
    ("ID_AA64ISAR2_EL1", 0),
    ("ID_AA64MMFR0_EL1", ONES),
    ("ID_AA64MMFR1_EL1", ONES),
    ("ID_AA64MMFR2_EL1", ONES),
    ("ID_AA64MMFR3_EL1", 0),
    ("ID_AA64AFR0_EL1", ONES),
    ("ID_AA64AFR1_EL1", ONES),
    ("ID_PFR0_EL1", 0),
    ("MIDR_EL1", ONES),
]


@pytest.mark.parametrize(("name", "visible"), ID_REGISTERS)
def test_id_register(name: str, visible: int) -> None:
    assert realm_id_registers({name: ONES}) == {name: visible}


def test_id_aa64dfr0() -> None:
    """Hidden: TraceVer, PMSS, SEBEP, CTX_CMPs, PMSVer, TraceFilt, TraceBuffer, BRBE, ExtTrcBuff."""
    shown = realm_id_registers({"ID_AA64DFR0_EL1": ONES}, pmu=True)["ID_AA64DFR0_EL1"]
    hidden = {low for low in range(0, 64, 4) if shown >> low & 0xF == 0}
    assert hidden == {4, 16, 24, 28, 32, 40, 44, 52, 56}
    assert all(shown >> low & 0xF == 0xF for low in range(0, 64, 4) if low not in hidden)


def test_id_aa64dfr0__without_a_pmu() -> None:
    assert realm_id_registers({"ID_AA64DFR0_EL1": 0x70F})["ID_AA64DFR0_EL1"] == 0x00F


def test_id_registers__sve_realm() -> None:
    shown = realm_id_registers({"ID_AA64PFR0_EL1": ONES, "ID_AA64ZFR0_EL1": 5, "ID_AA64SMFR0_EL1": 5}, sve=True)
    assert shown["ID_AA64PFR0_EL1"] >> 32 & 0xF == 0xF
    assert (shown["ID_AA64ZFR0_EL1"], shown["ID_AA64SMFR0_EL1"]) == (5, 0)
