# SPDX-License-Identifier: GPL-2.0-or-later
"""Consoles of several worlds on one text output, a line at a time.

What a guest prints reaches the user's terminal only as text: control characters and bytes that are not UTF-8
are written as escapes, so that no guest can move the cursor, retitle a window or hide a line.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable

TextSink = Callable[[str], object]

# A guest that never ends its line must not fill the host's memory.
MAX_LINE = 4096

# Nor must a user who sends to a guest that never reads.
MAX_BACKLOG = 64 << 20


class Console:
    """One labelled console: whole lines go out as `[label] line`.

    raw: bytes pass through undecoded but for UTF-8 errors and without labels, for interactive use.

    heard: told of whole lines, as text, and by None that a part of one has come.

    Everything that a user types, sends or pipes into the machine enters by `feed`, between two slices of a run.
    """

    def __init__(
        self,
        label: str,
        sink: TextSink,
        *,
        raw: bool = False,
        heard: Callable[[Console, str | None], None] | None = None,
    ) -> None:
        self.label = label
        self._sink = sink
        self._heard = heard
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace") if raw else None
        self._pending = bytearray()
        self._receive: Callable[[bytes], int] | None = None
        self._backlog = bytearray()
        # Told of input, as it comes (machine.record).
        self.fed: Callable[[bytes], object] | None = None

    def plug(self, receive: Callable[[bytes], int]) -> None:
        """Connects the receive line of a UART: `receive` returns how many bytes it took."""
        self._receive = receive

    def feed(self, data: bytes) -> None:
        """Input for the UART; what it has no room for yet waits for `drained`."""
        if self.fed is not None:
            self.fed(data)
        if self._receive is not None and len(self._backlog) < MAX_BACKLOG:
            self._backlog += data
            self.drained()

    def drained(self) -> None:
        """The UART has room."""
        backlog = self._backlog
        if backlog and self._receive is not None:
            del backlog[: self._receive(bytes(backlog[:64]))]

    def write(self, data: bytes) -> None:
        """Bytes as the guest sent them; output appears when a line is complete."""
        if self._decoder is not None:
            self._sink(self._decoder.decode(data))
            return
        pending = self._pending
        pending += data
        if b"\n" not in data and len(pending) <= MAX_LINE:
            self._tell_part()
            return
        *lines, rest = pending.split(b"\n")
        for line in lines:
            self._emit(bytes(line))
        while len(rest) > MAX_LINE:
            self._emit(bytes(rest[:MAX_LINE]))
            rest = rest[MAX_LINE:]
        self._pending = bytearray(rest)
        if rest:
            self._tell_part()

    def _tell_part(self) -> None:
        if self._heard is not None:
            self._heard(self, None)

    @property
    def pending(self) -> str:
        """The line that is not complete yet."""
        return visible(bytes(self._pending))

    def flush(self) -> None:
        """Ends an unfinished line: the machine stops, or another output must not be mixed into it."""
        if self._pending:
            line = bytes(self._pending)
            self._pending = bytearray()
            self._emit(line)

    def _emit(self, line: bytes) -> None:
        # Firmware ends lines with CR LF.
        text = visible(line.removesuffix(b"\r"))
        if self._heard is not None:
            self._heard(self, text)
        self._sink(f"[{self.label}] {text}\n")


def visible(data: bytes) -> str:
    """Text of a console line: UTF-8, everything else that does not print as `\\x1b` and the like."""
    text = data.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
