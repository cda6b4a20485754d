# SPDX-License-Identifier: GPL-2.0-or-later
"""What the gateway answers by itself: DHCP (RFC 2131) with one lease, DNS (RFC 1035) from a small table."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

_MAGIC: Final = b"\x63\x82\x53\x63"
_BOOTP: Final = struct.Struct(">BBBBIHH4s4s4s4s16s64s128s")
_DISCOVER, _OFFER, _REQUEST, _ACK, _NAK, _INFORM = 1, 2, 3, 5, 6, 8
_A: Final = 1
_IN: Final = 1
_TTL: Final = 3600


class Dhcp:
    """address: the one that there is to give; mask, router, resolver: what goes with it."""

    def __init__(self, address: bytes, mask: bytes, router: bytes, resolver: bytes) -> None:
        self._address = address
        self._router = router
        self._settings = b"".join(
            bytes((code, 4)) + value for code, value in ((1, mask), (3, router), (6, resolver), (51, b"\xff" * 4))
        )

    def answer(self, request: bytes) -> bytes | None:
        if len(request) < _BOOTP.size + 4 or request[_BOOTP.size : _BOOTP.size + 4] != _MAGIC:
            return None
        op, kind, size, _, xid, _, flags, client, _, _, _, hardware, _, _ = _BOOTP.unpack_from(request)
        if op != 1:
            return None
        options = _options(request[_BOOTP.size + 4 :])
        message = options.get(53, b"")
        given, reply = self._address, _OFFER
        if message == bytes((_REQUEST,)):
            wanted = options.get(50, client)
            if options.get(54, self._router) != self._router:
                return None  # another server's offer was taken
            reply = _ACK if wanted == self._address else _NAK
        elif message == bytes((_INFORM,)):
            given, reply = bytes(4), _ACK
        elif message != bytes((_DISCOVER,)):
            return None
        settings = b"" if reply == _NAK else self._settings
        given = bytes(4) if reply == _NAK else given
        head = _BOOTP.pack(
            2, kind, size, 0, xid, 0, flags, client, given, self._router, bytes(4), hardware, bytes(64), bytes(128)
        )
        own = bytes((53, 1, reply, 54, 4)) + self._router
        return (head + _MAGIC + own + settings + b"\xff").ljust(300, b"\0")


def _options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 1 < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        size = data[at + 1]
        found.setdefault(data[at], data[at + 2 : at + 2 + size])
        at += 2 + size
    return found


class Dns:
    """names: lower case, each with its IPv4 address.  Nobody else is asked."""

    def __init__(self, names: Mapping[str, bytes]) -> None:
        self._names = {name.lower().rstrip(".").encode(): address for name, address in names.items()}

    def answer(self, query: bytes) -> bytes | None:
        if len(query) < 12:
            return None
        ident, flags, questions = struct.unpack_from(">HHH", query)
        if flags & 0x8000:
            return None
        status = 0x8080 | flags & 0x0100  # QR, RA; RD as asked
        question = _question(query) if questions == 1 and not flags & 0x7800 else None
        if question is None:
            return struct.pack(">HHHHHH", ident, status | 1, 0, 0, 0, 0)  # FORMERR
        name, kind, cls, end = question
        address = self._names.get(name)
        answers = b""
        if address is None:
            status |= 3  # NXDOMAIN
        elif kind == _A and cls == _IN:
            answers = b"\xc0\x0c" + struct.pack(">HHIH", _A, _IN, _TTL, 4) + address
        return struct.pack(">HHHHHH", ident, status, 1, bool(answers), 0, 0) + query[12:end] + answers


def _question(query: bytes) -> tuple[bytes, int, int, int] | None:
    """(name, type, class, where the question ends)"""
    labels = []
    at = 12
    while True:
        if at >= len(query):
            return None
        size = query[at]
        if size == 0:
            break
        if size > 63 or at + 1 + size > len(query) or at > 12 + 255:
            return None
        labels.append(query[at + 1 : at + 1 + size])
        at += 1 + size
    if at + 5 > len(query):
        return None
    kind, cls = struct.unpack_from(">HH", query, at + 1)
    return b".".join(labels).lower(), kind, cls, at + 5
