# SPDX-License-Identifier: GPL-2.0-or-later
"""A booted Linux in a file and back: processor seconds, and bytes."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from machine.config import load
from machine.machine import Machine
from machine.snapshot.file import Reader, save
from machine.stops import Stop, Stops
from tests.bench.vmm import QUIET, kernel

MARK = "[realm 0] ready\n"


def _quiet(_text: str) -> None:
    """The figures are what counts."""


def measure(image: Path, folder: Path, repeats: int) -> tuple[float, float, int]:
    """Seconds to write a realm of 256 MiB whose init is about to run its script, and to read it; bytes of the file."""
    path = folder / "linux.snap"
    settings = [f"vmm.kernel={image}", "vmm.script=echo ready", f"vmm.cmdline={QUIET}", "vmm.memory=256M"]
    output: list[str] = []
    writing: list[float] = []
    sizes: list[int] = []
    machine = Machine(load("linux-realm", settings), output.append)

    def take() -> None:
        for _ in range(repeats):
            start = time.process_time()
            sizes.append(save(machine, str(path)))
            writing.append(time.process_time() - start)

    def front(stop: Stop) -> None:
        if MARK in output and not sizes:
            machine.freeze(take)

    Stops(machine, front).add("event:rec_exit")
    machine.run()
    machine.close()
    reading = []
    for _ in range(repeats):
        start = time.process_time()
        Reader(str(path)).machine(_quiet).close()
        reading.append(time.process_time() - start)
    return statistics.median(writing), statistics.median(reading), max(sizes)


def rows(repeats: int) -> Iterator[tuple[str, str, str, str]]:
    """(what, measured, result, at most)."""
    image = kernel()
    names = (("Snapshot of Linux", "1.50 s"), ("Restore of Linux", "1.00 s"), ("File of Linux", "80 MB"))
    if image is None:
        for what, most in names:
            yield what, "no cloud kernel cached", "skipped", most
        return
    with tempfile.TemporaryDirectory() as folder:
        writing, reading, size = measure(image, Path(folder), repeats)
    results = f"{writing:.2f} s", f"{reading:.2f} s", f"{size / 1e6:.1f} MB"
    for (what, most), result in zip(names, results, strict=True):
        yield what, "256 MiB, booted, at its shell's first word", result, most
