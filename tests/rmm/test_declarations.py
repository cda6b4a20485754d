# SPDX-License-Identifier: GPL-2.0-or-later
"""Function ids, register counts and answers to unknown ids, against rmm-abi.md §1 and §14, written out by hand."""

from __future__ import annotations

import pytest

from rmm import psci, rsi
from rmm.abi import by_fid, by_name, calls_by_fid, later, rmi
from rmm.abi import rsi as rsi_abi
from rmm.abi.call import Call, Condition
from rmm.bare import smc
from rmm.rmm import HANDLERS
from tests.rmm.fakes import UNKNOWN, X4, World

# §1.2: function id, inputs, outputs
RMI = {
    "VERSION": (0xC4000150, 1, 2),
    "GRANULE_DELEGATE": (0xC4000151, 1, 0),
    "GRANULE_UNDELEGATE": (0xC4000152, 1, 0),
    "DATA_CREATE": (0xC4000153, 5, 0),
    "DATA_CREATE_UNKNOWN": (0xC4000154, 3, 0),
    "DATA_DESTROY": (0xC4000155, 2, 2),
    "REALM_ACTIVATE": (0xC4000157, 1, 0),
    "REALM_CREATE": (0xC4000158, 2, 0),
    "REALM_DESTROY": (0xC4000159, 1, 0),
    "REC_CREATE": (0xC400015A, 3, 0),
    "REC_DESTROY": (0xC400015B, 1, 0),
    "REC_ENTER": (0xC400015C, 2, 0),
    "RTT_CREATE": (0xC400015D, 4, 0),
    "RTT_DESTROY": (0xC400015E, 3, 2),
    "RTT_MAP_UNPROTECTED": (0xC400015F, 4, 0),
    "RTT_READ_ENTRY": (0xC4000161, 3, 4),
    "RTT_UNMAP_UNPROTECTED": (0xC4000162, 3, 1),
    "PSCI_COMPLETE": (0xC4000164, 3, 0),
    "FEATURES": (0xC4000165, 1, 1),
    "RTT_FOLD": (0xC4000166, 3, 1),
    "REC_AUX_COUNT": (0xC4000167, 1, 1),
    "RTT_INIT_RIPAS": (0xC4000168, 3, 1),
    "RTT_SET_RIPAS": (0xC4000169, 4, 1),
}
# §1.3: function id, input registers, output registers
RSI = {
    "VERSION": (0xC4000190, 1, 2),
    "FEATURES": (0xC4000191, 1, 1),
    "MEASUREMENT_READ": (0xC4000192, 1, 8),
    "MEASUREMENT_EXTEND": (0xC4000193, 10, 0),
    "ATTESTATION_TOKEN_INIT": (0xC4000194, 8, 1),
    "ATTESTATION_TOKEN_CONTINUE": (0xC4000195, 3, 1),
    "REALM_CONFIG": (0xC4000196, 1, 0),
    "IPA_STATE_SET": (0xC4000197, 4, 2),
    "IPA_STATE_GET": (0xC4000198, 2, 2),
    "HOST_CALL": (0xC4000199, 1, 0),
}


@pytest.mark.parametrize(("calls", "expected"), [(rmi.CALLS, RMI), (rsi_abi.CALLS, RSI)], ids=["rmi", "rsi"])
def test_function_ids_and_registers(calls: tuple[Call, ...], expected: dict[str, tuple[int, int, int]]) -> None:
    declared = {c.short: (c.fid, c.words, sum(v.count for v in c.outputs)) for c in calls}
    assert declared == expected


def test_every_check_belongs_to_a_condition() -> None:
    for decl, checks, _ in (*HANDLERS, *rsi.HANDLERS, *psci.HANDLERS):
        assert set(checks) == {c.name for c in decl.conditions if not c.late}, decl.name


def test_by_fid_and_name() -> None:
    assert by_fid(0xC400015D) is rmi.RTT_CREATE
    assert by_fid(0xC401015D) is rmi.RTT_CREATE  # with the SVE hint
    assert by_fid(0x84000003) is by_fid(0xC4000003)
    assert by_fid(0xC4000156) is None
    assert by_name("rmi_rtt_fold") is rmi.RTT_FOLD
    assert by_name("RMI_NOTHING") is None


def test_later_calls_are_known_by_name() -> None:
    """§14"""
    for fid, name in ((0xC400016A, "RMI_VSMMU_CREATE"), (0xC40001F1, "RMI_GRANULE_RANGE_DELEGATE")):
        call = by_fid(fid)
        assert call is not None and call.name == name and not call.supported
    assert len(calls_by_fid()) > 100


@pytest.mark.parametrize("fid", [0xC4000156, 0xC4000160, 0xC4000163, 0xC400018E, *(c.fid for c in later.RMI_CALLS)])
def test_unknown_rmi(fid: int) -> None:
    """§1.2: -1, X1..X3 zero, X4 the caller's."""
    world = World()
    assert world.rmm.rmi((fid, 1, 2, 3, X4, 5, 6, 7)) == (UNKNOWN, 0, 0, 0, X4)
    name, args, _, condition, _ = world.log.calls[-1]
    assert condition == "not_supported"
    assert (name is None and args == (fid, 1, 2, 3)) or str(name).startswith("RMI_")


@pytest.mark.parametrize(
    "fid", [0xC4000150, 0xC40001B0, 0x80000001, 0xC600_0010, 0x84000011, *(c.fid for c in later.RSI_CALLS)]
)
def test_unknown_smc_of_a_realm(fid: int) -> None:
    """§1.3: no exit to the host, PC advanced."""
    guest = World().running_realm()
    guest.enter(smc(fid, 1, 2, 3, X4))
    assert guest.pe.x[:5] == [UNKNOWN, 0, 0, 0, X4]
    assert [entry[5] for entry in guest.pe.entries] == [0x1000, 0x1004]


def test_sve_hint_is_ignored() -> None:
    """§1.1; for PSCI too (§12)."""
    world = World()
    assert world.rmm.rmi((0xC4010150, 0x10000, 0, 0, 0))[0] == 0
    guest = world.running_realm()
    assert guest.rsi(0xC4010190, 0x10000)[0] == 0
    assert guest.rsi(0x84010000)[0] == 0x10001


def test_the_fid_is_taken_from_w0() -> None:
    assert World().rmm.rmi((0xFFFF_FFFF_C400_0150, 0x10000, 0, 0, 0))[0] == 0


def test_result_registers() -> None:
    """§1.2: X1..X3 zero unless written, X4 the caller's unless written (RTT_READ_ENTRY alone writes it)."""
    world = World()
    realm = world.realm()
    assert world.call(rmi.VERSION, 0x10000) == (0, 0x10000, 0x10000, 0, X4)
    assert world.call(rmi.VERSION, 0x20000) == (1, 0x10000, 0x10000, 0, X4)
    assert world.call(rmi.REC_AUX_COUNT, realm.rd) == (0, 2, 0, 0, X4)
    assert world.call(rmi.REALM_ACTIVATE, realm.rd + 1) == (1, 0, 0, 0, X4)
    assert world.call(rmi.RTT_READ_ENTRY, realm.rd, 0, 1) == (0, 1, 0, 0, 0)
    assert world.call(rmi.RTT_READ_ENTRY, realm.rd, 0, 7) == (1, 0, 0, 0, X4)


def test_features() -> None:
    """§2.6: register 0, every other index zero, always SUCCESS."""
    world = World()
    assert world.call(rmi.FEATURES, 0)[:2] == (0, world.rmm.features.encode())
    for index in (1, 2, 1 << 63):
        assert world.call(rmi.FEATURES, index)[:2] == (0, 0)


def test_a_condition_is_declared_once() -> None:
    twice = (Condition("a", 1, ""), Condition("a", 1, ""))
    with pytest.raises(ValueError, match="two conditions"):
        Call(1, "RMI_X", conditions=twice)


def test_outputs_by_status() -> None:
    assert rmi.DATA_DESTROY.outputs_on(0) == ("data", "top")
    assert rmi.DATA_DESTROY.outputs_on(1) == ()
    assert rmi.DATA_DESTROY.outputs_on(4) == ("top",)
