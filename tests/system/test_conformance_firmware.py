"""The conformance host: every RMI command by real SMCs, against tables written by hand."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.system.cli import Result, ccabridge

# rmm-abi.md §1.2
COMMANDS = (
    "RMI_VERSION",
    "RMI_GRANULE_DELEGATE",
    "RMI_GRANULE_UNDELEGATE",
    "RMI_DATA_CREATE",
    "RMI_DATA_CREATE_UNKNOWN",
    "RMI_DATA_DESTROY",
    "RMI_REALM_ACTIVATE",
    "RMI_REALM_CREATE",
    "RMI_REALM_DESTROY",
    "RMI_REC_CREATE",
    "RMI_REC_DESTROY",
    "RMI_REC_ENTER",
    "RMI_RTT_CREATE",
    "RMI_RTT_DESTROY",
    "RMI_RTT_MAP_UNPROTECTED",
    "RMI_RTT_READ_ENTRY",
    "RMI_RTT_UNMAP_UNPROTECTED",
    "RMI_PSCI_COMPLETE",
    "RMI_FEATURES",
    "RMI_RTT_FOLD",
    "RMI_REC_AUX_COUNT",
    "RMI_RTT_INIT_RIPAS",
    "RMI_RTT_SET_RIPAS",
)
SOURCES = Path(__file__).parents[2] / "firmware" / "conformance"


@cache
def conformance() -> Result:
    return ccabridge("run", "conformance")


def test_conformance__every_case_passes() -> None:
    result = conformance()
    assert result.code == 0, result.out[-4000:] + result.err
    assert "FAIL" not in result.out
    match = re.search(r"conformance: (\d+) cases, (\d+) passed", result.out)
    assert match is not None
    assert int(match[1]) == int(match[2]) >= 1000


@pytest.mark.parametrize("command", COMMANDS)
def test_conformance__meets_each_command(command: str) -> None:
    match = re.search(rf"^\[NS\] {command}: (\d+) cases$", conformance().out, re.MULTILINE)
    assert match is not None
    assert int(match[1]) >= 7


def test_conformance__counts_add_up() -> None:
    out = conformance().out
    per_command = [int(n) for n in re.findall(r"^\[NS\] [\w ]+: (\d+) cases$", out, re.MULTILINE)]
    per_scene = [(int(a), int(b)) for a, b in re.findall(r"(\d+) of +(\d+)$", out, re.MULTILINE)]
    total = re.search(r"conformance: (\d+) cases", out)
    assert total is not None
    assert sum(per_command) == sum(passed for passed, _ in per_scene) == int(total[1])
    assert len(per_command) == len(COMMANDS) + 1


def test_conformance__every_granule_comes_back() -> None:
    match = re.search(
        r"conformance: (\d+) granules delegated, (\d+) returned and zero$", conformance().out, re.MULTILINE
    )
    assert match is not None
    assert int(match[1]) == int(match[2]) > 600


def test_conformance__finds_an_rmm_that_differs() -> None:
    """With another limit on RECs the feature register and the rows about the limit are wrong: the run must say so."""
    result = ccabridge("run", "conformance", "-s", "rmm.features.max_recs_order=3")
    assert result.code == 1
    failed = [line for line in result.lines if line.startswith("[NS] FAIL ")]
    assert any("RMI_FEATURES: register 0" in line for line in failed)
    assert any("as many RECs as there may be" in line for line in failed)
    match = re.search(r"conformance: (\d+) cases, (\d+) passed", result.out)
    assert match is not None
    assert int(match[1]) - int(match[2]) == len(failed)


def test_conformance__tables_compute_nothing_from_declarations() -> None:
    """Function ids and register values stand in the tables as numbers, not as the generated header's names."""
    for path in SOURCES.glob("*.c"):
        if path.name in {"main.c", "world.c", "puppet.c"}:
            continue
        text = path.read_text()
        assert "SMC_RMI_" not in text, path.name
        assert ".section" in text and "§" in text, path.name
