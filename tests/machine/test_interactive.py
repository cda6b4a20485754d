"""A machine at a terminal: what is typed reaches the UART that is standard output, and Ctrl-A x ends it."""

from __future__ import annotations

import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from .test_boards import ENTRY, move, store

# Echo: wait until FR.RXFE is clear, read DR, write it back.
WAIT = [0xB940_192B, 0x3727_FFEB]  # LDR W11, [X9, #0x18]; TBNZ W11, #4, back to it
ECHO = [
    *store(0x1C09_002C, 0x70),
    *store(0x1C09_0000, ord(">")),
    *move(9, 0x1C09_0000),
    *WAIT,
    0xB940_012B,
    0xB900_012B,
    0x17FF_FFFC,
]


def read_until(fd: int, text: bytes, seconds: float = 60) -> bytes:
    out = b""
    end = time.monotonic() + seconds
    while text not in out and time.monotonic() < end:
        if select.select((fd,), (), (), 0.2)[0]:
            try:
                out += os.read(fd, 4096)
            except OSError:
                break
    return out


def machine_file(folder: Path) -> str:
    (folder / "image.bin").write_bytes(struct.pack(f"<{len(ECHO)}I", *ECHO))
    file = folder / "m.yaml"
    file.write_text(
        "layers: [boards/fvp-base.yaml]\n"
        "cpu: {count: 1, mpidr: null}\n"
        f"load: {{image: {{file: image.bin, at: 0x{ENTRY:x}}}}}\n"
        "console: uart0\n"
    )
    return str(file)


def test_terminal__typed_echoed_and_left(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        words = [sys.executable, "-m", "bridge.cli", "run", machine_file(tmp_path), "--timeout=60"]
        os.execve(sys.executable, words, {**os.environ, "PYTHONUNBUFFERED": ""})
    try:
        assert b">" in read_until(terminal, b">"), "it runs, and the terminal is raw"
        os.write(terminal, b"hello\x03")
        assert b"hello\x03" in read_until(terminal, b"hello\x03"), "as it was typed, Ctrl-C and all"
        os.write(terminal, b"\x01x")
        read_until(terminal, b"\0never", 10)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 130
    finally:
        os.close(terminal)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, None])
def test_terminal__is_given_back(tmp_path: Path, how: signal.Signals | None) -> None:
    """However the run ends: killed, or left by Ctrl-A x after a thousand bytes at once, of which none is lost."""
    terminal, inside = pty.openpty()
    before = termios.tcgetattr(inside)
    words = [sys.executable, "-m", "bridge.cli", "run", machine_file(tmp_path), "--timeout=60"]
    with subprocess.Popen(words, stdin=inside, stdout=inside, stderr=inside, start_new_session=True) as process:
        try:
            assert b">" in read_until(terminal, b">")
            assert not termios.tcgetattr(inside)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)
            if how is None:
                pasted = b"".join(b"%04d-" % i for i in range(200))
                os.write(terminal, pasted)
                assert pasted in read_until(terminal, pasted)
                os.write(terminal, b"\x01x")
            else:
                process.send_signal(how)
            assert process.wait(30) == (130 if how is None else -how)
            assert termios.tcgetattr(inside) == before
        finally:
            process.kill()
            os.close(terminal)
            os.close(inside)
