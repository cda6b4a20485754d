# SPDX-License-Identifier: GPL-2.0-or-later
"""GDB at real machines: the real one where it is installed, and a client that speaks in packets."""

from __future__ import annotations

import random
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.gdb.packets import Decoder, encode
from machine.vmm.linux.cache import cached_kernel
from machine.vmm.linux.image import read_kernel
from machine.vmm.linux.kallsyms import kallsyms
from tests.system.cli import LAUNCH, ccabridge
from tests.system.transcripts import ROOT

GDB = shutil.which("gdb", path=str(Path(sys.executable).parent)) or shutil.which("gdb-multiarch")
needs_gdb = pytest.mark.skipif(GDB is None, reason="no GDB: pip install gdb-for-pwndbg")


class Served:
    """`ccabridge run NAME --gdb 0 …` in a process of its own."""

    def __init__(self, *words: str, command: str = "run") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, command, *words, "--gdb", "0", "--timeout", "90"],
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
    first = (*first, f"directory {ROOT}/firmware")
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
        "break *main",
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
    assert "hit Breakpoint 1, main () at payloads/hello.c:" in out
    assert re.search(r"^\d+\t\S", out, re.MULTILINE)  # the source line
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


def test_client__stops_a_loop_by_ctrl_c_and_again(tmp_path: Path) -> None:
    """`b .` with interrupts masked: nothing but a debugger could stop it, and under one it is not taken for stuck."""
    image = tmp_path / "loop.bin"
    image.write_bytes((0x1400_0000).to_bytes(4, "little"))
    served = Served("qemu-virt", "--load", f"{image}@0x60000000", "--entry", "0x60000000", "-S")
    try:
        client = Client(served.port)
        for _ in range(2):
            client.send(b"vCont;c")
            time.sleep(0.4)
            client.socket.sendall(b"\x03")
            assert client.stop().startswith(b"T02thread:1;")
            assert client.ask(b"p20") == (0x6000_0000).to_bytes(8, "little").hex().encode()
        client.send(b"k")
        assert served.end()[0] == 0
    finally:
        served.close()


@needs_gdb
def test_gdb__shows_memory_and_state_by_monitor(hello: Served) -> None:
    out = gdb(
        hello,
        "monitor only realm",
        "break *main",
        "continue",
        "monitor ipa 0x80000000 16",
        "monitor phys 0x94010000 16",
        "x/2xg 0x80000000",
        "monitor granule 0x94010000",
        "monitor rtt 0x94000000 0x80000000",
        "monitor rec",
        "monitor gpt",
        "monitor rmi",
        "monitor world",
        "monitor bt",
        "info mem",
        "p $SCTLR_EL1",
        "p $CPACR_EL1",
        "kill",
    )
    assert "DATA" in out and "data of realm 0x94000000 at IPA 0x80000000" in out
    by_ipa, by_pa = (re.search(rf"^{at}: (.*)$", out, re.MULTILINE) for at in ("0x80000000", "0x94010000"))
    assert by_ipa is not None and by_pa is not None
    assert by_ipa[1] == by_pa[1]  # the realm's first page is the host's first DATA granule
    words = re.search(r"^0x80000000[^:]*:\t(0x\w+)\t(0x\w+)$", out, re.MULTILINE)
    assert words is not None
    assert b"".join(int(word, 16).to_bytes(8, "little") for word in words.groups()) == bytes.fromhex(by_ipa[1])
    assert re.search(r"level 3 at 0x\w+: 0x\w+ HIPAS ASSIGNED RIPAS RAM PA 0x94010000", out)
    assert "ICH_HCR_EL2 = 0x8101 DVIM=1 vSGIEOICount=1 En=1" in out  # rmm-abi.md §7.3; IHI 0069, 12.4
    assert re.search(r"0x000094000000-0x\w+ realm", out)
    assert re.search(r"^RMI_REC_CREATE 1$", out, re.MULTILINE)
    assert re.search(r"^\* Realm R-EL1, REC 0 of realm 0x94000000: 0x\w+ <main>$", out, re.MULTILINE)
    assert re.search(r"^#0 0x\w+ <main> \(payloads/hello\.c:\d+\)\n#1 0x\w+ <realm_start", out, re.MULTILINE)
    assert "rw nocache" in out
    # SCTLR_EL1 = 0xc50878 by its bits (Arm ARM, D24.2); FPEN = 3 traps nothing
    assert "$1 = [ SA SA0 CP15BEN nAA EOS nTWI nTWE EIS SPAN " in out
    assert re.search(r"\$2 = \[ .*FPEN=3 ", out)


@needs_gdb
@pytest.mark.skipif(cached_kernel() is None, reason="no Linux kernel is cached: ccabridge fetch-kernel")
def test_gdb__drives_linux_in_a_realm() -> None:
    """Without KASLR, _text is at 0xffff_8000_8000_0000 (arm64, 48-bit addresses): symbols are where the image says."""
    cached = cached_kernel()
    assert cached is not None
    table = kallsyms(read_kernel(cached.image).data)
    assert table is not None
    start, banner = (0xFFFF_8000_8000_0000 + (table.address(name) or 0) for name in ("start_kernel", "linux_banner"))
    words = ("linux-realm", "-s", "vmm.script=echo hello", "-s", "vmm.cmdline=console=ttyS0 quiet swiotlb=8192 nokaslr")
    served = Served(*words, "-S")
    try:
        out = gdb(
            served,
            "monitor break start_kernel",
            "continue",
            "info threads",
            "p/x $pc",
            "monitor bt",
            f"x/s {banner:#x}",
            "monitor delete 1",
            f"hbreak *{start + 8:#x}",
            "continue",
            "stepi",
            "stepi",
            "reverse-stepi",
            "p/x $pc",
            "reverse-continue",
            "p/x $pc",
            "delete",
            "continue",
        )
        assert re.search(r'\* \d+ +Thread \d+ "Realm R-EL1, REC 0 of realm 0x', out)
        assert f"$1 = {start:#x}" in out
        assert re.search(r"^#0 0x\w+ <start_kernel>\n#1 0x\w+ <__primary_switched\+0x", out, re.MULTILINE)
        assert f'"Linux version {cached.release} ' in out
        assert f"hit Breakpoint 1, {start + 8:#018x} in ?? ()" in out or f"{start + 8:#018x} in ?? ()" in out
        assert f"{start + 12:#018x} in ?? ()" in out
        assert f"$2 = {start + 12:#x}" in out
        assert f"$3 = {start + 8:#x}" in out
        assert "exited normally" in out
        code, printed, _ = served.end()
        assert (code, printed) == (0, ccabridge("run", *words).out)
    finally:
        served.close()


@needs_gdb
def test_gdb__reverse_step_and_reverse_continue(hello: Served) -> None:
    out = gdb(
        hello,
        "monitor only realm",
        "break *main",
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
            "break *count",
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


@needs_gdb
def test_gdb__waits_at_the_first_instruction_of_a_snapshot(tmp_path: Path) -> None:
    path = str(tmp_path / "main.snap")
    assert ccabridge("run", "hello-realm", "--snapshot-at", "realm:main", path).code == 0
    served = Served(path, "-S", command="resume")
    try:
        out = gdb(
            served,
            "p/x $pc - (unsigned long)&main",
            "info threads",
            "stepi",
            "p/x $pc - (unsigned long)&main",
            "continue",
        )
        assert "$1 = 0x0" in out
        assert re.search(r'\* \d+ +Thread \d+ "Realm R-EL1, REC 0 of realm 0x', out)
        assert "$2 = 0x4" in out
        assert "exited normally" in out
        assert served.end()[0] == 0
    finally:
        served.close()
