# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects as data and back: aliases stay aliases, and what the schema does not name goes in neither direction."""

from __future__ import annotations

from array import array
from collections import deque
from typing import Any

import pytest

from machine.pe import Mode, Pe
from machine.snapshot.codec import MAX_DEPTH, Decoder, Encoder, walk
from machine.snapshot.schema import Damaged, Unsupported
from rmm.abi import rmi
from rmm.protocols import Stage2


def copy(value: Any) -> Any:
    return Decoder({}).decode(Encoder({}).encode(value))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -1,
        1 << 63,
        (1 << 64) - 1,
        1 << 200,
        "é",
        b"\0\xff",
        (),
        (1, (2, [3])),
        [1, [2]],
        {1: "a", "b": [2]},
        {3, 1},
        frozenset({2}),
        bytearray(b"xy"),
        Mode.REC,
        rmi.RTT_CREATE,
        Stage2(1, 40, 1, 0x8000_0000),
    ],
)
def test_copy__is_equal(value: Any) -> None:
    assert copy(value) == value
    assert type(copy(value)) is type(value)


def test_copy__of_bounded_queues_and_arrays() -> None:
    queue = copy(deque([1, 2], maxlen=5))
    assert (list(queue), queue.maxlen) == ([1, 2], 5)
    assert copy(array("Q", [1, 1 << 63])) == array("Q", [1, 1 << 63])


def test_copy__keeps_aliases() -> None:
    inner = [1]
    first, second, back = copy([inner, inner, []])
    assert first is second
    assert back is not first
    loop: list[Any] = []
    loop.append(loop)
    again = copy(loop)
    assert again[0] is again


@pytest.mark.parametrize("value", [print, lambda: 0, object(), type, open, [Damaged("x")], {1: len}])
def test_encode__refuses_what_is_not_named(value: Any) -> None:
    with pytest.raises(Unsupported):
        Encoder({}).encode(value)


@pytest.mark.parametrize(
    "data",
    [
        [],
        [1],
        ["?"],
        ["r", 0],
        ["r", -1],
        ["r", "0"],
        ["o", "os:system", {}],
        ["o", "subprocess:Popen", {"args": "true"}],
        ["o", "machine.pe:Pe", {}],  # never made: there are as many as the machine has
        ["o", "rmm.protocols:Stage2", {"__class__": None}],
        ["o", "rmm.protocols:Stage2", []],
        ["n", "builtins:eval", "1"],
        ["e", "os:system", "true"],
        ["e", "machine.pe:Mode", "no such mode"],
        ["n", "rmm.abi.call:Call", 1],
        ["m", "text", "upper"],
        ["m", ["l"], "append"],
        ["m", ["o", "rmm.realm:Realm", {}], "__init__"],
        ["p", ["c", "rmm.realm:Realm"]],
        ["p", print],
        ["c", "os:system"],
        ["f", "machine"],
        ["d", 1],
        ["d", ["l"], 1],
        ["B", 5],
        ["a", "Q", b"123"],
        ["a", "u!", b""],
        ["v", "B", b""],
        ["i", "12x"],
        ["q", -1],
    ],
)
def test_decode__refuses_what_is_not_named(data: Any) -> None:
    with pytest.raises(Damaged):
        Decoder({}).decode(data)


def test_decode__refuses_depth_without_end() -> None:
    data: list[Any] = ["l"]
    for _ in range(MAX_DEPTH + 1):
        data = ["l", data]
    with pytest.raises(Damaged):
        Decoder({}).decode(data)


def test_put__gives_what_is_there_its_state_and_nothing_more() -> None:
    before, after = Pe(1, 0x100), Pe(1, 0x100)
    before.mode, before.wake_at, before.resume_at = Mode.SECURE, 77, (1, 2)
    fixed = walk(before)
    content = Encoder(fixed).state(before)
    Decoder(walk(after)).put(after, content)
    assert (after.mode, after.wake_at, after.resume_at) == (Mode.SECURE, 77, (1, 2))
    for wrong in ({}, {**content, "core": None}, {**content, "more": 1}, None):
        with pytest.raises(Damaged):
            Decoder(walk(after)).put(after, wrong)  # type: ignore[arg-type]
