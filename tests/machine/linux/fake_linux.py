# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux that is just enough for the project's init: the engine runs its code, system calls are answered here.

Files are those of a cpio archive, read by the format's own description; numbers are those of asm-generic/unistd.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unicorn import UC_ARCH_ARM64, UC_HOOK_INTR, UC_MODE_ARM, Uc
from unicorn import arm64_const as reg

from bridge.image import read_image

ENOENT, EEXIST, ENODEV, EBADF = -2, -17, -19, -9
STACK = 0x7FFF_0000


def unpack(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """{name: (mode, content)} of a newc archive: 13 fields of 8 hexadecimal digits, names and contents padded to 4."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701", at
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 110 + length - 1].decode()
        assert archive[at + 110 + length - 1] == 0
        start = (at + 110 + length + 3) & ~3
        if name == "TRAILER!!!":
            return found
        assert name not in found
        found[name] = (mode, archive[start : start + size])
        at = (start + size + 3) & ~3


class PowerOff(Exception):
    pass


@dataclass
class FakeLinux:
    """files: by absolute path.  calls: what init asked the kernel for, in order.  programs: exit status by path."""

    files: dict[str, bytes]
    keyboard: bytes = b""
    failing_modules: dict[str, int] = field(default_factory=dict)
    programs: dict[str, int] = field(default_factory=dict)
    token: bytes | None = None
    chunk: int = 1 << 20
    pid: int = 1
    console: bytearray = field(default_factory=bytearray)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    writes: list[bytes] = field(default_factory=list)
    _open: dict[int, list[Any]] = field(default_factory=dict)
    _folders: set[str] = field(default_factory=set)

    def run(self, program: Path, arguments: list[str]) -> int | None:
        """The exit status of the program, None when it switched the power off."""
        engine = Uc(UC_ARCH_ARM64, UC_MODE_ARM)
        for segment in read_image(program).segments:
            low, high = segment.address & ~0xFFF, (segment.end + 0xFFF) & ~0xFFF
            try:
                engine.mem_map(low, high - low)
            except Exception as error:
                raise AssertionError(f"segments share a page: {error}") from None
            engine.mem_write(segment.address, bytes(segment.data))
        engine.mem_map(STACK - 0x10000, 0x20000)
        words, at = [], STACK + 0x8000
        for text in arguments:
            words.append(at)
            engine.mem_write(at, text.encode() + b"\0")
            at += len(text) + 1
        engine.mem_write(STACK, struct.pack(f"<{len(words) + 3}Q", len(words), *words, 0, 0))
        engine.reg_write(reg.UC_ARM64_REG_SP, STACK)
        result: list[int | None] = []

        def on_exception(uc: Any, number: int, _: object) -> None:
            if number != 2:
                result.append(-number)
                uc.emu_stop()
                return
            call = uc.reg_read(reg.UC_ARM64_REG_X8)
            values = [uc.reg_read(reg.UC_ARM64_REG_X0 + n) for n in range(6)]
            if call == 94:
                result.append(values[0])
                uc.emu_stop()
                return
            try:
                uc.reg_write(reg.UC_ARM64_REG_X0, self._call(uc, call, values) & (1 << 64) - 1)
            except PowerOff:
                result.append(None)
                uc.emu_stop()

        engine.hook_add(UC_HOOK_INTR, on_exception)
        engine.emu_start(read_image(program).entry, 0, timeout=20_000_000, count=50_000_000)
        assert result, "the program neither ended nor made a system call"
        assert result[0] is None or result[0] >= 0, (
            f"exception {result[0]} at {engine.reg_read(reg.UC_ARM64_REG_PC):#x}"
        )
        return result[0]

    def _call(self, uc: Any, call: int, v: list[int]) -> int:
        def text(address: int) -> str:
            out = bytearray()
            while (byte := uc.mem_read(address + len(out), 1)[0]) != 0:
                out.append(byte)
            return out.decode()

        match call:
            case 63:
                data = self._read(v[0], min(v[2], self.chunk))
                if isinstance(data, int):
                    return data
                uc.mem_write(v[1], data)
                return len(data)
            case 64:
                return self._write(v[0], bytes(uc.mem_read(v[1], min(v[2], self.chunk))))
            case 56:
                return self._openat(text(v[1]), v[2])
            case 57:
                return 0 if self._open.pop(v[0], None) else EBADF
            case 34:
                return self._mkdir(text(v[1]))
            case 35:
                self._folders.discard(text(v[1]))
                return 0
            case 40:
                self.calls.append(("mount", text(v[2]), text(v[0]), text(v[1]), text(v[4])))
                return 0
            case 273:
                path = self._open[v[0]][0]
                self.calls.append(("module", path))
                return self.failing_modules.get(path, 0)
            case 160:
                fields = ("Linux", "realm", "7.2-fake", "#1", "aarch64", "")
                uc.mem_write(v[0], b"".join(field.encode().ljust(65, b"\0") for field in fields))
                return 0
            case 220:
                return 77
            case 260:
                return self._wait(uc, v[1])
            case 25:
                return 0 if v[0] <= 2 or v[0] in self._open else EBADF
            case 172:
                return self.pid
            case 29 | 24 | 157 | 81 | 116:
                self.calls.append(
                    ({29: "ioctl", 24: "dup3", 157: "setsid", 81: "sync", 116: "syslog"}[call], v[0], v[1])
                )
                return 0
            case 142:
                self.calls.append(("reboot", *v[:3]))
                raise PowerOff
        raise AssertionError(f"system call {call}")

    def _wait(self, uc: Any, status_at: int) -> int:
        # The child is never run: the tests say how each ends, in the order that they are started in.
        path, status = next(iter(self.programs.items()))
        self.calls.append(("run", path))
        del self.programs[path]
        uc.mem_write(status_at, struct.pack("<i", status))
        return 77

    def _read(self, fd: int, size: int) -> bytes | int:
        if fd == 0:
            data, self.keyboard = self.keyboard[:size], self.keyboard[size:]
            return data
        if fd not in self._open:
            return EBADF
        path, at = self._open[fd]
        data = self.files[path][at : at + size]
        self._open[fd][1] += len(data)
        return data

    def _write(self, fd: int, data: bytes) -> int:
        if fd in (1, 2):
            self.console += data
            self.writes.append(data)
        elif fd in self._open:
            path, at = self._open[fd]
            self.files[path] = self.files[path][:at] + data
            self._open[fd][1] += len(data)
            self.calls.append(("write", path, data))
        else:
            return EBADF
        return len(data)

    def _openat(self, path: str, flags: int) -> int:
        if path not in self.files:
            if not flags & 0o100:
                return ENOENT
            self.files[path] = b""
        fd = 3 + len(self._open)
        self._open[fd] = [path, 0]
        return fd

    def _mkdir(self, path: str) -> int:
        if path.startswith("/sys/kernel/config/tsm"):
            if self.token is None:
                return ENOENT
            self.files |= {f"{path}/inblob": b"", f"{path}/outblob": self.token}
        if path in self._folders:
            return EEXIST
        self._folders.add(path)
        return 0
