# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters over an event's fields: `rec==1 and status!=SUCCESS`, `pa >= 0x8800_0000 and not (event ~ 'gp*')`.

    expression := term { `or` term }        term := factor { `and` factor }
    factor     := `not` factor | `(` expression `)` | field [ `&` number ] comparison value
    comparison := `==` `!=` `<` `<=` `>` `>=`, or `~` (a glob)

A value is a number (decimal or hex, `_` allowed), a NAME (of a status, a state, a condition) or text in quotes.
A comparison with a field that the event does not have is false, whatever the comparison.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from bridge.errors import UserError, did_you_mean
from machine.events import constants, fields
from machine.traces.item import Named

LONGEST = 2000
DEEPEST = 50

Test = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?(?:0[xX][0-9a-fA-F_]+|[0-9][0-9_]*)\b)|(?P<word>[A-Za-z_][\w.]*)|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign>==|!=|<=|>=|<|>|~|&|\(|\))|(?P<bad>\S))"
)
_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_COMPARISONS = ("==", "!=", *_ORDERED, "~")


def parse(text: str) -> Test:
    """A filter; UserError with the column of what is wrong."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) > LONGEST:
            raise UserError(f"--where: longer than {LONGEST} characters")
        # (kind, word, column from 1)
        self._tokens: list[tuple[str, str, int]] = []
        for match in _TOKEN.finditer(text):
            kind = match.lastgroup or ""
            self._tokens.append((kind, match[kind], match.start(kind) + 1))
        self._at = 0
        self._depth = 0

    def whole(self) -> Test:
        test = self._any()
        if self._at < len(self._tokens):
            raise self._error("`and` or `or` is expected here")
        return test

    def _error(self, what: str, column: int | None = None) -> UserError:
        if column is None:
            column = self._tokens[self._at][2] if self._at < len(self._tokens) else len(self._text) + 1
        return UserError(f"--where: column {column}: {what}: {self._text[:200]}")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at][:2] if self._at < len(self._tokens) else ("end", "")

    def _take(self, word: str) -> bool:
        if self._peek()[1] == word and self._peek()[0] in ("word", "sign"):
            self._at += 1
            return True
        return False

    def _any(self) -> Test:
        tests = [self._all()]
        while self._take("or"):
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda values: any(test(values) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._take("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda values: all(test(values) for test in tests)

    def _one(self) -> Test:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(f"nested deeper than {DEEPEST}")
        try:
            if self._take("not"):
                inner = self._one()
                return lambda values: not inner(values)
            if self._take("("):
                inner = self._any()
                if not self._take(")"):
                    raise self._error("`)` is missing")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Test:
        kind, field = self._peek()
        if kind != "word" or field in ("and", "or"):
            raise self._error("the name of a field is expected here")
        if field not in fields():
            raise self._error(f"there is no field `{field[:60]}`{did_you_mean(field, list(fields()))}")
        self._at += 1
        mask: int | None = None
        if self._take("&"):
            mask = self._number()
        kind, sign = self._peek()
        if kind != "sign" or sign not in _COMPARISONS:
            raise self._error(f"one of {' '.join(_COMPARISONS)} is expected here")
        self._at += 1
        wanted = self._value()
        if sign in _ORDERED and isinstance(wanted, str):
            self._at -= 1
            raise self._error(f"`{sign}` compares with a number")
        if sign == "~" and not isinstance(wanted, str):
            self._at -= 1
            raise self._error("`~` compares with a glob in quotes")
        return _compare(field, mask, sign, wanted)

    def _number(self) -> int:
        kind, word = self._peek()
        if kind != "number":
            raise self._error("a number is expected here")
        try:
            number = int(word, 0) if "x" in word.lower() else int(word)
        except ValueError:
            raise self._error(f"`{word[:60]}` is no number") from None
        self._at += 1
        return number

    def _value(self) -> int | str:
        kind, word = self._peek()
        if kind == "number":
            return self._number()
        if kind == "text":
            self._at += 1
            return word[1:-1]
        if kind == "word" and word in constants():
            self._at += 1
            return word
        if kind == "word" and word not in ("and", "or", "not"):
            hint = did_you_mean(word, sorted(constants())) or " (text goes in quotes)"
            raise self._error(f"nothing is called `{word[:60]}`{hint}")
        raise self._error("a number, a NAME or text in quotes is expected here")


def _compare(field: str, mask: int | None, sign: str, wanted: int | str) -> Test:
    def test(values: Mapping[str, Any]) -> bool:
        value = values.get(field)
        if value is None:
            return False
        if isinstance(wanted, str):
            own = value.name if isinstance(value, Named) else value
            if not isinstance(own, str):
                return False
            if sign == "~":
                return fnmatchcase(own, wanted)
            return (own == wanted) is (sign == "==")
        if not isinstance(value, int):
            return False
        number = int(value) if mask is None else int(value) & mask
        if sign in _ORDERED:
            return _ORDERED[sign](number, wanted)
        return (number == wanted) is (sign == "==")

    return test
