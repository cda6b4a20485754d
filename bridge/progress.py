# SPDX-License-Identifier: GPL-2.0-or-later
"""Progress and wall time: on standard error only, and only for a person who looks or who asked with -v."""

from __future__ import annotations

import sys
import time
from typing import TextIO

INTERVAL = 0.25  # seconds between two updates of the line
QUIET_FOR = 1.0  # seconds until the first one: what is quick needs none


class Progress:
    """A status line that is rewritten in place on a terminal; with `verbose`, lines that stay.

    Silent when standard error is a pipe or a file and nobody asked.
    """

    def __init__(self, *, verbose: bool = False, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self.verbose = verbose
        self._start = time.monotonic()
        self._next = self._start + QUIET_FOR
        self._shown = 0

    @property
    def elapsed(self) -> float:
        """Seconds of wall time since this object was made."""
        return time.monotonic() - self._start

    def update(self, text: str) -> None:
        """Shows `text` on the status line, at most every INTERVAL seconds; nothing without a terminal."""
        if not self._terminal:
            return
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + INTERVAL
        self._write(text)

    def say(self, text: str) -> None:
        """A line that stays, with -v."""
        if self.verbose:
            self.clear()
            self._stream.write(f"ccabridge: {text}\n")
            self._stream.flush()

    def clear(self) -> None:
        """Takes the status line away; whoever prints to the same terminal calls this first."""
        if self._shown:
            self._write("")

    def _write(self, text: str) -> None:
        self._stream.write(f"\r{text:<{self._shown}}" + ("\r" if not text else ""))
        self._stream.flush()
        self._shown = len(text)
