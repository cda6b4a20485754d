# SPDX-License-Identifier: GPL-2.0-or-later
"""The other end of the guest's link: gateway, name server and DHCP server, and the way to the host's loopback.

Nothing but 127.0.0.1 is reached, by ordinary sockets, without privileges.  The guest's frames come in by `receive`;
sockets are looked at by `poll` only, so that the outside world enters a run at known points.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from . import packets
from .packets import ACK, FIN, ICMP, RST, SYN, TCP, UDP, Ipv4, Tcp, Udp
from .services import Dhcp, Dns
from .tcp import Connection

GUEST: Final = bytes((10, 0, 2, 15))
GATEWAY: Final = bytes((10, 0, 2, 2))
RESOLVER: Final = bytes((10, 0, 2, 3))
MASK: Final = bytes((255, 255, 255, 0))
MAC: Final = bytes.fromhex("52550a000202")

MAX_CONNECTIONS: Final = 64
MAX_FLOWS: Final = 64
MAX_WAITING: Final = 32
"""Datagrams of one flow that wait for `poll`."""

_OWN: Final = (GATEWAY, RESOLVER)
_ANY: Final = bytes(4)
_BROADCAST: Final = b"\xff" * 4
_UNREACHABLE: Final = 3
_PORT: Final = 3
_PROHIBITED: Final = 13


class Flow:
    """UDP from one of the guest's ports to one of the host's."""

    def __init__(self, source: int, target: int) -> None:
        self.source, self.target = source, target
        self.waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
        self.start = b""
        self.socket: socket.socket | None = None

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


class Gateway:
    """names: what DNS knows beside `gateway` and the host's own name, both of which are 10.0.2.2."""

    def __init__(self, names: Mapping[str, bytes] | None = None) -> None:
        self._send: Callable[[bytes], None] = lambda frame: None
        self._mac = b"\xff" * 6
        self._dhcp = Dhcp(GUEST, MASK, GATEWAY, RESOLVER)
        self._dns = Dns({"gateway": GATEWAY, socket.gethostname(): GATEWAY, **(names or {})})
        self._connections: dict[tuple[int, int], Connection] = {}
        self._flows: dict[tuple[int, int], Flow] = {}
        self._ident = 0
        self._initial = 0

    def attach(self, send: Callable[[bytes], None]) -> None:
        """send: takes frames for the guest."""
        self._send = send

    def reset(self) -> None:
        for end in self._ends():
            end.close()
        self._connections.clear()
        self._flows.clear()

    def sockets(self) -> list[socket.socket]:
        """What a run loop with nothing else to do may wait for."""
        return [end.socket for end in self._ends() if end.socket is not None]

    def _ends(self) -> list[Connection | Flow]:
        return [*self._connections.values(), *self._flows.values()]

    # From the guest

    def receive(self, frame: bytes) -> None:
        if len(frame) < 14:
            return
        kind = frame[12] << 8 | frame[13]
        if kind == packets.ETHERTYPE_ARP:
            request = packets.parse_arp_request(frame[14:])
            if request is not None and request[2] in _OWN:
                self._mac = request[0]
                reply = packets.arp_reply(MAC, request[2], request[0], request[1])
                self._send(packets.ethernet(request[0], MAC, kind, reply))
        elif kind == packets.ETHERTYPE_IPV4:
            packet = packets.parse_ipv4(frame[14:])
            if packet is not None:
                self._mac = frame[6:12]
                self._packet(packet)

    def settle(self) -> None:
        """A batch of frames is through."""
        for connection in self._connections.values():
            connection.acknowledge()
        self._sweep()

    def _packet(self, packet: Ipv4) -> None:
        if packet.protocol == UDP:
            datagram = packets.parse_udp(packet.payload)
            if datagram is not None:
                self._datagram(packet, datagram)
        elif packet.source != GUEST:
            return
        elif packet.protocol == TCP:
            segment = packets.parse_tcp(packet.payload)
            if segment is not None:
                self._segment(packet, segment)
        elif packet.protocol == ICMP and packet.target in _OWN:
            echo = packet.payload
            if len(echo) >= 8 and echo[0] == 8:
                self._emit(ICMP, packet.target, packets.icmp(0, 0, echo[4:]))

    def _emit(self, protocol: int, source: bytes, payload: bytes, target: bytes = GUEST) -> None:
        self._ident = self._ident + 1 & 0xFFFF
        mac = b"\xff" * 6 if target == _BROADCAST else self._mac
        for packet in packets.ipv4(protocol, source, target, payload, self._ident):
            self._send(packets.ethernet(mac, MAC, packets.ETHERTYPE_IPV4, packet))

    def _unreachable(self, code: int, start: bytes) -> None:
        self._emit(ICMP, GATEWAY, packets.icmp(_UNREACHABLE, code, bytes(4) + start))

    def _datagram(self, packet: Ipv4, datagram: Udp) -> None:
        if datagram.target == 67 and packet.target in (_BROADCAST, GATEWAY):
            answer = self._dhcp.answer(datagram.payload)
            if answer is not None:
                target = GUEST if packet.source == GUEST else _BROADCAST
                self._emit(UDP, GATEWAY, packets.udp(GATEWAY, 67, target, 68, answer), target)
        elif packet.source != GUEST:
            return
        elif datagram.target == 53 and packet.target in _OWN:
            answer = self._dns.answer(datagram.payload)
            if answer is not None:
                self._emit(UDP, packet.target, packets.udp(packet.target, 53, GUEST, datagram.source, answer))
        elif packet.target == GATEWAY:
            self._flow(packet, datagram)
        elif packet.target != _BROADCAST and packet.target[0] < 224 and packet.target[:3] != GUEST[:3]:
            self._unreachable(_PROHIBITED, packet.start)

    def _flow(self, packet: Ipv4, datagram: Udp) -> None:
        key = datagram.source, datagram.target
        flow = self._flows.pop(key, None)
        if flow is None:
            if len(self._flows) >= MAX_FLOWS:
                self._flows.pop(next(iter(self._flows))).close()  # the one that was silent for longest
            flow = Flow(*key)
        self._flows[key] = flow
        flow.start = packet.start
        flow.waiting.append(datagram.payload)

    def _segment(self, packet: Ipv4, segment: Tcp) -> None:
        key = segment.source, segment.target
        connection = self._connections.get(key) if packet.target == GATEWAY else None
        opening = segment.flags & (SYN | ACK | RST) == SYN
        if opening and connection is not None and not connection.began_with(segment):
            connection.close()  # the guest forgot about it
            connection = None
        if connection is not None and not connection.closed:
            connection.segment(segment)
        elif opening and packet.target == GATEWAY and self._room_for(key):
            self._initial = self._initial + 64_000 & 0xFFFF_FFFF
            self._connections[key] = Connection(partial(self._emit_tcp, *key), segment, self._initial)
        elif not segment.flags & RST:
            self._refuse(packet, segment)

    def _room_for(self, key: tuple[int, int]) -> bool:
        self._sweep()
        return key in self._connections or len(self._connections) < MAX_CONNECTIONS

    def _emit_tcp(
        self,
        guest: int,
        host: int,
        sequence: int,
        acknowledged: int,
        flags: int,
        window: int,
        payload: bytes = b"",
        options: bytes = b"",
    ) -> None:
        segment = packets.tcp(GATEWAY, host, GUEST, guest, sequence, acknowledged, flags, window, payload, options)
        self._emit(TCP, GATEWAY, segment)

    def _refuse(self, packet: Ipv4, segment: Tcp) -> None:
        """RST for what nobody listens to (RFC 9293 §3.10.7.1)."""
        if segment.flags & ACK:
            sequence, acknowledged, flags = segment.acknowledged, 0, RST
        else:
            size = len(segment.payload) + bool(segment.flags & SYN) + bool(segment.flags & FIN)
            sequence, acknowledged, flags = 0, segment.sequence + size & 0xFFFF_FFFF, RST | ACK
        answer = packets.tcp(packet.target, segment.target, GUEST, segment.source, sequence, acknowledged, flags, 0)
        self._emit(TCP, packet.target, answer)

    def _sweep(self) -> None:
        for key in [key for key, connection in self._connections.items() if connection.closed]:
            del self._connections[key]

    # From the host

    def poll(self, room: Callable[[], bool]) -> None:
        """Looks at the sockets.  room: whether the guest takes more frames now."""
        if self._connections:
            for connection in list(self._connections.values()):
                connection.poll(room)
            self._sweep()
        for key, flow in list(self._flows.items()):
            try:
                self._poll_flow(flow, room)
            except OSError:  # nobody there: ECONNREFUSED
                self._unreachable(_PORT, flow.start)
                flow.close()
                del self._flows[key]

    def _poll_flow(self, flow: Flow, room: Callable[[], bool]) -> None:
        if flow.socket is None:
            flow.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            flow.socket.setblocking(False)
            flow.socket.connect(("127.0.0.1", flow.target))
        try:
            while flow.waiting:
                flow.socket.send(flow.waiting[0])
                flow.waiting.popleft()
        except BlockingIOError:
            pass
        try:
            while room():
                data = flow.socket.recv(0xFFFF)
                self._emit(UDP, GATEWAY, packets.udp(GATEWAY, flow.target, GUEST, flow.source, data))
        except BlockingIOError:
            pass
