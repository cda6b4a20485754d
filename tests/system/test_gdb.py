# SPDX-License-Identifier: GPL-2.0-or-later
"""GDB at real machines: the real one where it is installed, and a client that speaks in packets."""

from __future__ import annotations

import random
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.gdb.packets import Decoder, encode
from tests.system.cli import LAUNCH, ccabridge
from tests.system.transcripts import ROOT

GDB = shutil.which("gdb", path=str(Path(sys.executable).parent)) or shutil.which("gdb-multiarch")
needs_gdb = pytest.mark.skipif(GDB is None, reason="no GDB: pip install gdb-for-pwndbg")


class Served:
    """`ccabridge run NAME --gdb 0 …` in a process of its own."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, "run", *words, "--gdb", "0", "--timeout", "90"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline().decode()
        match = re.search(r"(\d+)$", line.strip())
        assert match, line
        self.port = int(match[1])

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out.decode(), err.decode()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def gdb(served: Served, *commands: str, elf: str = "hello") -> str:
    """What GDB prints."""
    assert GDB is not None
    first = ("set pagination off", "set confirm off", "set width 0", f"file {ROOT}/firmware/build/{elf}.elf")
    words = [word for text in (*first, f"target remote 127.0.0.1:{served.port}", *commands) for word in ("-ex", text)]
    done = subprocess.run(
        [GDB, "-nx", "-batch", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=90, check=False
    )
    return done.stdout.decode()


@pytest.fixture
def hello() -> Iterator[Served]:
    served = Served("hello-realm", "-S")
    yield served
    served.close()


@needs_gdb
def test_gdb__drives_a_realm(hello: Served) -> None:
    out = gdb(
        hello,
        "monitor only realm",
        "break main",
        "continue",
        "info threads",
        "backtrace",
        "stepi",
        "stepi",
        "p/x $pc - (unsigned long)&main",
        "p/x $SCTLR_EL1",
        "x/i $pc",
        "monitor realm",
        "monitor walk main fetch",
        "awatch -location *(unsigned long *)($sp + 16)",
        "continue",
        "delete",
        "continue",
    )
    assert "hit Breakpoint 1, 0x" in out and "in main ()" in out
    assert re.search(r'\* 2 +Thread 2 "Realm R-EL1, REC 0 of realm 0x', out)
    assert "$1 = 0x8" in out  # two instructions on
    assert "$2 = 0xc50878" in out  # SCTLR_EL1 of a new REC (rmm-abi.md §7.6), MMU off
    assert re.search(r"realm 0x\w+: ACTIVE", out)
    assert re.search(r"= PA 0x\w+, realm", out)
    assert "Hardware access (read/write) watchpoint 2: -location *(unsigned long *)($sp + 16)" in out
    assert "Value = " in out
    assert "exited normally" in out
    code, printed, _ = hello.end()
    assert (code, printed) == (0, ccabridge("run", "hello-realm").out)  # not an instruction more or less


@needs_gdb
def test_gdb__two_recs_and_more() -> None:
    served = Served("smp", "-S")
    try:
        out = gdb(
            served,
            "monitor only realm",
            "break count",
            "continue",
            "continue",
            "info threads",
            "thread apply all p/x $pc",
            "monitor rec",
            "delete",
            "monitor break rsi:HOST_CALL",
            "continue",
            "monitor trace",
            "monitor delete 1",
            "continue",
            elf="smp",
        )
        assert len(re.findall(r'"Realm R-EL1, REC \d of realm', out)) >= 4
        assert "breakpoint 1 (rsi:HOST_CALL): RSI_HOST_CALL(" in out
        assert "exited normally" in out
        code, printed, _ = served.end()
        assert (code, printed) == (0, ccabridge("run", "smp").out)
    finally:
        served.close()


@needs_gdb
def test_gdb__detach_lets_it_run_to_its_end(hello: Served) -> None:
    out = gdb(hello, "break *0x88000004", "continue", "detach")
    assert "Breakpoint 1, 0x0000000088000004" in out
    assert hello.end()[0] == 0


@needs_gdb
def test_gdb__kill_ends_it(hello: Served) -> None:
    gdb(hello, "kill")
    code, printed, _ = hello.end()
    assert code == 0
    assert "killed by GDB" in printed


class Client:
    """Speaks in packets, without acknowledgements."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.decoder = Decoder()
        self.inbox: list[bytes] = []
        self.ask(b"QStartNoAckMode")

    def send(self, payload: bytes) -> None:
        self.socket.sendall(encode(payload))

    def receive(self) -> bytes:
        while not self.inbox:
            data = self.socket.recv(65536)
            assert data, "the server has gone"
            self.inbox += [one[1:] for one in self.decoder.feed(data) if one and one.startswith(b"$")]
        return self.inbox.pop(0)

    def ask(self, payload: bytes) -> bytes:
        self.send(payload)
        return self.receive()

    def stop(self) -> bytes:
        """The next stop reply; what is to be printed is passed over."""
        while (got := self.receive()).startswith(b"O"):
            pass
        return got


def test_client__interrupts_and_goes_on() -> None:
    served = Served("power", "-S")
    try:
        client = Client(served.port)
        assert client.ask(b"?").startswith(b"S05") or client.ask(b"?").startswith(b"T05")
        client.send(b"vCont;c")
        client.socket.sendall(b"\x03")
        assert client.stop()[:3] in (b"T02", b"W00")
    finally:
        served.close()


def test_client__hostile_bytes_leave_the_machine_whole(hello: Served) -> None:
    """Garbage, cut packets, wrong checksums, absurd numbers: then a good client finds everything as it was."""
    rnd = random.Random(7)
    client = Client(hello.port)
    before = client.ask(b"g")
    heads = (
        b"m",
        b"Z0,",
        b"Z2,",
        b"z4,",
        b"qXfer:features:read:",
        b"vCont;x:",
        b"Hg",
        b"T",
        b"qRcmd,",
        b"p",
        b"qC",
        b"v",
        b"",
    )
    for _ in range(400):
        tail = bytes(rnd.choice(b"0123456789abcdef,;:xff-#$}*\x03\x00\xff") for _ in range(rnd.randrange(24)))
        frame = encode(rnd.choice(heads) + tail)
        if rnd.random() < 0.3:
            frame = frame[: rnd.randrange(len(frame))] + bytes([rnd.randrange(256)])
        if frame[1:2] in b"cs":
            continue  # it would run, as it should
        client.socket.sendall(frame)
    client.socket.sendall(b"$" + b"A" * 100_000)
    client.socket.close()
    again = Client(hello.port)
    assert again.ask(b"g") == before
    again.send(b"vCont;c")
    assert again.stop() == b"W00"
    code, printed, _ = hello.end()
    assert (code, printed) == (0, ccabridge("run", "hello-realm").out)


def test_address__nonsense_is_one_line() -> None:
    for text in ("x", "1:2:3x", "99999", "nowhere.invalid:1"):
        result = ccabridge("run", "hello-realm", "--gdb", text)
        assert result.code == 2
        assert len(result.err.splitlines()) == 1


def test_break__away_from_a_terminal_says_so_and_goes_on() -> None:
    result = ccabridge("run", "hello-realm", "--break", "realm:main")
    assert result.code == 0
    assert re.search(r"^ccabridge: stop at [\d,]+: breakpoint 1 \(realm:main\)$", result.out, re.MULTILINE)
    rest = [line for line in result.lines if "stop at" not in line and "=>" not in line]
    assert rest == ccabridge("run", "hello-realm").lines


@needs_gdb
def test_gdb__reverse_step_and_reverse_continue(hello: Served) -> None:
    out = gdb(
        hello,
        "monitor only realm",
        "break main",
        "monitor break rsi:HOST_CALL",
        "continue",
        "stepi",
        "stepi",
        "reverse-stepi",
        "p/x $pc - (unsigned long)&main",
        "continue",
        "reverse-continue",
        "p/x $pc - (unsigned long)&main",
        "reverse-continue",
        "p/x $pc",
        "delete",
        "monitor delete 1",
        "continue",
    )
    assert "$1 = 0x4" in out
    assert "breakpoint 1 (rsi:HOST_CALL): RSI_HOST_CALL(" in out
    assert out.count("hit Breakpoint 1, ") == 2  # on the way there, and on the way back
    assert "$2 = 0x0" in out
    assert "Reached end of recorded history" in out
    assert "$3 = 0x88000000" in out
    assert "exited normally" in out
    code, printed, _ = hello.end()
    assert (code, printed) == (0, ccabridge("run", "hello-realm").out)  # nothing is said twice


@needs_gdb
def test_gdb__reverse_among_recs() -> None:
    served = Served("smp", "-S")
    try:
        out = gdb(
            served,
            "monitor only realm",
            "break count",
            "continue",
            "continue",
            "p/x $pc",
            "monitor world",
            "stepi",
            "reverse-stepi",
            "reverse-continue",
            "continue",
            "monitor world",
            "delete",
            "continue",
            elf="smp",
        )
        counts = re.findall(r"^([\d,]+) instructions, ", out, re.MULTILINE)
        assert len(counts) == 2 and counts[0] == counts[1]  # back, and there again
        assert "exited normally" in out
        code, printed, _ = served.end()
        assert (code, printed) == (0, ccabridge("run", "smp").out)
    finally:
        served.close()
