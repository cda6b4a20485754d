# SPDX-License-Identifier: GPL-2.0-or-later
"""RSI_ATTESTATION_TOKEN_INIT and _CONTINUE: the state machine of a REC (rmm-abi.md §4.5, §4.6, §10.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmm.abi import rmi
from rmm.bare import ScriptedRec, smc
from tests.rmm.fakes import EMUL_MMIO, X4, G, Guest, World, context

INIT, CONTINUE, EXTEND, SET = 0xC400_0194, 0xC400_0195, 0xC400_0193, 0xC400_0197
SUCCESS, INPUT, STATE, INCOMPLETE, UNKNOWN = range(5)
SYNC, IRQ, FIQ = 0, 1, 2
PAGE, OTHER = 0x1000, 0x2000
NS_HALF = 1 << 39
CHALLENGE = tuple(0x0101_0101_0101_0101 * i for i in range(1, 9))
LEFT = (1 << 64) - 1
WHOLE = bytes(i * 7 & 0xFF for i in range(1000))


class FakeAttester:
    """Hands out `whole`; remembers what it was asked to sign.  signs, fits: what goes well."""

    max_size = 0x1234

    def __init__(self, whole: bytes = WHOLE) -> None:
        self.whole = whole
        self.signs = self.fits = self.has_key = True
        self.asked: list[tuple[Any, ...]] = []
        self.signed: list[bytes] = []

    def ready(self) -> bool:
        return self.has_key

    def claims(self, challenge: bytes, rpv: bytes, algorithm: int, rim: bytes, rems: Sequence[bytes]) -> bytes:
        self.asked.append((challenge, rpv, algorithm, rim, tuple(rems)))
        return b"claims %d" % len(self.asked)

    def sign(self, claims: bytes) -> bytes | None:
        if not self.signs:
            return None
        self.signed.append(claims)
        return b"signed " + claims

    def token(self, realm: bytes) -> bytes | None:
        return self.whole + realm if self.fits else None


TOKEN = WHOLE + b"signed claims 1"


class Bench:
    """A realm whose REC is about to call.  begin: INIT has been made."""

    def __init__(self, *, begin: bool = True, whole: bytes = WHOLE, **fields: Any) -> None:
        self.attester = FakeAttester(whole)
        self.guest = World(attester=self.attester).running_realm(**fields)
        self.pe: ScriptedRec = self.guest.pe
        if begin:
            assert self.init() == [SUCCESS, 0x1234, 0, 0]

    def init(self, challenge: Sequence[int] = CHALLENGE) -> list[int]:
        self.guest.enter(smc(INIT, *challenge))
        return list(self.pe.x[:4])

    def next(self, ipa: int, offset: int, size: int) -> tuple[int, int, str | None]:
        """(X0, X1, condition) of a CONTINUE that does not leave the realm."""
        assert self.enter(ipa, offset, size)["exit_reason"] == FIQ
        return self.pe.x[0], self.pe.x[1], self.condition

    def enter(self, ipa: int, offset: int, size: int) -> dict[str, Any]:
        self.pe.pc = 0x1000
        return self.guest.enter(smc(CONTINUE, ipa, offset, size, X4))

    @property
    def condition(self) -> str | None:
        return next(call[3] for call in reversed(self.guest.world.log.calls) if str(call[0]).startswith("RSI_"))

    def page(self, ipa: int = PAGE) -> bytes:
        return self.guest.world.memory.read(self.guest.pages[ipa], G)


# §4.5


def test_init__takes_challenge_measurements_and_personalization_as_they_are() -> None:
    bench = Bench(begin=False, rpv=bytes(range(64)), hash_algo=1)
    realm = bench.guest.realm
    bench.guest.enter(smc(EXTEND, 2, 8, 5))
    rems = tuple(realm.rems)
    bench.init()
    bench.guest.enter(smc(EXTEND, 2, 8, 6))  # too late for this token
    challenge = b"".join(word.to_bytes(8, "little") for word in CHALLENGE)
    assert bench.attester.asked == [(challenge, bytes(range(64)), 1, realm.rim, rems)]
    assert tuple(realm.rems) != rems


def test_init__no_platform_key() -> None:
    bench = Bench(begin=False)
    bench.attester.has_key = False
    assert bench.init() == [UNKNOWN, 0, 0, 0] and bench.condition == "no_platform_key"
    assert bench.guest.rec.token is None and bench.attester.asked == []
    assert bench.next(PAGE, 0, G) == (STATE, 0, "token_state")


def test_init__overwrites_x1_to_x3_and_keeps_x4() -> None:
    bench = Bench(begin=False)
    bench.init()
    assert bench.pe.x[:5] == [SUCCESS, 0x1234, 0, 0, CHALLENGE[3]]


def test_init__ends_what_was_in_progress() -> None:
    """At any time: before the signature, and in the middle of the copy."""
    bench = Bench()
    assert bench.init()[0] == SUCCESS
    assert bench.next(PAGE, 0, 100)[:2] == (INCOMPLETE, 100)
    assert bench.init()[0] == SUCCESS
    assert bench.next(PAGE, 0, G)[:2] == (SUCCESS, len(WHOLE) + len(b"signed claims 3"))
    assert bench.attester.signed == [b"claims 2", b"claims 3"]


# §4.6


def test_continue__hands_out_all_at_once() -> None:
    bench = Bench()
    before = bench.page()
    assert bench.next(PAGE, 8, G - 8) == (SUCCESS, len(TOKEN), None)
    assert bench.pe.x[2:5] == [0, 0, X4] and bench.pe.pc == 0x1004
    assert bench.page() == before[:8] + TOKEN + before[8 + len(TOKEN) :]
    assert bench.guest.rec.token is None
    assert bench.next(PAGE, 0, G) == (STATE, 0, "token_state")


def test_continue__bytes_remain() -> None:
    bench = Bench()
    assert bench.next(PAGE, 0, 600) == (INCOMPLETE, 600, "token_rest")
    assert bench.pe.x[2:5] == [0, 0, X4] and bench.pe.pc == 0x1004
    assert bench.next(OTHER, 4000, 96) == (INCOMPLETE, 96, "token_rest")
    assert bench.next(PAGE, 600, len(TOKEN) - 696) == (SUCCESS, len(TOKEN) - 696, None)
    assert bench.page(OTHER)[4000:] == TOKEN[600:696] and bench.page()[:600] == TOKEN[:600]
    assert bench.attester.signed == [b"claims 1"]


def test_continue__exactly_the_rest_ends_it() -> None:
    bench = Bench()
    assert bench.next(PAGE, 0, len(TOKEN)) == (SUCCESS, len(TOKEN), None)


def test_continue__one_byte_less_than_the_rest_does_not() -> None:
    bench = Bench()
    assert bench.next(PAGE, 0, len(TOKEN) - 1) == (INCOMPLETE, len(TOKEN) - 1, "token_rest")
    assert bench.next(PAGE, G - 1, 1) == (SUCCESS, 1, None)
    assert bench.page()[-1] == TOKEN[-1]


@given(parts=st.lists(st.tuples(st.integers(0, G - 1), st.integers(0, G), st.booleans()), max_size=30))
@settings(max_examples=40, deadline=None)
def test_continue__any_sizes_and_offsets_give_the_same_token(parts: list[tuple[int, int, bool]]) -> None:
    bench = Bench()
    got = b""
    for offset, size, other in [*parts, (0, G, False)]:
        ipa, size = (OTHER if other else PAGE), min(size, G - offset)
        status, copied, condition = bench.next(ipa, offset, size)
        got += bench.page(ipa)[offset : offset + copied]
        assert copied == min(size, len(TOKEN) - len(got) + copied)
        expected = "size_zero" if size == 0 else None if len(got) == len(TOKEN) else "token_rest"
        assert (status, condition) == (INCOMPLETE if expected else SUCCESS, expected)
        if status == SUCCESS:
            break
    assert got == TOKEN


def empty(bench: Bench) -> None:
    """The page becomes RIPAS EMPTY."""
    guest = bench.guest
    guest.enter(smc(SET, PAGE, OTHER, 0, 0))
    guest.world.ok(rmi.RTT_SET_RIPAS, guest.realm.rd, guest.rec.pa, PAGE, OTHER)
    guest.enter()


def gone(bench: Bench) -> None:
    bench.guest.world.ok(rmi.DATA_DESTROY, bench.guest.realm.rd, PAGE)


def unsigned(bench: Bench) -> None:
    bench.attester.signs = False


def interrupted(bench: Bench) -> None:
    bench.pe.irqs = 1


def oversized(bench: Bench) -> None:
    bench.attester.fits = False


def none(bench: Bench) -> None:
    bench.guest.rec.token = None


def nothing(bench: Bench) -> None:
    """The arguments alone are wrong."""


# What is wrong with the arguments and with the rest; status, condition.  In the order of §4.6, each with what the
# next one would find too.
ORDER = [
    ((PAGE + 8, G, 0), none, INPUT, "addr_align"),
    ((PAGE, G, 0), none, INPUT, "offset_bound"),
    ((PAGE, G, 1), none, INPUT, "offset_bound"),
    ((PAGE, 1, LEFT), none, INPUT, "size_bound"),
    ((NS_HALF, 1, G), none, INPUT, "size_bound"),
    ((NS_HALF, 0, 1), none, INPUT, "addr_bound"),
    ((NS_HALF, 0, 1), unsigned, INPUT, "addr_bound"),
    ((PAGE, 0, 1), lambda bench: (none(bench), unsigned(bench)), STATE, "token_state"),
    ((PAGE, 0, 0), lambda bench: (none(bench), empty(bench)), STATE, "token_state"),
    ((PAGE, 0, 1), lambda bench: (unsigned(bench), empty(bench)), UNKNOWN, "token_sign"),
    ((PAGE, 0, 0), unsigned, UNKNOWN, "token_sign"),
    ((PAGE, 0, 0), empty, INPUT, "rtte_empty"),
    ((PAGE, 0, 1), lambda bench: (oversized(bench), empty(bench)), INPUT, "rtte_empty"),
    ((PAGE, 0, 0), oversized, INCOMPLETE, "size_zero"),
    ((PAGE, 0, 1), oversized, INPUT, "token_size"),
]


@pytest.mark.parametrize(("arguments", "breaks", "status", "condition"), ORDER)
def test_continue__the_first_condition_decides(
    arguments: tuple[int, int, int], breaks: Any, status: int, condition: str
) -> None:
    bench = Bench()
    breaks(bench)
    memory = bytes(bench.guest.world.memory.data[: bench.guest.run - bench.guest.world.memory.base])
    assert bench.next(*arguments) == (status, 0, condition)
    assert bench.pe.x[2:5] == [0, 0, X4] and bench.pe.pc == 0x1004
    assert bytes(bench.guest.world.memory.data[: len(memory)]) == memory


@pytest.mark.parametrize("breaks", [unsigned, oversized])
def test_continue__can_be_repeated_once_the_cause_is_gone(breaks: Any) -> None:
    bench = Bench()
    breaks(bench)
    assert bench.next(PAGE, 0, G)[0] in (INPUT, UNKNOWN)
    bench.attester.signs = bench.attester.fits = True
    assert bench.next(PAGE, 0, G) == (SUCCESS, len(TOKEN), None)


def test_continue__size_zero_signs_all_the_same() -> None:
    bench = Bench()
    assert bench.next(PAGE, G - 1, 0) == (INCOMPLETE, 0, "size_zero")
    assert bench.attester.signed == [b"claims 1"]
    assert bench.next(PAGE, 0, G) == (SUCCESS, len(TOKEN), None)


# Interrupts (§4.6 #5, §7.7)


def test_continue__irq_pending() -> None:
    """Exit by IRQ; X0 = INCOMPLETE, X1..X3 = 0, the SMC is over; signing goes on at the next CONTINUE."""
    bench = Bench()
    interrupted(bench)
    exit_ = bench.enter(PAGE, 0, G)
    assert exit_["exit_reason"] == IRQ and exit_["esr"] == exit_["far"] == exit_["hpfar"] == 0
    assert not any(exit_["gprs"])
    assert bench.pe.x[:5] == [INCOMPLETE, 0, 0, 0, X4] and bench.pe.pc == 0x1004
    assert bench.condition == "irq_pending" and bench.attester.signed == []
    assert bench.guest.refused(flags=EMUL_MMIO)[2] == "emul_mmio"
    assert bench.next(PAGE, 0, G) == (SUCCESS, len(TOKEN), None)


@pytest.mark.parametrize(
    ("arguments", "breaks"), [((PAGE, 0, 1), empty), ((PAGE, 0, 1), gone), ((PAGE, 0, 0), nothing)]
)
def test_continue__irq_pending_comes_before_the_page(arguments: tuple[int, int, int], breaks: Any) -> None:
    bench = Bench()
    breaks(bench)
    interrupted(bench)
    assert bench.enter(*arguments)["exit_reason"] == IRQ
    assert bench.pe.x[0] == INCOMPLETE and bench.condition == "irq_pending"


def test_continue__a_failed_signature_comes_before_the_interrupt() -> None:
    """The step that fails is the last: no interrupt is looked for after it."""
    bench = Bench()
    while bench.attester.signed == [] and bench.guest.rec.token.steps < 3:  # type: ignore[union-attr]
        interrupted(bench)
        bench.enter(PAGE, 0, G)
    unsigned(bench)
    interrupted(bench)
    assert bench.next(PAGE, 0, G) == (UNKNOWN, 0, "token_sign")


def test_continue__a_host_that_always_interrupts_cannot_hold_it_up() -> None:
    bench = Bench()
    bench.pe.irqs = 1_000_000
    for _ in range(10):
        if bench.enter(PAGE, 0, G)["exit_reason"] == FIQ:
            break
    assert bench.pe.x[:2] == [SUCCESS, len(TOKEN)]


def test_continue__once_signed_interrupts_do_not_matter() -> None:
    bench = Bench()
    assert bench.next(PAGE, 0, 1)[0] == INCOMPLETE
    interrupted(bench)
    assert bench.next(PAGE, 0, G) == (SUCCESS, len(TOKEN) - 1, None)


# The page is not there (S2WALK of §4)


@pytest.mark.parametrize("size", [0, 1, G])
def test_continue__page_missing__exit_and_replay(size: int) -> None:
    bench = Bench()
    guest = bench.guest
    page = guest.pages[PAGE]
    bench.pe.x[:5] = [CONTINUE, PAGE, 0, size, X4]
    gone(bench)
    exit_ = bench.enter(PAGE, 0, size)
    assert (exit_["exit_reason"], exit_["esr"], exit_["far"], exit_["hpfar"]) == (SYNC, 0x9000_0007, 0, 0x10)
    assert bench.pe.x[:5] == [CONTINUE, PAGE, 0, size, X4] and bench.pe.pc == 0x1000
    assert bench.condition == "rtte_state"
    guest.enter(smc(SET, PAGE, OTHER, 1, 1))
    guest.world.ok(rmi.RTT_SET_RIPAS, guest.realm.rd, guest.rec.pa, PAGE, OTHER)
    guest.enter()
    guest.world.ok(rmi.DATA_CREATE_UNKNOWN, guest.realm.rd, page, PAGE)
    status, copied, _ = bench.next(PAGE, 0, size)
    assert (status, copied) == ((SUCCESS, len(TOKEN)) if size == G else (INCOMPLETE, size))
    assert bench.attester.signed == [b"claims 1"]


# Several RECs, and what becomes of them (§10.5)


def test_each_rec_has_its_own_token() -> None:
    world = World(attester=FakeAttester())
    realm = world.realm()
    pages = {ipa: world.ram(realm, ipa) for ipa in (PAGE, OTHER)}
    recs = [world.rec(realm, flags=1) for _ in range(2)]
    world.ok(rmi.REALM_ACTIVATE, realm.rd)
    first, second = (Guest(world, realm, rec, pages) for rec in recs)

    def call(guest: Guest, *registers: int) -> list[int]:
        guest.enter(smc(*registers))
        return list(context(guest.rec).x[:2])

    call(first, INIT, *CHALLENGE)
    assert call(second, CONTINUE, OTHER, 0, G) == [STATE, 0]
    call(second, INIT, *CHALLENGE)
    assert call(first, CONTINUE, PAGE, 0, 10) == [INCOMPLETE, 10]
    assert call(second, CONTINUE, OTHER, 0, 20) == [INCOMPLETE, 20]
    assert call(first, CONTINUE, PAGE, 10, G - 10) == [SUCCESS, len(TOKEN) - 10]
    assert call(second, CONTINUE, OTHER, 20, G - 20) == [SUCCESS, len(TOKEN) - 20]
    assert world.memory.read(pages[PAGE], len(TOKEN)) == WHOLE + b"signed claims 1"
    assert world.memory.read(pages[OTHER], len(TOKEN)) == WHOLE + b"signed claims 2"


def test_a_new_rec_at_the_same_granule_has_no_token() -> None:
    bench = Bench()
    guest, world = bench.guest, bench.guest.world
    world.ok(rmi.REC_DESTROY, guest.rec.pa)
    realm = world.realm()
    pages = {PAGE: world.ram(realm, PAGE)}
    rec = world.rec(realm)
    assert rec.token is None
    world.ok(rmi.REALM_ACTIVATE, realm.rd)
    assert Guest(world, realm, rec, pages).rsi(CONTINUE, PAGE, 0, G)[:2] == [STATE, 0]


class Rec:
    """A REC and what its token must be.  began: number of the last INIT that counts, 0 when there is none."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.began = 0
        self.at = 0


STEPS = st.tuples(
    st.integers(0, 2),  # REC
    st.sampled_from(("init", "continue", "continue", "continue", "late", "absent")),
    st.integers(0, G - 1),
    st.integers(0, 700),
)


@given(steps=st.lists(STEPS, max_size=40))
@settings(max_examples=60, deadline=None)
def test_recs_interleave_in_any_way(steps: list[tuple[int, str, int, int]]) -> None:
    """Each against a model of §4.5 and §4.6: interrupted ones, ones whose page goes away, ones begun anew."""
    world = World(attester=FakeAttester())
    realm = world.realm()
    pages = {PAGE * (n + 1): world.ram(realm, PAGE * (n + 1)) for n in range(3)}
    recs = [Rec(Guest(world, realm, world.rec(realm, flags=1), pages)) for _ in range(3)]
    world.ok(rmi.REALM_ACTIVATE, realm.rd)
    inits = 0
    for number, what, offset, size in steps:
        rec, ipa = recs[number], PAGE * (number + 1)
        pe = context(rec.guest.rec)
        if what == "init":
            inits += 1
            rec.began, rec.at = inits, 0
            rec.guest.enter(smc(INIT, *CHALLENGE))
            assert pe.x[:2] == [SUCCESS, 0x1234]
            continue
        size = min(size, G - offset)
        token = WHOLE + b"signed claims %d" % rec.began
        page = pages[ipa]
        signed = rec.guest.rec.token is not None and rec.guest.rec.token.signed is not None
        pe.irqs = int(what == "late")
        if what == "absent":
            world.ok(rmi.DATA_DESTROY, realm.rd, ipa)
        pe.pc = 0x1000
        exit_ = rec.guest.enter(smc(CONTINUE, ipa, offset, size, X4))
        pe.irqs = 0
        if what == "absent" and rec.began:
            assert exit_["exit_reason"] == SYNC and exit_["hpfar"] == ipa >> 8 and pe.pc == 0x1000
        elif not rec.began:
            assert pe.x[:2] == [STATE, 0]
        elif what == "late" and not signed:
            assert exit_["exit_reason"] == IRQ and pe.x[:2] == [INCOMPLETE, 0]
        else:
            part = token[rec.at : rec.at + size]
            rec.at += len(part)
            ends = size > 0 and rec.at == len(token)
            assert pe.x[:2] == [SUCCESS if ends else INCOMPLETE, len(part)]
            assert world.memory.read(page + offset, len(part)) == part
            if ends:
                rec.began = 0
        if what == "absent":  # the host gives it back: the realm asks for RAM again
            guest = rec.guest
            guest.enter(smc(SET, ipa, ipa + G, 1, 1))
            world.ok(rmi.RTT_SET_RIPAS, realm.rd, guest.rec.pa, ipa, ipa + G)
            guest.enter()
            world.ok(rmi.DATA_CREATE_UNKNOWN, realm.rd, page, ipa)
