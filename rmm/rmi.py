# SPDX-License-Identifier: GPL-2.0-or-later
"""The RMI commands (rmm-abi.md §3)."""

from __future__ import annotations

from typing import Any

from rmm import measurement, rtt
from rmm.abi import types as t
from rmm.abi.call import Call
from rmm.abi.structs import REALM_PARAMS, REC_PARAMS
from rmm.command import INPUT, REALM, REC, RTT, Command, Cond, Result
from rmm.objects import Realm, Rec, index_of_mpidr, index_of_rec_mpidr, mpidr_of_index
from rmm.protocols import HostFault, RecInit, Stage2

UND, DELEGATED, RD, RECG, AUX, DATA, RTTG = range(7)
VERSION = 0x10000


def gran(attr: str, state: int, prefix: str) -> tuple[Cond, ...]:
    return (
        Cond(f"{prefix}_align", INPUT, lambda c: getattr(c, attr) & 0xFFF),
        Cond(f"{prefix}_bound", INPUT, lambda c: not c.rmm.tracked(getattr(c, attr))),
        Cond(f"{prefix}_state", INPUT, lambda c: c.rmm.state(getattr(c, attr)) != state),
    )


def rd_ok() -> tuple[Cond, ...]:
    return gran("rd", RD, "rd")


class Version(Command):
    call = Call(0xC4000150, "RMI_VERSION", (("requested", t.REVISION),), (("lower", t.REVISION), ("higher", t.REVISION)))
    conditions = (Cond("unsupported", INPUT, lambda c: c.requested != VERSION),)
    def effect(self) -> Result: return (VERSION, VERSION)
    def outputs_on_failure(self, cond: Cond) -> Result: return (VERSION, VERSION)


class FeaturesCall(Command):
    call = Call(0xC4000165, "RMI_FEATURES", (("index", t.INDEX),), (("value", t.FEATURES0),))
    conditions = ()
    def effect(self) -> Result: return (self.rmm.features.encode() if self.index == 0 else 0,)


class GranuleDelegate(Command):
    call = Call(0xC4000151, "RMI_GRANULE_DELEGATE", (("addr", t.PA),))
    conditions = (*gran("addr", UND, "gran"), Cond("gran_gpt", INPUT, lambda c: c.rmm.platform.delegate(c.addr) != 0))
    def effect(self) -> Result:
        self.rmm.memory.zero(self.addr, 4096)
        self.rmm.set_state(self.addr, DELEGATED)
        return ()


class GranuleUndelegate(Command):
    call = Call(0xC4000152, "RMI_GRANULE_UNDELEGATE", (("addr", t.PA),))
    conditions = (*gran("addr", DELEGATED, "gran"), Cond("gran_gpt", INPUT, lambda c: c.rmm.platform.undelegate(c.addr) != 0))
    def effect(self) -> Result:
        self.rmm.set_state(self.addr, UND)
        return ()


VALID_START = {-1: (49, 52), 0: (40, 52), 1: (32, 43), 2: (32, 34)}


def root_tables(width: int, level: int, lpa2: bool, pa_width: int) -> int | None:
    if level not in VALID_START or (level == -1 and not lpa2) or (level == 0 and pa_width < 44):
        return None
    low, high = VALID_START[level]
    if level == 0 and not lpa2:
        high = 48
    if not low <= width <= high:
        return None
    bits = rtt.shift_of(level) + 9
    return 1 if width <= bits else 1 << width - bits


class RealmCreate(Command):
    call = Call(0xC4000158, "RMI_REALM_CREATE", (("rd", t.DELEGATED), ("params_ptr", t.NS_PA)))

    def read(self) -> bool:
        try:
            self.raw = self.rmm.memory.host_read(self.params_ptr, 4096)
        except HostFault:
            return True
        p = REALM_PARAMS.unpack(self.raw)
        self.p = p
        self.roots = [p["rtt_base"] + 4096 * i for i in range(min(p["rtt_num_start"], 16))]
        return False

    def _sve(self) -> bool:
        f = self.rmm.features
        return bool(self.p["flags"] & 2 and (not f.sve or self.p["sve_vl"] > f.sve_vl))

    def _pmu(self) -> bool:
        f = self.rmm.features
        n = self.p["pmu_num_ctrs"]
        return bool(self.p["flags"] & 4 and (not f.pmu or n > f.pmu_num_ctrs or n == 0))

    def _hash(self) -> bool:
        f = self.rmm.features
        return not {0: f.hash_sha256, 1: f.hash_sha512}.get(self.p["hash_algo"], False)

    conditions = (
        *gran("params_ptr", UND, "params"),
        Cond("params_pas", INPUT, lambda c: c.read()),
        Cond("params_lpa2", INPUT, lambda c: c.p["flags"] & 1 and not c.rmm.features.lpa2),
        Cond("params_s2sz", INPUT, lambda c: not 32 <= c.p["s2sz"] <= min(c.rmm.features.s2sz, 52 if c.p["flags"] & 1 else 48)),
        Cond("params_bps", INPUT, lambda c: not 1 <= c.p["num_bps"] <= c.rmm.features.num_bps),
        Cond("params_wps", INPUT, lambda c: not 1 <= c.p["num_wps"] <= c.rmm.features.num_wps),
        Cond("params_sve", INPUT, lambda c: c._sve()),
        Cond("params_pmu", INPUT, lambda c: c._pmu()),
        Cond("rtt_level", INPUT, lambda c: root_tables(c.p["s2sz"], c.p["rtt_level_start"], bool(c.p["flags"] & 1), c.rmm.features.pa_width) is None),
        Cond("rtt_num", INPUT, lambda c: root_tables(c.p["s2sz"], c.p["rtt_level_start"], bool(c.p["flags"] & 1), c.rmm.features.pa_width) != c.p["rtt_num_start"]),
        Cond("hash", INPUT, lambda c: c._hash()),
        Cond("vmid", INPUT, lambda c: c.p["vmid"] >> c.rmm.features.vmid_bits or c.p["vmid"] in c.rmm.vmids),
        Cond("alias", INPUT, lambda c: c.rd in c.roots),
        *gran("rd", DELEGATED, "rd"),
        Cond("rtt_align", INPUT, lambda c: c.p["rtt_base"] % (4096 * c.p["rtt_num_start"])),
        Cond("rtt_state", INPUT, lambda c: any(c.rmm.state(r) != DELEGATED for r in c.roots)),
    )

    def effect(self) -> Result:
        rmm, p = self.rmm, self.p
        lpa2 = bool(p["flags"] & 1)
        s2 = Stage2(p["vmid"], p["s2sz"], p["rtt_level_start"], p["rtt_base"], lpa2)
        realm = Realm(self.rd, s2, p["rtt_num_start"], p["hash_algo"], measurement.initial(p["hash_algo"], self.raw), p["rpv"],
                      sve=p["sve_vl"] if p["flags"] & 2 else None, pmu=p["pmu_num_ctrs"] if p["flags"] & 4 else None, vmid=p["vmid"])
        rmm.vmids.add(p["vmid"])
        rmm.realms_by_pa[self.rd] = realm
        rmm.set_state(self.rd, RD)
        shift = rtt.shift_of(s2.start_level)
        for number, root in enumerate(self.roots):
            rmm.set_state(root, RTTG)
            words = []
            for i in range(512):
                ipa = (number * 512 + i) << shift
                words.append(0 if ipa < realm.par else rtt.NS)
            rmm.fill(root, words)
        return ()


class WithRealm(Command):
    @property
    def realm(self) -> Realm:
        return self.rmm.realms_by_pa[self.rd]


class RealmActivate(WithRealm):
    call = Call(0xC4000157, "RMI_REALM_ACTIVATE", (("rd", t.RD),))
    conditions = (*rd_ok(), Cond("realm_state", REALM, lambda c: c.realm.state != 0))
    def effect(self) -> Result:
        self.realm.state = 1
        return ()


class RealmDestroy(WithRealm):
    call = Call(0xC4000159, "RMI_REALM_DESTROY", (("rd", t.RD),))
    conditions = (*rd_ok(),
        Cond("realm_recs", REALM, lambda c: c.realm.recs),
        Cond("realm_live", REALM, lambda c: any(c.rmm.refcount(c.realm.s2.rtt_base + 4096 * i) for i in range(c.realm.num_start))))
    def effect(self) -> Result:
        rmm, realm = self.rmm, self.realm
        rmm.platform.invalidate_ipa(realm.s2, 0, realm.ipa_size)
        for i in range(realm.num_start):
            rmm.release(realm.s2.rtt_base + 4096 * i)
        rmm.release(self.rd)
        rmm.vmids.discard(realm.vmid)
        del rmm.realms_by_pa[self.rd]
        return ()


class RecAuxCount(WithRealm):
    call = Call(0xC4000167, "RMI_REC_AUX_COUNT", (("rd", t.RD),), (("count", t.COUNT),))
    conditions = rd_ok()
    def effect(self) -> Result: return (self.rmm.features.rec_aux_count,)


class RecCreate(WithRealm):
    call = Call(0xC400015A, "RMI_REC_CREATE", (("rd", t.RD), ("rec", t.DELEGATED), ("params_ptr", t.NS_PA)))

    def read(self) -> bool:
        try:
            self.raw = self.rmm.memory.host_read(self.params_ptr, 4096)
        except HostFault:
            return True
        self.p = REC_PARAMS.unpack(self.raw)
        self.aux = list(self.p["aux"][: min(self.p["num_aux"], 16)])
        self.index = index_of_rec_mpidr(self.p["mpidr"])
        return False

    conditions = (
        *gran("params_ptr", UND, "params"),
        Cond("params_pas", INPUT, lambda c: c.read()),
        Cond("num_aux_max", INPUT, lambda c: c.p["num_aux"] > 16),
        Cond("aux_state", INPUT, lambda c: any(a & 0xFFF or not c.rmm.tracked(a) or c.rmm.state(a) != DELEGATED for a in c.aux)),
        Cond("aux_alias", INPUT, lambda c: len(set(c.aux)) != len(c.aux) or c.rec in c.aux),
        *gran("rec", DELEGATED, "rec"),
        *rd_ok(),
        Cond("rec_count", REALM, lambda c: c.realm.recs >= (1 << c.rmm.features.max_recs_order) - 1),
        Cond("realm_state", REALM, lambda c: c.realm.state != 0),
        Cond("mpidr", INPUT, lambda c: c.index is None or c.index != c.realm.rec_count),
        Cond("num_aux", INPUT, lambda c: c.p["num_aux"] != c.rmm.features.rec_aux_count),
    )

    def effect(self) -> Result:
        rmm, realm, p = self.rmm, self.realm, self.p
        for a in self.aux:
            rmm.set_state(a, AUX)
        rmm.set_state(self.rec, RECG)
        index = realm.rec_count
        runnable = bool(p["flags"] & 1)
        if runnable:
            realm.rim = measurement.rec(realm.algorithm, realm.rim, self.raw)
        context = rmm.platform.create_rec(RecInit(self.rec, index, mpidr_of_index(index), p["pc"], tuple(p["gprs"]), realm.s2, realm.sve, realm.pmu, realm.rd))
        rec = Rec(self.rec, realm, index, mpidr_of_index(index), self.aux, context, runnable)
        rmm.recs_by_pa[self.rec] = rec
        realm.rec_by_index[index] = rec
        realm.recs += 1
        realm.rec_count += 1
        return ()


class RecDestroy(Command):
    call = Call(0xC400015B, "RMI_REC_DESTROY", (("rec", t.REC),))
    conditions = (*gran("rec", RECG, "rec"), Cond("rec_running", REC, lambda c: c.rmm.recs_by_pa[c.rec].running))
    def effect(self) -> Result:
        rmm = self.rmm
        rec = rmm.recs_by_pa.pop(self.rec)
        rmm.platform.destroy_rec(rec.context)
        for a in rec.aux:
            rmm.release(a)
        rmm.release(self.rec)
        rec.realm.recs -= 1
        del rec.realm.rec_by_index[rec.index]
        return ()


class Table(WithRealm):
    """Commands that walk RTTs."""
    wl = 0

    def bad_ipa(self, level: int) -> bool:
        return bool(self.ipa >= self.realm.ipa_size or self.ipa & (1 << rtt.shift_of(level)) - 1)

    def bad_structure(self) -> bool:
        return not self.realm.s2.start_level + 1 <= self.level <= 3 or self.bad_ipa(self.level - 1)

    def walk_to(self, level: int) -> rtt.Walk:
        self.w = rtt.walk(self.rmm.memory, self.realm.s2, self.ipa, level)
        self.wl = self.w.level
        return self.w

    def next_live(self) -> int:
        return rtt.next_live(self.rmm.memory, rtt.walk(self.rmm.memory, self.realm.s2, self.ipa, self.w.level), self.ipa)

    def invalidate(self, level: int) -> None:
        size = 1 << rtt.shift_of(level)
        self.rmm.platform.invalidate_ipa(self.realm.s2, self.ipa & ~(size - 1), size)


class RttCreate(Table):
    call = Call(0xC400015D, "RMI_RTT_CREATE", (("rd", t.RD), ("rtt", t.DELEGATED), ("ipa", t.IPA), ("level", t.LEVEL)))
    conditions = (*gran("rtt", DELEGATED, "rtt"), *rd_ok(),
        Cond("level_ipa", INPUT, lambda c: c.bad_structure()),
        Cond("rtt_lpa2", INPUT, lambda c: c.rtt >= 1 << 48 and not c.realm.s2.lpa2),
        Cond("rtt_walk", RTT, lambda c: c.walk_to(c.level - 1).level < c.level - 1, "wl"),
        Cond("rtte_state", RTT, lambda c: c.w.state[0] == rtt.TABLE, "wl"))
    def effect(self) -> Result:
        rmm, w = self.rmm, self.w
        hipas, ripas, ns = w.state
        size = 1 << rtt.shift_of(self.level)
        refs = 0
        if hipas == rtt.UNASSIGNED:
            words = [w.entry] * 512
            rmm.add_ref(w.table, 1)
        elif ns:
            base = w.entry & rtt.OA_MASK
            attrs = w.entry & ~rtt.OA_MASK & ~3
            words = [base + i * size | attrs | (3 if self.level == 3 else 1) for i in range(512)]
            rmm.add_ref(w.table, 1)
        else:
            base = w.entry & rtt.OA_MASK
            words = [rtt.assigned(base + i * size, ripas, self.level) for i in range(512)]
            refs = 512
        rmm.set_state(self.rtt, RTTG)
        rmm.fill(self.rtt, words)
        rmm.add_ref(self.rtt, refs)
        rmm.memory.write64(w.pa, self.rtt | 3)
        if hipas == rtt.ASSIGNED:
            self.invalidate(w.level)
        return ()


class RttDestroy(Table):
    call = Call(0xC400015E, "RMI_RTT_DESTROY", (("rd", t.RD), ("ipa", t.IPA), ("level", t.LEVEL)), (("rtt", t.RTT), ("top", t.IPA)))
    conditions = (*rd_ok(),
        Cond("level_ipa", INPUT, lambda c: c.bad_structure()),
        Cond("rtt_walk", RTT, lambda c: c.walk_to(c.level - 1).level != c.level - 1 or c.w.state[0] != rtt.TABLE, "wl"),
        Cond("rtt_live", RTT, lambda c: c.rmm.refcount(c.w.entry & rtt.OA_MASK), "level"))
    def outputs_on_failure(self, cond: Cond) -> Result:
        if cond.name == "rtt_walk": return (0, self.next_live())
        if cond.name == "rtt_live": return (0, self.ipa)
        return ()
    def effect(self) -> Result:
        rmm, w = self.rmm, self.w
        child = w.entry & rtt.OA_MASK
        rmm.memory.write64(w.pa, rtt.unassigned(rtt.DESTROYED) if self.ipa < self.realm.par else rtt.NS)
        rmm.add_ref(w.table, -1)
        rmm.release(child)
        self.invalidate(w.level)
        return (child, self.next_live())


class RttFold(Table):
    call = Call(0xC4000166, "RMI_RTT_FOLD", (("rd", t.RD), ("ipa", t.IPA), ("level", t.LEVEL)), (("rtt", t.RTT),))
    folded: int | None = None

    def homogeneous(self) -> bool:
        rmm = self.rmm
        child = self.w.entry & rtt.OA_MASK
        self.child = child
        words = rmm.table(child)
        first = words[0]
        level = self.level
        hipas, ripas, ns = rtt.state_of(first, level)
        size = 1 << rtt.shift_of(level)
        self.assigned = hipas == rtt.ASSIGNED
        self.ns = ns
        if hipas == rtt.TABLE: return False
        if hipas == rtt.UNASSIGNED:
            self.folded = first
            return rmm.refcount(child) == 0 and all(word == first for word in words)
        base = first & rtt.OA_MASK
        if base & (size * 512 - 1): return False
        if ns:
            attrs = first & ~rtt.OA_MASK & ~3
            self.folded = base | attrs | 1
            return all(word == base + i * size | attrs | (first & 3) for i, word in enumerate(words))
        if rmm.refcount(child) != 512: return False
        self.folded = rtt.assigned(base, ripas, level - 1)
        return all(word == rtt.assigned(base + i * size, ripas, level) for i, word in enumerate(words))

    conditions = (*rd_ok(),
        Cond("level_ipa", INPUT, lambda c: c.bad_structure()),
        Cond("rtt_walk", RTT, lambda c: c.walk_to(c.level - 1).level < c.level - 1, "wl"),
        Cond("rtte_state", RTT, lambda c: c.w.state[0] != rtt.TABLE, "wl"),
        Cond("rtt_homogeneous", RTT, lambda c: not c.homogeneous(), "level"),
        Cond("fold_level", RTT, lambda c: c.assigned and c.level <= 1, "wl"))
    def effect(self) -> Result:
        rmm, w = self.rmm, self.w
        rmm.memory.write64(w.pa, self.folded)
        if not self.assigned or self.ns:
            rmm.add_ref(w.table, -1)
        rmm.release(self.child)
        self.invalidate(w.level)
        return (self.child,)


class Unprotected(Table):
    def bad_map(self) -> bool:
        return self.bad_ipa(self.level)


def desc_bad(c: Any) -> bool:
    lpa2 = c.realm.s2.lpa2
    low = rtt.shift_of(c.level)
    oa = ((1 << (50 if lpa2 else 48)) - 1) & ~((1 << low) - 1)
    if lpa2: oa |= 0x300
    return bool(c.desc & ~(oa | rtt.NS_HOST) or c.desc & 0x1C == 0x10)


class MapUnprotected(Unprotected):
    call = Call(0xC400015F, "RMI_RTT_MAP_UNPROTECTED", (("rd", t.RD), ("ipa", t.IPA), ("level", t.LEVEL), ("desc", t.DESC)))
    conditions = (
        Cond("level", INPUT, lambda c: not 1 <= c.level <= 3), *rd_ok(),
        Cond("level_start", INPUT, lambda c: c.level < c.realm.s2.start_level),
        Cond("desc", INPUT, desc_bad),
        Cond("ipa", INPUT, lambda c: c.bad_map()),
        Cond("ipa_protected", INPUT, lambda c: c.ipa < c.realm.par),
        Cond("rtt_walk", RTT, lambda c: c.walk_to(c.level).level != c.level, "wl"),
        Cond("rtte_state", RTT, lambda c: c.w.state[0] != rtt.UNASSIGNED, "wl"))
    def effect(self) -> Result:
        self.rmm.memory.write64(self.w.pa, self.desc | rtt.NS_LEAF | (3 if self.level == 3 else 1))
        return ()


class UnmapUnprotected(Unprotected):
    call = Call(0xC4000162, "RMI_RTT_UNMAP_UNPROTECTED", (("rd", t.RD), ("ipa", t.IPA), ("level", t.LEVEL)), (("top", t.IPA),))
    conditions = (
        Cond("level", INPUT, lambda c: not 1 <= c.level <= 3), *rd_ok(),
        Cond("level_start", INPUT, lambda c: c.level < c.realm.s2.start_level),
        Cond("ipa", INPUT, lambda c: c.bad_map()),
        Cond("ipa_protected", INPUT, lambda c: c.ipa < c.realm.par),
        Cond("rtt_walk", RTT, lambda c: c.walk_to(c.level).level != c.level or c.w.state[0] != rtt.ASSIGNED, "wl"))
    def outputs_on_failure(self, cond: Cond) -> Result:
        return (self.next_live(),) if cond.name == "rtt_walk" else ()
    def effect(self) -> Result:
        self.rmm.memory.write64(self.w.pa, rtt.NS)
        self.invalidate(self.level)
        return (self.next_live(),)


class ReadEntry(Table):
    call = Call(0xC4000161, "RMI_RTT_READ_ENTRY", (("rd", t.RD), ("ipa", t.IPA), ("level", t.LEVEL)),
                (("walk_level", t.LEVEL), ("state", t.HIPAS), ("desc", t.DESC), ("ripas", t.RIPAS)))
    conditions = (*rd_ok(),
        Cond("level", INPUT, lambda c: not c.realm.s2.start_level <= c.level <= 3),
        Cond("ipa", INPUT, lambda c: c.bad_ipa(c.level)))
    def effect(self) -> Result:
        w = self.walk_to(self.level)
        hipas, ripas, ns = w.state
        desc = 0
        if hipas == rtt.TABLE or (hipas == rtt.ASSIGNED and not ns): desc = w.entry & rtt.OA_MASK
        elif hipas == rtt.ASSIGNED: desc = w.entry & (rtt.OA_MASK | rtt.NS_HOST)
        return (w.level & (1 << 64) - 1, hipas, desc, ripas)


class Data(Table):
    def bad_data_ipa(self) -> bool:
        return bool(self.ipa & 0xFFF or self.ipa >= self.realm.par)


class DataCreate(Data):
    call = Call(0xC4000153, "RMI_DATA_CREATE", (("rd", t.RD), ("data", t.DELEGATED), ("ipa", t.IPA), ("src", t.NS_PA), ("flags", t.DATA_FLAGS)))
    def copy_in(self) -> bool:
        try:
            self.content = self.rmm.memory.host_read(self.src, 4096)
        except HostFault:
            return True
        return False
    conditions = (
        Cond("flags", INPUT, lambda c: c.flags > 1),
        *gran("src", UND, "src"), *gran("data", DELEGATED, "data"), *rd_ok(),
        Cond("realm_state", REALM, lambda c: c.realm.state != 0),
        Cond("ipa", INPUT, lambda c: c.bad_data_ipa()),
        Cond("data_lpa2", INPUT, lambda c: c.data >= 1 << 48 and not c.realm.s2.lpa2),
        Cond("rtt_walk", RTT, lambda c: c.walk_to(3).level != 3, "wl"),
        Cond("rtte_state", RTT, lambda c: c.w.state[0] != rtt.UNASSIGNED, "wl"),
        Cond("src_pas", INPUT, lambda c: c.copy_in()))
    def effect(self) -> Result:
        rmm, realm = self.rmm, self.realm
        rmm.memory.write(self.data, self.content)
        rmm.set_state(self.data, DATA)
        rmm.memory.write64(self.w.pa, rtt.assigned(self.data, rtt.RAM, 3))
        rmm.add_ref(self.w.table, 1)
        realm.rim = measurement.data(realm.algorithm, realm.rim, self.ipa, self.flags, self.content)
        return ()


class DataCreateUnknown(Data):
    call = Call(0xC4000154, "RMI_DATA_CREATE_UNKNOWN", (("rd", t.RD), ("data", t.DELEGATED), ("ipa", t.IPA)))
    conditions = (
        *gran("data", DELEGATED, "data"), *rd_ok(),
        Cond("ipa", INPUT, lambda c: c.bad_data_ipa()),
        Cond("data_lpa2", INPUT, lambda c: c.data >= 1 << 48 and not c.realm.s2.lpa2),
        Cond("rtt_walk", RTT, lambda c: c.walk_to(3).level != 3, "wl"),
        Cond("rtte_state", RTT, lambda c: c.w.state[0] != rtt.UNASSIGNED, "wl"))
    def effect(self) -> Result:
        rmm = self.rmm
        rmm.set_state(self.data, DATA)
        rmm.memory.write64(self.w.pa, rtt.assigned(self.data, self.w.state[1], 3))
        rmm.add_ref(self.w.table, 1)
        return ()


class DataDestroy(Data):
    call = Call(0xC4000155, "RMI_DATA_DESTROY", (("rd", t.RD), ("ipa", t.IPA)), (("data", t.PA), ("top", t.IPA)))
    conditions = (*rd_ok(),
        Cond("ipa", INPUT, lambda c: c.bad_data_ipa()),
        Cond("rtt_walk", RTT, lambda c: c.walk_to(3).level != 3, "wl"),
        Cond("rtte_state", RTT, lambda c: c.w.state[0] != rtt.ASSIGNED, "wl"))
    def outputs_on_failure(self, cond: Cond) -> Result:
        return (0, self.next_live()) if cond.status == RTT else ()
    def effect(self) -> Result:
        rmm = self.rmm
        pa = self.w.entry & rtt.OA_MASK
        ripas = self.w.state[1]
        rmm.memory.write64(self.w.pa, rtt.unassigned(rtt.EMPTY if ripas == rtt.EMPTY else rtt.DESTROYED))
        rmm.add_ref(self.w.table, -1)
        rmm.release(pa)
        self.invalidate(3)
        return (pa, self.next_live())


class InitRipas(Table):
    call = Call(0xC4000168, "RMI_RTT_INIT_RIPAS", (("rd", t.RD), ("base", t.IPA), ("top", t.IPA)), (("out_top", t.IPA),))
    def bad_range(self) -> bool:
        return bool(self.base & 0xFFF or self.top & 0xFFF or self.top > self.realm.par)
    def begin(self) -> bool:
        self.ipa = self.base
        w = self.walk_to(3)
        return bool(self.base & (1 << rtt.shift_of(w.level)) - 1)
    def first(self) -> bool:
        hipas, ripas, ns = self.w.state
        size = 1 << rtt.shift_of(self.wl)
        return hipas != rtt.UNASSIGNED or ns or ripas == rtt.DESTROYED or self.base + size > self.top
    conditions = (
        Cond("top_bound", INPUT, lambda c: c.top <= c.base), *rd_ok(),
        Cond("range", INPUT, lambda c: c.bad_range()),
        Cond("realm_state", REALM, lambda c: c.realm.state != 0),
        Cond("rtt_walk", RTT, lambda c: c.begin(), "wl"),
        Cond("rtte_state", RTT, lambda c: c.first(), "wl"))
    def effect(self) -> Result:
        rmm, realm, w = self.rmm, self.realm, self.w
        size = 1 << rtt.shift_of(w.level)
        at = self.base
        index = w.index
        while index < 512 and at + size <= self.top:
            entry = rmm.memory.read64(w.table + 8 * index)
            hipas, ripas, ns = rtt.state_of(entry, w.level)
            if hipas != rtt.UNASSIGNED or ns or ripas == rtt.DESTROYED: break
            rmm.memory.write64(w.table + 8 * index, rtt.unassigned(rtt.RAM))
            realm.rim = measurement.ripas(realm.algorithm, realm.rim, at, at + size)
            at += size
            index += 1
        return (at,)


class SetRipas(Table):
    call = Call(0xC4000169, "RMI_RTT_SET_RIPAS", (("rd", t.RD), ("rec", t.REC), ("base", t.IPA), ("top", t.IPA)), (("out_top", t.IPA),))
    @property
    def r(self) -> Rec:
        return self.rmm.recs_by_pa[self.rec]
    def begin(self) -> bool:
        self.ipa = self.base
        w = self.walk_to(3)
        return bool(self.base & (1 << rtt.shift_of(w.level)) - 1)
    def new_entry(self, entry: int, level: int) -> int | None:
        hipas, ripas, ns = rtt.state_of(entry, level)
        rec = self.r
        if hipas == rtt.TABLE or ns or (ripas == rtt.DESTROYED and not rec.ripas_destroyed): return None
        if hipas == rtt.UNASSIGNED: return rtt.unassigned(rec.ripas_value)
        return rtt.assigned(entry & rtt.OA_MASK, rec.ripas_value, level)
    conditions = (
        Cond("top_bound", INPUT, lambda c: c.top <= c.base),
        Cond("top_align", INPUT, lambda c: c.top & 0xFFF),
        *rd_ok(), *gran("rec", RECG, "rec"),
        Cond("rec_running", REC, lambda c: c.r.running),
        Cond("rec_owner", REC, lambda c: c.r.rd != c.rd),
        Cond("base_request", INPUT, lambda c: c.base != c.r.ripas_addr),
        Cond("top_request", INPUT, lambda c: c.top > c.r.ripas_top),
        Cond("rtt_walk", RTT, lambda c: c.begin(), "wl"),
        Cond("rtte_state", RTT, lambda c: c.new_entry(c.w.entry, c.wl) is None or c.base + (1 << rtt.shift_of(c.wl)) > c.top, "wl"))
    def effect(self) -> Result:
        rmm, w = self.rmm, self.w
        size = 1 << rtt.shift_of(w.level)
        at, index = self.base, w.index
        flush = False
        while index < 512 and at + size <= self.top:
            pa = w.table + 8 * index
            entry = rmm.memory.read64(pa)
            new = self.new_entry(entry, w.level)
            if new is None: break
            if new != entry:
                rmm.memory.write64(pa, new)
                flush = flush or bool(entry & 1)
            at += size
            index += 1
        if flush:
            rmm.platform.invalidate_ipa(self.realm.s2, self.base, at - self.base)
        self.r.ripas_addr = at
        return (at,)


class PsciComplete(Command):
    call = Call(0xC4000164, "RMI_PSCI_COMPLETE", (("calling", t.REC), ("target", t.REC), ("status", t.PSCI_STATUS)))
    @property
    def a(self) -> Rec: return self.rmm.recs_by_pa[self.calling]
    @property
    def b(self) -> Rec: return self.rmm.recs_by_pa[self.target]
    def status_bad(self) -> bool:
        on = self.a.psci[0] & 0xFFFF == 3
        return self.status not in ((0, -3) if on else (0,))
    def denied_on(self) -> bool:
        if self.a.psci[0] & 0xFFFF == 3 and self.status == -3 and (self.b.running or self.b.runnable):
            self.finish(-4)
            return True
        return False
    def finish(self, result: int) -> None:
        a = self.a
        a.context.set_x(0, [result & (1 << 64) - 1, 0, 0, 0])
        a.psci = None
    conditions = (*gran("calling", RECG, "calling"), *gran("target", RECG, "target"),
        Cond("alias", INPUT, lambda c: c.calling == c.target),
        Cond("calling_running", INPUT, lambda c: c.a.running),
        Cond("pending", INPUT, lambda c: c.a.psci is None),
        Cond("owner", INPUT, lambda c: c.a.rd != c.b.rd),
        Cond("target", INPUT, lambda c: index_of_mpidr(c.a.psci[1][0]) != c.b.index),
        Cond("status", INPUT, lambda c: c.status_bad()),
        Cond("denied_on", INPUT, lambda c: c.denied_on()))
    def effect(self) -> Result:
        a, b = self.a, self.b
        fid, args = a.psci
        busy = b.running or b.runnable
        if fid & 0xFFFF == 3:
            if busy: self.finish(-4)
            elif self.status == -3: self.finish(-3)
            else:
                b.context.cpu_on(args[1], args[2], a.context.big_endian())
                b.runnable = True
                self.finish(0)
        else:
            self.finish(0 if busy else 1)
        return ()


COMMANDS = (Version, FeaturesCall, GranuleDelegate, GranuleUndelegate, RealmCreate, RealmActivate, RealmDestroy, RecAuxCount,
            RecCreate, RecDestroy, RttCreate, RttDestroy, RttFold, MapUnprotected, UnmapUnprotected, ReadEntry, DataCreate,
            DataCreateUnknown, DataDestroy, InitRipas, SetRipas, PsciComplete)
