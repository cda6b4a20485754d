# SPDX-License-Identifier: GPL-2.0-or-later
"""Interrupts of the Normal world at EL2 (IHI 0069 4, 12; DDI 0487 D13; DEN0022)."""

from __future__ import annotations

import re

import pytest

from tests.system.cli import ccabridge

LINE = r"irqs: PE (\d), affinity 0x(\d): up (\d) times, (\d+) SGIs, timers 30 27 26, (\d) SPIs"


@pytest.mark.parametrize(("pes", "checks"), [(1, 15), (2, 39), (4, 79), (8, 159)])
def test_irqs__every_pe_takes_what_is_its_own(pes: int, checks: int) -> None:
    result = ccabridge("run", "irqs", "-s", f"cpu.count={pes}")
    assert result.code == 0, result.out[-3000:]
    assert f"[NS] irqs: {checks} of {checks} checks passed" in result.lines
    seen = [tuple(map(int, found)) for found in re.findall(LINE, result.out)]
    # Five commands in each of two rounds; an SPI a round, and PE 0's one.
    assert [(pe, up, spis) for pe, _, up, _, spis in seen] == [(0, 1, 1), *((i, 2, 2) for i in range(1, pes))]
    assert [sgis for _, _, _, sgis, _ in seen[1:]] == [10] * (pes - 1)


@pytest.mark.parametrize("quantum", [100, 20_000])
def test_irqs__wherever_a_pe_is_interrupted(quantum: int) -> None:
    result = ccabridge("run", "irqs", "-s", "cpu.count=4", "-s", f"cpu.quantum={quantum}")
    assert result.code == 0, result.out[-3000:]


def test_irqs__without_a_gic_says_so() -> None:
    result = ccabridge("run", "irqs", "-s", "devices.gic=null")
    assert result.code == 2
    assert "[NS] irqs: a machine with a GIC and at most 8 PEs is needed" in result.lines
