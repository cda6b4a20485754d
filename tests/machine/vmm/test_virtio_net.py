# SPDX-License-Identifier: GPL-2.0-or-later
"""The user-mode network: what a guest sends and gets, byte for byte.  Servers are threads on the host's loopback."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import UserError
from machine.vmm.virtio.net import Gateway, Net, Pcap

from .driver import Driver

MAC = bytes.fromhex("525400123456")
GUEST, GATEWAY, RESOLVER = bytes((10, 0, 2, 15)), bytes((10, 0, 2, 2)), bytes((10, 0, 2, 3))
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
LIMIT = 10.0


def ones(data: bytes) -> int:
    """RFC 1071, word by word."""
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Guest:
    """A host on the link: frames through the virtqueues of the device."""

    def __init__(self, pcap: Pcap | None = None) -> None:
        self.net = Net(Gateway({"Files.Test": bytes((10, 0, 2, 2))}), pcap)
        self.driver = Driver(self.net)
        self.driver.start()
        self.receive, self.transmit = self.driver.queues
        self.refill()

    def refill(self) -> None:
        while len(self.receive.free) > 1:
            self.receive.add([], [1526])
        self.receive.kick()

    def send(self, frame: bytes, header: bytes = bytes(12)) -> None:
        self.transmit.call([header, frame])

    def frames(self) -> list[bytes]:
        found = [data[12:written] for _, written, data in self.receive.reap()]
        self.refill()
        return found

    def ip(self, protocol: int, payload: bytes, target: bytes = GATEWAY, source: bytes = GUEST) -> None:
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 7, 0, 64, protocol, 0) + source + target
        head = head[:10] + struct.pack(">H", 0xFFFF - ones(head)) + head[12:]
        self.send(b"\xff" * 6 + MAC + b"\x08\x00" + head + payload)

    def packets(self) -> list[tuple[int, bytes, bytes, bytes]]:
        """(protocol, source, target, payload), with checksums looked at"""
        found = []
        for frame in self.frames():
            assert frame[:6] in (MAC, b"\xff" * 6) and frame[12:14] == b"\x08\x00" and len(frame) <= 1514
            packet = frame[14:]
            assert ones(packet[:20]) == 0xFFFF and packet[0] == 0x45
            payload = packet[20:]
            fragment = struct.unpack_from(">H", packet, 6)[0] & 0x3FFF
            if packet[9] in (6, 17) and not fragment:
                assert ones(packet[12:20] + struct.pack(">HH", packet[9], len(payload)) + payload) == 0xFFFF
            elif packet[9] == 1:
                assert ones(payload) == 0xFFFF
            found.append((packet[9], packet[12:16], packet[16:20], payload))
        return found

    def udp(self, port: int, payload: bytes, target: bytes = GATEWAY, source_port: int = 4000) -> None:
        self.ip(17, struct.pack(">HHHH", source_port, port, 8 + len(payload), 0) + payload, target)

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end, "nothing came"
            self.net.poll()
            time.sleep(0.001)


class TcpClient:
    """The guest's end of one connection."""

    def __init__(self, guest: Guest, port: int, source: int = 40000) -> None:
        self.guest, self.port, self.source = guest, port, source
        self.seq, self.ack = 1000, 0
        self.data = b""
        self.flags: list[int] = []
        self.window = 65535
        self.peer_window = 0

    def send(self, flags: int, payload: bytes = b"", options: bytes = b"") -> None:
        head = struct.pack(
            ">HHIIBBHHH",
            self.source,
            self.port,
            self.seq,
            self.ack,
            (20 + len(options)) << 2,
            flags,
            self.window,
            0,
            0,
        )
        self.guest.ip(6, head + options + payload)
        self.seq = self.seq + len(payload) + bool(flags & SYN) + bool(flags & FIN) & 0xFFFF_FFFF

    def take(self) -> bool:
        new = False
        for protocol, source, target, segment in self.guest.packets():
            assert (protocol, source, target) == (6, GATEWAY, GUEST)
            sport, dport, seq, _, offset, flags, self.peer_window = struct.unpack_from(">HHIIBBH", segment)
            assert (sport, dport) == (self.port, self.source)
            payload = segment[(offset >> 4) * 4 :]
            if flags & SYN:
                self.ack = seq
            if not flags & RST:
                assert seq == self.ack, "in order, nothing twice"
            self.ack = self.ack + len(payload) + bool(flags & SYN) + bool(flags & FIN) & 0xFFFF_FFFF
            self.data += payload
            self.flags.append(flags)
            new = True
        return new

    def connect(self) -> None:
        self.send(SYN, options=struct.pack(">BBHBBBB", 2, 4, 1460, 1, 3, 3, 7))
        self.guest.until(self.take)
        assert self.flags == [SYN | ACK]
        self.window = 65535 >> 7
        self.send(ACK)


@pytest.fixture
def guest() -> Iterator[Guest]:
    guest = Guest()
    yield guest
    guest.net.close()


@pytest.fixture
def server(guest: Guest) -> Iterator[tuple[int, list[bytes]]]:
    """A TCP echo server that answers in upper case; (port, what it got)."""
    got: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(LIMIT)

    def run() -> None:
        with listener:
            peer, _ = listener.accept()
        with peer, contextlib.suppress(ConnectionResetError):
            peer.settimeout(LIMIT)
            while data := peer.recv(65536):
                got.append(data)
                peer.sendall(data.upper())

    port = listener.getsockname()[1]
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield port, got
    guest.net.close()
    thread.join(LIMIT)
    assert not thread.is_alive()


def test_config__mac_and_link(guest: Guest) -> None:
    assert guest.driver.config(8) == MAC + b"\x01\x00"


def test_arp__gateway_and_resolver_only(guest: Guest) -> None:
    for target, answered in ((GATEWAY, True), (RESOLVER, True), (GUEST, False), (bytes((10, 0, 2, 9)), False)):
        request = struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + MAC + GUEST + bytes(6) + target
        guest.send(b"\xff" * 6 + MAC + b"\x08\x06" + request)
        frames = guest.frames()
        assert len(frames) == answered
        if answered:
            assert frames[0][:6] == MAC and frames[0][20:22] == b"\x00\x02" and frames[0][28:32] == target
            assert frames[0][32:42] == MAC + GUEST


@pytest.mark.parametrize("target", [GATEWAY, RESOLVER])
def test_icmp__echo(guest: Guest, target: bytes) -> None:
    guest.ip(1, b"\x08\x00\x00\x00\x12\x34\x00\x01payload", target)
    ((protocol, source, _, payload),) = guest.packets()
    assert (protocol, source) == (1, target) and payload[:2] == b"\0\0" and payload[4:] == b"\x12\x34\x00\x01payload"


def dhcp(kind: int, *options: tuple[int, bytes], client: bytes = bytes(4)) -> bytes:
    head = struct.pack(">BBBBIHH4s4s4s4s16s64s128s", 1, 1, 6, 0, 0xABCD, 0, 0, client, b"", b"", b"", MAC, b"", b"")
    body = b"".join(bytes((code, len(value))) + value for code, value in ((53, bytes((kind,))), *options))
    return head + b"\x63\x82\x53\x63" + body + b"\xff"


def test_dhcp__discover_request(guest: Guest) -> None:
    def ask(message: bytes) -> tuple[bytes, dict[int, bytes]]:
        payload = struct.pack(">HHHH", 68, 67, 8 + len(message), 0) + message
        guest.ip(17, payload, b"\xff" * 4, bytes(4))
        ((_, source, target, answer),) = guest.packets()
        assert source == GATEWAY and target == b"\xff" * 4 and answer[:4] == struct.pack(">HH", 67, 68)
        assert answer[8] == 2 and answer[12:16] == b"\0\0\xab\xcd" and answer[36:42] == MAC
        options, rest = {}, answer[8 + 240 :]
        while rest[0] != 255:
            options[rest[0]] = rest[2 : 2 + rest[1]]
            rest = rest[2 + rest[1] :]
        return answer[24:28], options

    address, options = ask(dhcp(1))
    assert address == GUEST and options[53] == b"\x02"
    assert options[1] == b"\xff\xff\xff\x00" and options[3] == GATEWAY and options[6] == RESOLVER
    address, options = ask(dhcp(3, (50, GUEST), (54, GATEWAY)))
    assert address == GUEST and options[53] == b"\x05"
    address, options = ask(dhcp(3, (50, bytes((10, 0, 2, 16)))))
    assert address == bytes(4) and options[53] == b"\x06"


def question(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes((len(part),)) + part.encode() for part in name.split("."))
    return struct.pack(">HHHHHH", 0x4242, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


@pytest.mark.parametrize(
    ("name", "kind", "status", "address"),
    [
        ("files.test", 1, 0, GATEWAY),
        ("FILES.TEST", 1, 0, GATEWAY),
        ("gateway", 1, 0, GATEWAY),
        (socket.gethostname(), 1, 0, GATEWAY),
        ("files.test", 28, 0, None),
        ("example.org", 1, 3, None),
    ],
)
def test_dns__table(guest: Guest, name: str, kind: int, status: int, address: bytes | None) -> None:
    guest.udp(53, question(name, kind), RESOLVER)
    ((_, source, _, answer),) = guest.packets()
    ident, flags, questions, answers = struct.unpack_from(">HHHH", answer, 8)
    assert source == RESOLVER and ident == 0x4242 and flags & 0x8000 and flags & 0xF == status and questions == 1
    assert answers == (address is not None)
    if address is not None:
        assert answer[-4:] == address


def test_tcp__echo_and_orderly_end(guest: Guest, server: tuple[int, list[bytes]]) -> None:
    port, got = server
    client = TcpClient(guest, port)
    client.connect()
    client.send(ACK | PSH, b"hello, ")
    client.send(ACK | PSH, b"host")
    guest.until(lambda: client.take() and client.data == b"HELLO, HOST")
    assert b"".join(got) == b"hello, host"
    client.send(ACK | FIN)
    guest.until(lambda: client.take() and bool(client.flags[-1] & FIN))
    client.send(ACK)
    assert guest.net.sockets() == [] and not client.take()
    client.send(ACK | PSH, b"late")
    client.take()
    assert client.flags[-1] & RST


def test_tcp__bulk_both_ways_within_windows(guest: Guest, server: tuple[int, list[bytes]]) -> None:
    port, got = server
    client = TcpClient(guest, port)
    client.connect()
    text = bytes(range(97, 123)) * 20_000
    at = 0

    def step() -> bool:
        nonlocal at
        part = text[at : at + 30_000]  # as a driver with TSO sends it
        if part and client.peer_window >= 30_000:
            client.send(ACK | PSH, part)
            at += len(part)
        if client.take():
            client.send(ACK)
        return len(client.data) == len(text)

    guest.until(step)
    assert client.data == text.upper() and b"".join(got) == text


def test_tcp__guests_window_is_kept(guest: Guest, server: tuple[int, list[bytes]]) -> None:
    port, _ = server
    client = TcpClient(guest, port)
    client.connect()
    client.window = 1
    client.send(ACK | PSH, b"x" * 1000)
    guest.until(lambda: client.take() and len(client.data) >= 128)
    for _ in range(20):
        guest.net.poll()
    client.take()
    assert len(client.data) == 128, "a window of 1 << 7"
    client.send(ACK)
    guest.until(lambda: client.take() and len(client.data) >= 256)


def test_tcp__our_window_closes_and_opens(guest: Guest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = TcpClient(guest, listener.getsockname()[1])
        client.connect()
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(LIMIT)
            client.send(ACK | PSH, b"x" * 40_000)
            client.send(ACK | PSH, b"y" * 40_000)
            client.take()
            assert client.peer_window == 0 and client.flags[-1] == ACK, "only `poll` gives data to the host"
            client.seq -= 80_000 - 65_535
            guest.until(lambda: client.take() and client.peer_window == 65_535)
            assert client.data == b"" and peer.recv(65_535, socket.MSG_WAITALL) == b"x" * 40_000 + b"y" * 25_535


def test_tcp__repeated_and_early_segments(guest: Guest, server: tuple[int, list[bytes]]) -> None:
    port, got = server
    client = TcpClient(guest, port)
    client.connect()
    start = client.seq
    client.seq = start + 3
    client.send(ACK | PSH, b"def")
    client.seq = start
    client.send(ACK | PSH, b"abc")
    client.seq = start
    client.send(ACK | PSH, b"abcdef")
    guest.until(lambda: client.take() and client.data == b"ABCDEF")
    assert b"".join(got) == b"abcdef"


def test_tcp__nobody_listens(guest: Guest) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = TcpClient(guest, unused.getsockname()[1])
        client.send(SYN)
        guest.until(client.take)
    assert client.flags == [RST | ACK] and guest.net.sockets() == []


def test_tcp__other_hosts_are_refused(guest: Guest) -> None:
    head = struct.pack(">HHIIBBHHH", 40000, 80, 7, 0, 5 << 4, SYN, 1000, 0, 0)
    for target in (bytes((93, 184, 216, 34)), RESOLVER, bytes((127, 0, 0, 1))):
        guest.ip(6, head, target)
        ((_, source, _, segment),) = guest.packets()
        assert source == target and segment[13] == RST | ACK and struct.unpack_from(">I", segment, 8)[0] == 8
    assert guest.net.sockets() == []


def test_tcp__connections_are_bounded(guest: Guest) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        clients = [TcpClient(guest, listener.getsockname()[1], 40000 + at) for at in range(70)]
        for client in clients:
            client.send(SYN)
        refused = [payload for *_, payload in guest.packets() if payload[13] & RST]
        assert len(refused) == 6
        guest.net.poll()
        assert len(guest.net.sockets()) == 64
        guest.driver.start()
        assert guest.net.sockets() == [], "a reset of the device ends them"


def test_udp__there_and_back_with_fragments(guest: Guest) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
        host.bind(("127.0.0.1", 0))
        host.settimeout(LIMIT)
        port = host.getsockname()[1]
        guest.udp(port, b"ping")
        assert guest.net.sockets() == [], "sockets are opened by poll"
        guest.net.poll()
        data, peer = host.recvfrom(100)
        assert data == b"ping"
        host.sendto(bytes(range(250)) * 16, peer)
        found: list[bytes] = []

        def step() -> bool:
            found.extend(payload for protocol, *_, payload in guest.packets() if protocol == 17)
            return len(found) == 3

        guest.until(step)
        whole = b"".join(found)
        assert struct.unpack_from(">HHH", whole) == (port, 4000, 4008) and whole[8:] == bytes(range(250)) * 16


def test_udp__refusals_by_icmp(guest: Guest) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    guest.udp(port, b"ping")
    found: list[tuple[int, bytes, bytes, bytes]] = []

    def step() -> bool:
        found.extend(guest.packets())
        return bool(found)

    guest.until(step)
    assert found[0][3][:2] == b"\x03\x03" and guest.net.sockets() == []
    guest.udp(123, b"x", bytes((8, 8, 8, 8)))
    ((protocol, _, _, payload),) = guest.packets()
    assert protocol == 1 and payload[:2] == b"\x03\x0d" and payload[8 + 16 : 8 + 20] == bytes((8, 8, 8, 8))


def test_udp__flows_are_bounded(guest: Guest) -> None:
    for at in range(100):
        guest.udp(9, b"x", source_port=5000 + at)
    assert len(guest.net._gateway._flows) == 64


def test_spoofed_source__dropped(guest: Guest) -> None:
    guest.ip(1, b"\x08\x00\x00\x00\x12\x34\x00\x01", GATEWAY, bytes((10, 0, 2, 77)))
    assert guest.frames() == []


def test_receive__waits_for_buffers_and_asks_to_be_told(guest: Guest) -> None:
    guest.driver.start()
    guest.receive, guest.transmit = guest.driver.queues
    assert guest.receive.avail_event() == 0xFFFF, "nothing waits: no notification of buffers"
    for _ in range(3):
        guest.ip(1, b"\x08\x00\x00\x00\x12\x34\x00\x01")
    assert guest.receive.avail_event() == 0, "frames wait: the next buffer is notified"
    guest.refill()
    assert len(guest.frames()) == 3


def test_receive_buffer__too_small_needs_reset(guest: Guest) -> None:
    guest.driver.start()
    guest.receive, guest.transmit = guest.driver.queues
    guest.receive.add([], [40])
    guest.receive.kick()
    guest.ip(1, b"\x08\x00\x00\x00\x12\x34\x00\x01")
    assert guest.driver.broken and "receive buffer of 40 bytes" in guest.driver.events[-1]


class Clock:
    ns = 3_000_000_042

    def after(self, ns: int, action: Callable[[], None]) -> object:
        raise AssertionError


def test_pcap__both_directions_in_virtual_time(tmp_path: Path) -> None:
    path = tmp_path / "link.pcap"
    guest = Guest(Pcap(str(path), Clock()))  # type: ignore[arg-type]
    echo = b"\x08\x00\x00\x00\x12\x34\x00\x01"
    frame = b"\xff" * 6 + MAC + b"\x08\x00" + bytes((0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0)) + GUEST + GATEWAY + echo
    guest.send(frame, struct.pack("<BBHHHHH", 1, 0, 0, 0, 34, 2, 0))
    guest.net.close()
    data = path.read_bytes()
    assert struct.unpack_from("<IHHiIII", data) == (0xA1B23C4D, 2, 4, 0, 0, 1 << 18, 1)
    assert struct.unpack_from("<IIII", data, 24) == (3, 42, len(frame), len(frame))
    assert data[40:][: len(frame)] == frame[:36] + struct.pack(">H", 0xFFFF - ones(echo)) + frame[38:], "as on a wire"
    assert len(data) == 40 + len(frame) + 16 + len(frame)


def test_pcap__one_line_for_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        Pcap(str(tmp_path / "none" / "x.pcap"), Clock())  # type: ignore[arg-type]


_HEADS = st.sampled_from(
    [
        b"\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01" + MAC + GUEST + bytes(6) + GATEWAY,
        b"\x08\x00\x45\x00\x00\x30\x00\x00\x00\x00\x40\x11\x00\x00"
        + bytes(4)
        + b"\xff" * 4
        + b"\x00\x44\x00\x43\x00\x1c",
        b"\x08\x00\x45\x00\x00\x30\x00\x00\x00\x00\x40\x11\x00\x00"
        + GUEST
        + RESOLVER
        + b"\x0f\xff\x00\x35\x00\x1c\x00\x00",
        b"\x08\x00\x45\x00\x00\x30\x00\x00\x00\x00\x40\x06\x00\x00" + GUEST + GATEWAY + b"\x0f\xff\x00\x01",
        b"\x08\x00\x4f\x00\x00\x30\x00\x00\x00\x00\x40\x01\x00\x00" + GUEST + GATEWAY,
        b"",
    ]
)


@settings(max_examples=300)
@given(
    frames=st.lists(st.tuples(_HEADS, st.binary(max_size=80)), max_size=8), header=st.binary(min_size=12, max_size=12)
)
def test_any_frame__no_exception(frames: list[tuple[bytes, bytes]], header: bytes) -> None:
    guest = Guest()
    for head, rest in frames:
        guest.send(b"\xff" * 6 + MAC + head + rest, header)
    assert not guest.driver.broken
    guest.frames()
    guest.net.close()
