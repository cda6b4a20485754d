# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels, modules, packages and repositories made by hand, right or wrong in one thing."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path

NOP = bytes.fromhex("1f2003d5")


def image(
    body: bytes = NOP * 32,
    *,
    text_offset: int = 0,
    size: int | None = None,
    flags: int = 0xA,
    magic: bytes = b"ARM\x64",
    sections: tuple[tuple[int, int], ...] = (),
) -> bytes:
    """booting.rst: code0, code1, text_offset, image_size, flags, res2..4, magic, res5.

    sections: (size of raw data, its place) of the PE header that an EFI stub brings along.
    """
    pe = b""
    if sections:
        pe = b"PE\0\0" + struct.pack("<HHIIIHH", 0xAA64, len(sections), 0, 0, 0, 0, 0)
        for raw_size, raw_at in sections:
            pe += struct.pack("<8sIIII16x", b".text", raw_size, raw_at, raw_size, raw_at)
    data = pe + body
    total = 64 + len(data) + 0x1000 if size is None else size
    code = b"MZ@\xfa" if sections else NOP
    return code + NOP + struct.pack("<QQQQQQ4sI", text_offset, total, flags, 0, 0, 0, magic, 64) + data


def zboot(payload: bytes, name: bytes = b"gzip", *, start: int = 0x200, size: int | None = None) -> bytes:
    """zboot-header.S: MZ, `zimg`, place and size of the payload, the compression's name at 24, PE magic at 0x38."""
    length = len(payload) if size is None else size
    head = struct.pack("<4s4sII8s32s", b"MZ\0\0", b"zimg", start, length, b"", name)
    return head.ljust(start, b"\0") + payload


def module(name: str, depends: str = "", release: str = "6.1-test", machine: int = 183) -> bytes:
    """An ELF header, and .modinfo as modpost writes it."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 1, machine) + bytes(44)
    info = f"license=GPL\0depends={depends}\0name={name}\0vermagic={release} SMP preempt mod_unload aarch64\0"
    return head + b"\0" + info.encode()


def deb(files: Mapping[str, bytes], *, suffix: str = ".xz", links: Mapping[str, str] | None = None) -> bytes:
    """deb(5): debian-binary, control.tar, data.tar in an ar archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    data = packed.getvalue()
    if suffix == ".xz":
        data = lzma.compress(data)
    elif suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    members = (
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", gzip.compress(empty.getvalue(), mtime=0)),
        (f"data.tar{suffix}", data),
    )
    out = b"!<arch>\n"
    for name, content in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) % 2)
    return out


def repository(root: Path, suite: str, packages: Mapping[tuple[str, str], bytes], *, wrong: str = "") -> None:
    """A Debian repository in a folder.  packages: {(name, version): .deb}; wrong: the package whose SHA-256 lies."""
    stanzas = ""
    for (name, version), content in packages.items():
        path = f"pool/{name}_{version.replace(':', '%3a')}_arm64.deb"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
        digest = hashlib.sha256(b"?" if name == wrong else content).hexdigest()
        stanzas += f"Package: {name}\nVersion: {version}\nArchitecture: arm64\nMaintainer: nobody\n"
        stanzas += f"Filename: {path}\nSize: {len(content)}\nSHA256: {digest}\nDescription: {name}\n of a test\n\n"
    index = stanzas.encode()
    folder = root / "dists" / suite / "main" / "binary-arm64"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Packages").write_bytes(index)
    (folder / "Packages.gz").write_bytes(gzip.compress(index, mtime=0))
    lines = f"Origin: Test\nSuite: {suite}\nCodename: {suite}\nArchitectures: arm64\nComponents: main\n"
    lines += "Date: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:\n"
    for name in ("Packages", "Packages.gz"):
        content = (folder / name).read_bytes()
        lines += f" {hashlib.sha256(content).hexdigest()} {len(content)} main/binary-arm64/{name}\n"
    (root / "dists" / suite / "Release").write_text(lines)
