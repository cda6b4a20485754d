# SPDX-License-Identifier: GPL-2.0-or-later
"""What traces and coverage cost: while they are off, and of a Linux boot in a file."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from bridge.plugin import lib
from machine.calls import CallLog
from tests.bench import vmm

ROUNDS = 7
ALL_CALLS = "--trace=rmi_*,rsi_*,psci_*"


def _call(
    self: CallLog, decl: Any, args: Any, result: Any, condition: Any, rec_pa: Any, *, secure: bool = False
) -> None:
    counts = self._counts
    counts[decl] = counts.get(decl, 0) + 1
    self._ring.append((lib.cca_insns(self._handle), decl, args, result, condition, rec_pa, secure))


def _entered(self: CallLog, rec_pa: int) -> None:
    """Nobody could ask for it."""


def _left(self: CallLog, rec_pa: int, reason: str) -> None:
    """Nor for this."""


def _granule(self: CallLog, pa: int, old: int, new: int) -> None:
    """Nor for this."""


def _gpt(self: CallLog, pa: int, requester: int, to: int, status: int) -> None:
    """Nor for this."""


def off(rate: Callable[[], float]) -> float:
    """Time with the trace off, by time without any of its code in the way; rate: calls a second."""
    ratios = []
    blind = {"call": _call, "rec_enter": _entered, "rec_exit": _left, "granule": _granule, "gpt": _gpt}
    for _ in range(ROUNDS):
        ours = rate()
        with mock.patch.multiple(CallLog, **blind):
            bare = rate()
        ratios.append(bare / ours)
    return statistics.median(ratios)


def linux(repeats: int) -> tuple[float, float] | None:
    """Processor seconds of a quiet boot, and of the same with all calls traced into JSON Lines."""
    image = vmm.kernel()
    if image is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        words = (ALL_CALLS, f"--trace-file={Path(folder) / 'linux.jsonl'}")
        pairs = [(vmm.linux(image, vmm.QUIET), vmm.linux(image, vmm.QUIET, words)) for _ in range(repeats)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def rows(rate: Callable[[], float], repeats: int) -> Iterator[tuple[str, str, str, str]]:
    """(what, measured, result, at most)."""
    yield "trace off", "delegations, by none at all", f"{off(rate):.3f}x", "1.020x"
    took = linux(repeats)
    if took is None:
        yield "JSON Lines trace of Linux quiet", f"no {vmm.KERNEL} cloud kernel cached", "skipped", "1.30x"
    else:
        plain, traced = took
        yield (
            "JSON Lines trace of Linux quiet",
            f"{traced:.2f} s against {plain:.2f} s",
            f"{traced / plain:.2f}x",
            "1.30x",
        )
