# SPDX-License-Identifier: GPL-2.0-or-later
"""Any call at any time: a failed one changes nothing, and none breaks the RMM.

Arguments come from the declared types: addresses of the right kind, of the wrong kind, and noise.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmm.abi import psci, rmi, rsi
from rmm.abi.call import UNKNOWN, Call
from rmm.abi.types import Type
from rmm.bare import smc
from tests.rmm.fakes import BASE, EMUL_MMIO, INJECT_SEA, G, Guest, World, snapshot

NS_HALF = 1 << 39
FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


class Scene:
    """A realm in the middle of its life, with one of everything."""

    def __init__(self, active: bool) -> None:
        world = self.world = World(size=1 << 20)
        self.guest: Guest | None = None
        if active:
            self.guest = world.running_realm()
            realm = self.guest.realm
        else:
            realm = world.realm()
            world.ram(realm, 0x1000)
            world.rec(realm)
        self.realm = realm
        world.tables(realm, NS_HALF)
        world.ok(rmi.RTT_MAP_UNPROTECTED, realm.rd, NS_HALF, 3, BASE)
        world.rec(world.realm())
        spare = [world.delegated() for _ in range(3)]
        host = [world.ns() for _ in range(3)]
        params = [world.params(), world.rec_params(realm.rec_count)]
        tracked = [pa for pa, _, _ in world.rmm.granules]
        self.pools: dict[str, list[int]] = {
            "rd": [realm.rd],
            "rec": [rec.pa for rec in world.rmm.recs()],
            "delegated": spare,
            "ns": host + params,
            "pa": tracked,
            "ipa": [0, 0x1000, 0x2000, 0x3000, 2 << 20, 1 << 30, NS_HALF - G, NS_HALF, NS_HALF + G, 1 << 40],
            "level": [-1, 0, 1, 2, 3, 4],
            "desc": [0, BASE, BASE | 2 << 2, 1 << 55],
        }

    def value(self, type_: Type) -> st.SearchStrategy[int]:
        if type_.values is not None:
            usual = st.integers(0, 3)
        elif type_.role in self.pools:
            usual = st.sampled_from(self.pools[type_.role])
        else:
            usual = st.integers(0, 70)
        every = st.sampled_from(sorted({pa for pool in self.pools.values() for pa in pool}))
        return st.one_of(usual, usual, usual, every, every.map(lambda v: v + 8), st.integers(0, UNKNOWN))

    def registers(self, data: Any, call: Call) -> list[int]:
        words = [data.draw(self.value(v.type), v.name) & UNKNOWN for v in call.inputs for _ in range(v.count)]
        return [call.fid, *words, *[0] * 8][:18]


@FUZZ
@given(active=st.booleans(), data=st.data())
def test_a_failed_rmi_call_changes_nothing(active: bool, data: Any) -> None:
    scene = Scene(active)
    world = scene.world
    for _ in range(4):
        call = data.draw(st.sampled_from(rmi.CALLS))
        x = scene.registers(data, call)
        before = snapshot(world)
        result = world.rmm.rmi(x)
        assert len(result) == 5 and all(0 <= word <= UNKNOWN for word in result)
        condition = world.log.condition
        if result[0] == 0:
            assert condition is None
            continue
        declared = call.by_condition[str(condition)]
        assert result[0] & 0xFF == declared.status
        if not declared.late:
            assert snapshot(world) == before


@FUZZ
@given(data=st.data())
def test_no_call_of_a_realm_breaks_the_rmm(data: Any) -> None:
    scene = Scene(active=True)
    guest = scene.guest
    assert guest is not None
    calls = (*rsi.CALLS, *psci.CALLS)
    acts = [smc(*scene.registers(data, data.draw(st.sampled_from(calls)))) for _ in range(3)]
    exit_ = guest.enter(*acts)
    assert exit_["exit_reason"] in (0, 2, 3, 4, 5)


@FUZZ
@given(flags=st.integers(0, UNKNOWN), hcr=st.sampled_from([0, 2, 1]), lr=st.integers(0, UNKNOWN), act=st.integers(0, 3))
def test_no_entry_breaks_the_rmm(flags: int, hcr: int, lr: int, act: int) -> None:
    guest = World(size=1 << 20).running_realm()
    before_acts = [smc(0xC400_0199, 0x1000), smc(0xC400_0197, 0, G, 1, 0), smc(0xC400_0003, 0, 0, 0), smc(0x8400_0002)]
    guest.enter(before_acts[act])
    guest.put(flags=flags, gicv3_hcr=hcr, gicv3_lrs=[lr] + [0] * 15)
    before = snapshot(guest.world)
    result = guest.world.call(rmi.REC_ENTER, guest.rec.pa, guest.run)
    assert result[0] in (0, 3)
    if result[0]:
        assert snapshot(guest.world) == before
    if flags & (EMUL_MMIO | INJECT_SEA):
        assert result[0] == 3
