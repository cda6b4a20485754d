# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of system registers, against an independent disassembler."""

from __future__ import annotations

import capstone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.arch import sysregs

_MRS, _MSR = 0xD520_0000, 0xD500_0000
_DISASSEMBLER = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)


def _names_of(encoding: int) -> set[str]:
    """What the disassembler calls a register when it is read and when it is written."""
    words = [base | encoding << 5 for base in (_MRS, _MSR)]
    texts = [text for word in words for *_, text in _DISASSEMBLER.disasm_lite(word.to_bytes(4, "little"), 0)]
    return {part.strip().lower() for text in texts for part in text.split(",")} - {"x0"}


REGISTERS = {encoding: name for encoding, name in sysregs.names().items() if encoding >> 14 >= 2}


def test_sysreg_name__agrees_with_the_disassembler_or_is_newer_than_it() -> None:
    unlike, newer = [], 0
    for encoding, name in REGISTERS.items():
        theirs = _names_of(encoding)
        if theirs == {sysregs.generic_name(encoding).lower()}:
            newer += 1
        elif name.lower() not in theirs:
            unlike.append((name, theirs))
    assert unlike == []
    assert newer < len(REGISTERS) // 8, "the comparison would prove little"


def test_sysreg_name__no_name_stands_for_two_registers() -> None:
    names = [name.upper() for name in sysregs.names().values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ((3, 0, 1, 0, 0), "SCTLR_EL1"),
        ((3, 4, 1, 1, 0), "HCR_EL2"),
        ((3, 0, 12, 12, 0), "ICC_IAR1_EL1"),
        ((3, 4, 12, 13, 7), "ICH_LR15_EL2"),
        ((3, 3, 14, 3, 1), "CNTV_CTL_EL0"),
        ((3, 6, 2, 1, 4), "GPTBR_EL3"),
        ((3, 6, 2, 1, 6), "GPCCR_EL3"),
        ((3, 6, 6, 0, 5), "MFAR_EL3"),
        ((3, 6, 1, 1, 0), "SCR_EL3"),
        ((3, 7, 15, 15, 7), "S3_7_C15_C15_7"),
    ],
)
def test_sysreg_name__of_an_encoding_and_back(fields: tuple[int, int, int, int, int], name: str) -> None:
    encoding = sysregs.encode(*fields)
    assert sysregs.sysreg_name(encoding) == name
    assert sysregs.find(name.lower()) == encoding


@given(st.integers(0, 0xFFFF))
def test_every_encoding__has_a_name_that_leads_back(encoding: int) -> None:
    assert sysregs.find(sysregs.sysreg_name(encoding)) == encoding
    assert sysregs.find(sysregs.generic_name(encoding)) == encoding


@pytest.mark.parametrize("text", ["", "S", "S4_0_C0_C0_0", "S3_8_C0_C0_0", "S3_0_C16_C0_0", "S3_0_C0_C0", "x" * 5000])
def test_find__unknown_is_none(text: str) -> None:
    assert sysregs.find(text) is None
