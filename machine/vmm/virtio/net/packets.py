# SPDX-License-Identifier: GPL-2.0-or-later
"""Ethernet, ARP, IPv4, ICMP, UDP and TCP headers (RFC 826, 791, 792, 768, 9293), packed and taken apart.

What comes from the guest may be anything: `parse_*` return None for what is not a whole, sane packet.  Checksums of
incoming packets are not looked at: the link is memory, and a driver with offloads leaves them out.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_ARP: Final = 0x0806
ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
MTU: Final = 1500

FIN: Final = 1
SYN: Final = 2
RST: Final = 4
PSH: Final = 8
ACK: Final = 16

_IPV4: Final = struct.Struct(">BBHHHBBH4s4s")
_UDP: Final = struct.Struct(">HHHH")
_TCP: Final = struct.Struct(">HHIIBBHHH")
_ARP: Final = struct.Struct(">HHBBH6s4s6s4s")
_FRAGMENT: Final = (MTU - 20) & ~7


class Ipv4(NamedTuple):
    protocol: int
    source: bytes
    target: bytes
    payload: bytes
    start: bytes
    """The header and the first 8 bytes after it, as ICMP errors quote them."""


class Udp(NamedTuple):
    source: int
    target: int
    payload: bytes


class Tcp(NamedTuple):
    """mss, scale: of the options, or None."""

    source: int
    target: int
    sequence: int
    acknowledged: int
    flags: int
    window: int
    mss: int | None
    scale: int | None
    payload: bytes


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071); not for data that is all zeroes."""
    if len(data) & 1:
        data += b"\0"
    # 2^16 is 1 modulo 2^16 - 1: the remainder is the ones' complement sum of the 16-bit words.
    return 0xFFFF - (int.from_bytes(data, "big") % 0xFFFF or 0xFFFF)


def ethernet(target: bytes, source: bytes, kind: int, payload: bytes) -> bytes:
    return target + source + kind.to_bytes(2, "big") + payload


def arp_reply(mac: bytes, address: bytes, target_mac: bytes, target: bytes) -> bytes:
    return _ARP.pack(1, ETHERTYPE_IPV4, 6, 4, 2, mac, address, target_mac, target)


def parse_arp_request(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """(sender's MAC, sender's address, wanted address)"""
    if len(data) < _ARP.size:
        return None
    *kind, mac, sender, _, wanted = _ARP.unpack_from(data)
    return (mac, sender, wanted) if kind == [1, ETHERTYPE_IPV4, 6, 4, 1] else None


def parse_ipv4(data: bytes) -> Ipv4 | None:
    if len(data) < 20:
        return None
    version, _, total, _, fragment, _, protocol, _, source, target = _IPV4.unpack_from(data)
    header = (version & 0xF) * 4
    if version >> 4 != 4 or header < 20 or total < header or total > len(data) or fragment & 0x3FFF:
        return None
    return Ipv4(protocol, source, target, data[header:total], data[: header + 8])


def ipv4(protocol: int, source: bytes, target: bytes, payload: bytes, ident: int) -> list[bytes]:
    """The packet, or the fragments of one that is longer than the MTU."""
    packets = []
    for at in range(0, max(len(payload), 1), _FRAGMENT):
        part = payload[at : at + _FRAGMENT]
        more = at + len(part) < len(payload)
        flags = at >> 3 | 0x2000 * more if more or at else 0x4000  # MF; DF
        header = _IPV4.pack(0x45, 0, 20 + len(part), ident, flags, 64, protocol, 0, source, target)
        packets.append(header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + part)
    return packets


def icmp(kind: int, code: int, rest: bytes) -> bytes:
    """rest: all after the checksum."""
    return bytes((kind, code)) + checksum(bytes((kind, code)) + rest).to_bytes(2, "big") + rest


def _pseudo(source: bytes, target: bytes, protocol: int, size: int) -> bytes:
    return source + target + struct.pack(">HH", protocol, size)


def parse_udp(data: bytes) -> Udp | None:
    if len(data) < 8:
        return None
    source, target, size, _ = _UDP.unpack_from(data)
    return Udp(source, target, data[8:size]) if 8 <= size <= len(data) else None


def udp(source: bytes, source_port: int, target: bytes, target_port: int, payload: bytes) -> bytes:
    header = _UDP.pack(source_port, target_port, 8 + len(payload), 0)
    total = checksum(_pseudo(source, target, UDP, 8 + len(payload)) + header + payload)
    return header[:6] + (total or 0xFFFF).to_bytes(2, "big") + payload


def parse_tcp(data: bytes) -> Tcp | None:
    if len(data) < 20:
        return None
    source, target, sequence, acknowledged, offset, flags, window, _, _ = _TCP.unpack_from(data)
    header = (offset >> 4) * 4
    if not 20 <= header <= len(data):
        return None
    mss, scale = _options(data[20:header]) if flags & SYN else (None, None)
    return Tcp(source, target, sequence, acknowledged, flags, window, mss, scale, data[header:])


def _options(options: bytes) -> tuple[int | None, int | None]:
    mss = scale = None
    at = 0
    while at + 1 < len(options) and options[at]:
        if options[at] == 1:
            at += 1
            continue
        size = options[at + 1]
        if size < 2 or at + size > len(options):
            break
        if options[at] == 2 and size == 4:
            mss = int.from_bytes(options[at + 2 : at + 4], "big")
        elif options[at] == 3 and size == 3:
            scale = min(options[at + 2], 14)
        at += size
    return mss, scale


def tcp(
    source: bytes,
    source_port: int,
    target: bytes,
    target_port: int,
    sequence: int,
    acknowledged: int,
    flags: int,
    window: int,
    payload: bytes = b"",
    options: bytes = b"",
) -> bytes:
    """options: padded to words."""
    offset = (20 + len(options)) << 2
    header = _TCP.pack(source_port, target_port, sequence, acknowledged, offset, flags, window, 0, 0)
    body = options + payload
    total = checksum(_pseudo(source, target, TCP, len(header) + len(body)) + header + body)
    return header[:16] + total.to_bytes(2, "big") + header[18:] + body
