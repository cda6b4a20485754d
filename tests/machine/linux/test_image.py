# SPDX-License-Identifier: GPL-2.0-or-later
"""arm64 kernels in all their forms; the expectations are those of Linux' Documentation/arch/arm64/booting.rst."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import UserError
from machine.vmm.linux.image import Kernel, read_kernel
from machine.vmm.linux.symbols import KernelSymbols, read_symbols
from tests.bridge.elf import elf
from tests.machine.linux.files import NOP, image, zboot


def read(tmp_path: Path, data: bytes) -> Kernel:
    path = tmp_path / "kernel"
    path.write_bytes(data)
    return read_kernel(path)


def refused(tmp_path: Path, data: bytes) -> str:
    with pytest.raises(UserError) as caught:
        read(tmp_path, data)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(tmp_path / "kernel") + ": ")


def test_image__header(tmp_path: Path) -> None:
    data = image(text_offset=0x80000, size=0x123000, flags=0b0100)
    kernel = read(tmp_path, data)
    assert (kernel.form, kernel.text_offset, kernel.size, kernel.entry) == ("Image", 0x80000, 0x123000, 0x80000)
    assert kernel.end == 0x80000 + 0x123000
    assert kernel.data == data


@pytest.mark.parametrize(
    ("flags", "page_size", "anywhere"),
    [(0b0000, None, False), (0b0010, 4096, False), (0b1100, 16384, True), (0b1110, 65536, True)],
)
def test_image__flags_say_page_size_and_placement(tmp_path: Path, flags: int, page_size: int, anywhere: bool) -> None:
    """Bits 1-2: page size; bit 3: whether it may be anywhere in memory."""
    kernel = read(tmp_path, image(flags=flags))
    assert (kernel.page_size, kernel.anywhere) == (page_size, anywhere)


def test_image__what_follows_image_size_is_not_loaded(tmp_path: Path) -> None:
    data = image(NOP * 100, size=256)
    assert read(tmp_path, data + b"signature").data == data[:256]


def test_image__big_endian_is_refused(tmp_path: Path) -> None:
    assert "big-endian" in refused(tmp_path, image(flags=0b1011))


def test_image__image_size_zero_is_refused(tmp_path: Path) -> None:
    assert "image_size is 0" in refused(tmp_path, image(size=0))


@pytest.mark.parametrize("header", [{"size": 1 << 40}, {"text_offset": 1 << 40}, {"text_offset": 2}])
def test_image__absurd_header_is_refused(tmp_path: Path, header: dict[str, int]) -> None:
    assert "malformed arm64 Image" in refused(tmp_path, image(**header))  # type: ignore[arg-type]


def test_image__truncated_by_the_sections_of_its_pe_header(tmp_path: Path) -> None:
    data = image(bytes(0x1000), sections=((0x400, 0x200), (0x800, 0x600)))
    assert read(tmp_path, data).form == "Image"
    assert refused(tmp_path, data[:0xDFF]) == "truncated: 3583 bytes of at least 3584"


@pytest.mark.parametrize("size", [0, 1, 57, 59, 60, 63])
def test_image__shorter_than_its_header(tmp_path: Path, size: int) -> None:
    said = refused(tmp_path, image()[:size])
    assert said == "empty file" if size == 0 else f"{size} bytes" in said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (bytes(0x202) + b"HdrS" + bytes(64), "built for x86"),
        (bytes(0x24) + b"\x18\x28\x6f\x01" + bytes(64), "built for arm (32-bit)"),
        (image(magic=b"RSC\x05"), "built for risc-v"),
        (b"MZ".ljust(0x3C, b"\0") + b"\x40\0\0\0" + b"PE\0\0\x64\x86" + bytes(64), "an EFI file built for x86-64"),
        (b"MZ".ljust(0x3C, b"\0") + b"\x40\0\0\0" + b"PE\0\0\x64\xaa" + bytes(64), "an EFI file of another kind"),
        (b"#!/bin/sh\n" + bytes(100), "it has no `ARM\\x64` at 0x38"),
        (gzip.compress(b"text" * 100, mtime=0), "it has no `ARM\\x64` at 0x38"),
        (b"\x89LZO\0\r\n" + bytes(90), "compressed with lzo: decompress it first"),
    ],
)
def test_image__of_something_else_is_named(tmp_path: Path, data: bytes, said: str) -> None:
    assert said in refused(tmp_path, data)


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [("gz", gzip.compress), ("xz", lzma.compress), ("bz2", bz2.compress)],
    ids=("gz", "xz", "bz2"),
)
def test_compressed_image__is_the_same_kernel(tmp_path: Path, suffix: str, compress: object) -> None:
    packed = compress(image())  # type: ignore[operator]
    kernel = read(tmp_path, packed)
    assert (kernel.form, kernel.data) == (f"Image.{suffix}", image())
    assert "truncated" in refused(tmp_path, packed[:-9])


@pytest.mark.parametrize(("program", "suffix"), [("zstd", "zst"), ("lz4", "lz4")])
def test_compressed_image__by_a_program(tmp_path: Path, program: str, suffix: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    packed = subprocess.run([program, "-qc"], input=image(), capture_output=True, check=True).stdout
    assert read(tmp_path, packed).form == f"Image.{suffix}"
    assert refused(tmp_path, packed[:-5])
    assert read(tmp_path, zboot(packed, program.encode())).form == f"zboot ({program})"


def test_compressed_image__program_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "`apt install zstd`" in refused(tmp_path, b"\x28\xb5\x2f\xfd" + bytes(64))


def test_compressed_image__flipped_bit_is_malformed(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(image(bytes(range(256)) * 16), mtime=0))
    packed[40] ^= 0x10
    assert "malformed gzip data" in refused(tmp_path, bytes(packed))


def test_zboot__gzip(tmp_path: Path) -> None:
    kernel = read(tmp_path, zboot(gzip.compress(image(), mtime=0) + bytes(4), size=None))
    assert (kernel.form, kernel.data) == ("zboot (gzip)", image())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (zboot(gzip.compress(image(), mtime=0))[:-1], "truncated: its compressed kernel ends at"),
        (zboot(gzip.compress(image(), mtime=0), size=1 << 31), "truncated: its compressed kernel ends at"),
        (zboot(gzip.compress(image(), mtime=0), start=0x38, size=30), "malformed zboot file"),
        (zboot(b"????????", b"brotli"), "compressed with `brotli`, which is not known here"),
        (zboot(b"")[:48], "truncated: 48 bytes"),
    ],
)
def test_zboot__wrong_in_one_thing(tmp_path: Path, data: bytes, said: str) -> None:
    assert said in refused(tmp_path, data)


def test_vmlinux__is_laid_out_by_physical_address(tmp_path: Path) -> None:
    base = 0xFFFF_8000_8000_0000
    head = image(b"", size=0x5000)
    data = elf([(base + 0x1000, b"data", 0x3000), (base, head, len(head))], entry=base)
    kernel = read(tmp_path, data)
    assert (kernel.form, kernel.size, kernel.entry, kernel.page_size) == ("vmlinux", 0x5000, 0, 4096)
    assert kernel.data == head.ljust(0x1000, b"\0") + b"data"


def test_vmlinux__elf_of_something_else(tmp_path: Path) -> None:
    assert "not a vmlinux" in refused(tmp_path, elf())
    assert "built for x86-64" in refused(tmp_path, elf(machine=62))
    assert "malformed ELF" in refused(tmp_path, elf()[:70])


def test_kernel__names_its_release_and_whether_it_knows_rsi(tmp_path: Path) -> None:
    old = read(tmp_path, image(b"Linux version 6.1.0-9-arm64 (someone) #1\n\0"))
    assert (old.release, old.knows_rsi) == ("6.1.0-9-arm64", False)
    new = read(
        tmp_path, image(b"Linux version %s\0Linux version 7.2.12+x (a)\0\x016RME: Using RSI version %lu.%lu\n\0")
    )
    assert (new.release, new.knows_rsi) == ("7.2.12+x", True)
    assert read(tmp_path, image()).release is None


@given(
    st.binary(max_size=300),
    st.sampled_from([image(b"x" * 64, sections=((16, 64),)), zboot(gzip.compress(image(), mtime=0))]),
)
def test_read_kernel__hostile_bytes_are_one_line(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, good: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile"
    for data in (junk, junk + good[len(junk) :], good[: len(junk)] + junk):
        path.write_bytes(data)
        try:
            read_kernel(path)
        except UserError as error:
            assert "\n" not in str(error)


SYSTEM_MAP = """\
0000000000000000 A _kernel_flags_le_hi32
ffff800080000000 T _text
ffff800080000100 t primary_entry
ffff800080000180 t $x
ffff800080001000 D jiffies
ffff800080002000 B _end
"""


def test_system_map__names_virtual_addresses_and_those_of_the_load(tmp_path: Path) -> None:
    path = tmp_path / "System.map"
    path.write_text(SYSTEM_MAP)
    symbols = KernelSymbols(read_symbols(path), 0x8000_0000)
    assert symbols.lookup(0xFFFF_8000_8000_0104) == "primary_entry+0x4"
    assert symbols.lookup(0x8000_0104) == "primary_entry+0x4"
    assert symbols.lookup(0x8000_0200) == "primary_entry+0x100"
    assert symbols.lookup(0x7FFF_FFFF) is None
    assert symbols.lookup(0x9000_0000) is None


def test_vmlinux__symbols(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    base = 0xFFFF_8000_8000_0000
    path.write_bytes(
        elf([(base, NOP, 4)], symbols=[("_text", base, 0), ("start_kernel", base + 4, 64), ("_end", base + 68, 0)])
    )
    assert KernelSymbols(read_symbols(path), 0x8000_0000).lookup(0x8000_0008) == "start_kernel+0x4"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ffffffffffffffff B The real System.map is in the linux-image-6.1-dbg package\n", "-dbg package"),
        ("hello\n", ":1: expected `ADDRESS TYPE NAME`"),
        ("ffff800080000000 T _text\nffff80008 zz\n", ":2: expected"),
        ("", "has no symbols"),
    ],
)
def test_system_map__wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "System.map"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_symbols(path)
