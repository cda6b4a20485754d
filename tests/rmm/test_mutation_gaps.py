# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows that mutants showed to be missing elsewhere: outputs of calls that fail (rmm-abi.md §3.12, §3.15, §5.5)."""

from __future__ import annotations

from rmm.abi import rmi
from tests.rmm.fakes import RTT, G, World

BLOCK = 2 << 20
NS_HALF = 1 << 39


def test_rtt_destroy__top_of_an_entry_that_is_no_table() -> None:
    """§3.12 #3: the next live entry of the table where the walk stopped."""
    world = World()
    realm = world.realm()
    world.tables(realm, 5 * BLOCK)
    assert world.call(rmi.RTT_DESTROY, realm.rd, BLOCK, 3)[:3] == (RTT | 2 << 8, 0, 5 * BLOCK)
    assert world.log.condition == "rtte_state"


def test_rtt_destroy__top_of_a_live_table() -> None:
    """§3.12 #4: the IPA itself."""
    world = World()
    realm = world.realm()
    world.data(realm, 5 * BLOCK + G)
    assert world.call(rmi.RTT_DESTROY, realm.rd, 5 * BLOCK, 3)[:3] == (RTT | 3 << 8, 0, 5 * BLOCK)
    assert world.log.condition == "rtt_live"


def test_rtt_unmap_unprotected__top_of_a_walk_that_stops_above() -> None:
    """§3.15: the next live entry of the table where the walk stopped."""
    world = World()
    realm = world.realm()
    world.tables(realm, NS_HALF + 5 * BLOCK)
    result = world.call(rmi.RTT_UNMAP_UNPROTECTED, realm.rd, NS_HALF + BLOCK + G, 3)
    assert result[:3] == (RTT | 2 << 8, NS_HALF + 5 * BLOCK, 0)
    assert world.log.condition == "rtt_walk"
