# SPDX-License-Identifier: GPL-2.0-or-later
"""What successful RMI commands change (rmm-abi.md §3, §5)."""

from __future__ import annotations

from typing import Any

import pytest

from rmm.abi import rmi
from rmm.abi.values import GranuleState as S
from rmm.bare import smc
from rmm.frame import Panic
from rmm.realm import Realm, start_rtts
from rmm.rec import index_of_mpidr, index_of_rec_mpidr, mpidr_of_index
from tests.rmm.fakes import INPUT, REALM, RTT, G, World, context, features

BLOCK = 2 << 20
NS_HALF = 1 << 39
NS, EMPTY, RAM, DESTROYED = 1 << 55, 0, 1, 2
UNASSIGNED, ASSIGNED, TABLE = 0, 1, 2


def word(world: World, realm: Realm, ipa: int) -> int:
    """The raw entry where the walk for `ipa` ends."""
    return world.rmm.walk(realm.rd, ipa)[-1].entry


def refs(world: World, pa: int) -> int:
    return world.rmm.granules.refs(pa)


# Granules


def test_granule_delegate() -> None:
    """§3.2: to the Realm PAS, wiped."""
    world = World()
    pa = world.ns()
    world.memory.host_write(pa, b"secret")
    world.ok(rmi.GRANULE_DELEGATE, pa)
    assert world.state(pa) == S.DELEGATED and pa in world.memory.realm and world.is_zero(pa)
    assert world.log.granules == [(pa, S.UNDELEGATED, S.DELEGATED)]
    world.ok(rmi.GRANULE_UNDELEGATE, pa)
    assert world.state(pa) == S.UNDELEGATED and pa not in world.memory.realm


def test_granule_undelegate__root_refuses() -> None:
    """§3.3: that is a panic of the RMM."""
    world = World()
    pa = world.delegated()
    world.memory.realm.remove(pa)
    with pytest.raises(Panic):
        world.call(rmi.GRANULE_UNDELEGATE, pa)


def test_granules__banks() -> None:
    from rmm.granule import Granules

    granules = Granules([(0x10000, 0x2000), (0x8000, 0x1000)], None)
    granules.set(0x8000, S.RD)
    granules.set(0x11000, S.RTT)
    assert [granules.state(pa) for pa in (0x7FFF, 0x8000, 0x9000, 0x10000, 0x11FFF, 0x12000)] == [-1, 2, -1, 0, 6, -1]
    assert list(granules) == [(0x8000, S.RD, 0), (0x11000, S.RTT, 0)]
    for bad in ([(0, 0)], [(0x800, 0x1000)], [(0, 0x2000), (0x1000, 0x1000)]):
        with pytest.raises(ValueError, match="memory bank"):
            Granules(bad, None)


# Realms


def test_realm_create() -> None:
    """§3.4"""
    world = World()
    realm = world.realm()
    roots = list(realm.roots())
    assert world.state(realm.rd) == S.RD and [world.state(pa) for pa in roots] == [S.RTT] * 2
    assert realm.state == 0 and realm.rec_count == 0 and realm.rems == [bytes(32)] * 4
    assert world.entry(realm, 0, 1) == (1, UNASSIGNED, 0, EMPTY)
    assert word(world, realm, NS_HALF - 1) == 0
    assert word(world, realm, NS_HALF) == NS and word(world, realm, (1 << 40) - 1) == NS


def test_realm_destroy() -> None:
    """§3.6: everything is wiped and delegated again, the VMID free."""
    world = World()
    realm = world.realm(vmid=5)
    world.ok(rmi.REALM_DESTROY, realm.rd)
    for pa in (realm.rd, *realm.roots()):
        assert world.state(pa) == S.DELEGATED and world.is_zero(pa)
    assert world.realm(vmid=5).stage2.vmid == 5


def test_realm_destroy__unprotected_block_in_a_root() -> None:
    """§3.6: such a block is not live."""
    world = World()
    realm = world.realm()
    world.ok(rmi.RTT_MAP_UNPROTECTED, realm.rd, NS_HALF, 1, 0)
    world.ok(rmi.REALM_DESTROY, realm.rd)


@pytest.mark.parametrize("state", [0, 1, 2])
def test_realm_destroy__in_any_state(state: int) -> None:
    """§5.2"""
    world = World()
    realm = world.realm()
    realm.state = state
    world.ok(rmi.REALM_DESTROY, realm.rd)


def test_realm_create__failure_frees_the_vmid() -> None:
    """§3.4: the VMID stays free when a later condition fails."""
    world = World()
    assert world.fails(rmi.REALM_CREATE, world.ns(), world.params(vmid=3)) == (INPUT, 0, "rd_state")
    world.realm(vmid=3)


# §11.2: (width, start level, tables) with LPA2 or without, PA width
START = [
    (32, 2, 4, False, 48),
    (33, 2, 8, False, 48),
    (34, 2, 16, False, 48),
    (35, 2, None, False, 48),
    (32, 1, 1, False, 48),
    (39, 1, 1, False, 48),
    (40, 1, 2, False, 48),
    (41, 1, 4, False, 48),
    (42, 1, 8, False, 48),
    (43, 1, 16, False, 48),
    (44, 1, None, False, 48),
    (39, 0, None, False, 48),
    (40, 0, 1, False, 48),
    (48, 0, 1, False, 48),
    (48, 0, 1, False, 44),
    (48, 0, None, False, 43),
    (49, 0, None, False, 48),
    (49, 0, 2, True, 52),
    (52, 0, 16, True, 52),
    (49, -1, 1, True, 52),
    (52, -1, 1, True, 52),
    (48, -1, None, True, 52),
    (49, -1, None, False, 52),
    (40, 3, None, False, 48),
    (31, 2, None, False, 48),
    (53, -1, None, True, 52),
]


@pytest.mark.parametrize(("width", "level", "tables", "lpa2", "pa_width"), START)
def test_start_level(width: int, level: int, tables: int | None, lpa2: bool, pa_width: int) -> None:
    assert start_rtts(width, level, lpa2=lpa2, pa_width=pa_width) == tables


@pytest.mark.parametrize(("width", "level", "tables"), [(w, s, n) for w, s, n, lpa2, _ in START if n and not lpa2])
def test_every_geometry_can_be_walked(width: int, level: int, tables: int) -> None:
    """A page at both ends of each half; then everything is torn down."""
    world = World()
    realm = world.realm(s2sz=width, rtt_level_start=level, rtt_num_start=tables)
    half = 1 << width - 1
    for ipa in (0, half - G):
        pa = world.data(realm, ipa)
        assert world.entry(realm, ipa) == (3, ASSIGNED, pa, EMPTY)
    for ipa in (half, 2 * half - G):
        world.tables(realm, ipa)
        world.ok(rmi.RTT_MAP_UNPROTECTED, realm.rd, ipa, 3, 0x8000_0000)
        assert world.entry(realm, ipa)[1:] == (ASSIGNED, 0x8000_0000, EMPTY)
    for ipa in (0, half - G):
        world.ok(rmi.DATA_DESTROY, realm.rd, ipa)
    for ipa in (0, half - G, half, 2 * half - G):
        for down in range(3, level, -1):
            size = 1 << 39 - 9 * (down - 1)
            world.call(rmi.RTT_DESTROY, realm.rd, ipa & -size, down)
    world.ok(rmi.REALM_DESTROY, realm.rd)


# RECs


def test_rec_create() -> None:
    """§3.8, §7.6"""
    world = World()
    realm = world.realm()
    rec = world.rec(realm, pc=0x5000, gprs=[1, 2, 3, 4, 5, 6, 7, 8])
    assert world.state(rec.pa) == S.REC and [world.state(pa) for pa in rec.aux] == [S.REC_AUX] * 2
    assert rec.rd == realm.rd and rec.index == 0 and rec.runnable and rec.state == "READY"
    init = context(rec).init
    assert (init.pc, init.gprs, init.mpidr, init.index) == (0x5000, (1, 2, 3, 4, 5, 6, 7, 8), 1 << 31, 0)
    assert (init.sve_vq, init.pmu_counters, init.rd_pa) == (None, None, realm.rd)
    assert not world.rec(realm, flags=0).runnable


def test_rec_create__sve_and_pmu() -> None:
    world = World(features(sve=True, sve_vl=3, pmu=True, pmu_num_ctrs=6))
    init = context(world.rec(world.realm(flags=6, sve_vl=2, pmu_num_ctrs=4))).init
    assert (init.sve_vq, init.pmu_counters) == (2, 4)


def test_rec_destroy() -> None:
    """§3.9: granules come back; the index does not (§3.8)."""
    world = World()
    realm = world.realm()
    rec = world.rec(realm)
    world.ok(rmi.REC_DESTROY, rec.pa)
    assert [world.state(pa) for pa in (rec.pa, *rec.aux)] == [S.DELEGATED] * 3
    assert world.platform.recs == [] and realm.recs == {} and realm.rec_count == 1
    assert world.fails(rmi.REC_CREATE, realm.rd, rec.pa, world.rec_params(0)) == (INPUT, 0, "mpidr_index")
    assert world.rec(realm, 1).index == 1


def test_rec_create__aux_are_rolled_back() -> None:
    """§3.8: a late failure leaves the auxiliary granules delegated."""
    world = World()
    realm = world.realm(active=True)
    aux = [world.delegated(), world.delegated()]
    assert world.fails(rmi.REC_CREATE, realm.rd, world.delegated(), world.rec_params(aux=aux))[0] == REALM
    assert [world.state(pa) for pa in aux] == [S.DELEGATED] * 2


@pytest.mark.parametrize(
    ("index", "mpidr", "rec_mpidr"),
    [(0, 1 << 31, 0), (15, 1 << 31 | 15, 15), (16, 1 << 31 | 0x100, 0x100), (4095, 1 << 31 | 0xFF0F, 0xFF0F)],
)
def test_mpidr(index: int, mpidr: int, rec_mpidr: int) -> None:
    """§11.8: 16 PEs to an Aff1 group."""
    assert mpidr_of_index(index) == mpidr
    assert index_of_mpidr(mpidr) == index_of_rec_mpidr(rec_mpidr) == index


def test_mpidr__aff3_differs_between_the_formats() -> None:
    assert index_of_rec_mpidr(0xFF00_0000) == index_of_mpidr(0xFF_0000_0000) == 0xFF << 20


# RTTs


def test_rtt_create__takes_over_the_parent() -> None:
    """§3.11, table: UNASSIGNED in each RIPAS, and UNASSIGNED_NS."""
    world = World()
    realm = world.realm()
    level2 = world.tables(realm, 0, 2)
    assert refs(world, realm.stage2.rtt_base) == 1 and refs(world, level2) == 0
    world.ok(rmi.RTT_INIT_RIPAS, realm.rd, 0, BLOCK)
    table = world.tables(realm, 0, 3)
    assert world.memory.read(table, G) == (0x20).to_bytes(8, "little") * 512
    assert world.state(table) == S.RTT and word(world, realm, 0) == 0x20 and refs(world, level2) == 1
    unprotected = world.tables(realm, NS_HALF, 2)
    assert world.memory.read(unprotected, G) == NS.to_bytes(8, "little") * 512


def fold_target(world: World, level3: bool = True) -> tuple[Realm, int, int]:
    """A realm with a level-3 table full of contiguous RAM pages at IPA 0: (realm, table, first page)."""
    realm = world.realm()
    world.tables(realm, 0, 2)
    world.ok(rmi.RTT_INIT_RIPAS, realm.rd, 0, BLOCK)
    table = world.tables(realm, 0, 3)
    first = world.delegated(512, 512)
    for i in range(512):
        world.ok(rmi.DATA_CREATE_UNKNOWN, realm.rd, first + i * G, i * G)
    return realm, table, first


def test_rtt_fold_and_create__assigned_ram() -> None:
    """§3.13, §3.11: pages to a block and back; §11.1: the descriptors."""
    world = World(size=8 << 20)
    realm, table, first = fold_target(world)
    level2 = world.rmm.walk(realm.rd, 0)[-2].entry_pa & -G
    assert refs(world, table) == 512 and refs(world, level2) == 1
    assert word(world, realm, G) == first + G | 0x7DB
    assert world.ok(rmi.RTT_FOLD, realm.rd, 0, 3)[0] == table
    assert world.entry(realm, 0) == (2, ASSIGNED, first, RAM)
    assert word(world, realm, 0) == first | 0x7D9
    assert world.state(table) == S.DELEGATED and world.is_zero(table)
    assert refs(world, level2) == 1
    assert world.fails(rmi.DATA_DESTROY, realm.rd, 0) == (RTT, 2, "rtt_walk")
    world.ok(rmi.RTT_CREATE, realm.rd, table, 0, 3)
    assert refs(world, table) == 512 and refs(world, level2) == 1
    assert word(world, realm, 511 * G) == first + 511 * G | 0x7DB
    assert world.ok(rmi.DATA_DESTROY, realm.rd, 5 * G)[0] == first + 5 * G


def test_rtt_fold__assigned_empty_and_destroyed() -> None:
    """§3.13: RIPAS is kept; the entry stays invalid."""
    world = World(size=8 << 20)
    realm = world.realm()
    table = world.tables(realm, 0, 3)
    first = world.delegated(512, 512)
    for i in range(512):
        world.ok(rmi.DATA_CREATE_UNKNOWN, realm.rd, first + i * G, i * G)
    world.ok(rmi.RTT_FOLD, realm.rd, 0, 3)
    assert word(world, realm, 0) == first | 4
    assert world.entry(realm, 0) == (2, ASSIGNED, first, EMPTY)
    world.ok(rmi.RTT_CREATE, realm.rd, table, 0, 3)
    assert word(world, realm, G) == first + G | 4


@pytest.mark.parametrize("ripas", [EMPTY, RAM, DESTROYED])
def test_rtt_fold__unassigned(ripas: int) -> None:
    world = World()
    realm = world.realm()
    level2 = world.tables(realm, 0, 2)
    world.memory.write64(level2, ripas << 5)
    table = world.tables(realm, 0, 3)
    assert world.ok(rmi.RTT_FOLD, realm.rd, 0, 3)[0] == table
    assert world.entry(realm, 0) == (2, UNASSIGNED, 0, ripas) and refs(world, level2) == 0


def ns_pages(world: World, realm: Realm, first: int, attrs: int = 2 << 2) -> int:
    table = world.tables(realm, NS_HALF, 3)
    for i in range(512):
        world.ok(rmi.RTT_MAP_UNPROTECTED, realm.rd, NS_HALF + i * G, 3, first + i * G | attrs)
    return table


def test_rtt_fold_and_create__assigned_ns() -> None:
    """§3.13: a block with the first entry's attributes, parent -1; §3.11: and back, parent +1."""
    world = World()
    realm = world.realm()
    table = ns_pages(world, realm, 4 * BLOCK)
    level2 = world.rmm.walk(realm.rd, NS_HALF)[-2].entry_pa & -G
    assert refs(world, level2) == 1 and refs(world, table) == 0
    world.ok(rmi.RTT_FOLD, realm.rd, NS_HALF, 3)
    assert refs(world, level2) == 0
    assert word(world, realm, NS_HALF) == 4 * BLOCK | 2 << 2 | 0x00C0_0000_0000_0701
    assert world.entry(realm, NS_HALF) == (2, ASSIGNED, 4 * BLOCK | 2 << 2, EMPTY)
    world.ok(rmi.RTT_CREATE, realm.rd, table, NS_HALF, 3)
    assert refs(world, level2) == 1
    assert word(world, realm, NS_HALF + G) == 4 * BLOCK + G | 2 << 2 | 0x00C0_0000_0000_0703


@pytest.mark.parametrize("flaw", ["address", "gap", "attributes", "unmapped"])
def test_rtt_fold__assigned_ns_not_homogeneous(flaw: str) -> None:
    world = World()
    realm = world.realm()
    ns_pages(world, realm, 4 * BLOCK + (G if flaw == "address" else 0))
    last = NS_HALF + 511 * G
    if flaw in ("gap", "attributes", "unmapped"):
        world.ok(rmi.RTT_UNMAP_UNPROTECTED, realm.rd, last, 3)
    if flaw == "gap":
        world.ok(rmi.RTT_MAP_UNPROTECTED, realm.rd, last, 3, 4 * BLOCK | 2 << 2)
    if flaw == "attributes":
        world.ok(rmi.RTT_MAP_UNPROTECTED, realm.rd, last, 3, 4 * BLOCK + 511 * G | 3 << 2)
    assert world.fails(rmi.RTT_FOLD, realm.rd, NS_HALF, 3) == (RTT, 3, "rtt_homogeneous")


def test_rtt_fold__into_a_level_1_block() -> None:
    """§3.13: a 1 GiB block is allowed."""
    world = World()
    realm = world.realm()
    world.tables(realm, NS_HALF, 2)
    for i in range(512):
        world.ok(rmi.RTT_MAP_UNPROTECTED, realm.rd, NS_HALF + i * BLOCK, 2, (1 << 30) + i * BLOCK)
    world.ok(rmi.RTT_FOLD, realm.rd, NS_HALF, 2)
    assert world.entry(realm, NS_HALF) == (1, ASSIGNED, 1 << 30, EMPTY)


def test_rtt_destroy() -> None:
    """§3.12: DESTROYED in the protected half, UNASSIGNED_NS in the other; NS pages are not live."""
    world = World()
    realm = world.realm()
    table = world.tables(realm, BLOCK, 3)
    assert world.ok(rmi.RTT_DESTROY, realm.rd, BLOCK, 3)[:2] == (table, 1 << 30)
    assert world.entry(realm, BLOCK) == (2, UNASSIGNED, 0, DESTROYED) and word(world, realm, BLOCK) == 0x40
    assert world.state(table) == S.DELEGATED and world.is_zero(table)
    unprotected = ns_pages(world, realm, BLOCK)
    assert world.ok(rmi.RTT_DESTROY, realm.rd, NS_HALF, 3)[0] == unprotected
    assert word(world, realm, NS_HALF) == NS
    stage2, ipa, size = world.platform.invalidated[-1]
    assert (stage2.vmid, ipa, size) == (realm.stage2.vmid, NS_HALF, BLOCK)


def tops(world: World, decl: Any, *args: int) -> tuple[int, ...]:
    """(status, X1, X2)."""
    return world.call(decl, *args)[:3]


def test_top__next_live_scan() -> None:
    """§5.5: from the entry on, within one table; the IPA itself if its entry is live."""
    world = World()
    realm = world.realm()
    world.data(realm, 0)
    world.data(realm, 7 * G)
    assert tops(world, rmi.DATA_DESTROY, realm.rd, G) == (RTT | 3 << 8, 0, 7 * G)
    assert tops(world, rmi.DATA_DESTROY, realm.rd, 8 * G) == (RTT | 3 << 8, 0, BLOCK)
    assert tops(world, rmi.DATA_DESTROY, realm.rd, BLOCK + G) == (RTT | 2 << 8, 0, 1 << 30)
    assert tops(world, rmi.DATA_DESTROY, realm.rd, 0)[2] == 7 * G
    assert tops(world, rmi.DATA_DESTROY, realm.rd, 7 * G)[2] == BLOCK
    assert tops(world, rmi.RTT_DESTROY, realm.rd, 1 << 30, 3)[0:3:2] == (RTT | 1 << 8, 512 << 30)


def test_top__live_table() -> None:
    """§3.12: X2 = ipa when the child is live, and in a live entry of the wrong kind."""
    world = World(size=8 << 20)
    realm, _, _ = fold_target(world)
    assert tops(world, rmi.RTT_DESTROY, realm.rd, 0, 3) == (RTT | 3 << 8, 0, 0)
    world.ok(rmi.RTT_FOLD, realm.rd, 0, 3)
    assert tops(world, rmi.DATA_DESTROY, realm.rd, G) == (RTT | 2 << 8, 0, G)
    assert tops(world, rmi.RTT_DESTROY, realm.rd, 0, 3) == (RTT | 2 << 8, 0, 0)


def test_top__concatenated_roots_end_with_each_table() -> None:
    """§5.5: one 4 KiB table of 512 entries."""
    world = World()
    realm = world.realm()
    assert tops(world, rmi.DATA_DESTROY, realm.rd, 3 << 30) == (RTT | 1 << 8, 0, 512 << 30)


def test_unmap_unprotected() -> None:
    """§3.15"""
    world = World()
    realm = world.realm()
    world.tables(realm, NS_HALF, 3)
    for i in (0, 3):
        world.ok(rmi.RTT_MAP_UNPROTECTED, realm.rd, NS_HALF + i * G, 3, 0x9000_0000)
    assert word(world, realm, NS_HALF) == 0x9000_0000 | 0x00C0_0000_0000_0703
    assert tops(world, rmi.RTT_UNMAP_UNPROTECTED, realm.rd, NS_HALF + G, 3) == (RTT | 3 << 8, NS_HALF + 3 * G, 0)
    assert tops(world, rmi.RTT_UNMAP_UNPROTECTED, realm.rd, NS_HALF, 3) == (0, NS_HALF + 3 * G, 0)
    assert word(world, realm, NS_HALF) == NS
    assert world.platform.invalidated[-1][1:] == (NS_HALF, G)


# §3.14: (desc, level, accepted)
DESCS = [
    (0, 3, True),
    (0xFFFF_FFFF_F000, 3, True),
    (7 << 2, 3, True),
    (4 << 2, 3, False),  # reserved MemAttr
    (3 << 6, 3, True),
    (1, 3, False),
    (1 << 5, 3, False),
    (1 << 8, 3, False),  # SH
    (1 << 10, 3, False),  # AF
    (1 << 48, 3, False),
    (NS, 3, False),
    (G, 2, False),
    (BLOCK, 2, True),
    (BLOCK, 1, False),
    (1 << 30, 1, True),
]


@pytest.mark.parametrize(("desc", "level", "accepted"), DESCS)
def test_map_unprotected__desc(desc: int, level: int, accepted: bool) -> None:
    world = World()
    realm = world.realm()
    world.tables(realm, NS_HALF, level)
    status = world.call(rmi.RTT_MAP_UNPROTECTED, realm.rd, NS_HALF, level, desc)[0]
    assert status == (0 if accepted else INPUT)
    if accepted:
        assert world.entry(realm, NS_HALF, level) == (level, ASSIGNED, desc, EMPTY)


def test_read_entry() -> None:
    """§3.16, table."""
    world = World()
    realm = world.realm()
    level2 = world.tables(realm, 0, 2)
    assert world.entry(realm, 0, 1) == (1, TABLE, level2, EMPTY)
    assert world.entry(realm, 0, 3) == (2, UNASSIGNED, 0, EMPTY)
    assert world.entry(realm, NS_HALF, 3) == (1, UNASSIGNED, 0, EMPTY)
    pa = world.ram(realm, 0)
    assert world.entry(realm, 0) == (3, ASSIGNED, pa, RAM)


def test_read_entry__assigned_destroyed() -> None:
    """§12: the PA, where the reference had 0."""
    world = World()
    realm = world.realm()
    world.ram(realm, 0)
    world.ok(rmi.DATA_DESTROY, realm.rd, 0)
    pa = world.delegated()
    world.ok(rmi.DATA_CREATE_UNKNOWN, realm.rd, pa, 0)
    assert word(world, realm, 0) == pa | 0x44
    assert world.entry(realm, 0) == (3, ASSIGNED, pa, DESTROYED)


# Data


def test_data_create() -> None:
    """§3.17"""
    world = World()
    realm = world.realm()
    table = world.tables(realm, 0)
    source, pa = world.ns(), world.delegated()
    world.memory.host_write(source, b"\xa5" * G)
    world.ok(rmi.DATA_CREATE, realm.rd, pa, G, source, 0)
    assert world.state(pa) == S.DATA and world.memory.read(pa, G) == b"\xa5" * G
    assert world.entry(realm, G) == (3, ASSIGNED, pa, RAM) and refs(world, table) == 1


# §5.4: RIPAS before, RIPAS after DATA_CREATE_UNKNOWN, RIPAS after DATA_DESTROY
DATA_RIPAS = [(EMPTY, EMPTY, EMPTY), (RAM, RAM, DESTROYED), (DESTROYED, DESTROYED, DESTROYED)]


@pytest.mark.parametrize(("before", "assigned", "after"), DATA_RIPAS)
def test_data_create_unknown_and_destroy(before: int, assigned: int, after: int) -> None:
    world = World()
    realm = world.realm(active=True)
    table = world.tables(realm, 0)
    world.memory.write64(table, before << 5)
    pa = world.delegated()
    world.ok(rmi.DATA_CREATE_UNKNOWN, realm.rd, pa, 0)
    assert world.entry(realm, 0) == (3, ASSIGNED, pa, assigned) and world.is_zero(pa)
    world.memory.write(pa, b"secret")
    assert world.ok(rmi.DATA_DESTROY, realm.rd, 0)[0] == pa
    assert world.entry(realm, 0) == (3, UNASSIGNED, 0, after)
    assert world.state(pa) == S.DELEGATED and world.is_zero(pa) and refs(world, table) == 0


@pytest.mark.parametrize("before", [EMPTY, RAM, DESTROYED])
def test_data_create__always_ram(before: int) -> None:
    """§5.4, §3.17: the RIPAS is not looked at."""
    world = World()
    realm = world.realm()
    table = world.tables(realm, 0)
    world.memory.write64(table, before << 5)
    world.ok(rmi.DATA_CREATE, realm.rd, world.delegated(), 0, world.ns(), 0)
    assert world.entry(realm, 0)[3] == RAM


# RIPAS


def test_init_ripas__stops_at_the_table_and_at_other_entries() -> None:
    """§3.20"""
    world = World()
    realm = world.realm()
    world.tables(realm, 0)
    assert world.ok(rmi.RTT_INIT_RIPAS, realm.rd, 0, 3 * BLOCK)[0] == BLOCK
    world.data(realm, 4 * G)
    assert world.ok(rmi.RTT_INIT_RIPAS, realm.rd, G, BLOCK)[0] == 4 * G
    assert world.fails(rmi.RTT_INIT_RIPAS, realm.rd, 4 * G, BLOCK) == (RTT, 3, "rtte_state")
    assert world.ok(rmi.RTT_INIT_RIPAS, realm.rd, BLOCK, 3 * BLOCK + G)[0] == 3 * BLOCK
    assert world.entry(realm, 2 * BLOCK, 2) == (2, UNASSIGNED, 0, RAM)


def test_init_ripas__the_whole_protected_half() -> None:
    """§3.20 #3: top may be the end of the half."""
    world = World()
    realm = world.realm()
    assert world.ok(rmi.RTT_INIT_RIPAS, realm.rd, 0, NS_HALF)[0] == NS_HALF
    assert word(world, realm, NS_HALF) == NS


def asked(world: World, ripas: int, flags: int = 0, top: int = BLOCK) -> tuple[Realm, Any, int]:
    """A REC that has asked for [0, top) to become `ripas`; the level-3 table at 0."""
    realm = world.realm()
    table = world.tables(realm, 0)
    rec = world.rec(realm)
    world.ok(rmi.REALM_ACTIVATE, realm.rd)
    context(rec).script.append(smc(0xC400_0197, 0, top, ripas, flags))
    world.ok(rmi.REC_ENTER, rec.pa, world.ns())
    return realm, rec, table


PA = 0x8010_0000
U, A = 0, PA | 4
# §3.21, table: entry, target, CHANGE_DESTROYED, entry after (None: stop)
SET_RIPAS = [
    (U, RAM, 0, 0x20),
    (U, EMPTY, 0, U),
    (0x20, RAM, 0, 0x20),
    (0x20, EMPTY, 0, U),
    (0x40, RAM, 0, None),
    (0x40, RAM, 1, 0x20),
    (0x40, EMPTY, 0, None),
    (0x40, EMPTY, 1, U),
    (A, RAM, 0, PA | 0x7DB),
    (A, EMPTY, 0, A),
    (PA | 0x7DB, RAM, 0, PA | 0x7DB),
    (PA | 0x7DB, EMPTY, 0, A),
    (A | 0x40, RAM, 0, None),
    (A | 0x40, RAM, 1, PA | 0x7DB),
    (A | 0x40, EMPTY, 0, None),
    (A | 0x40, EMPTY, 1, A),
    (0x40, RAM, 2, None),  # only flag value 1 has an effect (§4.7)
]


@pytest.mark.parametrize(("before", "target", "flags", "after"), SET_RIPAS)
def test_set_ripas(before: int, target: int, flags: int, after: int | None) -> None:
    world = World()
    realm, rec, table = asked(world, target, flags, 2 * G)
    world.memory.write64(table + 8, before)
    world.platform.invalidated.clear()
    top = world.ok(rmi.RTT_SET_RIPAS, realm.rd, rec.pa, 0, 2 * G)[0]
    assert top == (G if after is None else 2 * G) and rec.ripas_addr == top
    assert world.memory.read64(table + 8) == (before if after is None else after)
    unmapped = before & 1 and not target
    assert [(ipa, size) for _, ipa, size in world.platform.invalidated] == ([(0, 2 * G)] if unmapped else [])


def test_set_ripas__goes_on_where_it_stopped() -> None:
    """§3.21 #5, and one table a call."""
    world = World()
    realm, rec, _ = asked(world, RAM, 0, 2 * BLOCK)
    assert world.ok(rmi.RTT_SET_RIPAS, realm.rd, rec.pa, 0, G)[0] == G
    assert world.fails(rmi.RTT_SET_RIPAS, realm.rd, rec.pa, 0, G)[2] == "base_request"
    assert world.ok(rmi.RTT_SET_RIPAS, realm.rd, rec.pa, G, 2 * BLOCK)[0] == BLOCK
    assert world.ok(rmi.RTT_SET_RIPAS, realm.rd, rec.pa, BLOCK, 2 * BLOCK)[0] == 2 * BLOCK


def test_set_ripas__without_a_request() -> None:
    """§3.21: ripas_top is 0 then."""
    world = World()
    guest = world.running_realm()
    assert world.fails(rmi.RTT_SET_RIPAS, guest.realm.rd, guest.rec.pa, 0, G)[2] == "top_request"


def test_set_ripas__unaligned_base_that_has_the_ripas() -> None:
    """§12: nothing to do; a change would need the table."""
    world = World()
    realm = world.realm()
    world.tables(realm, 0, 2)
    rec = world.rec(realm)
    world.ok(rmi.REALM_ACTIVATE, realm.rd)
    context(rec).script.append(smc(0xC400_0197, G, 3 * BLOCK, EMPTY, 0))
    world.ok(rmi.REC_ENTER, rec.pa, world.ns())
    assert world.ok(rmi.RTT_SET_RIPAS, realm.rd, rec.pa, G, 3 * BLOCK)[0] == BLOCK
    assert world.entry(realm, BLOCK, 2) == (2, UNASSIGNED, 0, EMPTY)


# Realm states (§5.2)


@pytest.mark.parametrize("state", [0, 1, 2])
def test_commands_that_no_realm_state_stops(state: int) -> None:
    world = World()
    realm = world.realm()
    rec = world.rec(realm)
    realm.state = state
    table = world.tables(realm, 0)
    pa = world.data(realm, 0)
    assert world.ok(rmi.DATA_DESTROY, realm.rd, 0)[0] == pa
    assert world.ok(rmi.RTT_DESTROY, realm.rd, 0, 3)[0] == table
    world.ok(rmi.RTT_MAP_UNPROTECTED, realm.rd, NS_HALF, 1, 0)
    world.ok(rmi.RTT_UNMAP_UNPROTECTED, realm.rd, NS_HALF, 1)
    world.ok(rmi.REC_AUX_COUNT, realm.rd)
    world.ok(rmi.REC_DESTROY, rec.pa)


# Inspection


def test_walk() -> None:
    world = World()
    realm = world.realm()
    pa = world.ram(realm, G)
    steps = world.rmm.walk(realm.rd, G)
    assert [(s.level, s.hipas, s.ripas) for s in steps] == [
        (1, "TABLE", None),
        (2, "TABLE", None),
        (3, "ASSIGNED", "RAM"),
    ]
    assert steps[-1].pa == pa and f"PA {pa:#x}" in str(steps[-1])
    assert str(world.rmm.walk(realm.rd, NS_HALF)[0]).endswith("HIPAS UNASSIGNED_NS")
    assert world.rmm.walk(realm.rd, 1 << 40) == [] and world.rmm.walk(G, 0) == []
    assert world.rmm.realms() == [realm] and world.rmm.recs() == []
