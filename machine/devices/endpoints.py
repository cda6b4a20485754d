# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's ends of consoles: files, sockets, the terminal.

Nothing here is opened before `start`.  Between start and stop, `poll` moves what has arrived; no guest can wait for it.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol

from bridge.errors import UserError

from .console import Console

if TYPE_CHECKING:
    import socket

# What a slow or absent reader is owed at most; the rest is dropped.
MAX_UNSENT = 1 << 20
MAX_INPUT = 16 << 20
_CHUNK = 4096

ESCAPE = 0x01  # Ctrl-A


class Endpoint(Protocol):
    """What a console leads to, or what feeds it."""

    def start(self) -> None: ...

    def poll(self) -> bool:
        """Takes what has arrived, without waiting; whether anything has."""
        ...

    def waits_for(self) -> Sequence[int]:
        """File descriptors that become readable when `poll` has something to do."""
        ...

    def stop(self) -> None: ...


class ByteConsole(Console):
    """A console whose output is bytes as the guest sent them, without labels or escapes."""

    def __init__(self, label: str, sink: Callable[[bytes], object]) -> None:
        super().__init__(label, _no_text)
        self._bytes = sink

    def write(self, data: bytes) -> None:
        self._bytes(data)

    def flush(self) -> None:
        """Nothing is kept back."""


def _no_text(_text: str) -> None:
    """Output goes nowhere."""


class _Still:
    """An endpoint that nothing arrives at."""

    def poll(self) -> bool:
        return False

    def waits_for(self) -> Sequence[int]:
        return ()


class OutputFile(_Still):
    """A file that gets what the guest writes, from its start on."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self.written = 0  # bytes

    def start(self) -> None:
        try:
            # Without O_NONBLOCK a FIFO that nobody reads would hold the run before it begins.
            flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | (0 if self.written else os.O_TRUNC)
            self._file = os.fdopen(os.open(self._path, flags, 0o666), "wb")
            if self.written:
                self._go_on(self._file)
        except OSError as error:
            raise UserError(f"{self._path}: {error.strerror}") from None

    def _go_on(self, file: IO[bytes]) -> None:
        """What a snapshot's machine had written stays, and what came after it goes."""
        if os.fstat(file.fileno()).st_size < self.written:
            raise UserError(f"{self._path}: shorter than when the snapshot was taken")
        os.ftruncate(file.fileno(), self.written)
        file.seek(self.written)

    def go_back_to(self, written: int) -> None:
        """What comes after that is written again."""
        self.written = written
        if self._file is not None:
            self._file.seek(written)

    def write(self, data: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(data)
            self.written += len(data)
        except BlockingIOError:
            return
        except OSError as error:
            self.stop()
            raise UserError(f"{self._path}: {error.strerror}") from None

    def stop(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                raise UserError(f"{self._path}: {error.strerror}") from None


class InputFile(_Still):
    """A file whose whole content is input from the first instruction on: such a run can be repeated."""

    def __init__(self, path: str, console: Console) -> None:
        self._path = path
        self.console = console
        self.fed = False

    def start(self) -> None:
        if self.fed:  # the snapshot's machine has it
            return
        try:
            with open(self._path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise UserError(f"{self._path}: not a file")
                data = file.read(MAX_INPUT + 1)
        except OSError as error:
            raise UserError(f"{self._path}: {error.strerror}") from None
        if len(data) > MAX_INPUT:
            raise UserError(f"{self._path}: more than {MAX_INPUT >> 20}M of console input")
        self.console.feed(data)
        self.fed = True

    def stop(self) -> None:
        """Read once."""


class Server:
    """A listening socket and the one peer that it serves at a time.

    address: (host, port), or the path of a Unix socket.  wait: `start` returns when somebody has connected.
    """

    def __init__(self, address: tuple[str, int] | str, *, wait: bool) -> None:
        self._address = address
        self._wait = wait
        self._listener: socket.socket | None = None
        self._peer: socket.socket | None = None
        self._unsent = bytearray()
        self._flags = 0
        self.console: Console | None = None

    def start(self) -> None:
        address = self._address
        name = address if isinstance(address, str) else f"{address[0]}:{address[1]}"
        import socket  # 3 ms, and few machines have one

        # A peer that has left must not end the process.
        self._flags = getattr(socket, "MSG_NOSIGNAL", 0)
        try:
            if isinstance(address, str):
                family: Any = socket.AF_UNIX
                with socket.socket(family, socket.SOCK_STREAM) as other:
                    if other.connect_ex(address) == 0:
                        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
                _remove_socket(address)
            else:
                family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            listener = socket.socket(family, socket.SOCK_STREAM)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
                listener.listen(1)
            except OSError:
                listener.close()
                raise
            self._listener = listener
            if self._wait:
                print(f"ccabridge: waiting for a connection to {name}", file=sys.stderr)
                self._accept()
            listener.setblocking(False)
        except OSError as error:
            self.stop()
            raise UserError(f"{name}: {error.strerror or error}") from None

    def _accept(self) -> None:
        assert self._listener is not None
        self._peer, _ = self._listener.accept()
        self._peer.setblocking(False)
        self._unsent.clear()

    def write(self, data: bytes) -> None:
        if self._peer is not None and len(self._unsent) < MAX_UNSENT:
            self._unsent += data
            self._send()

    def _send(self) -> None:
        try:
            while self._peer is not None and self._unsent:
                del self._unsent[: self._peer.send(self._unsent, self._flags)]
        except BlockingIOError:
            return
        except OSError:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._peer is not None:
            self._peer.close()
        self._peer = None
        self._unsent.clear()

    def poll(self) -> bool:
        if self._listener is None:
            return False
        if self._peer is None:
            try:
                self._accept()
            except OSError:
                return False
        self._send()
        if self._peer is None:
            return False
        try:
            data = self._peer.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._hang_up()
        elif self.console is not None:
            self.console.feed(data)
        return bool(data)

    def waits_for(self) -> Sequence[int]:
        waits = self._peer or self._listener
        return () if waits is None else (waits.fileno(),)

    def stop(self) -> None:
        if self._peer is not None:
            try:
                # What is left goes out, as far as it can within a second.
                self._peer.settimeout(1)
                self._peer.sendall(self._unsent, self._flags)
            except OSError:
                self._unsent.clear()
        self._hang_up()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            if isinstance(self._address, str):
                _remove_socket(self._address)


def _remove_socket(path: str) -> None:
    """Removes a socket that is left over, and nothing that is no socket."""
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        return


class Keyboard:
    """Standard input.  A terminal is made raw: Ctrl-A x ends the machine, Ctrl-A Ctrl-A is Ctrl-A."""

    def __init__(self, console: Console, fd: int = 0, *, leave: Callable[[], None] | None = None) -> None:
        self.console = console
        self._fd = fd
        self._leave = leave or _interrupt
        self._saved: list[Any] | None = None
        self._caught: list[int] = []
        self._open = False
        self._terminal = False
        self._escaped = False

    def start(self) -> None:
        self._open = True
        self._terminal = os.isatty(self._fd)
        if self._terminal:
            import termios

            self._saved = termios.tcgetattr(self._fd)
            raw = termios.tcgetattr(self._fd)
            raw[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.IXON | termios.ISTRIP)
            # Output keeps its processing: the report at the end is written to the same terminal.
            raw[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
            raw[6][termios.VMIN], raw[6][termios.VTIME] = 0, 0
            termios.tcsetattr(self._fd, termios.TCSANOW, raw)
            self._catch()

    def poll(self) -> bool:
        if not self._open or not _readable((self._fd,), 0):
            return False
        try:
            data = os.read(self._fd, _CHUNK)
        except OSError:
            data = b""
        if not data and not self._terminal:
            self._open = False
        if self._terminal:
            data = self._unescape(data)
        if data:
            self.console.feed(data)
        return bool(data)

    def _unescape(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if not self._escaped:
                self._escaped = byte == ESCAPE
                if self._escaped:
                    continue
            else:
                self._escaped = False
                if byte in b"xX":
                    self._leave()
                    return bytes(out)
                if byte not in (ESCAPE, ord("a")):
                    continue
                byte = ESCAPE
            out.append(byte)
        return bytes(out)

    def waits_for(self) -> Sequence[int]:
        return (self._fd,) if self._open else ()

    def _catch(self) -> None:
        """A raw terminal is no use to who is left with it: a signal that kills gives it back first."""
        import signal
        import threading

        if threading.current_thread() is not threading.main_thread():
            return  # handlers are the main thread's

        def killed(number: int, _frame: object) -> None:
            self.stop()
            os.kill(os.getpid(), number)

        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, killed)
                self._caught.append(number)

    def stop(self) -> None:
        self._open = False
        if self._saved is not None:
            import termios

            try:
                termios.tcsetattr(self._fd, termios.TCSANOW, self._saved)
            except termios.error:  # the terminal is gone, and with it what there was to give back
                pass
            self._saved = None
        if self._caught:
            import signal

            for number in self._caught:
                signal.signal(number, signal.SIG_DFL)
            self._caught.clear()


def _readable(fds: Sequence[int], seconds: float) -> bool:
    import select

    return bool(select.select(fds, (), (), seconds)[0])


def _interrupt() -> None:
    raise KeyboardInterrupt


class Endpoints:
    """All ends of a machine's consoles."""

    def __init__(self) -> None:
        self._all: list[Endpoint] = []
        self._started: list[Endpoint] = []

    def add(self, endpoint: Endpoint) -> None:
        self._all.append(endpoint)

    def start(self) -> None:
        """Opens them in order; UserError, with none left open, when one cannot be."""
        try:
            for endpoint in self._all:
                self._started.append(endpoint)
                endpoint.start()
        except BaseException:
            self.stop()
            raise

    @property
    def every(self) -> Sequence[Endpoint]:
        """In the order in which they start."""
        return self._all

    def paced(self, reached: int) -> int:
        """How far an idle machine gets, which wall time has it that reaches so far."""
        return reached

    def open(self, endpoint: Endpoint) -> None:
        """Adds one to those that are started already."""
        self._started.append(endpoint)
        endpoint.start()

    def poll(self) -> bool:
        """Moves what has arrived to the consoles; whether anything has.  Between slices only."""
        arrived = False
        for endpoint in self._started:
            arrived |= endpoint.poll()
        return arrived

    @property
    def positions(self) -> list[int]:
        """How far each file has got: what `go_on_at` takes."""
        return [end.written if isinstance(end, OutputFile) else int(isinstance(end, InputFile)) for end in self._all]

    def go_on_at(self, positions: Sequence[int]) -> None:
        """Files go on where those of a snapshot's machine were.  ValueError for other files."""
        for end, position in zip(self._all, positions, strict=True):
            if isinstance(end, OutputFile):
                end.go_back_to(position)
            elif isinstance(end, InputFile):
                end.fed = True

    @property
    def live(self) -> bool:
        """Whether input may still come: a machine in which all PEs wait for it is not stuck."""
        return any(endpoint.waits_for() for endpoint in self._started)

    def wait(self, seconds: float) -> bool:
        """Waits for input, in wall time, and moves it."""
        fds = [fd for endpoint in self._started for fd in endpoint.waits_for()]
        if fds:
            _readable(fds, seconds)
        return self.poll()

    def stop(self) -> None:
        """Closes all, the last first; the first error of them is raised when all are closed."""
        failed: UserError | None = None
        while self._started:
            try:
                self._started.pop().stop()
            except UserError as error:
                failed = failed or error
        if failed is not None:
            raise failed
