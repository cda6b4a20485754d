"""Every shipped machine runs alone, ends well, and gives the same bytes twice."""

from __future__ import annotations

import re

import pytest

from machine.config.shipped import names
from tests.system.cli import ccabridge

# Bare boards have nothing to run until the user loads something.
BOARDS = {"fvp-base", "qemu-virt"}
# They boot what the user fetched: tests/system/test_linux.py, test_linux_firmware.py.
NEEDS_A_KERNEL = {"linux-realm", "linux-host", "linux-loader"}
RUNNABLE = sorted(set(names()) - BOARDS - NEEDS_A_KERNEL)


@pytest.mark.parametrize("name", RUNNABLE)
def test_shipped_machine__ends_with_0_and_runs_the_same_twice(name: str) -> None:
    first, second = ccabridge("run", name), ccabridge("run", name)
    assert first.code == 0, first.out[-2000:] + first.err
    assert first.lines[-1].startswith("ccabridge: guest-exit 0")
    assert first.out == second.out
    assert first.err == ""


def test_shipped_names__are_those_that_the_documentation_lists() -> None:
    assert set(RUNNABLE) >= {"hello-realm", "rsi-tour", "ripas", "destroyed", "faults", "attacker"}


def test_hello__speaks_by_host_call() -> None:
    result = ccabridge("run", "hello-realm")
    assert any(line.startswith("[realm 0] ") for line in result.lines)
    assert any(line.startswith("[NS] ") for line in result.lines)


def test_trace__decodes_every_call_by_name() -> None:
    plain, traced = ccabridge("run", "hello-realm"), ccabridge("run", "--trace", "hello-realm")
    assert traced.code == 0
    match = re.search(r"([\d,]+) RMI, ([\d,]+) RSI", plain.out)
    assert match is not None
    rmi, rsi = (int(group.replace(",", "")) for group in match.groups())
    calls = [line for line in traced.lines if re.search(r"\] (RMI|RSI|PSCI)_[A-Z_]+\(", line)]
    assert sum("RMI_" in line for line in calls) == rmi > 0
    assert sum("RSI_" in line for line in calls) == rsi > 0
    assert all(" = " in line or line.endswith(" -> host") for line in calls)
    assert not any("unknown function id" in line for line in traced.lines)


def test_trace__changes_nothing_else_of_the_output() -> None:
    plain, traced = ccabridge("run", "hello-realm"), ccabridge("run", "--trace", "hello-realm")
    consoles = [line for line in traced.lines if line.startswith(("[", "ccabridge:"))]
    assert consoles == plain.lines


def test_trace_glob__selects_events() -> None:
    result = ccabridge("run", "--trace=rmi_rec_*", "hello-realm")
    events = [line for line in result.lines if not line.startswith(("[", "ccabridge:"))]
    assert events
    assert all("RMI_REC_" in line for line in events)


def test_attacker__counts_every_case() -> None:
    result = ccabridge("run", "attacker")
    match = re.search(r"attacker: (\d+) cases, (\d+) passed", result.out)
    assert match is not None, result.out[-2000:]
    assert int(match[1]) == int(match[2]) >= 63 + 4


def test_realm_of_64_recs__builds_runs_and_is_taken_apart() -> None:
    result = ccabridge("run", "hello-realm", "-s", "realms.0.recs=64")
    assert result.code == 0
    match = re.search(r"(\d+) granules delegated, (\d+) returned and zero", result.out)
    assert match is not None
    assert int(match[1]) == int(match[2]) >= 64 * 17


def test_realm_of_4_gib__is_sparse() -> None:
    result = ccabridge("run", "rsi-tour", "-s", "realms.0.ram.size=4G", "-s", "realms.0.ipa_bits=40")
    assert result.code == 0
    match = re.search(r"(\d+) granules delegated, (\d+) returned and zero", result.out)
    assert match is not None
    assert int(match[1]) == int(match[2]) < 200


def test_sve__more_than_the_rmm_offers_is_refused_by_name() -> None:
    result = ccabridge("run", "sve", "-s", "realms.0.sve=1024", "--trace=rmi_realm_create")
    assert result.code == 90
    assert any("ERROR_INPUT [sve_vl_supp]" in line for line in result.lines)


def test_sve__in_a_realm_of_an_rmm_without_it_is_refused_by_name() -> None:
    result = ccabridge("run", "sve", "-s", "rmm.features.sve=false", "--trace=rmi_realm_create")
    assert result.code == 90
    assert any("ERROR_INPUT [sve_supp]" in line for line in result.lines)


def test_pmu__more_counters_than_the_rmm_offers_are_refused_by_name() -> None:
    result = ccabridge("run", "pmu", "-s", "realms.0.pmu=7", "--trace=rmi_realm_create")
    assert result.code == 90
    assert any("ERROR_INPUT [pmu_num_ctrs_supp]" in line for line in result.lines)


def test_pmu__in_a_realm_of_an_rmm_without_it_is_refused_by_name() -> None:
    result = ccabridge("run", "pmu", "-s", "rmm.features.pmu=false", "--trace=rmi_realm_create")
    assert result.code == 90
    assert any("ERROR_INPUT [pmu_supp]" in line for line in result.lines)


def test_trace__events_stand_before_what_follows_from_them() -> None:
    lines = ccabridge("run", "--trace=exception", "faults").lines
    taken = next(i for i, line in enumerate(lines) if "exception: to EL1" in line)
    told = next(i for i, line in enumerate(lines) if "load where nothing is mapped" in line)
    assert taken < told
