# SPDX-License-Identifier: GPL-2.0-or-later
"""What traces and coverage cost: while they are off, and of a Linux boot in a file."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
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


def linux(repeats: int, *kinds: Sequence[str]) -> list[float] | None:
    """Processor seconds of a quiet boot, by what is asked for in addition; FOLDER is one for files."""
    image = vmm.kernel()
    if image is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        asked = [[word.replace("FOLDER", folder) for word in words] for words in kinds]
        rounds = [[vmm.linux(image, vmm.QUIET, words) for words in asked] for _ in range(repeats)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def rows(rate: Callable[[], float], repeats: int) -> Iterator[tuple[str, str, str, str]]:
    """(what, measured, result, at most)."""
    yield "trace off", "delegations, by none at all", f"{off(rate):.3f}x", "1.020x"
    kinds = ("JSON Lines trace of Linux quiet", "1.30x"), ("coverage of Linux quiet", "1.60x")
    took = linux(repeats, (), (ALL_CALLS, "--trace-file=FOLDER/linux.jsonl"), ("--coverage=FOLDER/linux.drcov",))
    for number, (what, most) in enumerate(kinds, 1):
        if took is None:
            yield what, f"no {vmm.KERNEL} cloud kernel cached", "skipped", most
        else:
            yield what, f"{took[number]:.2f} s against {took[0]:.2f} s", f"{took[number] / took[0]:.2f}x", most
