# SPDX-License-Identifier: GPL-2.0-or-later
"""RSI from a realm (rmm-abi.md §4)."""

from __future__ import annotations

from typing import Any

import pytest

from rmm.abi import rmi
from rmm.abi.structs import HOST_CALL, REALM_CONFIG
from rmm.bare import smc
from tests.rmm.fakes import EMUL_MMIO, INJECT_SEA, REJECT, X4, G, Guest, World

VERSION, FEATURES, READ, EXTEND, INIT, CONTINUE, CONFIG, SET, GET, CALL = (0xC400_0190 + i for i in range(10))
SUCCESS, INPUT, STATE, INCOMPLETE, UNKNOWN = range(5)
EMPTY, RAM, DESTROYED = range(3)
NS_HALF = 1 << 39
# Those that a token in the making can meet: tests/rmm/test_token_calls.py
TOKEN_CONDITIONS = {"token_sign", "irq_pending", "rtte_empty", "size_zero", "token_size", "token_rest"}
BLOCK = 2 << 20
SYNC, RIPAS_CHANGE, HOST_CALL_EXIT, FIQ = 0, 4, 5, 2


def guest(**fields: Any) -> Guest:
    return World().running_realm(**fields)


# function id and arguments, status, condition: each row of §4's tables
FAILURES = [
    ((VERSION, 0x10001), INPUT, "req_revision"),
    ((READ, 5), INPUT, "index_bound"),
    ((EXTEND, 0, 8), INPUT, "index_bound"),
    ((EXTEND, 5, 8), INPUT, "index_bound"),
    ((EXTEND, 1, 65), INPUT, "size_bound"),
    ((EXTEND, 0, 65), INPUT, "index_bound"),
    ((INIT,), UNKNOWN, "no_platform_key"),
    ((CONTINUE, 0x1008, 0, 1), INPUT, "addr_align"),
    ((CONTINUE, 0x1000, 0x1000, 0), INPUT, "offset_bound"),
    ((CONTINUE, 0x1000, 0x1000, 1), INPUT, "offset_bound"),
    ((CONTINUE, 0x1000, 0, 0x1001), INPUT, "size_bound"),
    ((CONTINUE, 0x1000, 1, (1 << 64) - 1), INPUT, "size_bound"),
    ((CONTINUE, NS_HALF, 0, 1), INPUT, "addr_bound"),
    ((CONTINUE, 0x1000, 0, 0x1000), STATE, "token_state"),
    ((CONTINUE, 0x1008, 0x1000, 0), INPUT, "addr_align"),
    ((CONTINUE, NS_HALF, 0x1000, 0), INPUT, "offset_bound"),
    ((CONTINUE, NS_HALF, 0xFFF, 2), INPUT, "size_bound"),
    ((CONFIG, 0x1100), INPUT, "addr_align"),
    ((CONFIG, NS_HALF), INPUT, "addr_bound"),
    ((CONFIG, NS_HALF + 8), INPUT, "addr_align"),
    ((CONFIG, 1 << 50), INPUT, "addr_bound"),
    ((CONFIG, 0x5000), INPUT, "rtte_empty"),
    ((SET, 0, G, 2, 0), INPUT, "ripas_valid"),
    ((SET, 0, G, 3, 0), INPUT, "ripas_valid"),
    ((SET, 8, G, 2, 0), INPUT, "ripas_valid"),
    ((SET, 8, G, 1, 0), INPUT, "base_align"),
    ((SET, 8, G + 8, 1, 0), INPUT, "base_align"),
    ((SET, 0, G + 8, 1, 0), INPUT, "top_align"),
    ((SET, G, G, 1, 0), INPUT, "top_base"),
    ((SET, 2 * G, G, 1, 0), INPUT, "top_base"),
    ((SET, 2 * G, 8, 1, 0), INPUT, "top_align"),
    ((SET, 0, NS_HALF + G, 1, 0), INPUT, "rgn_bound"),
    ((SET, NS_HALF, NS_HALF + G, 1, 0), INPUT, "rgn_bound"),
    ((SET, NS_HALF + G, NS_HALF, 1, 0), INPUT, "top_base"),
    ((GET, 8, G), INPUT, "base_align"),
    ((GET, 8, G + 8), INPUT, "base_align"),
    ((GET, 0, 8), INPUT, "top_align"),
    ((GET, 2 * G, 8), INPUT, "top_align"),
    ((GET, NS_HALF + G, NS_HALF), INPUT, "top_base"),
    ((GET, G, G), INPUT, "top_base"),
    ((GET, NS_HALF, NS_HALF + G), INPUT, "rgn_bound"),
    ((GET, NS_HALF - G, NS_HALF + G), INPUT, "rgn_bound"),
    ((CALL, 0x1080), INPUT, "addr_align"),
    ((CALL, NS_HALF), INPUT, "addr_bound"),
    ((CALL, NS_HALF + 8), INPUT, "addr_align"),
    ((CALL, 0x5000), INPUT, "rtte_empty"),
]


@pytest.mark.parametrize(("call", "status", "condition"), FAILURES)
def test_failure(call: tuple[int, ...], status: int, condition: str) -> None:
    """X0 = status, X1..X3 = 0 (but for VERSION), X4 kept, PC advanced, no exit, nothing else changed."""
    pe = guest()
    pe.pe.x[4] = X4 if call[0] != EXTEND else 0
    realm = pe.realm
    before = (realm.rim, tuple(realm.rems), bytes(pe.world.memory.data[: pe.run - pe.world.memory.base]))
    x4 = call[4] if len(call) > 4 else pe.pe.x[4]
    exit_ = pe.enter(smc(*call))
    assert exit_["exit_reason"] == FIQ
    outputs = [0x10000, 0x10000, 0] if call[0] == VERSION else [0, 0, 0]
    assert pe.pe.x[:5] == [status, *outputs, x4] and pe.pe.pc == 0x1004
    name, _, result, found, rec_pa = pe.world.log.calls[-2]
    assert (found, rec_pa, result[0]) == (condition, pe.rec.pa, status) and str(name).startswith("RSI_")
    memory = bytes(pe.world.memory.data[: pe.run - pe.world.memory.base])
    assert (realm.rim, tuple(realm.rems), memory) == before


def test_version_and_features() -> None:
    pe = guest()
    assert pe.rsi(VERSION, 0x10000)[:3] == [SUCCESS, 0x10000, 0x10000]
    for index in (0, 1, 1 << 40):
        assert pe.rsi(FEATURES, index)[:2] == [SUCCESS, 0]


def test_every_rsi_command_is_tested_for_failures() -> None:
    from rmm.abi import rsi

    for call in rsi.CALLS:
        tested = {condition for args, _, condition in FAILURES if args[0] == call.fid}
        tested |= TOKEN_CONDITIONS if call is rsi.ATTESTATION_TOKEN_CONTINUE else set()
        declared = {c.name for c in call.conditions if c.status is not None}
        assert tested == declared, call.name


# §4.2


def test_realm_config() -> None:
    """§2.4: three fields, every other byte as it was."""
    pe = guest(rpv=bytes(range(64)), hash_algo=1)
    page = pe.pages[0x1000]
    pe.world.memory.write(page, b"\xcc" * G)
    assert pe.rsi(CONFIG, 0x1000)[0] == SUCCESS
    image = pe.world.memory.read(page, G)
    assert REALM_CONFIG.unpack(image) == {"ipa_width": 40, "hash_algo": 1, "rpv": bytes(range(64))}
    assert image[9:0x200] == b"\xcc" * (0x200 - 9) and image[0x240:] == b"\xcc" * (G - 0x240)


# §4, S2WALK: the page is not there


def missing(state: str) -> Guest:
    """A guest whose page 0x2000 is gone: RAM and unassigned, or DESTROYED, or below a missing table."""
    pe = guest()
    if state == "RAM":
        world = World()
        realm = world.realm()
        world.tables(realm, 0x2000)
        world.ok(rmi.RTT_INIT_RIPAS, realm.rd, 0x2000, 0x3000)
        rec = world.rec(realm)
        world.ok(rmi.REALM_ACTIVATE, realm.rd)
        return Guest(world, realm, rec, {})
    pe.world.ok(rmi.DATA_DESTROY, pe.realm.rd, 0x2000)
    return pe


@pytest.mark.parametrize("state", ["RAM", "DESTROYED"])
@pytest.mark.parametrize(("fid", "ipa"), [(CONFIG, 0x2000), (CALL, 0x2300)])
def test_page_missing__exit_and_retry(state: str, fid: int, ipa: int) -> None:
    """An emulated abort; PC and registers stay, the SMC comes again; no flag of the next entry fits."""
    pe = missing(state)
    pe.pe.x[:5] = [fid, ipa, 2, 3, X4]
    exit_ = pe.enter(smc(fid, ipa, 2, 3, X4))
    assert (exit_["exit_reason"], exit_["esr"], exit_["far"], exit_["hpfar"]) == (SYNC, 0x9000_0007, 0, 0x20)
    assert not any(exit_["gprs"])
    assert pe.pe.x[:5] == [fid, ipa, 2, 3, X4] and pe.pe.pc == 0x1000
    assert pe.world.log.calls[-2][2:4] == ((), "rtte_state")
    assert pe.refused(flags=EMUL_MMIO)[2] == "emul_mmio" and pe.refused(flags=INJECT_SEA)[2] == "inject_sea"


def test_page_missing__level() -> None:
    """esr's FSC tells the level where the walk stopped."""
    world = World()
    realm = world.realm()
    world.tables(realm, 0, 2)
    world.ok(rmi.RTT_INIT_RIPAS, realm.rd, 0, BLOCK)
    rec = world.rec(realm)
    world.ok(rmi.REALM_ACTIVATE, realm.rd)
    assert Guest(world, realm, rec, {}).enter(smc(CONFIG, 0x1000))["esr"] == 0x9000_0006


def test_page_in_a_block() -> None:
    """A block serves as well as a page."""
    world = World(size=8 << 20)
    realm = world.realm()
    world.tables(realm, 0, 2)
    world.ok(rmi.RTT_INIT_RIPAS, realm.rd, 0, BLOCK)
    world.tables(realm, 0, 3)
    first = world.delegated(512, 512)
    for i in range(512):
        world.ok(rmi.DATA_CREATE_UNKNOWN, realm.rd, first + i * G, i * G)
    world.ok(rmi.RTT_FOLD, realm.rd, 0, 3)
    rec = world.rec(realm)
    world.ok(rmi.REALM_ACTIVATE, realm.rd)
    pe = Guest(world, realm, rec, {})
    assert pe.rsi(CONFIG, 5 * G)[0] == SUCCESS
    assert world.memory.read64(first + 5 * G) == 40


def test_page__known_no_longer_once_unmapped() -> None:
    """A page that a call has found is looked up again after the host took it."""
    pe = guest()
    assert pe.rsi(CONFIG, 0x1000)[0] == SUCCESS
    pe.world.ok(rmi.DATA_DESTROY, pe.realm.rd, 0x1000)
    assert pe.enter(smc(CONFIG, 0x1000))["esr"] == 0x9000_0007
    pe.enter(smc(SET, 0x2000, 0x3000, EMPTY, 0))
    assert pe.rsi(CONFIG, 0x2000)[0] == SUCCESS
    pe.enter(smc(SET, 0x2000, 0x3000, EMPTY, 0))
    pe.world.ok(rmi.RTT_SET_RIPAS, pe.realm.rd, pe.rec.pa, 0x2000, 0x3000)
    assert pe.rsi(CONFIG, 0x2000)[0] == INPUT


# §4.7


@pytest.mark.parametrize("flags", [0, 1, 2])
def test_ipa_state_set(flags: int) -> None:
    pe = guest()
    exit_ = pe.enter(smc(SET, 0x1000, 0x4000, RAM, flags))
    assert exit_["exit_reason"] == RIPAS_CHANGE
    assert (exit_["ripas_base"], exit_["ripas_top"], exit_["ripas_value"]) == (0x1000, 0x4000, RAM)
    assert exit_["esr"] == 0 and not any(exit_["gprs"])
    rec = pe.rec
    assert (rec.ripas_base, rec.ripas_top, rec.ripas_addr, rec.ripas_value) == (0x1000, 0x4000, 0x1000, RAM)
    assert rec.change_destroyed == (flags == 1)
    assert pe.pe.x[:2] == [SUCCESS, 0x4000] and pe.pe.pc == 0x1004


# target, how far the host goes, entry flags, X1, X2
RESPONSES = [
    (RAM, None, 0, 0x1000, 0),
    (RAM, None, REJECT, 0x1000, 1),
    (RAM, 0x2000, REJECT, 0x2000, 1),
    (RAM, 0x2000, 0, 0x2000, 0),
    (RAM, 0x3000, REJECT, 0x3000, 0),
    (EMPTY, None, REJECT, 0x1000, 0),
    (EMPTY, 0x2000, REJECT, 0x2000, 0),
]


@pytest.mark.parametrize(("ripas", "reached", "flags", "x1", "x2"), RESPONSES)
def test_ipa_state_set__response(ripas: int, reached: int | None, flags: int, x1: int, x2: int) -> None:
    pe = guest()
    pe.enter(smc(SET, 0x1000, 0x3000, ripas, 0))
    if reached is not None:
        pe.world.ok(rmi.RTT_SET_RIPAS, pe.realm.rd, pe.rec.pa, 0x1000, reached)
    pe.enter(flags=flags)
    assert pe.pe.entries[-1][:3] == (SUCCESS, x1, x2)
    assert pe.rec.ripas_top == 0
    assert pe.world.fails(rmi.RTT_SET_RIPAS, pe.realm.rd, pe.rec.pa, x1, 0x4000)[2] == "top_request"


def test_ipa_state_set__to_the_end_of_the_protected_half() -> None:
    assert guest().enter(smc(SET, NS_HALF - G, NS_HALF, EMPTY, 0))["exit_reason"] == RIPAS_CHANGE


# §4.8


def test_ipa_state_get() -> None:
    """Runs of like entries within one table; ASSIGNED or not makes no difference."""
    pe = guest()
    assert pe.rsi(GET, 0, BLOCK)[:3] == [SUCCESS, 0x1000, EMPTY]
    assert pe.rsi(GET, 0x1000, BLOCK)[:3] == [SUCCESS, 0x3000, RAM]
    assert pe.rsi(GET, 0x1000, 0x2000)[:3] == [SUCCESS, 0x2000, RAM]
    assert pe.rsi(GET, 0x3000, 4 * BLOCK)[:3] == [SUCCESS, BLOCK, EMPTY]
    assert pe.rsi(GET, BLOCK + G, NS_HALF)[:3] == [SUCCESS, 1 << 30, EMPTY]
    pe.world.ok(rmi.DATA_DESTROY, pe.realm.rd, 0x2000)
    assert pe.rsi(GET, 0x1000, BLOCK)[:3] == [SUCCESS, 0x2000, RAM]
    assert pe.rsi(GET, 0x2000, BLOCK)[:3] == [SUCCESS, 0x3000, DESTROYED]
    assert pe.rsi(GET, NS_HALF - G, NS_HALF)[:3] == [SUCCESS, NS_HALF, EMPTY]


def test_ipa_state_get__stops_at_a_table() -> None:
    pe = guest()
    pe.world.tables(pe.realm, 3 * BLOCK)
    assert pe.rsi(GET, BLOCK, 8 * BLOCK)[:3] == [SUCCESS, 3 * BLOCK, EMPTY]


# §4.9


def test_host_call() -> None:
    pe = guest()
    pe.host_call(0x1F00, 0x1234, range(100, 131))
    pe.pe.x[1:31] = range(30)
    exit_ = pe.enter(smc(CALL, 0x1F00))
    assert exit_["exit_reason"] == HOST_CALL_EXIT and exit_["imm"] == 0x1234
    assert exit_["gprs"] == tuple(range(100, 131)) and exit_["esr"] == 0
    assert pe.pe.x[0] == CALL and pe.pe.pc == 0x1004  # untouched until the next entry
    pe.enter(gprs=list(range(200, 231)))
    structure = HOST_CALL.unpack(pe.world.memory.read(pe.pages[0x1000] + 0xF00, 0x100))
    assert structure == {"imm": 0x1234, "gprs": tuple(range(200, 231))}
    assert pe.pe.entries[-1][0] == SUCCESS and pe.rec.host_call is None
    pe.enter(gprs=[9] * 31)  # the next entry writes nothing
    assert HOST_CALL.unpack(pe.world.memory.read(pe.pages[0x1000] + 0xF00, 0x100))["gprs"][0] == 200


def test_host_call__page_gone_at_the_next_entry() -> None:
    """REC_ENTER succeeds with an abort, the realm does not run, the call stays pending."""
    pe = guest()
    pe.enter(smc(CALL, 0x1300))
    page, _ = pe.world.ok(rmi.DATA_DESTROY, pe.realm.rd, 0x1000)[:2]
    entries = len(pe.pe.entries)
    exit_ = pe.enter()
    assert (exit_["exit_reason"], exit_["esr"], exit_["hpfar"]) == (SYNC, 0x9000_0007, 0x10)
    assert len(pe.pe.entries) == entries and pe.rec.host_call == 0x1300
    # The page comes back as DESTROYED ASSIGNED: not RAM yet.
    pe.world.ok(rmi.DATA_CREATE_UNKNOWN, pe.realm.rd, page, 0x1000)
    assert pe.enter()["esr"] == 0x9000_0007 and pe.pe.x[0] == CALL


def test_host_call__page_empty_at_the_next_entry() -> None:
    """The values are dropped, the realm resumes with X0 unchanged."""
    pe = guest()
    pe.enter(smc(CALL, 0x1000))
    entry_pa = pe.world.rmm.walk(pe.realm.rd, 0x1000)[-1].entry_pa
    pe.world.ok(rmi.DATA_DESTROY, pe.realm.rd, 0x1000)
    pe.world.memory.write64(entry_pa, 0)
    exit_ = pe.enter()
    assert exit_["exit_reason"] == FIQ and pe.pe.entries[-1][0] == CALL and pe.rec.host_call is None


def test_completed_calls_overwrite_x1_to_x3() -> None:
    """§1.3: zero where there is no value; X4 is the caller's."""
    pe = guest()
    pe.enter(smc(EXTEND, 1, 0, 7, X4))
    assert pe.pe.x[:5] == [SUCCESS, 0, 0, 0, X4]
