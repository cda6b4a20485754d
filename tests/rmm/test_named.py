# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls by name: the registers are those of rmm-abi.md §3."""

from __future__ import annotations

import pytest

from rmm.abi import rmi
from rmm.abi.named import words
from tests.rmm.fakes import RTT, SUCCESS, World


def test_words__inputs_by_place_and_by_name_are_x1_upwards() -> None:
    assert words(rmi.RTT_CREATE, (1, 2), {"level": 4, "ipa": 3}) == [1, 2, 3, 4]


def test_words__a_signed_level_fills_its_register() -> None:
    assert words(rmi.RTT_READ_ENTRY, (1, 2, -1)) == [1, 2, 0xFFFF_FFFF_FFFF_FFFF]


@pytest.mark.parametrize(
    ("args", "named", "text"),
    [
        ((), {"rd": 1}, "missing rtt, ipa, level"),
        ((1, 2, 3, 4, 5), {}, "takes 4 inputs, 5 are given"),
        ((1,), {"rd": 1, "rtt": 2, "ipa": 3, "level": 4}, "`rd` is given twice"),
        ((), {"rd": 1, "rtt": 2, "ipa": 3, "lvl": 4}, "RMI_RTT_CREATE(rd, rtt, ipa, level) has no input `lvl`"),
    ],
)
def test_words__wrong_inputs_are_named(args: tuple[int, ...], named: dict[str, int], text: str) -> None:
    with pytest.raises(TypeError) as error:
        words(rmi.RTT_CREATE, args, named)
    assert text in str(error.value)


@pytest.mark.parametrize("value", [1 << 64, -(1 << 63) - 1])
def test_words__64_bits_and_no_more(value: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        words(rmi.GRANULE_DELEGATE, (value,))


def test_interface__a_realm_by_names() -> None:
    world = World()
    rd = world.ns()
    assert world.rmi.GRANULE_DELEGATE(addr=rd)[0] == SUCCESS
    assert world.rmi.REALM_CREATE(rd=rd, params=world.params())[0] == SUCCESS
    assert world.rmi.RTT_CREATE(rd=rd, rtt=world.delegated(), ipa=0, level=3)[0] == RTT | 1 << 8  # walked to level 1
    assert world.rmm.realms()[0].rd == rd


def test_interface__has_the_23_commands_and_no_others() -> None:
    world = World()
    assert len(world.rmi.calls) == 23
    assert repr(world.rmi.RTT_FOLD) == "RMI_RTT_FOLD(rd, ipa, level)"
    with pytest.raises(AttributeError):
        _ = world.rmi.RTT_FOLDS
