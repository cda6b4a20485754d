# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest prints, as the user sees it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.devices.console import MAX_LINE, Console


def shown(*pieces: bytes, label: str = "NS") -> str:
    out: list[str] = []
    console = Console(label, out.append)
    for piece in pieces:
        console.write(piece)
    console.flush()
    return "".join(out)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"hello\n", "[NS] hello\n"),
        (b"a\nb\r\n", "[NS] a\n[NS] b\n"),
        (b"\n", "[NS] \n"),
        (b"no end", "[NS] no end\n"),
        (b"", ""),
        ("grün ✓\n".encode(), "[NS] grün ✓\n"),
        (b"tab\tstays\n", "[NS] tab\tstays\n"),
        (b"\xff\xc3\n", "[NS] \\xff\\xc3\n"),
        (b"\x1b[2J\x07\n", "[NS] \\x1b[2J\\x07\n"),
        (b"over\rwrite\n", "[NS] over\\rwrite\n"),
        ("\u202ereversed\u2028\n".encode(), "[NS] \\u202ereversed\\u2028\n"),
        (b"\x9b31m\x00\x7f\n", "[NS] \\x9b31m\\x00\\x7f\n"),
        ("\x9b31m\n".encode(), "[NS] \\x9b31m\n"),
    ],
)
def test_line__text_only(data: bytes, text: str) -> None:
    assert shown(data) == text


def test_line__appears_when_it_is_complete() -> None:
    out: list[str] = []
    console = Console("realm 0", out.append)
    for byte in b"hi":
        console.write(bytes((byte,)))
    assert out == []
    console.write(b"\nrest")
    assert out == ["[realm 0] hi\n"]
    console.flush()
    console.flush()
    assert out == ["[realm 0] hi\n", "[realm 0] rest\n"]


def test_line__without_end_is_bounded() -> None:
    out: list[str] = []
    console = Console("NS", out.append)
    for _ in range(100):
        console.write(b"x" * 1000)
    assert len(out) >= 100_000 // MAX_LINE - 1
    console.flush()
    assert sum(line.count("x") for line in out) == 100_000


def test_raw__passes_through() -> None:
    out: list[str] = []
    console = Console("NS", out.append, raw=True)
    for byte in "\x1b[1mü\xff".encode("latin-1").replace(b"\xfc", "ü".encode()):
        console.write(bytes((byte,)))
    console.write(b"a")
    assert "".join(out) == "\x1b[1mü\\xffa"


@given(pieces=st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes__printable_labelled_lines(pieces: list[bytes]) -> None:
    text = shown(*pieces)
    assert text == shown(b"".join(pieces)), "how the bytes are cut up does not matter"
    assert text == "" or text.endswith("\n")
    for line in text.splitlines():
        assert line.startswith("[NS] ") and line.replace("\t", " ").isprintable()
