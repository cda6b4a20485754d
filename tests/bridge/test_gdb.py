# SPDX-License-Identifier: GPL-2.0-or-later
"""GDB's remote protocol without a socket (GDB manual, appendix E)."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.gdb.debuggee import CORE, PC, Thread
from bridge.gdb.packets import ACK, INTERRUPT, MAX_PACKET, Decoder, ProtocolError, encode, number, unescape
from bridge.gdb.session import Resume, Session


class Fake:
    """Two threads, 64 KiB of memory at 0x1000, one system register that only the first thread has."""

    system = ("ESR_EL1",)

    def __init__(self) -> None:
        self.memory = bytearray(0x10000)
        self.values = {1: [*range(len(CORE)), 0x9600_0010], 2: [*range(len(CORE))]}
        self.breakpoints: frozenset[int] = frozenset()
        self.watches: set[tuple[int, int, bool, bool]] = set()
        self.stepped: list[int] = []
        self.detached = False

    def threads(self) -> list[Thread]:
        return [Thread(1, 'Normal "NS-EL2" <PE 0>'), Thread(2, "Realm R-EL1")]

    def current(self) -> int:
        return 2

    def registers(self, thread: int) -> list[int | None]:
        known = self.values[thread]
        return [*known, *[None] * (len(CORE) + 1 - len(known))]

    def set_register(self, thread: int, index: int, value: int) -> bool:
        if index >= len(self.values[thread]):
            return False
        self.values[thread][index] = value
        return True

    def read(self, thread: int, va: int, size: int) -> bytes | None:
        return bytes(self.memory[va - 0x1000 : va - 0x1000 + size]) if 0x1000 <= va < 0x11000 else None

    def write(self, thread: int, va: int, data: bytes) -> bool:
        if not 0x1000 <= va <= 0x11000 - len(data):
            return False
        self.memory[va - 0x1000 : va - 0x1000 + len(data)] = data
        return True

    def set_breakpoints(self, addresses: frozenset[int]) -> None:
        self.breakpoints = addresses

    def set_watch(self, va: int, size: int, *, read: bool, write: bool, on: bool) -> bool:
        (self.watches.add if on else self.watches.discard)((va, size, read, write))
        return len(self.watches) < 4

    def step(self, thread: int) -> None:
        self.stepped.append(thread)

    def monitor(self, thread: int, line: str) -> str:
        return f"{thread}: {line}\n"

    def detach(self) -> None:
        self.detached = True


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def session(fake: Fake) -> Session:
    return Session(fake)


def answer(session: Session, packet: bytes) -> bytes:
    got = session.handle(packet)
    assert isinstance(got, bytes)
    return got


# Packets (E.1)


def test_encode__checksum_and_escapes() -> None:
    assert encode(b"OK") == b"$OK#9a"
    assert encode(b"#$}*") == b"$}\x03}\x04}]}\x0a#" + b"%02x" % (sum(b"}\x03}\x04}]}\x0a") & 0xFF)


@given(st.binary(max_size=300), st.integers(1, 7))
def test_packets__survive_any_cut(payload: bytes, cut: int) -> None:
    frame = encode(payload)
    decoder = Decoder()
    got = [one for at in range(0, len(frame), cut) for one in decoder.feed(frame[at : at + cut])]
    assert [unescape(one[1:]) for one in got if one] == [payload]


def test_decoder__wrong_checksum_is_none_and_the_next_packet_is_read() -> None:
    assert list(Decoder().feed(b"+$OK#00\x03$g#67")) == [ACK, None, INTERRUPT, b"$g"]


def test_decoder__drops_what_is_too_long() -> None:
    decoder = Decoder()
    assert list(decoder.feed(b"$" + b"a" * (MAX_PACKET + 1) + b"#00")) == []
    assert list(decoder.feed(b"$g#67")) == [b"$g"]


@pytest.mark.parametrize("text", [b"", b"0x10", b"-1", b"+1", b" 1", b"1_0", b"12345678123456781", b"g"])
def test_number__takes_digits_alone(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        number(text)


# What is said in them (E.2 to E.6)


def test_supported__says_what_is_there_and_no_more(session: Session) -> None:
    features = answer(session, b"qSupported:multiprocess+;swbreak+").split(b";")
    assert {b"PacketSize=4000", b"swbreak+", b"vContSupported+", b"qXfer:features:read+"} <= set(features)
    assert {b"ReverseStep+", b"ReverseContinue+"} <= set(features)
    assert not any(b"multiprocess" in one for one in features)
    assert session.handle(b"bs") == Resume(back="s")
    assert session.handle(b"bc") == Resume(back="c")
    assert answer(session, b"vMustReplyEmpty") == b""


def test_threads__are_listed_with_their_names(session: Session) -> None:
    assert answer(session, b"qfThreadInfo") == b"m1,2"
    assert answer(session, b"qsThreadInfo") == b"l"
    assert bytes.fromhex(answer(session, b"qThreadExtraInfo,2").decode()) == b"Realm R-EL1"
    assert (answer(session, b"T1"), answer(session, b"T3")) == (b"OK", b"E03")
    tree = ET.fromstring(answer(session, b"qXfer:threads:read::0,1000")[1:])
    assert [row.get("name") for row in tree] == ['Normal "NS-EL2" <PE 0>', "Realm R-EL1"]


def test_target_description__declares_the_registers_in_order(session: Session) -> None:
    text = b""
    while not text.startswith(b"l"):
        part = answer(session, b"qXfer:features:read:target.xml:%x,40" % max(len(text) - 1, 0))
        text = part[:1] + text[1:] + part[1:]
    tree = ET.fromstring(text[1:].decode().replace('<!DOCTYPE target SYSTEM "gdb-target.dtd">', ""))
    names = [reg.get("name") for reg in tree.iter("reg")]
    assert names == [*(f"x{n}" for n in range(31)), "sp", "pc", "cpsr", "ESR_EL1"]
    assert answer(session, b"qXfer:features:read:other.xml:0,40") == b"E00"


def test_registers__little_endian_and_unavailable_ones_as_x(session: Session, fake: Fake) -> None:
    everything = answer(session, b"g")
    assert everything[16:32] == b"0100000000000000"  # X1
    assert everything.endswith(b"21000000" + b"xx" * 8)  # CPSR is of 32 bits; thread 2 has no ESR_EL1
    assert answer(session, b"Hg1") == b"OK"
    assert answer(session, b"p22") == b"1000009600000000"
    assert answer(session, b"P5=8877665544332211") == b"OK"
    assert fake.values[1][5] == 0x1122_3344_5566_7788
    assert answer(session, b"p23") == b"E01"
    assert answer(session, b"P5=00") == b"E01"
    changed = answer(session, b"g")
    assert answer(session, b"G" + b"ff" * 8 + changed[16:]) == b"OK"
    assert fake.values[1][0] == (1 << 64) - 1


def test_memory__read_and_written_or_refused(session: Session, fake: Fake) -> None:
    assert answer(session, b"M1000,3:0a0b0c") == b"OK"
    assert answer(session, b"m1000,4") == b"0a0b0c00"
    assert answer(session, b"X1004,2:}\x03A") == b"OK"
    assert fake.memory[4:6] == b"#A"
    assert answer(session, b"mffffffffffffffff,8") == b"E14"
    assert answer(session, b"M20000,1:00") == b"E14"
    assert answer(session, b"M1000,2:00") == b"E01"
    assert len(answer(session, b"m1000,ffffffffffffffff")) <= MAX_PACKET


def test_points__take_effect_when_it_goes_on(session: Session, fake: Fake) -> None:
    for packet in (b"Z0,1000,4", b"Z1,1004,4", b"z1,1004,4", b"Z2,2000,8", b"Z4,3000,1", b"z4,3000,1"):
        assert answer(session, packet) == b"OK"
    assert fake.watches == {(0x2000, 8, False, True)}
    assert session.handle(b"vCont;c") == Resume()
    assert fake.breakpoints == {0x1000}
    assert answer(session, b"Z9,0,4") == b""
    assert answer(session, b"Z2,0,0") == b"E01"


def test_going_on__steps_whom_it_names(session: Session, fake: Fake) -> None:
    assert answer(session, b"vCont?") == b"vCont;c;C;s;S"
    assert session.handle(b"vCont;s:1;c") == Resume()
    assert session.handle(b"s") == Resume()
    assert session.handle(b"Hc1") == b"OK"
    assert session.handle(b"S05;1000") == Resume()
    assert fake.stepped == [1, 2, 1]
    assert fake.values[1][PC] == 0x1000
    assert session.handle(b"vCont;x") == b"E01"
    assert session.handle(b"vCont;s:7") == b"E01"
    assert session.handle(b"D") == Resume(over=True)
    assert session.handle(b"k") == Resume(kill=True)


def test_monitor__goes_to_the_selected_thread(session: Session) -> None:
    answer(session, b"Hg1")
    assert bytes.fromhex(answer(session, b"qRcmd," + b"gpt".hex().encode()).decode()) == b"1: gpt\n"
    assert answer(session, b"qRcmd,zz") == b"E01"


_LETTERS = b"?gGpPmMXZzHTcsCSDkvqQ0123456789abcdef,;:=-\xff "


@settings(max_examples=600)
@given(st.lists(st.one_of(st.binary(max_size=40), st.lists(st.sampled_from(_LETTERS), max_size=40).map(bytes))))
def test_garbage__is_answered_or_ignored_and_nothing_else(packets: list[bytes]) -> None:
    session = Session(Fake())
    for packet in packets:
        got = session.handle(packet)
        if isinstance(got, bytes):
            assert len(got) <= MAX_PACKET
            encode(got)


@settings(max_examples=300)
@given(
    st.sampled_from(
        [b"qXfer:features:read:target.xml:", b"m", b"M", b"X", b"Z0,", b"vCont;", b"qRcmd,", b"P", b"G", b"Hg"]
    ),
    st.binary(max_size=30),
)
def test_garbage__after_a_good_beginning(head: bytes, tail: bytes) -> None:
    got = Session(Fake()).handle(head + tail)
    assert isinstance(got, (bytes, Resume))
