# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest of the Normal world behind NS-EL2's stage 2 (DDI 0487 D8.2, D8.10, D1.3.6)."""

from __future__ import annotations

import re

import pytest

from tests.system.cli import Result, ccabridge


@pytest.fixture(scope="module")
def guest() -> Result:
    return ccabridge("run", "guest")


def test_guest__every_check_of_guest_and_hypervisor_passes(guest: Result) -> None:
    assert guest.code == 0, guest.out[-2000:]
    match = re.search(r"guest: (\d+) of (\d+) checks passed", guest.out)
    assert match is not None and match[1] == match[2] == "43"
    assert guest.out.count("  ok   ") == 43 and "FAIL" not in guest.out


@pytest.mark.parametrize(
    "rule",
    [
        "a second VA of it (stage 1) reaches the same memory (stage 2)",
        "a table that is not there is supplied to the walk",
        "the first page is as it was",
        "FAR_EL1 is the address",
        "with its sign, to 64 bits",
        "both were trapped",
        "the guest wrote to its own copy and not to what stands at the same PA",
    ],
)
def test_guest__checks(guest: Result, rule: str) -> None:
    assert f"[NS]   ok   {rule}" in guest.lines


def test_guest__its_smcs_do_not_reach_the_monitor() -> None:
    """HCR_EL2.TSC: the guest makes two, none of which the monitor answers."""
    traced = ccabridge("run", "--trace", "guest")
    assert traced.code == 0
    assert not any("RMI_GRANULE_DELEGATE" in line or "PSCI_VERSION" in line for line in traced.lines)
    assert "0 RMI, 0 RSI, 0 PSCI calls" in traced.out


def test_guest__without_its_image_nothing_passes() -> None:
    """The copy is zeros then: the first instruction is undefined, and so is each at VBAR_EL1 = 0."""
    result = ccabridge("run", "guest", "-s", "load.guest=null", "-s", "limits.instructions=5000000")
    assert result.code != 0
    assert "checks passed" not in result.out
