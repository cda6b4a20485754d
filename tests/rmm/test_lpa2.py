# SPDX-License-Identifier: GPL-2.0-or-later
"""52-bit addresses: descriptors, level -1, and what realms without LPA2 must not be given (rmm-abi.md §11)."""

from __future__ import annotations

import pytest

from rmm.abi import rmi
from rmm.bare import BareMemory
from rmm.realm import Realm
from tests.rmm.fakes import BASE, INPUT, G, World, features

LPA2 = 1
HIGH = 1 << 48  # where these worlds have a second bank


class HighMemory(BareMemory):
    """A memory whose second half lies at 2^48."""

    def _fold(self, pa: int) -> int:
        return pa - HIGH + BASE + len(self.data) // 2 if pa >= HIGH else pa

    def read(self, pa: int, size: int) -> bytes:
        return super().read(self._fold(pa), size)

    def write(self, pa: int, data: bytes) -> None:
        super().write(self._fold(pa), data)

    def read64(self, pa: int) -> int:
        return super().read64(self._fold(pa))

    def write64(self, pa: int, value: int) -> None:
        super().write64(self._fold(pa), value)


class HighWorld(World):
    """Granules of a bank at 2^48 are there for the taking."""

    def __init__(self) -> None:
        super().__init__(features(s2sz=52, lpa2=True, pa_width=52))
        from rmm.granule import Granules

        half = len(self.memory.data) // 2
        self.memory = HighMemory(BASE, 2 * half)
        self.rmm.memory = self.memory
        self.platform.memory = self.memory
        self.rmm.granules = Granules([(BASE, half), (HIGH, half)], None)
        self.high = HIGH

    def delegated_high(self) -> int:
        pa = self.high
        self.high += G
        self.rmm.granules.set(pa, 1)
        return pa


def lpa2_realm(world: World, width: int = 52, level: int = -1, tables: int = 1) -> Realm:
    return world.realm(flags=LPA2, s2sz=width, rtt_level_start=level, rtt_num_start=tables)


@pytest.mark.parametrize(("width", "level", "tables"), [(52, -1, 1), (49, -1, 1), (52, 0, 16), (48, 0, 1), (40, 1, 2)])
def test_walks(width: int, level: int, tables: int) -> None:
    """Pages at both ends of the protected half, a mapping at both ends of the other."""
    world = HighWorld()
    realm = lpa2_realm(world, width, level, tables)
    half = 1 << width - 1
    for ipa in (0, half - G):
        world.tables(realm, ipa)
        pa = world.delegated_high()
        world.ok(rmi.DATA_CREATE_UNKNOWN, realm.rd, pa, ipa)
        assert world.entry(realm, ipa)[:3] == (3, 1, pa)
    for ipa in (half, 2 * half - G):
        world.tables(realm, ipa)
        world.ok(rmi.RTT_MAP_UNPROTECTED, realm.rd, ipa, 3, 1 << 49 | 3 << 8)
        assert world.entry(realm, ipa)[2] == 1 << 49 | 3 << 8


def test_level_minus_1() -> None:
    """§1.2, §1.5: signed levels; an index of 0xFF stands for -1."""
    world = HighWorld()
    realm = lpa2_realm(world)
    assert world.ok(rmi.RTT_READ_ENTRY, realm.rd, 0, -1)[0] == (1 << 64) - 1
    assert world.entry(realm, 0, 3)[0] == -1
    assert world.fails(rmi.RTT_CREATE, realm.rd, world.delegated(), 0, 1) == (4, 0xFF, "rtt_walk")
    assert world.fails(rmi.RTT_CREATE, realm.rd, world.delegated(), 0, -1) == (INPUT, 0, "level_bound")
    assert world.fails(rmi.RTT_CREATE, realm.rd, world.delegated(), 0, -(1 << 63)) == (INPUT, 0, "level_bound")


def test_descriptors() -> None:
    """With LPA2, bits [9:8] are OA[51:50], not shareability."""
    world = HighWorld()
    realm = lpa2_realm(world)
    world.tables(realm, 0)
    world.ok(rmi.RTT_INIT_RIPAS, realm.rd, 0, G)
    pa = world.delegated_high()
    world.ok(rmi.DATA_CREATE_UNKNOWN, realm.rd, pa, 0)
    assert world.rmm.walk(realm.rd, 0)[-1].entry == pa | 0x4DB


def test_bound2() -> None:
    """§3.11 #3, §3.17 #6: a table or page beyond 2^48 is for LPA2 realms only."""
    world = HighWorld()
    plain = world.realm()
    high = world.delegated_high()
    assert world.fails(rmi.RTT_CREATE, plain.rd, high, 0, 2) == (INPUT, 0, "rtt_bound2")
    world.tables(plain, 0)
    assert world.fails(rmi.DATA_CREATE_UNKNOWN, plain.rd, high, 0) == (INPUT, 0, "data_bound2")
    assert world.fails(rmi.DATA_CREATE, plain.rd, high, 0, world.ns(), 0) == (INPUT, 0, "data_bound2")
    # It comes after the IPA's conditions and before the walk's.
    assert world.fails(rmi.RTT_CREATE, plain.rd, high, G, 2)[2] == "ipa_align"
    assert world.fails(rmi.RTT_CREATE, plain.rd, high, 1 << 30, 3)[2] == "rtt_bound2"
    assert world.fails(rmi.DATA_CREATE_UNKNOWN, plain.rd, high, 8)[2] == "ipa_align"
    assert world.fails(rmi.DATA_CREATE_UNKNOWN, plain.rd, high, 1 << 30)[2] == "data_bound2"
    assert world.fails(rmi.DATA_CREATE, plain.rd, high, 8, world.ns(), 0)[2] == "ipa_align"
    assert world.fails(rmi.DATA_CREATE, plain.rd, high, 1 << 30, world.ns(), 0)[2] == "data_bound2"
    lpa2 = lpa2_realm(world)
    world.ok(rmi.RTT_CREATE, lpa2.rd, high, 0, 0)


def test_desc_without_lpa2() -> None:
    world = HighWorld()
    plain = world.realm()
    assert world.fails(rmi.RTT_MAP_UNPROTECTED, plain.rd, 1 << 39, 1, 1 << 48)[2] == "desc_valid"
    assert world.fails(rmi.RTT_MAP_UNPROTECTED, plain.rd, 1 << 39, 1, 1 << 8)[2] == "desc_valid"
