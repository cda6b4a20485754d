# SPDX-License-Identifier: GPL-2.0-or-later
"""Recorded runs: a replay is the run again, and names the place where it is another one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from machine.vmm.linux.cache import cached_kernels
from tests.system.cli import LAUNCH, ccabridge

Lines = list[dict[str, Any]]
needs_kernel = pytest.mark.skipif(not cached_kernels(), reason="no Linux kernel is cached: ccabridge fetch-kernel")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The record of a run without input, and what it printed."""
    path = tmp_path_factory.mktemp("record") / "irqs.jsonl"
    result = ccabridge("run", "irqs", "--record", str(path))
    assert result.code == 0
    return path, result.out


def test_replay__is_the_run(recorded: tuple[Path, str]) -> None:
    path, out = recorded
    again = ccabridge("replay", str(path))
    assert (again.code, again.out) == (0, out)


@needs_kernel
def test_replay__types_what_was_typed(tmp_path: Path) -> None:
    """What came through a pipe, at times of its own, comes again at the same instructions."""
    path = tmp_path / "typed.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCH, "run", "linux-realm", "--record", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        for text in (b"echo typed\n", b"exit 3\n"):
            time.sleep(0.7)
            process.stdin.write(text)
            process.stdin.flush()
        out = process.communicate()[0].decode()
    assert process.returncode == 3
    again = ccabridge("replay", str(path), timeout=120)
    assert (again.code, again.out) == (3, out)


def _other_look(lines: Lines) -> None:
    next(line for line in lines if "look" in line)["look"] ^= 1


def _input_from_nowhere(lines: Lines) -> None:
    lines.insert(1, {"at": 5_000_000, "to": 7, "data": "00"})


def _other_end(lines: Lines) -> None:
    lines[-1]["hash"] = "0" * 64


def _earlier_end(lines: Lines) -> None:
    lines[-1]["at"] = 3_000_000
    del lines[1:-1]


def _no_end(lines: Lines) -> None:
    del lines[-1]


@pytest.mark.parametrize(
    ("tamper", "number", "what"),
    [
        (_other_look, 2, "its contexts have other registers"),
        (_input_from_nowhere, 2, "something was to happen at 5,000,000"),
        (_other_end, 3, "it ends in another state"),
        (_earlier_end, 2, "the run was over at 3,000,000"),
        (_no_end, 3, "it is over, and the record is not whole"),
    ],
)
def test_replay__says_where_it_diverges(
    tamper: Callable[[Lines], None], number: int, what: str, recorded: tuple[Path, str], tmp_path: Path
) -> None:
    lines: Lines = [json.loads(line) for line in recorded[0].read_text().splitlines()]
    tamper(lines)
    path = tmp_path / "tampered.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = ccabridge("replay", str(path))
    assert result.code == 2
    assert result.err.startswith(f"ccabridge: error: {path}:{number}: the replay diverges at ")
    assert what in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "not a record of ccabridge"),
        ("\x7fELF", "not a record of ccabridge"),
        ("[1]\n", "not a record of ccabridge"),
        ('{"format": "ccabridge record", "version": 9}\n', "a record of version 9; this ccabridge has 1"),
        ('{"format": "ccabridge record", "version": 1}\n', "damaged: its first line is not whole"),
    ],
)
def test_replay__refuses_other_files(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    result = ccabridge("replay", str(path))
    assert (result.code, result.out, result.err) == (2, "", f"ccabridge: error: {path}: {expected}\n")


def test_replay__of_a_run_that_was_interrupted_ends_there(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl"
    words = ("run", "seeded", "-s", "boot.registers.x1=4", "-s", "stuck.faults=0", "-s", "limits.time=3600s")
    run = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, *words, "--record", str(path), "--trace=rmi_rec_create"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    try:
        while "RMI_REC_CREATE" not in run.stdout.readline():
            assert run.poll() is None
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=30)
    finally:
        run.kill()
    result = ccabridge("replay", str(path))
    assert result.code == 130
    assert "ccabridge: interrupted 130: the recorded run was, at " in result.lines[-1]
