# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets of GDB's remote serial protocol (GDB manual, E.1): framing alone, without a socket."""

from __future__ import annotations

from collections.abc import Iterator

MAX_PACKET = 0x4000
ACK, NAK, INTERRUPT = b"+", b"-", b"\x03"
_ESCAPED = frozenset(b"#$}*")


class ProtocolError(Exception):
    """A packet that means nothing; it is answered by an error."""


def encode(payload: bytes) -> bytes:
    """`$payload#checksum`, with what must be escaped escaped."""
    body = bytearray()
    for byte in payload:
        if byte in _ESCAPED:
            body += bytes((0x7D, byte ^ 0x20))
        else:
            body.append(byte)
    return b"$%s#%02x" % (bytes(body), sum(body) & 0xFF)


def unescape(body: bytes) -> bytes:
    """ProtocolError where the last byte is an escape."""
    if b"}" not in body:
        return body
    out = bytearray()
    at = 0
    while at < len(body):
        byte = body[at]
        if byte == 0x7D:
            at += 1
            if at == len(body):
                raise ProtocolError("an escape at the end")
            byte = body[at] ^ 0x20
        out.append(byte)
        at += 1
    return bytes(out)


class Decoder:
    """Bytes in; packets (`$…`, without frame), INTERRUPT, ACK and NAK out.

    A packet whose checksum is wrong comes out as None: it is to be asked for again.  Garbage between is dropped, and a
    packet that is too long with it.
    """

    def __init__(self) -> None:
        self._body: bytearray | None = None
        self._checksum = bytearray()
        self._in_checksum = False

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        for byte in data:
            if self._body is None:
                if byte == 0x24:  # $
                    self._body = bytearray()
                elif byte == 0x03:
                    yield INTERRUPT
                elif byte in b"+-":
                    yield bytes((byte,))
            elif self._in_checksum:
                self._checksum.append(byte)
                if len(self._checksum) == 2:
                    body, given = bytes(self._body), bytes(self._checksum)
                    self._body = None
                    self._in_checksum = False
                    self._checksum.clear()
                    yield b"$" + body if given.lower() == b"%02x" % (sum(body) & 0xFF) else None
            elif byte == 0x23:  # #
                self._in_checksum = True
            elif byte == 0x24:
                self._body.clear()
            elif len(self._body) >= MAX_PACKET:
                self._body = None
            else:
                self._body.append(byte)


def number(text: bytes) -> int:
    """Hexadecimal digits and nothing else, at most 64 bits."""
    if not text or len(text) > 16 or any(c not in b"0123456789abcdefABCDEF" for c in text):
        raise ProtocolError(f"{text!r} is no number")
    return int(text, 16)


def data_of(text: bytes) -> bytes:
    """Bytes from pairs of hexadecimal digits."""
    if len(text) % 2 or any(c not in b"0123456789abcdefABCDEF" for c in text):
        raise ProtocolError("odd or no hexadecimal digits")
    return bytes.fromhex(text.decode("ascii"))
