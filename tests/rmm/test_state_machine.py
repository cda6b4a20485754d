# SPDX-License-Identifier: GPL-2.0-or-later
"""Granule ownership against an independent model: random hosts, checked after every command.

No granule is owned twice, GPT and states agree, what was destroyed is wiped, reference counts are what the tables
in memory say, and everything can always be torn down.
"""

from __future__ import annotations

import os
import struct

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rmm.abi import rmi
from rmm.abi.values import GranuleState as S
from rmm.bare import smc
from tests.rmm.fakes import BASE, G, World, context

SIZE = 4 << 20
POOL = BASE + (2 << 20)  # 2 MiB that a level-2 block of protected memory may take as a whole
PAGES = [BASE + i * G for i in range(96)]
BLOCK = 2 << 20
NS_HALF = 1 << 39
IPAS = [0, G, 2 * G, 511 * G, BLOCK, BLOCK + G, 1 << 30, NS_HALF - G]
NS_IPAS = [NS_HALF, NS_HALF + G, NS_HALF + BLOCK, (1 << 40) - G]
OA = 0x0000_FFFF_FFFF_F000
STEPS = int(os.environ.get("CCABRIDGE_STATE_STEPS", "0")) or 1200  # in all


def is_table(entry: int, level: int) -> bool:
    return entry & 3 == 3 and level < 3


def is_assigned(entry: int, level: int) -> bool:
    """ASSIGNED in the protected half, read from the raw descriptor (rmm-abi.md §11.1)."""
    if entry >> 55 & 1 or is_table(entry, level):
        return False
    return bool(entry & 1) or bool(entry & 0x1C)


class Host(RuleBasedStateMachine):
    """The model: what each granule is, by what commands answered, never by what the RMM thinks."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(size=SIZE)
        self.owner: dict[int, int] = {}
        self.roots: dict[int, list[int]] = {}
        self.recs: dict[int, tuple[int, list[int]]] = {}  # REC: (RD, aux)
        self.created: dict[int, int] = {}  # RECs ever, by RD
        self.params = PAGES[0]
        self.run = PAGES[1]
        self.spare = PAGES[2]  # for teardown: a table to split a block with
        self.vmid = 0

    # What a host can pick from

    def free(self) -> list[int]:
        return [pa for pa in PAGES[3:] if pa not in self.owner]

    def delegated(self) -> list[int]:
        return [pa for pa in PAGES if self.owner.get(pa) == S.DELEGATED]

    def take(self, count: int) -> list[int] | None:
        """Delegated granules, delegating more where needed."""
        have = self.delegated()
        for pa in self.free():
            if len(have) >= count:
                break
            self.world.ok(rmi.GRANULE_DELEGATE, pa)
            self.owner[pa] = S.DELEGATED
            have.append(pa)
        return have[:count] if len(have) >= count else None

    def realms(self) -> list[int]:
        return sorted(self.roots)

    @initialize()
    def start(self) -> None:
        self.create_realm()

    # Granules

    @rule(i=st.integers(0, len(PAGES) - 1))
    def delegate(self, i: int) -> None:
        pa = PAGES[i]
        status = self.world.call(rmi.GRANULE_DELEGATE, pa)[0]
        if pa in (self.params, self.run, self.spare) and status == 0:
            self.world.ok(rmi.GRANULE_UNDELEGATE, pa)
            return
        assert (status == 0) == (pa not in self.owner)
        self.owner.setdefault(pa, S.DELEGATED)

    @rule(i=st.integers(0, len(PAGES) - 1))
    def undelegate(self, i: int) -> None:
        pa = PAGES[i]
        status = self.world.call(rmi.GRANULE_UNDELEGATE, pa)[0]
        assert (status == 0) == (self.owner.get(pa) == S.DELEGATED)
        if status == 0:
            del self.owner[pa]

    @precondition(lambda self: self.owner.get(POOL) == S.DELEGATED)
    @rule()
    def undelegate_pool(self) -> None:
        for pa in range(POOL, POOL + BLOCK, G):
            if self.owner.get(pa) == S.DELEGATED:
                self.world.ok(rmi.GRANULE_UNDELEGATE, pa)
                del self.owner[pa]

    # Realms and RECs

    @precondition(lambda self: len(self.roots) < 3)
    @rule()
    def create_realm(self) -> None:
        base = next((a for a, b in zip(PAGES[4::2], PAGES[5::2], strict=False) if not {a, b} & self.owner.keys()), None)
        rd = next((pa for pa in self.free() if pa not in (base, (base or 0) + G)), None)
        if base is None or rd is None:
            return
        for pa in (rd, base, base + G):
            self.world.ok(rmi.GRANULE_DELEGATE, pa)
            self.owner[pa] = S.DELEGATED
        self.vmid += 1
        from rmm.abi.structs import REALM_PARAMS

        values = {"s2sz": 40, "num_bps": 1, "num_wps": 1, "vmid": self.vmid, "rtt_base": base}
        image = REALM_PARAMS.pack({**values, "rtt_level_start": 1, "rtt_num_start": 2})
        self.world.memory.host_write(self.params, image)
        self.world.ok(rmi.REALM_CREATE, rd, self.params)
        self.owner.update({rd: S.RD, base: S.RTT, base + G: S.RTT})
        self.roots[rd] = [base, base + G]
        self.created[rd] = 0

    @precondition(lambda self: self.roots)
    @rule(data=st.data())
    def destroy_realm(self, data: st.DataObject) -> None:
        rd = data.draw(st.sampled_from(self.realms()))
        live = any(self.live_entries(root, 1) for root in self.roots[rd])
        has_recs = any(owner == rd for owner, _ in self.recs.values())
        status = self.world.call(rmi.REALM_DESTROY, rd)[0]
        assert status == (2 if live or has_recs else 0)
        if status == 0:
            for pa in (rd, *self.roots.pop(rd)):
                self.owner[pa] = S.DELEGATED

    @precondition(lambda self: self.roots)
    @rule(data=st.data())
    def activate(self, data: st.DataObject) -> None:
        self.world.call(rmi.REALM_ACTIVATE, data.draw(st.sampled_from(self.realms())))

    @precondition(lambda self: self.roots)
    @rule(data=st.data())
    def create_rec(self, data: st.DataObject) -> None:
        rd = data.draw(st.sampled_from(self.realms()))
        granules = self.take(3)
        if granules is None:
            return
        from rmm.abi.structs import REC_PARAMS

        rec, *aux = granules
        values = {"flags": 1, "mpidr": self.created[rd] & 0xF, "num_aux": 2, "aux": [*aux, *[0] * 14]}
        self.world.memory.host_write(self.params, REC_PARAMS.pack(values))
        if self.world.call(rmi.REC_CREATE, rd, rec, self.params)[0] == 0:
            self.owner[rec] = S.REC
            self.owner.update(dict.fromkeys(aux, S.REC_AUX))
            self.recs[rec] = (rd, aux)
            self.created[rd] += 1

    @precondition(lambda self: self.recs)
    @rule(data=st.data())
    def destroy_rec(self, data: st.DataObject) -> None:
        rec = data.draw(st.sampled_from(sorted(self.recs)))
        self.world.ok(rmi.REC_DESTROY, rec)
        for pa in (rec, *self.recs.pop(rec)[1]):
            self.owner[pa] = S.DELEGATED

    @precondition(lambda self: self.recs)
    @rule(data=st.data(), ripas=st.integers(0, 1), destroyed=st.integers(0, 1))
    def change_ripas(self, data: st.DataObject, ripas: int, destroyed: int) -> None:
        rec = data.draw(st.sampled_from(sorted(self.recs)))
        base = data.draw(st.sampled_from(IPAS))
        top = base + data.draw(st.sampled_from([G, 4 * G, BLOCK]))
        pe = context(self.world.rmm.rec_at[rec])
        pe.script.clear()
        pe.script.append(smc(0xC400_0197, base, top, ripas, destroyed))
        if self.world.call(rmi.REC_ENTER, rec, self.run)[0] == 0:
            self.world.call(rmi.RTT_SET_RIPAS, self.recs[rec][0], rec, base, top)

    # Tables

    def reach(self, rd: int, ipa: int, level: int) -> None:
        """Creates the tables that a walk for `ipa` to `level` lacks, as far as granules last."""
        for to_level in range(2, level + 1):
            granules = self.take(1)
            base = ipa & -(1 << 39 - 9 * (to_level - 1))
            if granules and self.world.call(rmi.RTT_CREATE, rd, granules[0], base, to_level)[0] == 0:
                self.owner[granules[0]] = S.RTT

    @precondition(lambda self: self.roots)
    @rule(data=st.data(), level=st.integers(2, 3))
    def create_tables(self, data: st.DataObject, level: int) -> None:
        rd = data.draw(st.sampled_from(self.realms()))
        self.reach(rd, data.draw(st.sampled_from(IPAS + NS_IPAS)), level)

    @precondition(lambda self: self.roots and not any(pa >= POOL for pa in self.owner))
    @rule(data=st.data(), ripas=st.booleans())
    def make_a_block(self, data: st.DataObject, ripas: bool) -> None:
        """512 pages side by side, then folded."""
        rd = data.draw(st.sampled_from(self.realms()))
        if ripas:
            self.reach(rd, 0, 2)
            self.world.call(rmi.RTT_INIT_RIPAS, rd, 0, BLOCK)
        self.reach(rd, 0, 3)
        for i in range(512):
            pa = POOL + i * G
            self.world.ok(rmi.GRANULE_DELEGATE, pa)
            made = self.world.call(rmi.DATA_CREATE_UNKNOWN, rd, pa, i * G)[0] == 0
            self.owner[pa] = S.DATA if made else S.DELEGATED
        result = self.world.call(rmi.RTT_FOLD, rd, 0, 3)
        if result[0] == 0:
            self.owner[result[1]] = S.DELEGATED

    @precondition(lambda self: self.roots)
    @rule(data=st.data())
    def make_an_ns_block(self, data: st.DataObject) -> None:
        rd = data.draw(st.sampled_from(self.realms()))
        self.reach(rd, NS_HALF, 3)
        for i in range(512):
            self.world.call(rmi.RTT_MAP_UNPROTECTED, rd, NS_HALF + i * G, 3, BLOCK + i * G)
        result = self.world.call(rmi.RTT_FOLD, rd, NS_HALF, 3)
        if result[0] == 0:
            self.owner[result[1]] = S.DELEGATED

    @precondition(lambda self: self.roots)
    @rule(data=st.data(), level=st.integers(2, 3), fold=st.booleans())
    def remove_table(self, data: st.DataObject, level: int, fold: bool) -> None:
        rd = data.draw(st.sampled_from(self.realms()))
        ipa = data.draw(st.sampled_from(IPAS + NS_IPAS)) & -(1 << 39 - 9 * (level - 1))
        result = self.world.call(rmi.RTT_FOLD if fold else rmi.RTT_DESTROY, rd, ipa, level)
        if result[0] == 0:
            assert self.owner[result[1]] == S.RTT
            self.owner[result[1]] = S.DELEGATED

    @precondition(lambda self: self.roots)
    @rule(data=st.data(), unknown=st.booleans())
    def create_data(self, data: st.DataObject, unknown: bool) -> None:
        rd = data.draw(st.sampled_from(self.realms()))
        ipa = data.draw(st.sampled_from(IPAS))
        if data.draw(st.booleans()):
            self.reach(rd, ipa, 3)
        granules = self.take(1)
        if not granules:
            return
        pa = granules[0]
        self.world.memory.host_write(self.params, b"\xa5" * G)
        if unknown:
            status = self.world.call(rmi.DATA_CREATE_UNKNOWN, rd, pa, ipa)[0]
        else:
            status = self.world.call(rmi.DATA_CREATE, rd, pa, ipa, self.params, 0)[0]
        if status == 0:
            self.owner[pa] = S.DATA
            self.world.memory.write(pa, b"\x5a" * G)  # what the realm writes

    @precondition(lambda self: self.roots)
    @rule(data=st.data())
    def destroy_data(self, data: st.DataObject) -> None:
        rd = data.draw(st.sampled_from(self.realms()))
        result = self.world.call(rmi.DATA_DESTROY, rd, data.draw(st.sampled_from(IPAS)))
        if result[0] == 0:
            assert self.owner[result[1]] == S.DATA
            self.owner[result[1]] = S.DELEGATED

    @precondition(lambda self: self.roots)
    @rule(data=st.data(), level=st.integers(1, 3))
    def map_and_unmap(self, data: st.DataObject, level: int) -> None:
        rd = data.draw(st.sampled_from(self.realms()))
        ipa = data.draw(st.sampled_from(NS_IPAS)) & -(1 << 39 - 9 * level)
        if data.draw(st.booleans()):
            self.world.call(rmi.RTT_MAP_UNPROTECTED, rd, ipa, level, 0)
        else:
            self.world.call(rmi.RTT_UNMAP_UNPROTECTED, rd, ipa, level)

    @precondition(lambda self: self.roots)
    @rule(data=st.data())
    def init_ripas(self, data: st.DataObject) -> None:
        rd = data.draw(st.sampled_from(self.realms()))
        base = data.draw(st.sampled_from(IPAS))
        self.world.call(rmi.RTT_INIT_RIPAS, rd, base, base + data.draw(st.sampled_from([G, 2 * G, BLOCK])))

    # What must hold

    def entries(self, table: int) -> tuple[int, ...]:
        return struct.unpack("<512Q", self.world.memory.read(table, G))

    def live_entries(self, table: int, level: int) -> int:
        """References that a table holds: child tables and protected ASSIGNED entries (rmm-abi.md §3)."""
        return sum(is_table(e, level) or is_assigned(e, level) for e in self.entries(table) if e)

    @invariant()
    def states_agree(self) -> None:
        known = {pa: state for pa, state, _ in self.world.rmm.granules}
        assert known == self.owner
        assert self.world.memory.realm == set(self.owner)

    @invariant()
    def delegated_granules_are_wiped(self) -> None:
        for pa, state in self.owner.items():
            assert state != S.DELEGATED or self.world.is_zero(pa)

    @invariant()
    def tables_own_each_granule_once(self) -> None:
        owned = [pa for roots in self.roots.values() for pa in roots]
        todo = [(pa, 1) for pa in owned]
        while todo:
            table, level = todo.pop()
            assert self.world.rmm.granules.refs(table) == self.live_entries(table, level)
            for entry in self.entries(table):
                if is_table(entry, level):
                    owned.append(entry & OA)
                    todo.append((entry & OA, level + 1))
                elif entry and is_assigned(entry, level):
                    owned += range(entry & OA, (entry & OA) + (1 << 39 - 9 * level), G)
        assert len(owned) == len(set(owned))
        assert set(owned) == {pa for pa, state in self.owner.items() if state in (S.RTT, S.DATA)}

    # The end

    def teardown(self) -> None:
        """Host's teardown (rmm-abi.md §14b) from wherever the machine stands."""
        world = self.world
        for rec, (_, aux) in self.recs.items():
            world.ok(rmi.REC_DESTROY, rec)
            self.owner.update(dict.fromkeys((rec, *aux), S.DELEGATED))
        for rd, roots in self.roots.items():
            for i, root in enumerate(roots):
                self.empty(rd, root, 1, i << 39)
            world.ok(rmi.REALM_DESTROY, rd)
        for pa in self.owner:
            world.ok(rmi.GRANULE_UNDELEGATE, pa)
            assert world.is_zero(pa)
        assert list(world.rmm.granules) == [] and not world.memory.realm

    def empty(self, rd: int, table: int, level: int, base: int) -> None:
        """Destroys all that hangs below a table."""
        size = 1 << 39 - 9 * level
        for i, entry in enumerate(self.entries(table)):
            ipa = base + i * size
            if is_table(entry, level):
                self.empty(rd, entry & OA, level + 1, ipa)
                assert self.world.ok(rmi.RTT_DESTROY, rd, ipa, level + 1)[0] == entry & OA
            elif entry and is_assigned(entry, level):
                if level == 3:
                    assert self.world.ok(rmi.DATA_DESTROY, rd, ipa)[0] == entry & OA
                    continue
                self.world.ok(rmi.GRANULE_DELEGATE, self.spare)
                self.world.ok(rmi.RTT_CREATE, rd, self.spare, ipa, level + 1)
                self.empty(rd, self.spare, level + 1, ipa)
                self.world.ok(rmi.RTT_DESTROY, rd, ipa, level + 1)
                self.world.ok(rmi.GRANULE_UNDELEGATE, self.spare)


Host.TestCase.settings = settings(
    max_examples=max(1, STEPS // 40),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestHost = Host.TestCase
