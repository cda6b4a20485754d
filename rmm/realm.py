# SPDX-License-Identifier: GPL-2.0-or-later
"""Realms: their parameters, and RMI_REALM_* (rmm-abi.md §3.4 to §3.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmm import granule, stage2
from rmm.abi.bits import REALM_FLAGS
from rmm.abi.structs import REALM_PARAMS
from rmm.abi.values import GranuleState, HashAlgorithm, RealmState
from rmm.frame import Check, Frame
from rmm.granule import DELEGATED, GRANULE, UNDELEGATED
from rmm.measurement import Hash, hash_function, initial_rim
from rmm.protocols import HostFault, Stage2

if TYPE_CHECKING:
    from rmm.rec import Rec

MIN_S2SZ = 32
MAX_S2SZ, MAX_S2SZ_LPA2 = 48, 52
MIN_PA_WIDTH_LEVEL_0 = 44  # a start level of 0 needs that many physical address bits (§11.2)

FLAG_LPA2 = REALM_FLAGS.by_name["LPA2"].mask
FLAG_SVE = REALM_FLAGS.by_name["SVE"].mask
FLAG_PMU = REALM_FLAGS.by_name["PMU"].mask

_NAMES = tuple(field.name for field in REALM_PARAMS.fields)
_unpack = REALM_PARAMS.unpacker()


class Params:
    """RmiRealmParams as a host gave them, with the image that is measured."""

    __slots__ = (*_NAMES, "image")

    flags: int
    s2sz: int
    sve_vl: int
    num_bps: int
    num_wps: int
    pmu_num_ctrs: int
    hash_algo: int
    rpv: bytes
    vmid: int
    rtt_base: int
    rtt_level_start: int
    rtt_num_start: int

    def __init__(self, image: bytes) -> None:
        self.image = image
        for name, value in zip(_NAMES, _unpack(image), strict=True):
            setattr(self, name, value)


class Realm:
    """A realm, known by the PA of its realm descriptor.

    rim, rems: digests, as long as the hash's.  recs: live RECs by index.  rec_count: RECs ever created (indexes are
    not used again).  par_end: end of the protected half.  pages: PAs of ASSIGNED RAM pages by IPA that calls have
    named lately, a short cut for walks; whatever unmaps one forgets them all.
    """

    __slots__ = (
        "block_attrs",
        "hash",
        "hash_algo",
        "ipa_end",
        "lpa2",
        "ns_attrs",
        "ns_desc_mask",
        "page_attrs",
        "pages",
        "par_end",
        "params",
        "rd",
        "rec_count",
        "recs",
        "rems",
        "rim",
        "rtt_num_start",
        "stage2",
        "state",
    )

    # bits of leaf descriptors, and those that a host supplies (rmm.stage2)
    block_attrs: int
    page_attrs: int
    ns_attrs: int
    ns_desc_mask: int

    def __init__(self, rd: int, params: Params) -> None:
        self.rd = rd
        self.params = params
        self.state = RealmState.NEW
        self.lpa2 = bool(params.flags & FLAG_LPA2)
        self.stage2 = Stage2(params.vmid, params.s2sz, params.rtt_level_start, params.rtt_base, self.lpa2)
        self.rtt_num_start = params.rtt_num_start
        self.ipa_end = 1 << params.s2sz
        self.par_end = 1 << params.s2sz - 1
        self.hash_algo = params.hash_algo
        self.hash: Hash = hash_function(params.hash_algo)
        self.rim = initial_rim(self.hash, params.image)
        self.rems = [bytes(len(self.rim))] * 4
        self.recs: dict[int, Rec] = {}
        self.rec_count = 0
        self.pages: dict[int, int] = {}
        stage2.set_formats(self)

    def roots(self) -> range:
        """PAs of the start-level RTTs."""
        base = self.stage2.rtt_base
        return range(base, base + self.rtt_num_start * GRANULE, GRANULE)


def start_rtts(s2sz: int, level: int, *, lpa2: bool, pa_width: int) -> int | None:
    """How many concatenated start-level RTTs an IPA width takes; None where the level does not fit it (§11.2)."""
    if not MIN_S2SZ <= s2sz <= (MAX_S2SZ_LPA2 if lpa2 else MAX_S2SZ):
        return None
    if level == -1 and lpa2 and s2sz >= 49:
        return 1
    if level == 0 and s2sz >= 40 and pa_width >= MIN_PA_WIDTH_LEVEL_0:
        return 1 << max(0, s2sz - 48)
    if level == 1 and s2sz <= 43:
        return 1 << max(0, s2sz - 39)
    if level == 2 and s2sz <= 34:
        return 1 << s2sz - 30
    return None


# REALM_CREATE


def host_granule(f: Frame, pa: int) -> bool:
    """Reads a granule of the host's into the frame; True when the granule protection check refuses."""
    try:
        f.host_data = f.rmm.memory.host_read(pa, GRANULE)
    except HostFault:
        return True
    return False


def _params_fault(f: Frame) -> bool:
    if host_granule(f, f.params):
        return True
    f.realm_params = Params(f.host_data)
    return False


def _s2sz(f: Frame) -> bool:
    return not MIN_S2SZ <= f.realm_params.s2sz <= f.rmm.features.s2sz


def _required_rtts(f: Frame) -> int | None:
    p = f.realm_params
    return start_rtts(p.s2sz, p.rtt_level_start, lpa2=bool(p.flags & FLAG_LPA2), pa_width=f.rmm.features.pa_width)


def _hash_supported(f: Frame) -> bool:
    features = f.rmm.features
    return features.hash_sha256 if f.realm_params.hash_algo == HashAlgorithm.SHA_256 else features.hash_sha512


def _rd_is_root(f: Frame) -> bool:
    p = f.realm_params
    return p.rtt_base <= f.rd < p.rtt_base + p.rtt_num_start * GRANULE


def _root_pas(f: Frame) -> range:
    p = f.realm_params
    return range(p.rtt_base, p.rtt_base + p.rtt_num_start * GRANULE, GRANULE)


CREATE_CHECKS: dict[str, Check] = {
    **granule.checks("params", UNDELEGATED),
    "params_gpt": _params_fault,
    "lpa2_supp": lambda f: f.realm_params.flags & FLAG_LPA2 and not f.rmm.features.lpa2,
    "s2sz_supp": _s2sz,
    "num_bps_supp": lambda f: not 0 < f.realm_params.num_bps <= f.rmm.features.num_bps,
    "num_wps_supp": lambda f: not 0 < f.realm_params.num_wps <= f.rmm.features.num_wps,
    "sve_supp": lambda f: f.realm_params.flags & FLAG_SVE and not f.rmm.features.sve,
    "sve_vl_supp": lambda f: f.realm_params.flags & FLAG_SVE and f.realm_params.sve_vl > f.rmm.features.sve_vl,
    "pmu_supp": lambda f: f.realm_params.flags & FLAG_PMU and not f.rmm.features.pmu,
    "pmu_num_ctrs_supp": lambda f: (
        f.realm_params.flags & FLAG_PMU and f.realm_params.pmu_num_ctrs > f.rmm.features.pmu_num_ctrs
    ),
    "pmu_num_ctrs_zero": lambda f: (
        f.realm_params.flags & FLAG_PMU and f.realm_params.pmu_num_ctrs == 0 and not f.rmm.features.hpmn0
    ),
    "rtt_level_start": lambda f: _required_rtts(f) is None,
    "rtt_num_start": lambda f: _required_rtts(f) != f.realm_params.rtt_num_start,
    "hash_algo_valid": lambda f: f.realm_params.hash_algo > HashAlgorithm.SHA_512,
    "hash_algo_supp": lambda f: not _hash_supported(f),
    "vmid_bound": lambda f: f.realm_params.vmid >> f.rmm.features.vmid_bits,
    "vmid_used": lambda f: f.realm_params.vmid in f.rmm.vmids,
    "rd_alias": _rd_is_root,
    **granule.checks("rd", DELEGATED),
    "rtt_base_align": lambda f: f.realm_params.rtt_base % (f.realm_params.rtt_num_start * GRANULE),
    "rtt_base_bound": lambda f: any(f.rmm.granules.state(pa) < 0 for pa in _root_pas(f)),
    "rtt_base_state": lambda f: any(f.rmm.granules.state(pa) != DELEGATED for pa in _root_pas(f)),
}


def create(f: Frame) -> None:
    rmm = f.rmm
    realm = Realm(f.rd, f.realm_params)
    rmm.vmids.add(realm.stage2.vmid)
    rmm.realm_at[f.rd] = realm
    rmm.granules.set(f.rd, GranuleState.RD)
    for pa in realm.roots():
        rmm.granules.set(pa, GranuleState.RTT)
    stage2.fill_roots(rmm.memory, realm)


# The other commands on an RD


def _no_rd(f: Frame) -> bool:
    realm = f.rmm.realm_at.get(f.rd)
    if realm is None:
        return True
    f.realm = realm
    return False


RD_CHECKS: dict[str, Check] = granule.checks("rd", _no_rd)


def not_new(f: Frame) -> bool:
    return f.realm.state != RealmState.NEW


ACTIVATE_CHECKS: dict[str, Check] = {**RD_CHECKS, "realm_state": not_new}


def activate(f: Frame) -> None:
    f.realm.state = RealmState.ACTIVE


DESTROY_CHECKS: dict[str, Check] = {
    **RD_CHECKS,
    "realm_recs": lambda f: f.realm.recs,
    "realm_live": lambda f: any(f.rmm.granules.refs(pa) for pa in f.realm.roots()),
}


def destroy(f: Frame) -> None:
    rmm, realm = f.rmm, f.realm
    rmm.platform.invalidate_ipa(realm.stage2, 0, realm.ipa_end)
    for pa in realm.roots():
        rmm.memory.zero(pa, GRANULE)
        rmm.granules.set(pa, DELEGATED)
    # The RD's own content stays zero throughout: what it describes is kept in Realm objects.
    rmm.granules.set(realm.rd, DELEGATED)
    rmm.vmids.remove(realm.stage2.vmid)
    del rmm.realm_at[realm.rd]


def aux_count(f: Frame) -> tuple[int]:
    return (f.rmm.features.rec_aux_count,)
