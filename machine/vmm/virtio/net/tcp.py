# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's TCP connection that ends here and goes on as one of the host's (RFC 9293, what a perfect link needs of it).

Nothing is lost between guest and gateway, so that nothing is ever sent twice from here.  The host's socket is touched
by `poll` only.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Final, Protocol

from .packets import ACK, FIN, PSH, RST, SYN, Tcp

WINDOW: Final = 0xFFFF
"""Bytes of the guest's that wait for the host."""

MAX_READ: Final = 1 << 16
_MSS: Final = 1460
_MASK: Final = 0xFFFF_FFFF
_LOOPBACK: Final = "127.0.0.1"
_UNDER_WAY: Final = frozenset((errno.EINPROGRESS, errno.EALREADY, errno.EAGAIN, errno.EINTR))
_CONNECTED: Final = frozenset((0, errno.EISCONN))


class Emit(Protocol):
    """Sends a segment to the guest."""

    def __call__(
        self,
        sequence: int,
        acknowledged: int,
        flags: int,
        window: int,
        payload: bytes = b"",
        options: bytes = b"",
    ) -> None: ...


class Connection:
    """syn: the guest's first segment.  initial: our first sequence number.  closed: there is no more to do here."""

    def __init__(self, emit: Emit, syn: Tcp, initial: int) -> None:
        self._emit = emit
        self._port = syn.target
        self._first = syn.sequence
        self._initial = initial
        self._next_in = syn.sequence + 1 & _MASK
        self._next_out = self._acked = initial
        self._scale = syn.scale
        self._mss = max(min(syn.mss or 536, _MSS), 64)
        self._window = syn.window
        self._out = bytearray()
        self._offered = WINDOW
        self._guest_done = self._host_done = self._shut = self._owes = False
        self._open = False
        self.closed = False
        self.socket: socket.socket | None = None

    def close(self) -> None:
        """At once; the guest is not told."""
        self.closed = True
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def _abort(self) -> None:
        self._send(RST)
        self.close()

    def _send(self, flags: int, payload: bytes = b"", options: bytes = b"") -> None:
        self._offered = WINDOW - len(self._out)
        self._owes = False
        self._emit(self._next_out, self._next_in, flags | ACK, self._offered, payload, options)
        self._next_out = self._next_out + len(payload) + bool(flags & FIN) + bool(flags & SYN) & _MASK

    # From the guest

    def began_with(self, segment: Tcp) -> bool:
        return segment.sequence == self._first

    def segment(self, segment: Tcp) -> None:
        """Takes a segment of the guest's."""
        if segment.flags & RST:
            self.close()
        elif self._open and not segment.flags & SYN:
            self._take_ack(segment)
            self._take_data(segment)
            self._end_if_done()

    def acknowledge(self) -> None:
        """Tells the guest how far its data came, after a whole batch of segments."""
        if self._owes and not self.closed:
            self._send(0)

    def _take_ack(self, segment: Tcp) -> None:
        news = segment.acknowledged - self._acked & _MASK
        if segment.flags & ACK and news <= self._next_out - self._acked & _MASK:
            self._acked = segment.acknowledged
            self._window = segment.window << (self._scale or 0)

    def _take_data(self, segment: Tcp) -> None:
        data, fin = segment.payload, bool(segment.flags & FIN)
        if not data and not fin:
            return
        self._owes = True
        had = self._next_in - segment.sequence & _MASK
        if had > len(data) or self._guest_done:
            return
        data = data[had:]
        room = WINDOW - len(self._out)
        if len(data) > room:
            data, fin = data[:room], False
        self._out += data
        self._next_in = self._next_in + len(data) & _MASK
        if fin:
            self._guest_done = True
            self._next_in = self._next_in + 1 & _MASK

    def _end_if_done(self) -> None:
        if self._shut and self._host_done and self._acked == self._next_out:
            self.acknowledge()
            self.close()

    # From the host

    def poll(self, room: Callable[[], bool]) -> None:
        """Connects, writes and reads as far as the host lets.  room: whether the guest takes more frames."""
        try:
            if not self._open:
                self._connect()
            if self._open and not self.closed:
                self._flush()
                self._fetch(room)
                self._end_if_done()
        except OSError:
            self._abort()

    def _connect(self) -> None:
        if self.socket is None:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.socket.setblocking(False)
        error = self.socket.connect_ex((_LOOPBACK, self._port))
        if error in _UNDER_WAY:
            return
        if error not in _CONNECTED:
            raise OSError(error, "connect")
        self._open = True
        options = b"\x02\x04" + _MSS.to_bytes(2, "big")
        if self._scale is not None:
            options += b"\x01\x03\x03\x00"  # ours is 1, so that the guest's counts
        self._send(SYN, options=options)

    def _flush(self) -> None:
        host, out = self.socket, self._out
        assert host is not None
        while out:
            try:
                done = host.send(out)
            except BlockingIOError:
                break
            del out[:done]
        if self._guest_done and not out and not self._shut:
            host.shutdown(socket.SHUT_WR)
            self._shut = True
        if self._offered < WINDOW // 2 and len(out) < WINDOW // 2:
            self._send(0)  # the guest may go on

    def _fetch(self, room: Callable[[], bool]) -> None:
        host = self.socket
        assert host is not None
        allowed = self._window - (self._next_out - self._acked & _MASK)
        if self._host_done or allowed <= 0 or not room():
            return
        try:
            data = host.recv(min(allowed, MAX_READ))
        except BlockingIOError:
            return
        if not data:
            self._host_done = True
            self._send(FIN)
            return
        for at in range(0, len(data), self._mss):
            part = data[at : at + self._mss]
            self._send(PSH if at + len(part) == len(data) else 0, part)
