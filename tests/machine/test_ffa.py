# SPDX-License-Identifier: GPL-2.0-or-later
"""The SPMC's state machine against FF-A 1.1 (DEN0077A): every expectation is written from the specification."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.pas import GPI, PAS
from machine.ffa import abi, sip
from machine.ffa.partition import Model, State
from machine.ffa.world import HANDLERS, OWN_HANDLERS, Enter, Leave, Reply, SecureWorld, registers

UUID = bytes(range(16))
UUID_WORDS = (0x03020100, 0x07060504, 0x0B0A0908, 0x0F0E0D0C)

# Function ids (DEN0077A chapters 12 to 15); error codes (§12.1, Table 12.2)
ERROR, SUCCESS, INTERRUPT = 0x84000060, 0x84000061, 0x84000062
VERSION, FEATURES, RELEASE = 0x84000063, 0x84000064, 0x84000065
MAP32, MAP64, UNMAP, INFO, ID = 0x84000066, 0xC4000066, 0x84000067, 0x84000068, 0x84000069
WAIT, YIELD, RUN = 0x8400006B, 0x8400006C, 0x8400006D
REQ32, REQ64, RESP32, RESP64 = 0x8400006F, 0xC400006F, 0x84000070, 0xC4000070
SPM_ID = 0x84000085
NOT_SUPPORTED, INVALID, BUSY, DENIED, ABORTED = -1, -2, -4, -6, -8
TAKE, GIVE = 0xC2000020, 0xC2000021
SP, VCPU0 = 0x8001, 0x8001_0000

NS, NS2, SEC, SEC_TAKEN, REALM, ROOT, HOLE = (0x8000_0000 + i * 0x1000 for i in range(7))


class FakeRoot:
    """Seven granules, one of each kind; HOLE is no RAM."""

    def __init__(self) -> None:
        self.gpi = {
            NS: GPI.NON_SECURE,
            NS2: GPI.NON_SECURE,
            SEC: GPI.SECURE,
            SEC_TAKEN: GPI.SECURE,
            REALM: GPI.REALM,
            ROOT: GPI.ROOT,
        }
        self.written: dict[int, bytes] = {}
        self.wiped: list[int] = []

    def accessible(self, pas: PAS, pa: int, size: int) -> bool:
        return all(self.gpi.get(at & ~0xFFF) == pas for at in range(pa, pa + size, 0x1000))

    def write(self, pas: PAS, pa: int, data: bytes) -> bool:
        if self.accessible(pas, pa, len(data)):
            self.written[pa] = data
            return True
        return False

    def owner(self, pa: int) -> GPI | None:
        return self.gpi.get(pa & ~0xFFF)

    def boot_secure(self, pa: int) -> bool:
        return pa & ~0xFFF == SEC

    def take(self, pa: int) -> None:
        assert self.gpi[pa] == GPI.NON_SECURE
        self.gpi[pa] = GPI.SECURE

    def give_back(self, pa: int) -> None:
        assert self.gpi[pa] == GPI.SECURE
        self.wiped.append(pa)
        self.gpi[pa] = GPI.NON_SECURE


class Log:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str | None, bool]] = []
        self.events: list[str] = []

    def call(self, decl: Any, args: Any, result: Any, condition: Any, rec_pa: Any, *, secure: bool = False) -> None:
        from machine.ffa.text import render

        assert rec_pa is None and all(0 <= word < 1 << 64 for word in result)
        if decl is not None and decl.interface in ("FFA", "SIP"):
            assert render(decl, args, result, condition).startswith(decl.name)
        self.calls.append(("unknown" if decl is None else decl.name, condition, secure))

    def event(self, name: str, text: str, depth: int = 0) -> None:
        self.events.append(name)


class World:
    """A SecureWorld with the calls that tests make."""

    def __init__(self, *, booted: bool = True) -> None:
        self.root = FakeRoot()
        self.log = Log()
        self.ffa = SecureWorld(UUID, self.root, self.log)
        assert self.ffa.boot() == Enter(())
        if booted:
            assert self.s(WAIT) == Leave((), 0)

    def n(self, *x: int, pe: int = 0) -> Reply | Enter:
        return self.ffa.from_normal(pe, (*x, *(0,) * (8 - len(x))))

    def s(self, *x: int) -> Reply | Leave:
        return self.ffa.from_secure((*x, *(0,) * (8 - len(x))))

    def state(self) -> Any:
        p, n = self.ffa.partition, self.ffa.normal
        own = (p.state, p.model, p.pe, p.requester, self.ffa._pending)
        ends = tuple((e.version, e.settled, e.tx, e.rx, e.pages, e.rx_full) for e in (p, n))
        return own, ends, dict(self.root.gpi), dict(self.root.written), list(self.root.wiped)


def status(outcome: Reply | Enter | Leave) -> int:
    """W2 of FFA_ERROR as a signed number; 0 for FFA_SUCCESS.  Unused registers are zero (chapter 11)."""
    assert isinstance(outcome, Reply), outcome
    fid, w1, w2, *rest = outcome.regs
    if fid == SUCCESS:
        return 0
    assert (fid, w1, *rest) == (ERROR, 0, 0, 0, 0, 0, 0)
    return w2 - (1 << 32)


def test_ids__are_those_of_the_specification() -> None:
    """§12 to §15: function ids."""
    wanted = {
        "FFA_ERROR": (0x84000060,),
        "FFA_SUCCESS": (0xC4000061, 0x84000061),
        "FFA_INTERRUPT": (0x84000062,),
        "FFA_VERSION": (0x84000063,),
        "FFA_FEATURES": (0x84000064,),
        "FFA_RX_RELEASE": (0x84000065,),
        "FFA_RXTX_MAP": (0xC4000066, 0x84000066),
        "FFA_RXTX_UNMAP": (0x84000067,),
        "FFA_PARTITION_INFO_GET": (0x84000068,),
        "FFA_ID_GET": (0x84000069,),
        "FFA_MSG_WAIT": (0x8400006B,),
        "FFA_YIELD": (0x8400006C,),
        "FFA_RUN": (0x8400006D,),
        "FFA_MSG_SEND_DIRECT_REQ": (0xC400006F, 0x8400006F),
        "FFA_MSG_SEND_DIRECT_RESP": (0xC4000070, 0x84000070),
        "FFA_SPM_ID_GET": (0x84000085,),
    }
    assert {call.name: call.fids for call in abi.CALLS if call.supported} == wanted
    every = [fid for call in abi.CALLS for fid in call.fids]
    assert len(every) == len(set(every)) and all(abi.is_ffa(fid) for fid in every)
    assert not any(abi.is_ffa(fid) for fid in (0x8400005F, 0x84000100, 0xC4000150, 0x80000000, 0x86000060))


def test_declarations__each_condition_has_its_check() -> None:
    declared = {call for call in abi.CALLS if call.supported and call.callers}
    assert set(HANDLERS) == declared
    for decl, (checks, _) in (*HANDLERS.items(), *OWN_HANDLERS.items()):
        assert list(checks) == [condition.name for condition in decl.conditions], decl.name


# ---- version (§13.2) ----

VERSIONS = [
    (0x10000, 0x10001, None),
    (0x10001, 0x10001, None),
    (0x10002, 0x10001, None),  # a newer minor version: the callee's, the caller is to use that
    (0x00009, (1 << 64) - 1, "version_major"),
    (0x20000, (1 << 64) - 1, "version_major"),
    (0x8001_0001, (1 << 64) - 1, "version_bit31"),
]


@pytest.mark.parametrize(("asked", "answer", "condition"), VERSIONS)
def test_version(asked: int, answer: int, condition: str | None) -> None:
    world = World()
    assert world.n(VERSION, asked) == Reply((answer, 0, 0, 0, 0, 0, 0, 0))
    assert world.log.calls[-1] == ("FFA_VERSION", condition, False)


def test_version__is_settled_by_the_first_other_call() -> None:
    world = World()
    world.n(VERSION, 0x10000)
    world.n(VERSION, 0x10001)
    assert status(world.n(ID)) == 0
    assert world.n(VERSION, 0x10001) == Reply(registers(0x10001))
    assert world.n(VERSION, 0x10000) == Reply(registers((1 << 64) - 1))


# ---- discovery (§13.3, §13.8 to §13.10) ----


def test_ids__of_normal_world_partition_and_spmc() -> None:
    world = World(booted=False)
    assert world.s(ID) == Reply(registers(SUCCESS, 0, 0x8001))
    assert world.s(SPM_ID) == Reply(registers(SUCCESS, 0, 0x8000))
    world.s(WAIT)
    assert world.n(ID) == Reply(registers(SUCCESS, 0, 0))
    assert world.n(SPM_ID) == Reply(registers(SUCCESS, 0, 0x8000))


FEATURE_QUERIES = [
    # feature, supported for the Normal world, for the partition
    (ERROR, True, True),
    (SUCCESS, True, True),
    (0xC4000061, True, True),
    (INTERRUPT, True, True),
    (VERSION, True, True),
    (RELEASE, True, True),
    (MAP32, True, True),
    (MAP64, True, True),
    (INFO, True, True),
    (WAIT, True, True),
    (YIELD, True, True),
    (RUN, True, True),
    (REQ32, True, True),
    (RESP64, True, True),
    (0x84000073, False, False),  # FFA_MEM_SHARE
    (0x8400007D, False, False),  # FFA_NOTIFICATION_BITMAP_CREATE
    (0x8400006A, False, False),  # FFA_MSG_POLL, gone in 1.1
    (0xC4000063, False, False),  # there is no SMC64 FFA_VERSION
    (0x1, False, False),  # feature id: notification pending interrupt
    (0x3, False, False),  # feature id: managed exit
    (0xC4000150, False, False),
]


@pytest.mark.parametrize(("feature", "normal", "secure"), FEATURE_QUERIES)
def test_features(feature: int, normal: bool, secure: bool) -> None:
    world = World(booted=False)
    assert status(world.s(FEATURES, feature)) == (0 if secure else NOT_SUPPORTED)
    assert status(world.n(FEATURES, feature)) == (0 if normal else NOT_SUPPORTED)
    assert status(world.n(FEATURES, feature, 1)) == NOT_SUPPORTED


def test_partition_info__count_needs_no_buffer() -> None:
    world = World()
    for uuid in ((0, 0, 0, 0), UUID_WORDS):
        assert world.n(INFO, *uuid, 1) == Reply(registers(SUCCESS, 0, 1))
    assert status(world.n(INFO, 1, 0, 0, 0, 1)) == INVALID
    assert status(world.n(INFO, 0, 0, 0, 0, 2)) == INVALID


def test_partition_info__descriptor_of_1_1() -> None:
    """Chapter 6: id, contexts, properties (direct requests, AArch64), UUID if the nil one was given."""
    world = World()
    world.n(MAP64, NS, NS2, 1)
    assert world.n(INFO) == Reply(registers(SUCCESS, 0, 1, 24))
    assert world.root.written == {NS2: struct.pack("<HHI", 0x8001, 1, 0x101) + UUID}
    world.n(RELEASE)
    world.n(INFO, *UUID_WORDS)
    assert world.root.written == {NS2: struct.pack("<HHI", 0x8001, 1, 0x101) + bytes(16)}


def test_partition_info__descriptor_of_1_0() -> None:
    """§13.8: a caller of 1.0 gets 8 bytes, and W3 is reserved."""
    world = World()
    world.n(VERSION, 0x10000)
    world.n(MAP64, NS, NS2, 1)
    assert world.n(INFO) == Reply(registers(SUCCESS, 0, 1, 0))
    assert world.root.written == {NS2: struct.pack("<HHI", 0x8001, 1, 1)}


# ---- buffers (§13.5 to §13.8, ownership chapter 7) ----

BAD_BUFFERS = [
    ((NS, NS2, 0), INVALID),
    ((NS, NS2, 0x41), INVALID),
    ((NS, NS, 1), INVALID),
    ((NS + 8, NS2, 1), INVALID),
    ((NS, NS2 + 0x800, 1), INVALID),
    ((NS, NS2, 2), INVALID),  # they would overlap
    ((SEC, NS2, 1), INVALID),
    ((NS, REALM, 1), INVALID),
    ((NS, HOLE, 1), INVALID),
    ((NS, (1 << 64) - 0x1000, 1), INVALID),
]


@pytest.mark.parametrize(("buffers", "wanted"), BAD_BUFFERS)
def test_rxtx_map__refused(buffers: tuple[int, int, int], wanted: int) -> None:
    world = World()
    assert status(world.n(MAP64, *buffers)) == wanted
    assert status(world.n(INFO)) == BUSY, "there is no RX buffer"


def test_rxtx_map__smc32_takes_32_bits() -> None:
    world = World()
    assert status(world.n(MAP32, 1 << 32 | NS, 1 << 40 | NS2, 1)) == 0
    assert (world.ffa.normal.tx, world.ffa.normal.rx) == (NS, NS2)


def test_rxtx_map__partition_brings_secure_memory() -> None:
    world = World(booted=False)
    assert status(world.s(MAP64, NS, NS2, 1)) == INVALID
    assert status(world.s(MAP64, SEC, SEC_TAKEN, 1)) == 0
    assert world.s(INFO) == Reply(registers(SUCCESS, 0, 1, 24))
    assert list(world.root.written) == [SEC_TAKEN]
    # §14.1: FFA_MSG_WAIT gives the RX buffer back
    world.s(WAIT)
    assert not world.ffa.partition.rx_full


def test_rx_buffer__belongs_to_the_caller_until_it_is_released() -> None:
    world = World()
    assert status(world.n(RELEASE)) == DENIED
    assert status(world.n(UNMAP)) == INVALID
    assert status(world.n(MAP64, NS, NS2, 1)) == 0
    assert status(world.n(MAP64, NS, NS2, 1)) == DENIED
    assert status(world.n(RELEASE)) == DENIED
    assert status(world.n(INFO)) == 0
    assert status(world.n(INFO)) == BUSY
    assert status(world.n(RELEASE, 5)) == INVALID
    assert status(world.n(RELEASE)) == 0
    assert status(world.n(INFO)) == 0
    assert status(world.n(UNMAP, 5)) == INVALID
    assert status(world.n(UNMAP)) == 0
    assert status(world.n(UNMAP)) == INVALID
    assert status(world.n(INFO)) == BUSY


def test_rx_buffer__that_is_not_the_callers_any_more_is_not_written() -> None:
    world = World()
    world.n(MAP64, NS, NS2, 1)
    world.root.gpi[NS2] = GPI.REALM
    assert status(world.n(INFO)) == DENIED
    assert world.root.written == {} and not world.ffa.normal.rx_full


# ---- direct messages (§15.2, §15.3; runtime model chapter 8) ----


def test_direct_message__goes_and_comes_with_its_registers() -> None:
    world = World()
    top = (1 << 64) - 1
    assert world.n(REQ64, SP, 0, top, 4, 5, 6, 7) == Enter((REQ64, SP, 0, top, 4, 5, 6, 7))
    assert world.s(RESP64, VCPU0, 0, 9, top, 11, 12, 13) == Leave((RESP64, VCPU0, 0, 9, top, 11, 12, 13), 0)
    assert world.log.calls[-2:] == [
        ("FFA_MSG_SEND_DIRECT_RESP", None, True),
        ("FFA_MSG_SEND_DIRECT_REQ", None, False),
    ]


def test_direct_message__smc32_carries_32_bits() -> None:
    world = World()
    high = 0xFFFF_FFFF_0000_0000
    assert world.n(REQ32, high | SP, high, high | 3) == Enter((REQ32, SP, 0, 3, 0, 0, 0, 0))
    assert world.s(RESP32, high | VCPU0, 0, high | 4) == Leave((RESP32, VCPU0, 0, 4, 0, 0, 0, 0), 0)


def test_direct_message__hypervisor_may_speak_for_a_vm() -> None:
    world = World()
    assert world.n(REQ64, 5 << 16 | SP) == Enter((REQ64, 5 << 16 | SP, 0, 0, 0, 0, 0, 0))
    assert status(world.s(RESP64, SP << 16 | 0)) == DENIED, "endpoint 0 asked nothing"
    assert isinstance(world.s(RESP64, SP << 16 | 5), Leave)


REFUSED_REQUESTS = [
    ((0x8002,), INVALID),  # no such partition
    ((0,), INVALID),  # to itself
    ((0x8000,), INVALID),  # the SPMC has no messages
    ((0x8001_8001,), INVALID),  # in the partition's name
    ((0x8005 << 16 | SP,), INVALID),
    ((SP, 1), INVALID),  # reserved flags
    ((SP, 0x8000_0001), INVALID),  # a framework message
]


@pytest.mark.parametrize(("x", "wanted"), REFUSED_REQUESTS)
def test_direct_request__refused(x: tuple[int, ...], wanted: int) -> None:
    world = World()
    before = world.state()
    assert status(world.n(REQ64, *x)) == wanted
    assert world.state() == before


def test_direct_request__partition_has_nobody_to_ask() -> None:
    world = World(booted=False)
    assert status(world.s(REQ64, SP << 16 | 0)) == INVALID
    assert status(world.s(REQ64, SP << 16 | SP)) == INVALID
    assert status(world.s(RUN, VCPU0)) == INVALID


def test_direct_request__only_a_waiting_partition_takes_one() -> None:
    world = World()
    world.n(REQ64, SP, pe=1)
    assert status(world.n(REQ64, SP)) == BUSY  # running, on PE 1
    assert status(world.n(RUN, VCPU0)) == BUSY
    assert world.s(YIELD) == Leave(registers(YIELD, VCPU0), 1)
    assert status(world.n(REQ64, SP)) == BUSY  # blocked
    world.n(RUN, VCPU0)
    world.ffa.preempt()
    assert status(world.n(REQ64, SP)) == BUSY  # preempted


@pytest.mark.parametrize(
    ("x", "wanted"),
    [
        ((RESP64, 0), INVALID),  # not in its own name
        ((RESP64, 0x8002_0000), INVALID),
        ((RESP64, VCPU0, 1), INVALID),
        ((RESP64, VCPU0 | 7), DENIED),  # 7 asked nothing
        ((WAIT,), DENIED),
    ],
)
def test_direct_response__refused(x: tuple[int, ...], wanted: int) -> None:
    world = World()
    world.n(REQ64, SP)
    before = world.state()
    assert status(world.s(*x)) == wanted
    assert world.state() == before


def test_error__ends_a_direct_request() -> None:
    world = World()
    world.n(REQ64, SP)
    wanted = registers(ERROR, VCPU0, ABORTED & 0xFFFF_FFFF)
    assert world.s(ERROR, 0, ABORTED & 0xFFFF_FFFF) == Leave(wanted, 0)
    assert isinstance(world.n(REQ64, SP), Enter), "it waits for the next one"


# ---- cycles (§14; runtime models, chapter 8) ----


def test_init__direct_messages_and_yield_are_denied() -> None:
    """Chapter 8: the runtime model of initialisation ends by FFA_MSG_WAIT or FFA_ERROR."""
    world = World(booted=False)
    assert status(world.s(RESP64, VCPU0)) == DENIED
    assert status(world.s(YIELD)) == DENIED
    assert world.ffa.preempt() is None
    assert world.s(WAIT) == Leave((), 0)


def test_init__that_fails_leaves_an_aborted_partition() -> None:
    world = World(booted=False)
    assert world.s(ERROR, 0, -3 & 0xFFFF_FFFF) == Leave((), 0)
    assert status(world.n(REQ64, SP)) == ABORTED
    assert status(world.n(RUN, VCPU0)) == ABORTED
    assert world.ffa.interrupt(0) is None


def test_run__of_a_waiting_partition_ends_by_msg_wait_or_yield() -> None:
    world = World()
    assert world.n(RUN, VCPU0) == Enter(registers(RUN, VCPU0))
    assert status(world.s(RESP64, VCPU0)) == DENIED
    assert world.s(YIELD) == Leave(registers(YIELD, VCPU0), 0)
    assert world.n(RUN, VCPU0) == Enter(registers(RUN, VCPU0))
    assert world.s(WAIT) == Leave(registers(WAIT, VCPU0), 0)


@pytest.mark.parametrize("target", [0, 0x8000_0000, 0x8002_0000, 0x8001_0001])
def test_run__of_anything_else_is_invalid(target: int) -> None:
    assert status(World().n(RUN, target)) == INVALID


def test_preemption__run_goes_on_where_the_interrupt_came() -> None:
    """Chapter 9, §12.3: FFA_INTERRUPT names the partition; the registers of what was interrupted are kept."""
    world = World()
    world.n(REQ64, SP, 0, 1)
    assert world.ffa.preempt() == Leave(registers(INTERRUPT, VCPU0), 0)
    assert world.ffa.preempt() is None
    assert world.n(RUN, VCPU0, pe=2) == Enter(()), "on another PE too"
    assert world.s(RESP64, VCPU0, 0, 9) == Leave(registers(RESP64, VCPU0, 0, 9), 2)


def test_secure_interrupt__runs_the_waiting_partition_and_returns_unseen() -> None:
    """Chapter 9: FFA_INTERRUPT to the partition; FFA_MSG_WAIT resumes the Normal world with its registers untouched."""
    world = World()
    assert world.ffa.interrupt(3, 29) == Enter(registers(INTERRUPT, 0, 29))
    assert world.ffa.interrupt(3) is None, "it runs: it takes the next one by its own vectors"
    assert world.ffa.preempt() is None
    assert status(world.s(YIELD)) == DENIED
    assert status(world.s(RESP64, VCPU0)) == DENIED
    assert status(world.s(ERROR)) == DENIED
    assert world.s(WAIT) == Leave((), 3)
    assert world.ffa.partition.state is State.WAITING and world.ffa.partition.model is Model.INTERRUPT


@pytest.mark.parametrize("fid", [WAIT, YIELD, RESP32, RESP64, ERROR, SUCCESS, INTERRUPT, 0x84000073, 0xC4000071])
def test_normal_world__may_not_make_calls_of_the_partition(fid: int) -> None:
    world = World()
    before = world.state()
    assert status(world.n(fid, VCPU0)) == NOT_SUPPORTED
    assert world.state() == before


def test_normal_world__has_no_granule_calls() -> None:
    world = World()
    assert world.n(TAKE, NS) == Reply(((1 << 64) - 1,))
    assert world.root.gpi[NS] == GPI.NON_SECURE


# ---- granules (rmm-abi.md §13.7) ----

BAD_ADDR, BAD_PAS = -2, -3
GRANULES = [
    # pa, take: status and condition, give back: the same
    (NS, 0, None, BAD_PAS, "addr_ns"),
    (NS + 8, BAD_ADDR, "addr_align", BAD_ADDR, "addr_align"),
    (SEC, BAD_PAS, "addr_secure", BAD_PAS, "addr_boot"),
    (SEC_TAKEN, BAD_PAS, "addr_secure", 0, None),
    (REALM, BAD_PAS, "addr_realm", BAD_PAS, "addr_realm"),
    (ROOT, BAD_PAS, "addr_root", BAD_PAS, "addr_root"),
    (HOLE, BAD_ADDR, "addr_bound", BAD_ADDR, "addr_bound"),
    ((1 << 64) - 0x1000, BAD_ADDR, "addr_bound", BAD_ADDR, "addr_bound"),
]


@pytest.mark.parametrize(("pa", "take", "why", "give", "why_not"), GRANULES)
def test_granule_calls(pa: int, take: int, why: str | None, give: int, why_not: str | None) -> None:
    for fid, name, wanted, condition in ((TAKE, "TAKE", take, why), (GIVE, "GIVE_BACK", give, why_not)):
        world = World(booted=False)
        before = world.state()
        assert world.s(fid, pa) == Reply((wanted & (1 << 64) - 1, 0, 0, 0))
        assert world.log.calls[-1] == (f"SIP_GRANULE_{name}", condition, True)
        assert (world.state() == before) is (wanted != 0)
        if wanted == 0:
            assert world.root.gpi[pa] == (GPI.SECURE if fid == TAKE else GPI.NON_SECURE)
            assert world.root.wiped == ([] if fid == TAKE else [pa]), "what comes back is wiped"


def test_granule_calls__are_in_the_sip_range() -> None:
    """SMCCC 1.2: fast, SMC64, owning entity 2."""
    assert [call.fid for call in sip.CALLS] == [TAKE, GIVE]
    assert all(fid >> 24 == 0b1_1_000010 for fid in (TAKE, GIVE))


@pytest.mark.parametrize("fid", [0xC4000150, 0xC40001B0, 0xC4000190, 0x84000008, 0x86000000, 0])
def test_partition__calls_of_other_worlds_are_unknown_to_it(fid: int) -> None:
    """SMCCC 1.2: unknown function id, -1 in X0."""
    world = World(booted=False)
    assert world.s(fid, NS) == Reply(((1 << 64) - 1,))


def test_partition__knows_the_version_of_the_calling_convention() -> None:
    assert World(booted=False).s(0x8000_0000) == Reply((0x10002,))


# ---- anything at all ----

FIDS = sorted({fid for call in abi.CALLS for fid in call.fids} | {TAKE, GIVE, 0x8000_0000, 0x840000FF, 0})
WORDS = st.one_of(
    st.sampled_from([0, 1, 2, 3, 0x40, SP, VCPU0, 0x8000, NS, NS2, SEC, SEC_TAKEN, REALM, ROOT, HOLE, 0x10001, *FIDS]),
    st.sampled_from(UUID_WORDS),
    st.integers(0, (1 << 64) - 1),
)
CALL = st.tuples(st.one_of(st.sampled_from(FIDS), WORDS), *[WORDS] * 7)
STEP = st.tuples(st.sampled_from("nnnssspi"), st.integers(0, 3), CALL)


@settings(max_examples=400)
@given(booted=st.booleans(), steps=st.lists(STEP, max_size=25))
def test_any_registers__are_answered_and_a_failed_call_changes_nothing(booted: bool, steps: list[Any]) -> None:
    world = World(booted=booted)
    ffa, p = world.ffa, world.ffa.partition
    for kind, pe, x in steps:
        before = world.state()
        running = p.state is State.RUNNING
        outcome: Any
        if kind == "n" and not (running and p.pe == pe):  # a PE is in one world at a time
            outcome = ffa.from_normal(pe, x)
        elif kind == "s" and running:
            outcome = ffa.from_secure(x)
        elif kind == "p":
            outcome = ffa.preempt()
        elif kind == "i":
            outcome = ffa.interrupt(pe)
        else:
            continue
        regs = outcome.regs if outcome is not None else ()
        assert len(regs) in (0, 1, 4, 8) and all(0 <= word < 1 << 64 for word in regs)
        match outcome:
            case Enter():
                assert p.state is State.RUNNING and p.pe == pe and not (running and kind != "i")
            case Leave():
                assert running and p.state is not State.RUNNING and outcome.pe == before[0][2]
            case Reply():
                assert (p.state is State.RUNNING) == running
                if regs[0] == ERROR or (regs[0] >> 63 and len(regs) < 8) or regs[0] == (1 << 64) - 1:
                    assert world.state() == before
            case None:
                assert world.state() == before
        owners = world.root.gpi
        assert owners[SEC] == GPI.SECURE and owners[REALM] == GPI.REALM and owners[ROOT] == GPI.ROOT
