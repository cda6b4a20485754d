# SPDX-License-Identifier: GPL-2.0-or-later
"""PSCI and timers of a realm with several RECs on one PE of the host (rmm-abi.md §6.5, §7.5, §8)."""

from __future__ import annotations

import re

import pytest

from tests.system.cli import Result, ccabridge


@pytest.fixture(scope="module")
def power() -> Result:
    return ccabridge("run", "--trace=psci_*,rmi_psci_*", "power")


def test_power__every_check_passes(power: Result) -> None:
    assert power.code == 0, power.out[-2000:]
    assert "[realm 0] power: 21 of 21 checks passed" in power.lines


def test_power__refused_calls_do_not_reach_the_host(power: Result) -> None:
    """Of the realm's requests only those for another REC of its own exit, and the host completes each."""
    asked = re.findall(r"PSCI_(?:CPU_ON|AFFINITY_INFO)\(.*-> host", power.out)
    refused = re.findall(r"PSCI_(?:CPU_ON|AFFINITY_INFO)\(.*= (?:ALREADY_ON|INVALID)", power.out)
    assert len(asked) == power.out.count("RMI_PSCI_COMPLETE(") > 10
    assert len(refused) == 5


def test_power__ends_by_system_off_of_a_secondary_rec(power: Result) -> None:
    calls = [line for line in power.lines if re.search(r"\] PSCI_", line)]
    assert "PSCI_SYSTEM_OFF() -> host" in calls[-1]


def test_power__reset_is_told_to_the_host() -> None:
    result = ccabridge("run", "power", "-s", "realms.0.personalization=reset")
    assert result.code == 0
    assert "[NS] host: realm 0 asks for a reset: it ends here" in result.lines


def test_power__a_realm_of_one_rec_says_so() -> None:
    """The first CPU_ON names no REC then."""
    result = ccabridge("run", "power", "-s", "realms.0.recs=1")
    assert result.code == 2
    assert "FAIL a REC starts" in result.out


@pytest.mark.parametrize("machine", ["hello-realm", "rsi-tour"])
def test_more_pes_than_recs__idle_ones_cost_little(machine: str) -> None:
    def instructions(pes: int) -> int:
        result = ccabridge("run", machine, "-s", f"cpu.count={pes}")
        assert result.code == 0
        match = re.search(r"([\d,]+) instructions", result.out)
        assert match is not None
        return int(match[1].replace(",", ""))

    assert instructions(4) < 4 * instructions(1)
