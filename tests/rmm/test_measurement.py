# SPDX-License-Identifier: GPL-2.0-or-later
"""Measurements: the vectors of rmm-abi.md §9.8, through the commands themselves."""

from __future__ import annotations

from typing import Any

import pytest

from rmm.abi import rmi
from rmm.abi.structs import REC_PARAMS
from rmm.measurement import extend_rem, hash_function, rim_after_rec
from rmm.realm import Realm
from tests.rmm.fakes import G, World

VECTORS = {
    0: (
        "045cb3602843a6845cb710fbbfbb92f0c7d611afe0106ac2953e46950a70c42b",
        "7f8c7d7dd5d0845f56a62190d6d1fd15458a1132897bf0041ea3e0720af799d1",
        "0e1e75f7957e72a16bcdd2b2148383c5091f98af0f1fc447b87fe232757280fb",
        "97d2508fd57adca120fda9f1682802ccf7cd0771aeb5170658c38cd1cf8ad409",
        "2baea4434ebd164a1ce8efa424aa1cb3a82df0f7b4ed4fe7e816d2b630ffd7b0",
    ),
    1: (
        "066e19aa2c3418dadc20ef31b5595907",
        "fea4544604b6ed15bac7c38057ca6fa5",
        "21b2af2949ab1aaeb352b5c252be6ff8",
        "9336998ed84879949554d9af6d4379b8",
        "850ddac1e3510e8afe37c3531939f378",
    ),
}


@pytest.mark.parametrize("algorithm", [0, 1])
def test_rim(algorithm: int) -> None:
    """V0 to V4; RPV, VMID, MPIDR and aux are not measured."""
    world = World()
    realm = world.realm(hash_algo=algorithm, rpv=b"\x77" * 64, vmid=9)
    vectors = VECTORS[algorithm]
    assert realm.rim.hex().startswith(vectors[0])
    world.tables(realm, 0, 2)
    world.ok(rmi.RTT_INIT_RIPAS, realm.rd, 0, 2 << 20)
    assert realm.rim.hex().startswith(vectors[1])
    world.tables(realm, 0, 3)
    source = world.ns()
    world.memory.host_write(source, b"\x5a" * G)
    world.ok(rmi.DATA_CREATE, realm.rd, world.delegated(), 0x1000, source, 1)
    assert realm.rim.hex().startswith(vectors[2])
    world.ok(rmi.DATA_CREATE, realm.rd, world.delegated(), 0x2000, source, 0)
    assert realm.rim.hex().startswith(vectors[3])
    world.rec(realm, gprs=[1, 2, 3, 4, 5, 6, 7, 8])
    assert realm.rim.hex().startswith(vectors[4])
    assert len(realm.rim) == (32, 64)[algorithm]


def rim(**fields: int) -> bytes:
    return World().realm(**fields).rim


def test_rim__what_the_parameters_leave_in_and_out() -> None:
    """§9.1: unused-by-flag fields are measured, the RTT's place is not."""
    assert rim() == rim(vmid=77)
    assert rim() != rim(sve_vl=1)
    assert rim() != rim(pmu_num_ctrs=1)
    assert rim(flags=8) != rim()


def test_rim__personalization_does_not_count() -> None:
    """§9.1: rpv is not among the fields that are kept."""
    assert rim() == rim(rpv=b"\xff" * 64)


def test_rim__of_a_rec_its_state_counts_and_not_its_mpidr() -> None:
    """§9.4: flags, pc and gprs are kept; mpidr, num_aux and aux are not."""

    def after(**values: Any) -> bytes:
        params = REC_PARAMS.pack({"flags": 1, "pc": 0x1000, "gprs": [0] * 8, **values})
        return rim_after_rec(hash_function(0), bytes(32), params)

    assert after() == after(mpidr=0x0F03) == after(num_aux=16, aux=[0x1000 * i for i in range(16)])
    gprs = [[int(i == j) for i in range(8)] for j in range(8)]
    others = [after(flags=3), after(pc=0x1004), *(after(gprs=values) for values in gprs)]
    assert len({after(), *others}) == 1 + len(others)


def unchanged(world: World, realm: Realm, act: object) -> None:
    before = realm.rim
    assert callable(act)
    act()
    assert realm.rim == before


def test_rim__unchanged_by() -> None:
    """§9.3, §9.6: DATA_CREATE_UNKNOWN, RTT_*, MAP_UNPROTECTED, ACTIVATE; §9.4: a REC that is not runnable."""
    world = World()
    realm = world.realm()
    unchanged(world, realm, lambda: world.tables(realm, 0))
    unchanged(world, realm, lambda: world.data(realm, 0))
    unchanged(world, realm, lambda: world.rec(realm, flags=0))
    unchanged(world, realm, lambda: world.tables(realm, 1 << 39))
    unchanged(world, realm, lambda: world.ok(rmi.RTT_MAP_UNPROTECTED, realm.rd, 1 << 39, 3, 0))
    unchanged(world, realm, lambda: world.ok(rmi.RTT_DESTROY, realm.rd, 1 << 39, 3))
    unchanged(world, realm, lambda: world.ok(rmi.REALM_ACTIVATE, realm.rd))


def test_rim__init_ripas_measures_every_entry() -> None:
    """§9.5: pages and blocks differ, RAM entries are measured again."""
    rims = []
    for level in (2, 3):
        world = World()
        realm = world.realm()
        world.tables(realm, 0, level)
        assert world.ok(rmi.RTT_INIT_RIPAS, realm.rd, 0, 2 << 20)[0] == 2 << 20
        rims.append(realm.rim)
        world.ok(rmi.RTT_INIT_RIPAS, realm.rd, 0, 2 << 20)
        rims.append(realm.rim)
    assert len(set(rims)) == 4


def test_rim__the_order_of_construction_counts() -> None:
    worlds = []
    for order in ((0, G), (G, 0)):
        world = World()
        realm = world.realm()
        world.tables(realm, 0)
        source = world.ns()
        for ipa in order:
            world.ok(rmi.DATA_CREATE, realm.rd, world.delegated(), ipa, source, 1)
        worlds.append(realm.rim)
    assert worlds[0] != worlds[1]


def test_rem() -> None:
    """§9.8"""
    sha256, sha512 = hash_function(0), hash_function(1)
    value = bytes(range(16))
    assert extend_rem(sha256, bytes(32), value).hex() == (
        "80674cf0b791a5b8e7c56d2de5bd136d167f9a607182290762f00ad8510c2073"
    )
    assert extend_rem(sha512, bytes(64), value).hex().startswith("d87584331bd0018ded7108a04e99d9fb")
    assert extend_rem(sha256, bytes(32), b"").hex() == (
        "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
    )


@pytest.mark.parametrize("algorithm", [0, 1])
def test_rsi_measurements(algorithm: int) -> None:
    """§4.3, §4.4 through RSI: 64-byte slots, tail zero."""
    guest = World().running_realm(hash_algo=algorithm)
    digest = 4 << algorithm  # words
    words = guest.rsi(0xC4000192, 0)[1:9]
    raw = b"".join(word.to_bytes(8, "little") for word in words)
    assert raw[: 8 * digest] == guest.realm.rim and not any(raw[8 * digest :])
    value = [int.from_bytes(bytes(range(8)), "little"), int.from_bytes(bytes(range(8, 16)), "little")]
    assert guest.rsi(0xC4000193, 2, 16, *value, *[0xFF] * 6)[0] == 0
    expected = ("80674cf0b791a5b8", "d87584331bd0018d")[algorithm]
    assert guest.realm.rems[1].hex().startswith(expected)
    assert guest.rsi(0xC4000192, 2)[1].to_bytes(8, "little").hex() == expected
    assert guest.realm.rems[0] == bytes(8 * digest)
