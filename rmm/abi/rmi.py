# SPDX-License-Identifier: GPL-2.0-or-later
"""The Realm Management Interface: 23 commands of a host (rmm-abi.md §1.2, §3)."""

from __future__ import annotations

from rmm.abi import types as t
from rmm.abi.call import Call, Condition, Value
from rmm.abi.values import RmiStatus

FIRST, LAST = 0xC4000150, 0xC400018E
REVISION = 0x10000

INPUT = RmiStatus.ERROR_INPUT
REALM = RmiStatus.ERROR_REALM
REC = RmiStatus.ERROR_REC
RTT = RmiStatus.ERROR_RTT


def _granule(name: str, state: str) -> tuple[Condition, ...]:
    return (
        Condition(f"{name}_align", INPUT, f"{name} is not 4 KiB aligned"),
        Condition(f"{name}_bound", INPUT, f"{name} is outside the tracked memory"),
        Condition(f"{name}_state", INPUT, f"{name} is not {state}"),
    )


RD_CHECKS = _granule("rd", "an RD")
_RTT_WINDOW = (
    Condition("level_bound", INPUT, "level is outside start level + 1 .. 3"),
    Condition("ipa_bound", INPUT, "ipa is outside the IPA space"),
    Condition("ipa_align", INPUT, "ipa is not aligned to an entry of level - 1"),
)
_MAP_WINDOW = (
    Condition("ipa_bound", INPUT, "ipa is outside the IPA space"),
    Condition("ipa_align", INPUT, "ipa is not aligned to an entry of level"),
    Condition("ipa_protected", INPUT, "ipa is in the protected half"),
    Condition("level_start", INPUT, "level is above the start level"),
)
_DATA_IPA = (
    Condition("ipa_bound", INPUT, "ipa is not in the protected half"),
    Condition("ipa_align", INPUT, "ipa is not 4 KiB aligned"),
)
_RD = Value("rd", t.RD)
_IPA = Value("ipa", t.IPA)
_LEVEL = Value("level", t.LEVEL)
_TOP = Value("top", t.IPA, doc="next live entry")

VERSION = Call(
    0xC4000150,
    "RMI_VERSION",
    inputs=(Value("req", t.REVISION),),
    outputs=(Value("lower", t.REVISION), Value("higher", t.REVISION)),
    conditions=(Condition("req_revision", INPUT, "the revision is not supported", gives=("lower", "higher")),),
    section="§1.4",
    doc="The interface revisions that the RMM supports.",
)
GRANULE_DELEGATE = Call(
    0xC4000151,
    "RMI_GRANULE_DELEGATE",
    inputs=(Value("addr", t.NS_PA),),
    conditions=(
        Condition("gran_align", INPUT, "addr is not 4 KiB aligned"),
        Condition("gran_bound", INPUT, "addr is outside the tracked memory"),
        Condition("gran_state", INPUT, "the granule is not UNDELEGATED"),
        Condition("gran_gpt", INPUT, "the Root world refuses: the granule is not Non-secure in the GPT"),
    ),
    footprint=("granule(addr).state", "granule(addr).pas", "granule(addr).content"),
    section="§3.2",
    doc="Moves a granule from the Normal to the Realm world and wipes it.",
)
GRANULE_UNDELEGATE = Call(
    0xC4000152,
    "RMI_GRANULE_UNDELEGATE",
    inputs=(Value("addr", t.DELEGATED),),
    conditions=(
        Condition("gran_align", INPUT, "addr is not 4 KiB aligned"),
        Condition("gran_bound", INPUT, "addr is outside the tracked memory"),
        Condition("gran_state", INPUT, "the granule is not DELEGATED"),
    ),
    footprint=("granule(addr).state", "granule(addr).pas"),
    section="§3.3",
    doc="Gives a granule back to the Normal world.",
)
DATA_CREATE = Call(
    0xC4000153,
    "RMI_DATA_CREATE",
    inputs=(
        _RD,
        Value("data", t.DELEGATED),
        _IPA,
        Value("src", t.NS_PA),
        Value("flags", t.DATA_FLAGS),
    ),
    conditions=(
        Condition("flags_valid", INPUT, "flags is neither 0 nor 1"),
        *_granule("src", "UNDELEGATED"),
        *_granule("data", "DELEGATED"),
        *RD_CHECKS,
        Condition("realm_state", REALM, "the realm is not NEW"),
        *_DATA_IPA,
        Condition("data_bound2", INPUT, "data is beyond 48 bits in a realm without LPA2"),
        Condition("rtt_walk", RTT, "the walk stops above level 3", index="walk"),
        Condition("rtte_state", RTT, "the entry is not UNASSIGNED", index=3),
        Condition("src_gpt", INPUT, "src cannot be read as Non-secure memory"),
    ),
    footprint=("granule(data).state", "granule(data).content", "rtte(ipa)", "realm(rd).rim"),
    section="§3.17",
    doc="Copies a page of the host's into a new realm and measures it.",
)
DATA_CREATE_UNKNOWN = Call(
    0xC4000154,
    "RMI_DATA_CREATE_UNKNOWN",
    inputs=(_RD, Value("data", t.DELEGATED), _IPA),
    conditions=(
        *_granule("data", "DELEGATED"),
        *RD_CHECKS,
        *_DATA_IPA,
        Condition("data_bound2", INPUT, "data is beyond 48 bits in a realm without LPA2"),
        Condition("rtt_walk", RTT, "the walk stops above level 3", index="walk"),
        Condition("rtte_state", RTT, "the entry is not UNASSIGNED", index=3),
    ),
    footprint=("granule(data).state", "rtte(ipa)"),
    section="§3.18",
    doc="Gives a realm a page of unspecified content (zeros).",
)
DATA_DESTROY = Call(
    0xC4000155,
    "RMI_DATA_DESTROY",
    inputs=(_RD, _IPA),
    outputs=(Value("data", t.PA), _TOP),
    conditions=(
        *RD_CHECKS,
        *_DATA_IPA,
        Condition("rtt_walk", RTT, "the walk stops above level 3", index="walk", gives=("top",)),
        Condition("rtte_state", RTT, "the entry is not ASSIGNED", index=3, gives=("top",)),
    ),
    footprint=("granule(data).state", "granule(data).content", "rtte(ipa)"),
    section="§3.19",
    doc="Takes a page from a realm and wipes it.",
)
REALM_ACTIVATE = Call(
    0xC4000157,
    "RMI_REALM_ACTIVATE",
    inputs=(_RD,),
    conditions=(*RD_CHECKS, Condition("realm_state", REALM, "the realm is not NEW")),
    footprint=("realm(rd).state",),
    section="§3.5",
    doc="Ends a realm's construction: its RIM is final, its RECs may run.",
)
REALM_CREATE = Call(
    0xC4000158,
    "RMI_REALM_CREATE",
    inputs=(Value("rd", t.DELEGATED), Value("params", t.NS_PA)),
    conditions=(
        *_granule("params", "UNDELEGATED"),
        Condition("params_gpt", INPUT, "params cannot be read as Non-secure memory"),
        Condition("lpa2_supp", INPUT, "LPA2 is asked for and not supported"),
        Condition("s2sz_supp", INPUT, "the IPA width is below 32 or above what is supported"),
        Condition("num_bps_supp", INPUT, "the number of breakpoints is 0 (reserved) or above what is supported"),
        Condition("num_wps_supp", INPUT, "the number of watchpoints is 0 (reserved) or above what is supported"),
        Condition("sve_supp", INPUT, "SVE is asked for and not supported"),
        Condition("sve_vl_supp", INPUT, "the SVE vector length is above what is supported"),
        Condition("pmu_supp", INPUT, "the PMU is asked for and not supported"),
        Condition("pmu_num_ctrs_supp", INPUT, "the number of PMU counters is above what is supported"),
        Condition("pmu_num_ctrs_zero", INPUT, "no PMU counters without FEAT_HPMN0"),
        Condition("rtt_level_start", INPUT, "the start level does not fit the IPA width"),
        Condition("rtt_num_start", INPUT, "the number of start-level RTTs does not fit the IPA width"),
        Condition("hash_algo_valid", INPUT, "the hash algorithm is not a defined value"),
        Condition("hash_algo_supp", INPUT, "the hash algorithm is not supported"),
        Condition("vmid_bound", INPUT, "the VMID is wider than the PE's"),
        Condition("vmid_used", INPUT, "another realm has the VMID"),
        Condition("rd_alias", INPUT, "rd is one of the start-level RTTs"),
        *_granule("rd", "DELEGATED"),
        Condition("rtt_base_align", INPUT, "rtt_base is not aligned to the size of all start-level RTTs"),
        Condition("rtt_base_bound", INPUT, "a start-level RTT is outside the tracked memory"),
        Condition("rtt_base_state", INPUT, "a start-level RTT is not DELEGATED"),
    ),
    footprint=("granule(rd).state", "granule(rtt_base..).state", "granule(rtt_base..).content", "vmids"),
    section="§3.4",
    doc="Creates a realm in state NEW.",
)
REALM_DESTROY = Call(
    0xC4000159,
    "RMI_REALM_DESTROY",
    inputs=(_RD,),
    conditions=(
        *RD_CHECKS,
        Condition("realm_recs", REALM, "the realm has RECs"),
        Condition("realm_live", REALM, "a start-level RTT has live entries"),
    ),
    footprint=("granule(rd).state", "granule(rtt_base..).state", "granule(rtt_base..).content", "vmids"),
    section="§3.6",
    doc="Destroys a realm that has no REC and no live RTT entry.",
)
REC_CREATE = Call(
    0xC400015A,
    "RMI_REC_CREATE",
    inputs=(_RD, Value("rec", t.DELEGATED), Value("params", t.NS_PA)),
    conditions=(
        *_granule("params", "UNDELEGATED"),
        Condition("params_gpt", INPUT, "params cannot be read as Non-secure memory"),
        Condition("num_aux_bound", INPUT, "num_aux is above 16"),
        Condition("aux_align", INPUT, "an auxiliary granule is not 4 KiB aligned"),
        Condition("aux_bound", INPUT, "an auxiliary granule is outside the tracked memory"),
        Condition("aux_state", INPUT, "an auxiliary granule is not DELEGATED"),
        Condition("aux_alias", INPUT, "an auxiliary granule is named twice"),
        *_granule("rec", "DELEGATED"),
        Condition("rec_alias", INPUT, "rec is one of the auxiliary granules"),
        *RD_CHECKS,
        Condition("realm_recs", REALM, "the realm has as many RECs as it may"),
        Condition("realm_state", REALM, "the realm is not NEW"),
        Condition("mpidr_valid", INPUT, "mpidr has bits outside its affinity fields"),
        Condition("mpidr_index", INPUT, "mpidr is not that of the realm's next REC"),
        Condition("num_aux", INPUT, "num_aux is not the realm's REC_AUX_COUNT"),
    ),
    footprint=("granule(rec).state", "granule(aux).state", "realm(rd).recs", "realm(rd).rim"),
    section="§3.8",
    doc="Creates a REC of a new realm and measures its registers.",
)
REC_DESTROY = Call(
    0xC400015B,
    "RMI_REC_DESTROY",
    inputs=(Value("rec", t.REC),),
    conditions=(*_granule("rec", "a REC"), Condition("rec_running", REC, "the REC is running")),
    footprint=("granule(rec).state", "granule(aux).state", "granule(aux).content", "realm.recs"),
    section="§3.9",
    doc="Destroys a REC and wipes its granules.",
)
REC_ENTER = Call(
    0xC400015C,
    "RMI_REC_ENTER",
    inputs=(Value("rec", t.REC), Value("run", t.NS_PA)),
    conditions=(
        *_granule("run", "UNDELEGATED"),
        *_granule("rec", "a REC"),
        Condition("rec_running", REC, "the REC is running"),
        Condition("run_gpt", INPUT, "run cannot be read as Non-secure memory"),
        Condition("realm_new", REALM, "the realm is NEW", index=0),
        Condition("system_off", REALM, "the realm is SYSTEM_OFF", index=1),
        Condition("rec_runnable", REC, "the REC is not runnable"),
        Condition("rec_psci", REC, "a PSCI request of the REC awaits PSCI_COMPLETE"),
        Condition("gicv3_hcr", REC, "gicv3_hcr has bits that a host may not set"),
        Condition("gicv3_lrs", REC, "a list register is not valid"),
        Condition("inject_sea", REC, "INJECT_SEA, and the last exit was no data abort at an unprotected IPA"),
        Condition("emul_mmio", REC, "EMUL_MMIO, and the last exit was no emulatable data abort"),
        Condition("run_gpt_exit", INPUT, "the exit record cannot be written as Non-secure memory", late=True),
    ),
    footprint=("rec(rec)", "granule(run).content", "the realm's memory"),
    section="§3.10",
    doc="Runs a REC until it exits to the host.",
)
RTT_CREATE = Call(
    0xC400015D,
    "RMI_RTT_CREATE",
    inputs=(_RD, Value("rtt", t.DELEGATED), _IPA, _LEVEL),
    conditions=(
        *_granule("rtt", "DELEGATED"),
        *RD_CHECKS,
        *_RTT_WINDOW,
        Condition("rtt_bound2", INPUT, "rtt is beyond 48 bits in a realm without LPA2"),
        Condition("rtt_walk", RTT, "the walk stops above level - 1", index="walk"),
        Condition("rtte_state", RTT, "the parent entry is a TABLE already", index="level-1"),
    ),
    footprint=("granule(rtt).state", "granule(rtt).content", "rtte(ipa, level - 1)"),
    section="§3.11",
    doc="Puts a table below an entry, whose state its 512 entries take over.",
)
RTT_DESTROY = Call(
    0xC400015E,
    "RMI_RTT_DESTROY",
    inputs=(_RD, _IPA, _LEVEL),
    outputs=(Value("rtt", t.PA), _TOP),
    conditions=(
        *RD_CHECKS,
        *_RTT_WINDOW,
        Condition("rtt_walk", RTT, "the walk stops above level - 1", index="walk", gives=("top",)),
        Condition("rtte_state", RTT, "the parent entry is no TABLE", index="walk", gives=("top",)),
        Condition("rtt_live", RTT, "the table has live entries", index="level", gives=("top",)),
    ),
    footprint=("granule(rtt).state", "granule(rtt).content", "rtte(ipa, level - 1)"),
    section="§3.12",
    doc="Removes a table that has no live entry; what it covered is DESTROYED.",
)
RTT_MAP_UNPROTECTED = Call(
    0xC400015F,
    "RMI_RTT_MAP_UNPROTECTED",
    inputs=(_RD, _IPA, _LEVEL, Value("desc", t.DESC)),
    conditions=(
        Condition("level_bound", INPUT, "level is outside 1 .. 3"),
        *RD_CHECKS,
        Condition("desc_valid", INPUT, "desc has bits that a host may not set, or a reserved MemAttr"),
        *_MAP_WINDOW,
        Condition("rtt_walk", RTT, "the walk stops above level", index="walk"),
        Condition("rtte_state", RTT, "the entry is not UNASSIGNED_NS", index="level"),
    ),
    footprint=("rtte(ipa, level)",),
    section="§3.14",
    doc="Maps the host's memory at an unprotected IPA.",
)
RTT_READ_ENTRY = Call(
    0xC4000161,
    "RMI_RTT_READ_ENTRY",
    inputs=(_RD, _IPA, _LEVEL),
    outputs=(
        Value("walk_level", t.LEVEL),
        Value("state", t.HIPAS),
        Value("desc", t.DESC),
        Value("ripas", t.RIPAS),
    ),
    conditions=(
        *RD_CHECKS,
        Condition("level_bound", INPUT, "level is outside start level .. 3"),
        Condition("ipa_bound", INPUT, "ipa is outside the IPA space"),
        Condition("ipa_align", INPUT, "ipa is not aligned to an entry of level"),
    ),
    section="§3.16",
    doc="Reads the entry where the walk for an IPA stops.",
)
RTT_UNMAP_UNPROTECTED = Call(
    0xC4000162,
    "RMI_RTT_UNMAP_UNPROTECTED",
    inputs=(_RD, _IPA, _LEVEL),
    outputs=(_TOP,),
    conditions=(
        Condition("level_bound", INPUT, "level is outside 1 .. 3"),
        *RD_CHECKS,
        *_MAP_WINDOW,
        Condition("rtt_walk", RTT, "the walk stops above level", index="walk", gives=("top",)),
        Condition("rtte_state", RTT, "the entry is not ASSIGNED_NS", index="walk", gives=("top",)),
    ),
    footprint=("rtte(ipa, level)",),
    section="§3.15",
    doc="Unmaps the host's memory from an unprotected IPA.",
)
PSCI_COMPLETE = Call(
    0xC4000164,
    "RMI_PSCI_COMPLETE",
    inputs=(Value("calling_rec", t.REC), Value("target_rec", t.REC), Value("status", t.PSCI_STATUS)),
    conditions=(
        Condition("calling_align", INPUT, "calling_rec is not 4 KiB aligned"),
        Condition("target_align", INPUT, "target_rec is not 4 KiB aligned"),
        Condition("alias", INPUT, "calling_rec and target_rec are the same"),
        Condition("calling_bound", INPUT, "calling_rec is outside the tracked memory"),
        Condition("calling_state", INPUT, "calling_rec is not a REC"),
        Condition("target_bound", INPUT, "target_rec is outside the tracked memory"),
        Condition("target_state", INPUT, "target_rec is not a REC"),
        Condition("calling_running", INPUT, "the calling REC is running"),
        Condition("pending", INPUT, "the calling REC has no PSCI request pending"),
        Condition("owner", INPUT, "the RECs are of different realms"),
        Condition("target", INPUT, "target_rec is not the REC that the request named"),
        Condition("status", INPUT, "the status is not one that the request allows"),
        Condition(
            "denied_on", INPUT, "CPU_ON DENIED for a REC that is on: completed as ALREADY_ON all the same", late=True
        ),
    ),
    footprint=("rec(calling_rec)", "rec(target_rec)"),
    section="§3.22",
    doc="Answers a REC's PSCI request about another REC.",
)
FEATURES = Call(
    0xC4000165,
    "RMI_FEATURES",
    inputs=(Value("index", t.INDEX),),
    outputs=(Value("value", t.FEATURES0),),
    section="§2.6",
    doc="A feature register.",
)
RTT_FOLD = Call(
    0xC4000166,
    "RMI_RTT_FOLD",
    inputs=(_RD, _IPA, _LEVEL),
    outputs=(Value("rtt", t.PA),),
    conditions=(
        *RD_CHECKS,
        *_RTT_WINDOW,
        Condition("rtt_walk", RTT, "the walk stops above level - 1", index="walk"),
        Condition("rtte_state", RTT, "the parent entry is no TABLE", index="level-1"),
        Condition("rtt_homogeneous", RTT, "the table's entries are not alike", index="level"),
        Condition("block_level", RTT, "the parent would have to be a block above level 1", index="level-1"),
    ),
    footprint=("granule(rtt).state", "granule(rtt).content", "rtte(ipa, level - 1)"),
    section="§3.13",
    doc="Replaces a table of like entries by one entry.",
)
REC_AUX_COUNT = Call(
    0xC4000167,
    "RMI_REC_AUX_COUNT",
    inputs=(_RD,),
    outputs=(Value("aux_count", t.COUNT),),
    conditions=RD_CHECKS,
    section="§3.7",
    doc="How many auxiliary granules each REC of a realm needs.",
)
RTT_INIT_RIPAS = Call(
    0xC4000168,
    "RMI_RTT_INIT_RIPAS",
    inputs=(_RD, Value("base", t.IPA), Value("top", t.IPA)),
    outputs=(Value("out_top", t.IPA),),
    conditions=(
        Condition("top_base", INPUT, "top is not above base"),
        *RD_CHECKS,
        Condition("base_align", INPUT, "base is not 4 KiB aligned"),
        Condition("base_bound", INPUT, "base is not in the protected half"),
        Condition("top_align", INPUT, "top is not 4 KiB aligned"),
        Condition("top_bound", INPUT, "top is beyond the protected half"),
        Condition("realm_state", REALM, "the realm is not NEW"),
        Condition("base_walk", RTT, "base is not aligned to the entry where the walk stops", index="walk"),
        Condition("rtte_state", RTT, "the first entry is not UNASSIGNED with RIPAS EMPTY or RAM", index="walk"),
        Condition("top_walk", RTT, "the first entry extends beyond top", index="walk"),
    ),
    footprint=("rtte(base..top).ripas", "realm(rd).rim"),
    section="§3.20",
    doc="Makes protected IPAs of a new realm RAM and measures that.",
)
RTT_SET_RIPAS = Call(
    0xC4000169,
    "RMI_RTT_SET_RIPAS",
    inputs=(_RD, Value("rec", t.REC), Value("base", t.IPA), Value("top", t.IPA)),
    outputs=(Value("out_top", t.IPA),),
    conditions=(
        Condition("top_base", INPUT, "top is not above base"),
        Condition("top_align", INPUT, "top is not 4 KiB aligned"),
        *RD_CHECKS,
        *_granule("rec", "a REC"),
        Condition("rec_running", REC, "the REC is running"),
        Condition("rec_owner", REC, "the REC is of another realm"),
        Condition("base_request", INPUT, "base is not where the REC's request goes on"),
        Condition("top_request", INPUT, "top is beyond the REC's request"),
        Condition("base_walk", RTT, "base is not aligned to the entry where the walk stops", index="walk"),
        Condition("rtte_state", RTT, "the first entry may not take the RIPAS asked for", index="walk"),
        Condition("top_walk", RTT, "the first entry extends beyond top", index="walk"),
    ),
    footprint=("rtte(base..top).ripas", "rec(rec).ripas_addr"),
    section="§3.21",
    doc="Carries out a RIPAS change that a REC has asked for.",
)

CALLS = (
    VERSION,
    GRANULE_DELEGATE,
    GRANULE_UNDELEGATE,
    DATA_CREATE,
    DATA_CREATE_UNKNOWN,
    DATA_DESTROY,
    REALM_ACTIVATE,
    REALM_CREATE,
    REALM_DESTROY,
    REC_CREATE,
    REC_DESTROY,
    REC_ENTER,
    RTT_CREATE,
    RTT_DESTROY,
    RTT_MAP_UNPROTECTED,
    RTT_READ_ENTRY,
    RTT_UNMAP_UNPROTECTED,
    PSCI_COMPLETE,
    FEATURES,
    RTT_FOLD,
    REC_AUX_COUNT,
    RTT_INIT_RIPAS,
    RTT_SET_RIPAS,
)
