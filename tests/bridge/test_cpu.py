"""ID registers: what the machine emulates is shown, what nobody emulates is hidden."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bridge.cpu import ID_REGISTERS, id_registers

ALL_ONES = (1 << 64) - 1


@dataclass(frozen=True)
class Features:
    pauth: bool = False
    sve: bool = False
    hafdbs: str = "none"
    rndr: bool = True
    lse: bool = True
    pan: bool = True
    crypto: bool = True
    fp16: bool = True
    pmu: bool = False


def field(name: str, low: int, features: Features | None = None, engine: int = ALL_ONES, pa_bits: int = 48) -> int:
    return id_registers(lambda _encoding: engine, features or Features(), pa_bits)[name] >> low & 0xF


def test_gic__is_shown_where_the_machine_has_one() -> None:
    """DDI 0487, ID_AA64PFR0_EL1.GIC: 1 is the system register interface of versions 3.0 and 4.0."""
    values = id_registers(lambda _encoding: 0, Features(), 48, gic=True)
    assert values["ID_AA64PFR0_EL1"] >> 24 & 15 == 1


def test_aarch32__is_hidden_at_every_level() -> None:
    assert [field("ID_AA64PFR0_EL1", low) for low in (0, 4, 8, 12)] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("register", "low"),
    [
        ("ID_AA64PFR0_EL1", 24),  # GIC: only where the machine has one
        ("ID_AA64PFR0_EL1", 32),  # SVE
        ("ID_AA64PFR0_EL1", 40),  # MPAM
        ("ID_AA64PFR0_EL1", 44),  # AMU
        ("ID_AA64PFR0_EL1", 48),  # DIT
        ("ID_AA64PFR1_EL1", 0),  # BT
        ("ID_AA64PFR1_EL1", 8),  # MTE
        ("ID_AA64PFR1_EL1", 24),  # SME
        ("ID_AA64DFR0_EL1", 8),  # PMUVer
        ("ID_AA64ISAR0_EL1", 56),  # TLB range and outer shareable
        ("ID_AA64ISAR1_EL1", 4),  # APA
        ("ID_AA64ISAR1_EL1", 8),  # API
        ("ID_AA64MMFR1_EL1", 0),  # HAFDBS
    ],
)
def test_not_emulated__reads_as_absent_whatever_the_engine_claims(register: str, low: int) -> None:
    assert field(register, low) == 0


def test_emulated_here__reads_as_present_whatever_the_engine_claims() -> None:
    assert field("ID_AA64PFR0_EL1", 52, engine=0) == 1  # RME
    assert field("ID_AA64MMFR2_EL1", 40, engine=0) == 1  # FWB
    assert field("ID_AA64MMFR1_EL1", 8, engine=0) == 1  # VH


def test_double_lock__is_absent() -> None:
    assert field("ID_AA64DFR0_EL1", 36, engine=0) == 0xF


@pytest.mark.parametrize(
    ("features", "register", "low", "value"),
    [
        (Features(hafdbs="af"), "ID_AA64MMFR1_EL1", 0, 1),
        (Features(hafdbs="dirty"), "ID_AA64MMFR1_EL1", 0, 2),
        (Features(rndr=False), "ID_AA64ISAR0_EL1", 60, 0),
        (Features(lse=False), "ID_AA64ISAR0_EL1", 20, 0),
        (Features(pan=False), "ID_AA64MMFR1_EL1", 20, 0),
        (Features(crypto=False), "ID_AA64ISAR0_EL1", 4, 0),
        (Features(fp16=False), "ID_AA64PFR0_EL1", 16, 0),
        (Features(pauth=True), "ID_AA64ISAR1_EL1", 4, 0xF),
        (Features(sve=True), "ID_AA64PFR0_EL1", 32, 0xF),
        (Features(pmu=True), "ID_AA64DFR0_EL1", 8, 7),  # PMUv3p7
    ],
)
def test_feature__decides(features: Features, register: str, low: int, value: int) -> None:
    assert field(register, low, features) == value


@pytest.mark.parametrize(("pa_bits", "code"), [(32, 0), (40, 2), (48, 5), (52, 6)])
def test_pa_range__is_the_machines(pa_bits: int, code: int) -> None:
    assert field("ID_AA64MMFR0_EL1", 0, pa_bits=pa_bits) == code


@pytest.mark.parametrize(
    ("pa_bits", "tgran4", "tgran16", "va_range"),
    [(40, 0, 1, 0), (48, 0, 1, 0), (52, 1, 2, 1)],
)
def test_granules__all_three_are_there(pa_bits: int, tgran4: int, tgran16: int, va_range: int) -> None:
    """DDI 0487, D19.2.64: TGran4 0 and TGran16 1 are supported, 1 and 2 with 52 bits; TGran64 0; stage 2 likewise."""
    for engine in (0, (1 << 64) - 1):
        shown = [field("ID_AA64MMFR0_EL1", low, engine=engine, pa_bits=pa_bits) for low in (28, 20, 24, 32, 36, 40)]
        assert shown == [tgran4, tgran16, 0, 0, 0, 0]
        assert field("ID_AA64MMFR2_EL1", 16, engine=engine, pa_bits=pa_bits) == va_range


def test_id_registers__lie_in_the_id_space() -> None:
    assert all(encoding >> 7 == 0xC000 >> 7 for encoding in ID_REGISTERS.values())
