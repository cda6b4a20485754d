# SPDX-License-Identifier: GPL-2.0-or-later
"""Counting together: no addition by exclusives or atomics gets lost (DDI 0487 B2.12, C3.2.12)."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from tests.system.cli import Result, ccabridge


def passed(result: Result) -> None:
    assert result.code == 0, result.out[-2000:]
    match = re.search(r"smp: (\d+) of (\d+) checks passed", result.out)
    assert match is not None and match[1] == match[2] == "10"


@pytest.mark.parametrize("pes", [1, 2, 3, 4, 8])
def test_smp__no_addition_gets_lost_on_any_number_of_pes(pes: int) -> None:
    result = ccabridge("run", "smp", "-s", f"cpu.count={pes}")
    passed(result)
    line = rf"\[NS\] host: {pes} PEs counted to {pes}000 by LDXR and STXR, to {pes}000 by LDADD: 2 of 2 sums are right"
    assert re.search(line, result.out)


@pytest.mark.parametrize("quantum", [100, 137, 20_000])
def test_smp__no_addition_gets_lost_wherever_a_pe_is_interrupted(quantum: int) -> None:
    passed(ccabridge("run", "smp", "-s", f"cpu.quantum={quantum}"))


def test_smp__a_realm_with_too_few_recs_says_so() -> None:
    result = ccabridge("run", "smp", "-s", "realms.0.recs=2")
    assert result.code == 2
    assert "FAIL a REC starts (needs recs: 4)" in result.out


def test_smp__recs_take_turns_on_one_pe() -> None:
    result = ccabridge("run", "--trace=rec_enter", "smp", "-s", "cpu.count=1")
    recs = re.findall(r"REC (0x[0-9a-f]+) runs", result.out)
    entries = {rec: recs.count(rec) for rec in set(recs)}
    assert len(entries) == 4
    assert min(entries.values()) > 60
    assert sum(a != b for a, b in pairwise(recs)) > 200


@pytest.mark.parametrize("pes", [2, 3])
def test_psci_between_pes__a_rec_is_started_again_and_denied_as_on_one(pes: int) -> None:
    result = ccabridge("run", "awkward", "-s", f"cpu.count={pes}")
    assert result.code == 0, result.out[-2000:]
    assert len(re.findall(r"(\d+) of \1 checks passed", result.out)) == 4
