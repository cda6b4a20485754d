# SPDX-License-Identifier: GPL-2.0-or-later
"""The socket: one GDB at a time, on loopback unless told otherwise."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator

from bridge.errors import UserError
from bridge.gdb.debuggee import Debuggee
from bridge.gdb.packets import ACK, INTERRUPT, NAK, Decoder, encode
from bridge.gdb.session import Resume, Session

LOOPBACK = "127.0.0.1"
# Seconds that a GDB may take to read what it is sent
PATIENCE = 30.0
# Seconds between looks at the socket, which are not to cost anything
BETWEEN_LOOKS = 0.02


class Killed(Exception):
    """GDB wants the machine to end."""


def parse_address(text: str) -> tuple[str, int]:
    """`[HOST:]PORT`; UserError for anything else."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isdecimal() or not 0 <= int(port) < 1 << 16:
        raise UserError(f"--gdb {text}: expected [HOST:]PORT, e.g. --gdb 1234")
    return host or LOOPBACK, int(port)


class Server:
    """Listens from the start.  Between `serve` calls the machine runs, and `poll` says when GDB wants it to stop."""

    def __init__(self, host: str, port: int, debuggee: Debuggee) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((host, port))
        except OSError as error:
            self._listener.close()
            raise UserError(f"--gdb {host}:{port}: {error.strerror or error}") from None
        self._listener.listen(1)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._debuggee = debuggee
        self._peer: socket.socket | None = None
        self._session: Session | None = None
        self._decoder = Decoder()
        self._waiting = False  # GDB waits for a stop reply
        self._last = b""
        self._next_look = 0.0

    @property
    def connected(self) -> bool:
        return self._peer is not None

    def close(self) -> None:
        self._drop()
        self._listener.close()

    def accept(self, timeout: float | None) -> bool:
        """Takes a GDB that knocks, if none is here; None waits for it."""
        if self._peer is not None or not select.select([self._listener], [], [], timeout)[0]:
            return False
        self._peer, _ = self._listener.accept()
        self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peer.settimeout(PATIENCE)
        self._decoder = Decoder()
        self._session = Session(self._debuggee)
        self._waiting = False
        return True

    def poll(self) -> str | None:
        """While the machine runs: why it is to stop now, if GDB has come or has asked."""
        now = time.monotonic()
        if now < self._next_look:
            return None
        self._next_look = now + BETWEEN_LOOKS
        if self.accept(0):
            return "GDB has come"
        if self._peer is None or not select.select([self._peer], [], [], 0)[0]:
            return None
        # Only an interrupt may come now; what else comes means nothing.
        return "interrupted" if any(packet == INTERRUPT for packet in self._receive()) else None

    def serve(self, reply: bytes, text: str = "") -> str:
        """The machine stands still: answers GDB until it is to go on.  reply: a stop reply packet.

        Without a GDB it goes on at once.  One that is lost without a word leaves it as it is, for the next one.
        Killed when GDB says so.  `s` or `c` where it is to go backwards.
        """
        if self._session is None:
            return ""
        if self._waiting:
            self._waiting = False
            if text:
                self._send(b"O" + (text + "\n").encode().hex().encode())
            self._send(reply)
        while True:
            if self._session is None:
                self.accept(None)
            session = self._session
            assert session is not None
            session.stopped(reply)
            before = None
            for packet in self._receive():
                if self._session is not session:
                    break  # that GDB is lost
                if packet is not None and packet.startswith(b"$") and not session.no_ack:
                    if packet == before:
                        continue  # sent again while nobody had acknowledged it
                    before = packet
                answer = self._answer(session, packet)
                if isinstance(answer, Resume):
                    self._waiting = not (answer.kill or answer.over)
                    if answer.over:
                        self._send(b"OK")
                    if not self._waiting:
                        self._drop()
                    if answer.kill:
                        raise Killed
                    return answer.back

    def _answer(self, session: Session, packet: bytes | None) -> Resume | None:
        """Answers one packet; Resume where the machine is to go on."""
        if packet == NAK:
            self._raw(self._last)
        elif packet is None:
            self._raw(b"" if session.no_ack else NAK)
        elif packet.startswith(b"$"):
            if not session.no_ack:
                self._raw(ACK)
            answer = session.handle(packet[1:])
            if isinstance(answer, Resume):
                return answer
            self._send(answer)
        return None

    def exited(self, code: int) -> None:
        """The machine has ended."""
        if self._waiting:
            self._send(b"W%02x" % (code & 0xFF))
        self._drop()

    def _receive(self) -> Iterator[bytes | None]:
        assert self._peer is not None
        try:
            select.select([self._peer], [], [])
            data = self._peer.recv(65536)
        except OSError:  # it is gone, and that is all
            data = b""
        if not data:
            self._drop()
            return iter(())
        return iter(list(self._decoder.feed(data)))

    def _send(self, payload: bytes) -> None:
        self._last = encode(payload)
        self._raw(self._last)

    def _raw(self, data: bytes) -> None:
        if self._peer is None:
            return
        try:
            self._peer.sendall(data)
        except OSError:
            self._drop()

    def _drop(self) -> None:
        if self._peer is None:
            return
        self._peer.close()
        self._peer = self._session = None
        self._waiting = False
        self._debuggee.detach()
