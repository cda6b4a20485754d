# SPDX-License-Identifier: GPL-2.0-or-later
"""A trace as the command line asks for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Protocol

from bridge.errors import UserError, did_you_mean
from machine.events import select
from machine.trace import Tracer
from machine.traces import where
from machine.traces.item import Item, Sink
from machine.traces.text import TextSink, TfRmmSink

if TYPE_CHECKING:
    from machine.machine import Machine

TEXT, TF_RMM, JSONL, CHROME = FORMATS = ("text", "tf-rmm", "jsonl", "chrome")
EXTRAS = ("pc", "delta")
_SUFFIXES = {".jsonl": JSONL, ".ndjson": JSONL, ".json": CHROME}


class Wishes(Protocol):
    """The options of `ccabridge run`."""

    machine: str | None
    trace: str | None
    where: str | None
    trace_file: str | None
    trace_format: str | None
    trace_with: str | None


class _Closing:
    """A text sink that owns its file."""

    def __init__(self, sink: Sink, file: IO[str]) -> None:
        self.put: Callable[[Item], None] = sink.put
        self._file = file

    def close(self) -> None:
        self._file.close()


def start(machine: Machine, wishes: Wishes, write: Callable[[str], object]) -> Tracer:
    """Traces `machine` from now on; UserError for options that make no sense, before any file is touched."""
    selected = select((wishes.trace or "*").split(","))
    test = where.parse(wishes.where) if wishes.where is not None else None
    extras = [word.strip() for word in wishes.trace_with.split(",")] if wishes.trace_with is not None else []
    for word in extras:
        if word not in EXTRAS:
            hint = did_you_mean(word, list(EXTRAS)) or f" (one of {', '.join(EXTRAS)})"
            raise UserError(f"--trace-with {word[:60]}: unknown{hint}")
    path = wishes.trace_file
    format_ = wishes.trace_format or (_SUFFIXES.get(os.path.splitext(path)[1], TEXT) if path is not None else TEXT)
    if path is None and format_ in (JSONL, CHROME):
        raise UserError(f"--trace-format {format_}: this is for a file: add --trace-file FILE")
    sink = _sink(machine, wishes.machine or machine.config.source.path, format_, path, write)
    tracer = Tracer(machine, selected, sink, where=test, pc="pc" in extras, deltas="delta" in extras)
    machine.trace_with(tracer)
    return tracer


def _sink(machine: Machine, name: str, format_: str, path: str | None, write: Callable[[str], object]) -> Sink:
    rate = machine.config.clock.rate
    if path is None:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        return TfRmmSink(write) if format_ == TF_RMM else TextSink(write, rate, colour=colour, consoles=False)
    try:
        file = open(path, "w", encoding="utf-8", buffering=1 << 18)  # noqa: SIM115  (the sink closes it)
    except OSError as error:
        raise UserError(f"--trace-file {path}: {error.strerror}") from None
    if format_ == JSONL:
        from machine.traces.jsonl import Header, JsonLines

        return JsonLines(file, Header(rate, os.path.basename(name)))
    if format_ == CHROME:
        from machine.traces.chrome import ChromeTrace

        return ChromeTrace(file, rate)
    return _Closing(TfRmmSink(file.write) if format_ == TF_RMM else TextSink(file.write, rate), file)
