# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors that the user can do something about; guest faults and model bugs are other things."""

from __future__ import annotations


class UserError(Exception):
    """Something the user gave is wrong.  `str()` is one line; the process ends with `exit_code`."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class ConfigError(UserError):
    """A machine file, a layer or a command-line override is wrong: `file:line:col: what (hint)`."""


def one_line(text: str) -> str:
    """`text` with everything that could break the line, or drive a terminal, written as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def did_you_mean(word: str, known: list[str]) -> str:
    """` (did you mean `x`?)` for the closest of `known`, or an empty string."""
    import difflib

    close = difflib.get_close_matches(word[:200], known, n=1, cutoff=0.55)
    return f" (did you mean `{close[0]}`?)" if close else ""
