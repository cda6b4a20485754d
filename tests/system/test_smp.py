# SPDX-License-Identifier: GPL-2.0-or-later
"""Counting together: no addition by exclusives or atomics gets lost (DDI 0487 B2.12, C3.2.12)."""

from __future__ import annotations

import re
from itertools import pairwise

from tests.system.cli import ccabridge


def test_smp__four_recs_lose_no_addition() -> None:
    result = ccabridge("run", "smp")
    assert result.code == 0, result.out[-2000:]
    match = re.search(r"smp: (\d+) of (\d+) checks passed", result.out)
    assert match is not None and match[1] == match[2] == "10"


def test_smp__host_counts_in_its_own_memory() -> None:
    pattern = r"\[NS\] host: (\d+) PEs counted to (\d+) by LDXR and STXR, to (\d+) by LDADD: 2 of 2 sums are right"
    match = re.search(pattern, ccabridge("run", "smp").out)
    assert match is not None
    pes, exclusives, atomics = map(int, match.groups())
    assert exclusives == atomics == pes * 1000


def test_smp__a_realm_with_too_few_recs_says_so() -> None:
    result = ccabridge("run", "smp", "-s", "realms.0.recs=2")
    assert result.code == 2
    assert "FAIL a REC starts (needs recs: 4)" in result.out


def test_smp__recs_take_turns() -> None:
    """Between the first and the last addition every REC is entered many times."""
    result = ccabridge("run", "--trace=rec_enter", "smp")
    recs = re.findall(r"REC (0x[0-9a-f]+) runs", result.out)
    entries = {rec: recs.count(rec) for rec in set(recs)}
    assert len(entries) == 4
    assert min(entries.values()) > 60
    assert sum(a != b for a, b in pairwise(recs)) > 200
