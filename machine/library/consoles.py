# SPDX-License-Identifier: GPL-2.0-or-later
"""What the consoles of a machine have printed, and waiting for more of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from machine.devices.console import Console


class Line(NamedTuple):
    """label: of the console."""

    label: str
    text: str

    def __str__(self) -> str:
        return f"[{self.label}] {self.text}"


class Transcript:
    """Every line, and how far somebody has read.  What is waited for may stand in a line that is not complete."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._read = 0
        self._parts: dict[str, Console] = {}
        self._used: dict[str, int] = {}  # characters of an incomplete line that were found before
        self._wanted: tuple[re.Pattern[str], str | None] | None = None

    def heard(self, console: Console, line: str | None) -> bool:
        """Something was printed; whether that is what is waited for."""
        name = console.label
        if line is None:
            self._parts[name] = console
            return self._part(name) is not None
        self._parts.pop(name, None)
        used = self._used.pop(name, 0)
        self.lines.append(Line(name, line))
        if used and self._read == len(self.lines) - 1:
            self._read += 1  # its beginning was found already
            return False
        return self._wanted is not None and self._is_wanted(self.lines[-1])

    def wait(self, pattern: str | re.Pattern[str], label: str | None) -> None:
        """Looks out for text, or for a match; in one console or in any."""
        self._wanted = _compiled(pattern), label

    def found(self) -> Line | None:
        """The first line from where reading has come to that is waited for; reading goes on behind it."""
        for at in range(self._read, len(self.lines)):
            if self._is_wanted(self.lines[at]):
                self._read = at + 1
                return self.lines[at]
        for name in self._parts:
            part = self._part(name)
            if part is not None:
                self._read, self._used[name] = len(self.lines), len(part.text)
                return part
        return None

    def forget(self) -> None:
        """Nothing is waited for any more."""
        self._wanted = None

    def _is_wanted(self, line: Line) -> bool:
        assert self._wanted is not None
        pattern, label = self._wanted
        return label in (None, line.label) and pattern.search(line.text) is not None

    def _part(self, name: str) -> Line | None:
        if self._wanted is None or self._wanted[1] not in (None, name):
            return None
        text = self._parts[name].pending
        return Line(name, text) if self._wanted[0].search(text, self._used.get(name, 0)) else None

    def of(self, label: str) -> list[str]:
        """The complete lines of one console."""
        return [line.text for line in self.lines if line.label == label]


def _compiled(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(re.escape(pattern)) if isinstance(pattern, str) else pattern
