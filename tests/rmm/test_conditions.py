# SPDX-License-Identifier: GPL-2.0-or-later
"""Statuses, names and order of the failure conditions of every RMI command, section by section of rmm-abi.md."""

from __future__ import annotations

import itertools
from typing import Any

from rmm.abi import rmi
from rmm.abi.structs import REALM_PARAMS, REC_ENTER, REC_PARAMS
from rmm.bare import exception, smc
from rmm.features import Features
from tests.rmm.cases import Args, Case, Table, added, alone, both, fresh_delegated, fresh_ns, in_order, put
from tests.rmm.fakes import EMUL_MMIO, INJECT_SEA, INPUT, REALM, REC, RTT, G, World, context, features

OUTSIDE = 0x4000_0000  # no memory there
BLOCK = 2 << 20
NS_HALF = 1 << 39  # first unprotected IPA of 40 bits


def gran(name: str, wrong: Any) -> tuple[Case, Case, Case]:
    """GRAN of §3: alignment, tracked memory, state; all INPUT."""
    return (
        Case(f"{name}_align", INPUT, added(name, 8), name),
        Case(f"{name}_bound", INPUT, put(name, OUTSIDE), name),
        Case(f"{name}_state", INPUT, wrong(name), name),
    )


def unaligned_outside(*names: str) -> tuple[Case, ...]:
    """Alignment is looked at before anything else about a granule."""
    return tuple(
        Case(name if "_" in name else f"{name}_align", INPUT, put(name.partition("_")[0], OUTSIDE + 8), name)
        for name in names
    )


def at(name: str, status: int, index: int = 0, /, **args: int) -> Case:
    """The condition `name` decides when the arguments are these."""
    return Case(name, status, lambda world, own: own.update(args), "", index)


def on_realm(act: Any) -> Any:
    """Applies to the RD that the call names (before something else breaks it)."""

    def breaks(world: World, args: Args) -> None:
        act(world.rmm.realms()[0], world)

    return breaks


def activated(world: World, args: Args) -> None:
    world.ok(rmi.REALM_ACTIVATE, world.rmm.realms()[0].rd)


# §3.2, §3.3


def addr_ns(world: World) -> Args:
    return {"addr": world.ns()}


def refused_by_root(world: World, args: Args) -> None:
    world.platform.refused.add(args["addr"])


DELEGATE = Table(
    rmi.GRANULE_DELEGATE,
    "§3.2",
    addr_ns,
    Case("gran_align", INPUT, added("addr", 1), "addr"),
    Case("gran_bound", INPUT, put("addr", OUTSIDE), "addr"),
    Case("gran_state", INPUT, fresh_delegated("addr"), "addr"),
    Case("gran_gpt", INPUT, refused_by_root, "addr"),
    joint=(at("gran_align", INPUT, addr=OUTSIDE + 8),),
)
UNDELEGATE = Table(
    rmi.GRANULE_UNDELEGATE,
    "§3.3",
    lambda world: {"addr": world.delegated()},
    Case("gran_align", INPUT, added("addr", 0xFFF), "addr"),
    Case("gran_bound", INPUT, put("addr", OUTSIDE), "addr"),
    Case("gran_state", INPUT, fresh_ns("addr"), "addr"),
    joint=(at("gran_align", INPUT, addr=OUTSIDE + 8),),
)

# §3.4


def realm_create(world: World) -> Args:
    return {"rd": world.delegated(), "params": world.params()}


def rewritten(**fields: Any) -> Any:
    """Other values in the RmiRealmParams."""

    def breaks(world: World, args: Args) -> None:
        image = bytearray(world.memory.host_read(args["params"] & -G, G))
        for name, value in fields.items():
            field = REALM_PARAMS.by_name[name]
            image[field.offset : field.end] = (value & (1 << 8 * field.size) - 1).to_bytes(field.size, "little")
        world.memory.host_write(args["params"] & -G, bytes(image))

    return breaks


def params_closed(world: World, args: Args) -> None:
    world.memory.closed.add(args["params"] & -G)


def vmid_taken(world: World, args: Args) -> None:
    other = world.realm()
    rewritten(vmid=other.stage2.vmid)(world, args)


def rd_is_root(world: World, args: Args) -> None:
    image = REALM_PARAMS.unpack(world.memory.host_read(args["params"], G))
    args["rd"] = image["rtt_base"] + G


def roots_unaligned(world: World, args: Args) -> None:
    rewritten(rtt_base=world.delegated(4, 4) + G)(world, args)


def roots_outside(world: World, args: Args) -> None:
    rewritten(rtt_base=OUTSIDE + 0x10_0000)(world, args)


def roots_ns(world: World, args: Args) -> None:
    base = world.ns(2, 2)
    world.ok(rmi.GRANULE_DELEGATE, base)  # the second one stays Non-secure
    rewritten(rtt_base=base)(world, args)


def sve_features() -> Features:
    return features(sve=True, sve_vl=3, pmu=True, pmu_num_ctrs=6, num_bps=5, num_wps=3, s2sz=44, vmid_bits=8)


REALM_CREATE = Table(
    rmi.REALM_CREATE,
    "§3.4",
    realm_create,
    *(
        Case(f"params_{n}", INPUT, b, "params p rd root")
        for n, b in (
            ("align", added("params", 8)),
            ("bound", put("params", OUTSIDE)),
            ("state", fresh_delegated("params")),
            ("gpt", params_closed),
        )
    ),
    Case("lpa2_supp", INPUT, rewritten(flags=1), "flags"),
    Case("s2sz_supp", INPUT, rewritten(s2sz=45), "s2sz"),
    Case("num_bps_supp", INPUT, rewritten(num_bps=6), "bps"),
    Case("num_wps_supp", INPUT, rewritten(num_wps=4), "wps"),
    Case("sve_vl_supp", INPUT, rewritten(flags=2, sve_vl=4), "flags"),
    Case("pmu_num_ctrs_supp", INPUT, rewritten(flags=4, pmu_num_ctrs=7), "flags"),
    Case("pmu_num_ctrs_zero", INPUT, rewritten(flags=4, pmu_num_ctrs=0), "flags"),
    Case("rtt_level_start", INPUT, rewritten(rtt_level_start=2), "level s2sz count"),
    Case("rtt_num_start", INPUT, rewritten(rtt_num_start=1), "count s2sz"),
    Case("hash_algo_valid", INPUT, rewritten(hash_algo=2), "hash"),
    Case("vmid_bound", INPUT, rewritten(vmid=0x100), "vmid"),
    Case("vmid_used", INPUT, vmid_taken, "vmid"),
    Case("rd_alias", INPUT, rd_is_root, "rd root count"),
    *gran("rd", fresh_ns),
    Case("rtt_base_align", INPUT, roots_unaligned, "root count"),
    Case("rtt_base_bound", INPUT, roots_outside, "root count"),
    Case("rtt_base_state", INPUT, roots_ns, "root count"),
    offered=sve_features,
    joint=(
        *unaligned_outside("params", "rd"),
        Case("rd_alias", INPUT, both(rd_is_root, added("rd", 8)), ""),
        Case("rtt_base_align", INPUT, rewritten(rtt_base=OUTSIDE + G), ""),
    ),
)
REALM_CREATE_BARE = Table(
    rmi.REALM_CREATE,
    "§3.4, on a machine without SVE, PMU and SHA-512",
    realm_create,
    Case("sve_supp", INPUT, rewritten(flags=2), "flags"),
    Case("pmu_supp", INPUT, rewritten(flags=4, pmu_num_ctrs=1), "flags"),
    Case("hash_algo_supp", INPUT, rewritten(hash_algo=1), "hash"),
    offered=lambda: features(hash_sha512=False, vmid_bits=8),
    joint=(
        Case("num_wps_supp", INPUT, rewritten(flags=2, num_wps=9), ""),
        Case("sve_supp", INPUT, rewritten(flags=2, sve_vl=15), ""),
        Case("hash_algo_valid", INPUT, rewritten(hash_algo=2), ""),
        Case("hash_algo_supp", INPUT, rewritten(hash_algo=1, vmid=0x100), ""),
    ),
)
REALM_CREATE_SVE = Table(
    rmi.REALM_CREATE,
    "§3.4, on a machine with SVE and without PMU",
    realm_create,
    Case("sve_vl_supp", INPUT, rewritten(flags=6, sve_vl=4, pmu_num_ctrs=1), "flags"),
    offered=lambda: features(sve=True, sve_vl=3),
)

# §3.5 to §3.7


def one_realm(world: World) -> Args:
    return {"rd": world.realm().rd}


ACTIVATE = Table(
    rmi.REALM_ACTIVATE,
    "§3.5",
    one_realm,
    *gran("rd", fresh_delegated),
    Case("realm_state", REALM, activated, "realm"),
    joint=(*unaligned_outside("rd"),),
)
REALM_DESTROY = Table(
    rmi.REALM_DESTROY,
    "§3.6",
    one_realm,
    *gran("rd", fresh_delegated),
    Case("realm_recs", REALM, on_realm(lambda realm, world: world.rec(realm)), "recs"),
    Case("realm_live", REALM, on_realm(lambda realm, world: world.tables(realm, 0, 2)), "tables"),
    joint=(*unaligned_outside("rd"),),
)
AUX_COUNT = Table(rmi.REC_AUX_COUNT, "§3.7", one_realm, *gran("rd", fresh_delegated), joint=(*unaligned_outside("rd"),))

# §3.8, §3.9


def rec_create(world: World) -> Args:
    return {"rd": world.realm().rd, "rec": world.delegated(), "params": world.rec_params()}


def rec_rewritten(**fields: int) -> Any:
    def breaks(world: World, args: Args) -> None:
        image = bytearray(world.memory.host_read(args["params"] & -G, G))
        for name, value in fields.items():
            at = REC_PARAMS.offset("aux") + 8 * int(name[3:]) if name[:3] == "aux" else REC_PARAMS.offset(name)
            image[at : at + 8] = value.to_bytes(8, "little")
        world.memory.host_write(args["params"] & -G, bytes(image))

    return breaks


def rec_field(world: World, args: Args, name: str) -> Any:
    return REC_PARAMS.unpack(world.memory.host_read(args["params"], G))[name]


def aux_twice(world: World, args: Args) -> None:
    rec_rewritten(aux1=rec_field(world, args, "aux")[0])(world, args)


def aux_twice_ns(world: World, args: Args) -> None:
    pa = world.ns()
    rec_rewritten(aux0=pa, aux1=pa)(world, args)


def rec_is_aux(world: World, args: Args) -> None:
    args["rec"] = rec_field(world, args, "aux")[1]


def recs_full(world: World, args: Args) -> None:
    # Three RECs are all that this machine allows a realm; the next one's MPIDR is that of index 3.
    realm = world.rmm.realms()[0]
    for _ in range(3):
        world.rec(realm)
    rec_rewritten(mpidr=3)(world, args)


REC_CREATE = Table(
    rmi.REC_CREATE,
    "§3.8",
    rec_create,
    *(
        Case(f"params_{n}", INPUT, b, "params p")
        for n, b in (
            ("align", added("params", 8)),
            ("bound", put("params", OUTSIDE)),
            ("state", fresh_delegated("params")),
            ("gpt", params_closed),
        )
    ),
    Case("num_aux_bound", INPUT, rec_rewritten(num_aux=17), "p num"),
    Case("aux_align", INPUT, lambda w, a: rec_rewritten(aux0=rec_field(w, a, "aux")[0] + 8)(w, a), "p aux"),
    Case("aux_bound", INPUT, rec_rewritten(aux0=OUTSIDE), "p aux"),
    Case("aux_state", INPUT, lambda w, a: rec_rewritten(aux1=w.ns())(w, a), "p aux"),
    Case("aux_alias", INPUT, aux_twice, "p aux"),
    *gran("rec", fresh_ns),
    Case("rec_alias", INPUT, rec_is_aux, "rec p"),
    *gran("rd", fresh_delegated),
    Case("realm_recs", REALM, recs_full, "p realm mpidr"),
    Case("realm_state", REALM, activated, "realm"),
    Case("mpidr_valid", INPUT, rec_rewritten(mpidr=0x10), "p mpidr"),
    Case("mpidr_index", INPUT, rec_rewritten(mpidr=1), "p mpidr"),
    Case("num_aux", INPUT, rec_rewritten(num_aux=1), "p num"),
    offered=lambda: features(max_recs_order=2),
    joint=(
        *unaligned_outside("params", "rec", "rd"),
        Case("aux_align", INPUT, rec_rewritten(aux0=OUTSIDE + 8), ""),
        Case("aux_state", INPUT, aux_twice_ns, ""),
        Case("mpidr_valid", INPUT, rec_rewritten(mpidr=0x11), ""),
    ),
)


def test_rec_create__realm_recs_before_realm_state() -> None:
    """§3.8 #5, #6."""
    world, args = REC_CREATE.world()
    recs_full(world, args)
    activated(world, args)
    assert world.fails(rmi.REC_CREATE, *args.values()) == (REALM, 0, "realm_recs")


def test_rec_create__mpidr_before_num_aux() -> None:
    """§3.8 #7, #8: both INPUT, told apart by name."""
    world, args = REC_CREATE.world()
    rec_rewritten(mpidr=0x10, num_aux=1)(world, args)
    assert world.fails(rmi.REC_CREATE, *args.values()) == (INPUT, 0, "mpidr_valid")
    rec_rewritten(mpidr=1)(world, args)
    assert world.fails(rmi.REC_CREATE, *args.values()) == (INPUT, 0, "mpidr_index")


def test_rec_create__realm_state_before_mpidr_and_num_aux() -> None:
    """§3.8 #6 before #7 and #8."""
    for fields in ({"mpidr": 0x10}, {"mpidr": 1}, {"num_aux": 1}):
        world, args = REC_CREATE.world()
        rec_rewritten(**fields)(world, args)
        activated(world, args)
        assert world.fails(rmi.REC_CREATE, *args.values()) == (REALM, 0, "realm_state")


def one_rec(world: World) -> Args:
    return {"rec": world.rec(world.realm()).pa}


def rec_runs(world: World, args: Args) -> None:
    world.rmm.recs()[0].running = True


REC_DESTROY = Table(
    rmi.REC_DESTROY,
    "§3.9",
    one_rec,
    *gran("rec", fresh_delegated),
    Case("rec_running", REC, rec_runs, "running"),
    joint=(*unaligned_outside("rec"),),
)

# §3.10


def rec_enter(world: World) -> Args:
    guest = world.running_realm()
    return {"rec": guest.rec.pa, "run": guest.run}


def entering(at: int, value: int) -> Any:
    """A 64-bit word of RmiRecEnter."""

    def breaks(world: World, args: Args) -> None:
        world.memory.host_write((args["run"] & -G) + at, value.to_bytes(8, "little"))

    return breaks


def run_closed(world: World, args: Args) -> None:
    world.memory.closed.add(args["run"])


def realm_state(state: int) -> Any:
    return on_realm(lambda realm, world: setattr(realm, "state", state))


def not_runnable(world: World, args: Args) -> None:
    world.rmm.recs()[0].runnable = False


def psci_pending(world: World, args: Args) -> None:
    rec = world.rmm.recs()[0]
    rec.realm.rec_count = 2
    context(rec).script.append(smc(0xC400_0003, 1, 0x1000, 0))
    world.ok(rmi.REC_ENTER, rec.pa, world.ns())


FLAGS, HCR, LRS = 0, REC_ENTER.offset("gicv3_hcr"), REC_ENTER.offset("gicv3_lrs")

ENTER = Table(
    rmi.REC_ENTER,
    "§3.10",
    rec_enter,
    *(
        Case(f"run_{n}", INPUT, b, "run r")
        for n, b in (
            ("align", added("run", 0x800)),
            ("bound", put("run", OUTSIDE)),
            ("state", fresh_delegated("run")),
        )
    ),
    *gran("rec", fresh_delegated),
    Case("rec_running", REC, rec_runs, "running"),
    Case("run_gpt", INPUT, run_closed, "run r"),
    Case("realm_new", REALM, realm_state(0), "realm", 0),
    Case("system_off", REALM, realm_state(2), "realm", 1),
    Case("rec_runnable", REC, not_runnable, "runnable psci"),
    Case("rec_psci", REC, psci_pending, "psci runnable realm running"),
    Case("gicv3_hcr", REC, entering(HCR, 1), "r hcr"),
    Case("gicv3_lrs", REC, entering(LRS, 1 << 62 | 1 << 61), "r lrs"),
    Case("inject_sea", REC, entering(FLAGS, INJECT_SEA), "r flags"),
    Case("emul_mmio", REC, entering(FLAGS, EMUL_MMIO), "r flags"),
    joint=(*unaligned_outside("run", "rec"),),
)


def test_rec_enter__neighbours_in_the_enter_record() -> None:
    """§3.10 #8 to #11."""
    order = [case for case in ENTER.cases if "r" in case.on and case.name[:4] != "run_"]
    for first, second in itertools.pairwise(order):
        if first.on & second.on == {"r"}:
            ENTER.check(first, second)


def test_rec_enter__psci_before_the_enter_record() -> None:
    """§3.10 #8 before #9 to #11, #7 before #8."""
    psci = next(case for case in ENTER.cases if case.name == "rec_psci")
    hcr = next(case for case in ENTER.cases if case.name == "gicv3_hcr")
    ENTER.check(psci, hcr)
    world, args = ENTER.world()
    psci_pending(world, args)
    not_runnable(world, args)
    assert world.fails(rmi.REC_ENTER, *args.values()) == (REC, 0, "rec_runnable")
    realm_state(2)(world, args)
    assert world.fails(rmi.REC_ENTER, *args.values()) == (REALM, 1, "system_off")
    world.memory.closed.add(args["run"])
    assert world.fails(rmi.REC_ENTER, *args.values()) == (INPUT, 0, "run_gpt")
    rec_runs(world, args)
    assert world.fails(rmi.REC_ENTER, *args.values()) == (REC, 0, "rec_running")


def test_rec_enter__inject_sea_wins_over_emul_mmio() -> None:
    """§7.1: with both flags, only INJECT_SEA counts."""
    world, args = ENTER.world()
    entering(FLAGS, INJECT_SEA | EMUL_MMIO)(world, args)
    assert world.fails(rmi.REC_ENTER, *args.values()) == (REC, 0, "inject_sea")


def test_rec_enter__run_gpt_exit() -> None:
    """§3.10 #12: found after the run."""
    world, args = ENTER.world()

    def close(pe: Any) -> Any:
        world.memory.closed.add(args["run"])
        return exception(0x0600_0000)(pe)

    context(world.rmm.recs()[0]).script.append(close)
    assert world.fails(rmi.REC_ENTER, *args.values()) == (INPUT, 0, "run_gpt_exit")
    assert not world.rmm.recs()[0].running


# §3.11 to §3.13


def rtt_create(world: World) -> Args:
    realm = world.realm()
    world.tables(realm, 0, 2)
    return {"rd": realm.rd, "rtt": world.delegated(), "ipa": 0, "level": 3}


def level(value: int) -> Any:
    return put("level", value)


RTT_CREATE = Table(
    rmi.RTT_CREATE,
    "§3.11",
    rtt_create,
    *gran("rtt", fresh_ns),
    *gran("rd", fresh_delegated),
    Case("level_bound", INPUT, level(4), "level"),
    Case("ipa_bound", INPUT, put("ipa", 1 << 40), "ipa"),
    Case("ipa_align", INPUT, put("ipa", G), "ipa"),
    Case("rtt_walk", RTT, put("ipa", 1 << 30), "ipa level", 1),
    Case("rtte_state", RTT, on_realm(lambda realm, world: world.tables(realm, 0, 3)), "entry ipa level", 2),
    joint=(
        *unaligned_outside("rtt", "rd"),
        at("ipa_bound", INPUT, ipa=(1 << 40) + 8),
    ),
)


def rtt_destroy(world: World) -> Args:
    realm = world.realm()
    world.tables(realm, 0, 3)
    return {"rd": realm.rd, "ipa": 0, "level": 3}


RTT_DESTROY = Table(
    rmi.RTT_DESTROY,
    "§3.12",
    rtt_destroy,
    *gran("rd", fresh_delegated),
    Case("level_bound", INPUT, level(1), "level"),
    Case("ipa_bound", INPUT, put("ipa", 1 << 40), "ipa"),
    Case("ipa_align", INPUT, put("ipa", G), "ipa"),
    Case("rtt_walk", RTT, put("ipa", 1 << 30), "ipa level entry", 1),
    Case("rtte_state", RTT, put("ipa", BLOCK), "ipa level entry", 2),
    Case("rtt_live", RTT, on_realm(lambda realm, world: world.data(realm, 0)), "entry", 3),
    joint=(
        *unaligned_outside("rd"),
        at("ipa_bound", INPUT, ipa=(1 << 40) + 8),
        at("ipa_align", INPUT, ipa=(1 << 30) + G),
    ),
)


def uneven(realm: Any, world: World) -> None:
    world.ok(rmi.RTT_INIT_RIPAS, realm.rd, 0, G)


RTT_FOLD = Table(
    rmi.RTT_FOLD,
    "§3.13",
    rtt_destroy,
    *gran("rd", fresh_delegated),
    Case("level_bound", INPUT, level(1), "level"),
    Case("ipa_bound", INPUT, put("ipa", 1 << 40), "ipa"),
    Case("ipa_align", INPUT, put("ipa", G), "ipa"),
    Case("rtt_walk", RTT, put("ipa", 1 << 30), "ipa level entry", 1),
    Case("rtte_state", RTT, put("ipa", BLOCK), "ipa level entry", 2),
    Case("rtt_homogeneous", RTT, on_realm(uneven), "entry", 3),
    joint=(
        *unaligned_outside("rd"),
        at("ipa_bound", INPUT, ipa=(1 << 40) + 8),
        at("ipa_align", INPUT, ipa=(1 << 30) + G),
    ),
)


def test_rtt_fold__block_level() -> None:
    """§3.13 #5: a level-1 table of blocks cannot become a block at level 0."""
    world = World(features(s2sz=48))
    realm = world.realm(s2sz=48, rtt_level_start=0, rtt_num_start=1)
    table = world.tables(realm, 1 << 47, 1)
    for i in range(512):
        world.ok(rmi.RTT_MAP_UNPROTECTED, realm.rd, (1 << 47) + (i << 30), 1, i << 30)
    assert world.fails(rmi.RTT_FOLD, realm.rd, 1 << 47, 1) == (RTT, 0, "block_level")
    # A table that is not even homogeneous is refused for that (§3.13 #4).
    world.ok(rmi.RTT_UNMAP_UNPROTECTED, realm.rd, 1 << 47, 1)
    assert world.fails(rmi.RTT_FOLD, realm.rd, 1 << 47, 1) == (RTT, 1, "rtt_homogeneous")
    assert world.state(table) == 6


# §3.14 to §3.16


def map_ns(world: World) -> Args:
    realm = world.realm()
    world.tables(realm, NS_HALF, 3)
    return {"rd": realm.rd, "ipa": NS_HALF, "level": 3, "desc": 0x8000_0000 | 2 << 2 | 3 << 6}


def ns_mapped(realm: Any, world: World) -> None:
    world.ok(rmi.RTT_MAP_UNPROTECTED, realm.rd, NS_HALF, 3, 0x8000_0000)


RTT_MAP = Table(
    rmi.RTT_MAP_UNPROTECTED,
    "§3.14",
    map_ns,
    Case("level_bound", INPUT, level(0), "level"),
    *gran("rd", fresh_delegated),
    Case("desc_valid", INPUT, put("desc", 0x8000_0001), "desc"),
    Case("ipa_bound", INPUT, put("ipa", 1 << 40), "ipa"),
    Case("ipa_align", INPUT, added("ipa", 8), "ipa"),
    Case("ipa_protected", INPUT, put("ipa", 0), "ipa"),
    Case("rtt_walk", RTT, put("ipa", NS_HALF + (1 << 30)), "ipa level", 1),
    Case("rtte_state", RTT, on_realm(ns_mapped), "entry ipa level", 3),
    joint=(
        *unaligned_outside("rd"),
        at("ipa_bound", INPUT, ipa=(1 << 40) + 8),
        at("ipa_align", INPUT, ipa=8),
    ),
)


def start_level_2(world: World) -> Args:
    realm = world.realm(s2sz=33, rtt_level_start=2, rtt_num_start=8)
    return {"rd": realm.rd, "ipa": 1 << 32, "level": 2, "desc": 0}


MAP_BELOW_START = Table(
    rmi.RTT_MAP_UNPROTECTED,
    "§3, level windows",
    start_level_2,
    Case("level_start", INPUT, level(1), "level"),
    joint=(at("ipa_protected", INPUT, ipa=0, level=1),),
)


def unmap_ns(world: World) -> Args:
    args = map_ns(world)
    ns_mapped(world.rmm.realms()[0], world)
    del args["desc"]
    return args


def ns_unmapped(realm: Any, world: World) -> None:
    world.ok(rmi.RTT_UNMAP_UNPROTECTED, realm.rd, NS_HALF, 3)


RTT_UNMAP = Table(
    rmi.RTT_UNMAP_UNPROTECTED,
    "§3.15",
    unmap_ns,
    Case("level_bound", INPUT, level(4), "level"),
    *gran("rd", fresh_delegated),
    Case("ipa_bound", INPUT, put("ipa", 1 << 40), "ipa"),
    Case("ipa_align", INPUT, added("ipa", 8), "ipa"),
    Case("ipa_protected", INPUT, put("ipa", 0), "ipa"),
    Case("rtt_walk", RTT, put("ipa", NS_HALF + (1 << 30)), "ipa level entry", 1),
    Case("rtte_state", RTT, on_realm(ns_unmapped), "entry ipa level", 3),
    joint=(
        *unaligned_outside("rd"),
        at("ipa_bound", INPUT, ipa=(1 << 40) + 8),
        at("ipa_align", INPUT, ipa=8),
    ),
)


def unmap_at_start(world: World) -> Args:
    args = start_level_2(world)
    world.ok(rmi.RTT_MAP_UNPROTECTED, *args.values())
    del args["desc"]
    return args


UNMAP_BELOW_START = Table(
    rmi.RTT_UNMAP_UNPROTECTED,
    "§3, level windows",
    unmap_at_start,
    Case("level_start", INPUT, level(1), "level"),
    joint=(at("ipa_protected", INPUT, ipa=0, level=1),),
)
READ_ENTRY = Table(
    rmi.RTT_READ_ENTRY,
    "§3.16",
    lambda world: {"rd": world.realm().rd, "ipa": 0, "level": 1},
    *gran("rd", fresh_delegated),
    Case("level_bound", INPUT, level(0), "level"),
    Case("ipa_bound", INPUT, put("ipa", 1 << 40), "ipa"),
    Case("ipa_align", INPUT, put("ipa", G), "ipa"),
    joint=(
        *unaligned_outside("rd"),
        at("ipa_bound", INPUT, ipa=(1 << 40) + 8),
    ),
)

# §3.17 to §3.19


def data_create(world: World) -> Args:
    realm = world.realm()
    world.tables(realm, 0)
    return {"rd": realm.rd, "data": world.delegated(), "ipa": 0, "src": world.ns(), "flags": 1}


def src_closed(world: World, args: Args) -> None:
    world.memory.closed.add(args["src"])


def page_at_0(realm: Any, world: World) -> None:
    world.data(realm, 0)


DATA_CREATE = Table(
    rmi.DATA_CREATE,
    "§3.17",
    data_create,
    Case("flags_valid", INPUT, put("flags", 2), "flags"),
    *gran("src", fresh_delegated),
    *gran("data", fresh_ns),
    *gran("rd", fresh_delegated),
    Case("realm_state", REALM, activated, "realm"),
    Case("ipa_bound", INPUT, put("ipa", NS_HALF), "ipa"),
    Case("ipa_align", INPUT, added("ipa", 8), "ipa"),
    Case("rtt_walk", RTT, put("ipa", BLOCK), "ipa", 2),
    Case("rtte_state", RTT, on_realm(page_at_0), "entry ipa", 3),
    Case("src_gpt", INPUT, src_closed, "src"),
    joint=(
        *unaligned_outside("src", "data", "rd"),
        at("ipa_bound", INPUT, ipa=NS_HALF + 8),
    ),
)


def data_create_unknown(world: World) -> Args:
    args = data_create(world)
    return {name: args[name] for name in ("rd", "data", "ipa")}


DATA_CREATE_UNKNOWN = Table(
    rmi.DATA_CREATE_UNKNOWN,
    "§3.18",
    data_create_unknown,
    *gran("data", fresh_ns),
    *gran("rd", fresh_delegated),
    Case("ipa_bound", INPUT, put("ipa", NS_HALF), "ipa"),
    Case("ipa_align", INPUT, added("ipa", 8), "ipa"),
    Case("rtt_walk", RTT, put("ipa", BLOCK), "ipa", 2),
    Case("rtte_state", RTT, on_realm(page_at_0), "entry ipa", 3),
    joint=(
        *unaligned_outside("data", "rd"),
        at("ipa_bound", INPUT, ipa=NS_HALF + 8),
    ),
)


def data_destroy(world: World) -> Args:
    realm = world.realm()
    world.data(realm, 0)
    return {"rd": realm.rd, "ipa": 0}


DATA_DESTROY = Table(
    rmi.DATA_DESTROY,
    "§3.19",
    data_destroy,
    *gran("rd", fresh_delegated),
    Case("ipa_bound", INPUT, put("ipa", NS_HALF), "ipa"),
    Case("ipa_align", INPUT, added("ipa", 8), "ipa"),
    Case("rtt_walk", RTT, put("ipa", BLOCK), "ipa", 2),
    Case("rtte_state", RTT, put("ipa", G), "ipa", 3),
    joint=(
        *unaligned_outside("rd"),
        at("ipa_bound", INPUT, ipa=NS_HALF + 8),
        at("ipa_align", INPUT, ipa=BLOCK + 8),
    ),
)

# §3.20, §3.21


def init_ripas(world: World) -> Args:
    realm = world.realm()
    world.tables(realm, 0, 3)
    return {"rd": realm.rd, "base": 0, "top": 2 * G}


def destroyed_at_0(realm: Any, world: World) -> None:
    world.ok(rmi.RTT_INIT_RIPAS, realm.rd, 0, G)
    world.data(realm, 0)
    world.ok(rmi.DATA_DESTROY, realm.rd, 0)


def block_destroyed(realm: Any, world: World) -> None:
    """The level-2 entry at BLOCK becomes UNASSIGNED DESTROYED."""
    world.tables(realm, BLOCK, 3)
    world.ok(rmi.RTT_DESTROY, realm.rd, BLOCK, 3)


INIT_RIPAS = Table(
    rmi.RTT_INIT_RIPAS,
    "§3.20",
    init_ripas,
    Case("top_base", INPUT, put("top", 0), "top"),
    *gran("rd", fresh_delegated),
    Case("base_align", INPUT, added("base", 8), "base"),
    Case("base_bound", INPUT, lambda w, a: a.update(base=NS_HALF, top=NS_HALF + G), "base top"),
    Case("top_align", INPUT, added("top", 8), "top"),
    Case("top_bound", INPUT, put("top", NS_HALF + G), "top"),
    Case("realm_state", REALM, activated, "realm"),
    Case("base_walk", RTT, lambda w, a: a.update(base=BLOCK + G, top=3 * BLOCK), "base top", 2),
    Case("rtte_state", RTT, on_realm(destroyed_at_0), "entry base", 3),
    Case("top_walk", RTT, lambda w, a: a.update(base=BLOCK, top=BLOCK + G), "base top", 2),
    joint=(
        *unaligned_outside("rd"),
        at("base_align", INPUT, base=NS_HALF + 8, top=NS_HALF + G),
        at("base_bound", INPUT, base=NS_HALF, top=NS_HALF + G + 8),
        at("top_align", INPUT, top=NS_HALF + G + 8),
        Case(
            "rtte_state", RTT, both(on_realm(block_destroyed), lambda w, a: a.update(base=BLOCK, top=BLOCK + G)), "", 2
        ),
    ),
)


def requested(world: World, base: int, top: int, ripas: int = 1, flags: int = 0) -> Args:
    """A REC that asks for a RIPAS change, in an active realm with a page table at 0."""
    realm = world.realm()
    world.tables(realm, 0, 3)
    rec = world.rec(realm)
    world.ok(rmi.REALM_ACTIVATE, realm.rd)
    context(rec).script.append(smc(0xC400_0197, base, top, ripas, flags))
    world.ok(rmi.REC_ENTER, rec.pa, world.ns())
    return {"rd": realm.rd, "rec": rec.pa, "base": base, "top": top}


def set_ripas(world: World) -> Args:
    return requested(world, 0, 3 * BLOCK)


def other_realm(world: World, args: Args) -> None:
    args["rd"] = world.realm().rd


def page_destroyed(world: World, args: Args) -> None:
    world.rmm.realm_at.get(args["rd"] & -G)
    realm = world.rmm.realms()[0]
    ipa = args["base"]
    world.data(realm, ipa)
    pa = world.rmm.walk(realm.rd, ipa)[-1].entry_pa
    world.ok(rmi.DATA_DESTROY, realm.rd, ipa)
    world.memory.write64(pa, 0x40)  # UNASSIGNED DESTROYED (§11.1)


SET_RIPAS = Table(
    rmi.RTT_SET_RIPAS,
    "§3.21",
    set_ripas,
    Case("top_base", INPUT, put("top", 0), "top"),
    Case("top_align", INPUT, added("top", 8), "top"),
    *gran("rd", fresh_delegated),
    *gran("rec", fresh_delegated),
    Case("rec_running", REC, rec_runs, "running"),
    Case("rec_owner", REC, other_realm, "rd"),
    Case("base_request", INPUT, put("base", G), "base"),
    Case("top_request", INPUT, put("top", 4 * BLOCK), "top"),
    Case("rtte_state", RTT, page_destroyed, "entry base", 3),
    joint=(
        *unaligned_outside("rd", "rec"),
        at("top_base", INPUT, base=2 * G, top=G + 8),
    ),
)


def test_set_ripas__base_walk() -> None:
    """§3.21 #6: the walk stops at a level to whose entries base is not aligned."""
    world = World()
    args = requested(world, BLOCK + G, 3 * BLOCK)
    assert world.fails(rmi.RTT_SET_RIPAS, *args.values()) == (RTT, 2, "base_walk")


def test_set_ripas__top_walk() -> None:
    """§3.21 #7: the first entry extends beyond top."""
    world = World()
    args = requested(world, BLOCK, BLOCK + G)
    assert world.fails(rmi.RTT_SET_RIPAS, *args.values()) == (RTT, 2, "top_walk")


def test_set_ripas__base_walk_before_top_walk() -> None:
    world = World()
    args = requested(world, BLOCK + G, BLOCK + 2 * G)
    assert world.fails(rmi.RTT_SET_RIPAS, *args.values()) == (RTT, 2, "base_walk")


def test_set_ripas__top_request_before_base_walk() -> None:
    world = World()
    args = requested(world, BLOCK + G, 3 * BLOCK)
    args["top"] = 4 * BLOCK
    assert world.fails(rmi.RTT_SET_RIPAS, *args.values()) == (INPUT, 0, "top_request")


def test_set_ripas__rtte_state_before_top_walk() -> None:
    world = World()
    args = requested(world, BLOCK, BLOCK + G)
    block_destroyed(world.rmm.realms()[0], world)
    assert world.fails(rmi.RTT_SET_RIPAS, *args.values()) == (RTT, 2, "rtte_state")


# §3.22


def psci_complete(world: World) -> Args:
    realm = world.realm()
    caller, target = world.rec(realm), world.rec(realm, flags=0)
    world.rec(realm, flags=0)
    world.ok(rmi.REALM_ACTIVATE, realm.rd)
    context(caller).script.append(smc(0xC400_0003, 1, 0x1000, 0))
    world.ok(rmi.REC_ENTER, caller.pa, world.ns())
    return {"calling": caller.pa, "target": target.pa, "status": 0}


def idle_caller(world: World, args: Args) -> None:
    args["calling"] = world.rmm.recs()[2].pa


def all_run(world: World, args: Args) -> None:
    for rec in world.rmm.recs():
        rec.running = True


def foreign_target(world: World, args: Args) -> None:
    args["target"] = world.rec(world.realm()).pa


def same(world: World, args: Args) -> None:
    args["target"] = args["calling"] & -G


PSCI_COMPLETE = Table(
    rmi.PSCI_COMPLETE,
    "§3.22",
    psci_complete,
    Case("calling_align", INPUT, added("calling", 8), "calling"),
    Case("target_align", INPUT, added("target", 8), "target"),
    Case("alias", INPUT, same, "calling target"),
    Case("calling_bound", INPUT, put("calling", OUTSIDE), "calling"),
    Case("calling_state", INPUT, fresh_delegated("calling"), "calling"),
    Case("target_bound", INPUT, put("target", OUTSIDE + G), "target"),
    Case("target_state", INPUT, fresh_delegated("target"), "target"),
    Case("calling_running", INPUT, rec_runs, "running"),
    Case("pending", INPUT, idle_caller, "calling running"),
    Case("owner", INPUT, foreign_target, "target"),
    Case("target", INPUT, lambda w, a: a.update(target=w.rmm.recs()[2].pa), "target calling"),
    Case("status", INPUT, put("status", -2), "status"),
    joint=(
        at("alias", INPUT, calling=OUTSIDE, target=OUTSIDE),
        Case("calling_running", INPUT, both(idle_caller, all_run), ""),
    ),
)

# §1.4

VERSION = Table(
    rmi.VERSION,
    "§1.4",
    lambda world: {"req": 0x10000},
    Case("req_revision", INPUT, put("req", 0x10001), "req"),
)

TABLES = (
    VERSION,
    DELEGATE,
    UNDELEGATE,
    REALM_CREATE,
    REALM_CREATE_BARE,
    REALM_CREATE_SVE,
    ACTIVATE,
    REALM_DESTROY,
    AUX_COUNT,
    REC_CREATE,
    REC_DESTROY,
    ENTER,
    RTT_CREATE,
    RTT_DESTROY,
    RTT_FOLD,
    RTT_MAP,
    MAP_BELOW_START,
    RTT_UNMAP,
    UNMAP_BELOW_START,
    READ_ENTRY,
    DATA_CREATE,
    DATA_CREATE_UNKNOWN,
    DATA_DESTROY,
    INIT_RIPAS,
    SET_RIPAS,
    PSCI_COMPLETE,
)

# Conditions that stand in tests of their own, in this file or named here.
ELSEWHERE = {
    "RMI_REC_ENTER": {"run_gpt_exit"},
    "RMI_RTT_CREATE": {"rtt_bound2"},  # test_lpa2.py
    "RMI_DATA_CREATE": {"data_bound2"},  # test_lpa2.py
    "RMI_DATA_CREATE_UNKNOWN": {"data_bound2"},  # test_lpa2.py
    "RMI_RTT_FOLD": {"block_level"},
    "RMI_RTT_SET_RIPAS": {"base_walk", "top_walk"},
    "RMI_PSCI_COMPLETE": {"denied_on"},  # test_psci.py
}


def test_each_set_up_succeeds_before_it_is_broken() -> None:
    for table in TABLES:
        table.check_success()


def test_every_condition_is_in_a_table() -> None:
    for decl in rmi.CALLS:
        tested = {case.name for table in TABLES if table.decl is decl for case in table.cases}
        assert tested | ELSEWHERE.get(decl.name, set()) == set(decl.by_condition), decl.name


@alone(*TABLES)
def test_condition(table: Table, case: Case) -> None:
    table.check(case)


@in_order(*TABLES)
def test_order(table: Table, first: Case, second: Case) -> None:
    table.check(first, second)
