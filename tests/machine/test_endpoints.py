"""The host's ends of consoles: bytes through files, sockets and a terminal; nothing before the start, nothing lost."""

from __future__ import annotations

import os
import pty
import socket
from pathlib import Path

import pytest

from bridge.errors import UserError
from machine.devices.console import MAX_BACKLOG, Console
from machine.devices.endpoints import ByteConsole, Endpoints, InputFile, Keyboard, OutputFile, Server
from machine.devices.pl011 import DR, LCR_H, Pl011


class Guest:
    """A console with a UART behind it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.uart = Pl011(console.write)
        self.uart.write(LCR_H, 4, 0x10)
        console.plug(self.uart.feed)
        self.uart.drained = console.drained

    def read(self, count: int) -> bytes:
        return bytes(self.uart.read(DR, 4) & 0xFF for _ in range(count))

    def say(self, data: bytes) -> None:
        for byte in data:
            self.uart.write(DR, 4, byte)


def text_console() -> tuple[Console, list[str]]:
    out: list[str] = []
    return Console("NS", out.append), out


def test_feed__more_than_the_fifo_holds_arrives_in_order() -> None:
    guest = Guest(text_console()[0])
    data = bytes(range(1, 256)) * 4
    guest.console.feed(data[:500])
    guest.console.feed(data[500:])
    assert guest.read(len(data)) == data


def test_feed__without_a_uart_and_beyond_all_bounds() -> None:
    console, _ = text_console()
    console.feed(b"nobody listens")
    guest = Guest(console)
    assert guest.read(1) == b"\0"
    block = b"x" * (1 << 20)
    for _ in range(MAX_BACKLOG // len(block) + 5):
        console.feed(block)
    assert len(console._backlog) <= MAX_BACKLOG + len(block)


def test_output_file__exact_bytes(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    file = OutputFile(str(path))
    guest = Guest(ByteConsole("uart", file.write))
    guest.say(b"before the start")
    assert path.read_bytes() == b"old", "nothing is touched before the run"
    file.start()
    guest.say(b"\xff\x1b[2J\r\n")
    file.stop()
    guest.say(b"after")
    assert path.read_bytes() == b"\xff\x1b[2J\r\n"


@pytest.mark.parametrize("name", ["no/such", "."])
def test_output_file__one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError) as caught:
        OutputFile(str(tmp_path / name)).start()
    assert str(tmp_path) in str(caught.value)


def test_output_file__a_fifo_that_nobody_reads(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UserError):
        OutputFile(str(tmp_path / "fifo")).start()


def test_input_file__all_of_it_from_the_start_on(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"root\nls\n" * 20)
    guest = Guest(text_console()[0])
    end = InputFile(str(tmp_path / "in"), guest.console)
    end.start()
    assert guest.read(160) == b"root\nls\n" * 20
    with pytest.raises(UserError, match="not a file"):
        InputFile("/dev/zero", guest.console).start()


@pytest.fixture
def unix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    return "console"


def connect(path: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(10)
    client.connect(path)
    return client


def served(path: str) -> tuple[Server, Guest]:
    server = Server(path, wait=False)
    server.console = ByteConsole("uart", server.write)
    server.start()
    return server, Guest(server.console)


def test_socket__both_ways_and_a_second_visitor(unix: str) -> None:
    server, guest = served(unix)
    guest.say(b"dropped: nobody is there")
    assert not server.poll()
    for _ in range(2):
        with connect(unix) as client:
            server.poll()
            guest.say(b"login: ")
            assert client.recv(100) == b"login: "
            client.sendall(b"root\n")
            assert server.poll()
            assert guest.read(5) == b"root\n"
        server.poll()
    server.stop()
    assert not os.path.exists(unix)


def test_socket__a_visitor_who_has_left_ends_nothing(unix: str) -> None:
    server, guest = served(unix)
    client = connect(unix)
    server.poll()
    client.close()
    for _ in range(100):
        guest.say(b"x" * 100)
    server.poll()
    server.stop()


def test_socket__a_visitor_who_never_reads_costs_bounded_memory(unix: str) -> None:
    server, _ = served(unix)
    with connect(unix):
        server.poll()
        for _ in range(100):
            server.write(b"x" * 100_000)
        assert len(server._unsent) <= 2 << 20


def test_socket__left_over_or_something_else_at_its_path(unix: str) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(unix)
    server, _ = served(unix)
    server.stop()
    Path(unix).write_bytes(b"precious")
    with pytest.raises(UserError):
        Server(unix, wait=False).start()
    assert Path(unix).read_bytes() == b"precious"


def test_socket__another_machine_listens_there(unix: str) -> None:
    first, guest = served(unix)
    with pytest.raises(UserError, match="console: Address already in use"):
        Server(unix, wait=False).start()
    first.poll()  # the visit of the second one
    first.poll()
    with connect(unix) as client:
        first.poll()
        guest.say(b"still here")
        assert client.recv(100) == b"still here"
    first.stop()


def test_socket__interrupted_while_it_waits(unix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = Endpoints()
    server = Server(unix, wait=True)
    ends.add(server)

    def interrupt(_self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "_accept", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ends.start()
    assert not os.path.exists(unix), "nothing is left behind"


def test_tcp__port_in_use_is_one_line() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"127.0.0.1:{port}: Address already in use"):
            Server(("127.0.0.1", port), wait=False).start()


class Terminal:
    """A pseudo-terminal with the machine at its inner end."""

    def __init__(self) -> None:
        self.outer, self.inner = pty.openpty()
        self.left = 0
        self.guest = Guest(text_console()[0])
        self.keyboard = Keyboard(self.guest.console, self.inner, leave=self._leave)

    def _leave(self) -> None:
        self.left += 1

    def type(self, data: bytes) -> bytes:
        os.write(self.outer, data)
        self.keyboard.poll()
        return self.guest.read(len(data)).rstrip(b"\0")

    def close(self) -> None:
        self.keyboard.stop()
        os.close(self.outer)
        os.close(self.inner)


def test_keyboard__raw_with_one_escape() -> None:
    import termios

    terminal = Terminal()
    before = termios.tcgetattr(terminal.inner)
    terminal.keyboard.start()
    assert terminal.type(b"\x03\r\x1b") == b"\x03\r\x1b", "Ctrl-C, Enter and Esc are the guest's"
    assert terminal.type(b"a\x01\x01b") == b"a\x01b"
    assert terminal.type(b"a\x01") == b"a"
    assert terminal.type(b"qb") == b"b", "an unknown escape is swallowed"
    assert terminal.left == 0
    assert terminal.type(b"c\x01xd") == b"c" and terminal.left == 1
    terminal.keyboard.stop()
    assert termios.tcgetattr(terminal.inner) == before
    terminal.close()


def test_keyboard__ctrl_a_x_interrupts_by_default() -> None:
    terminal = Terminal()
    keyboard = Keyboard(terminal.guest.console, terminal.inner)
    keyboard.start()
    os.write(terminal.outer, b"\x01x")
    with pytest.raises(KeyboardInterrupt):
        keyboard.poll()
    keyboard.stop()
    terminal.close()


def test_pipe__to_its_end_without_escapes() -> None:
    inner, outer = os.pipe()
    guest = Guest(text_console()[0])
    keyboard = Keyboard(guest.console, inner)
    ends = Endpoints()
    ends.add(keyboard)
    ends.start()
    assert ends.live and not ends.poll()
    os.write(outer, b"\x01x")
    assert ends.wait(10) and guest.read(2) == b"\x01x"
    os.close(outer)
    assert not ends.wait(10) and not ends.live
    ends.stop()
    os.close(inner)


def test_start__all_or_none(tmp_path: Path) -> None:
    ends = Endpoints()
    first = OutputFile(str(tmp_path / "first"))
    ends.add(first)
    ends.add(OutputFile(str(tmp_path / "no" / "second")))
    with pytest.raises(UserError):
        ends.start()
    assert first._file is None, "closed again"
