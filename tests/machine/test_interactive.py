"""A machine at a terminal: what is typed reaches the UART that is standard output, and Ctrl-A x ends it."""

from __future__ import annotations

import os
import pty
import select
import struct
import sys
import time
from pathlib import Path

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


def test_terminal__typed_echoed_and_left(tmp_path: Path) -> None:
    (tmp_path / "image.bin").write_bytes(struct.pack(f"<{len(ECHO)}I", *ECHO))
    (tmp_path / "m.yaml").write_text(
        "layers: [boards/fvp-base.yaml]\n"
        "cpu: {count: 1, mpidr: null}\n"
        f"load: {{image: {{file: image.bin, at: 0x{ENTRY:x}}}}}\n"
        "console: uart0\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        words = [sys.executable, "-m", "bridge.cli", "run", str(tmp_path / "m.yaml"), "--timeout=60"]
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
