# SPDX-License-Identifier: GPL-2.0-or-later
"""Loading of ELF, arm64 Image and raw files, and the one line that a bad one gets."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import UserError
from bridge.image import flatten, overlaps, read_image

from .elf import NOP, elf, linux_image


def write(folder: Path, data: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(data)
    return path


def failure(path: Path | str) -> str:
    with pytest.raises(UserError) as caught:
        read_image(path)
    text = str(caught.value)
    assert "\n" not in text and text.startswith(str(path))
    return text.removeprefix(f"{path}: ")


def test_elf__segments_at_physical_addresses(tmp_path: Path) -> None:
    image = read_image(write(tmp_path, elf([(0x9000, b"bb", 2), (0x8000, b"aaaa", 0x10)], 0x8004)))
    assert (image.kind, image.entry, image.fixed) == ("elf", 0x8004, True)
    assert [(s.address, bytes(s.data), s.size) for s in image.segments] == [
        (0x8000, b"aaaa", 16),
        (0x9000, b"bb", 2),
    ]
    assert (image.base, image.end) == (0x8000, 0x9002)


def test_elf__entry_is_virtual(tmp_path: Path) -> None:
    image = read_image(write(tmp_path, elf([(0x8000, NOP * 4, 16)], 0xFFFF_0000_0000_8008, vaddr_offset=0xFFFF << 48)))
    assert image.entry == 0x8008


def test_elf__linked_at_zero_and_position_independent_is_placed(tmp_path: Path) -> None:
    image = read_image(write(tmp_path, elf([(0, NOP, 4)], 0, kind=3)))
    assert not image.fixed
    placed = image.placed(0x4000_0000)
    assert (placed.base, placed.entry, placed.fixed) == (0x4000_0000, 0x4000_0000, True)


def test_elf__with_addresses_of_its_own_is_not_placed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="addresses of its own"):
        read_image(write(tmp_path, elf())).placed(0x1000)


def test_flatten__gaps_and_bss_are_zero(tmp_path: Path) -> None:
    image = read_image(write(tmp_path, elf([(0x8004, b"aaaa", 8), (0x8010, b"bb", 4)], 0x8004)))
    assert flatten(image) == b"aaaa" + bytes(8) + b"bb" + bytes(2)
    assert flatten(image, 0x8000) == bytes(4) + b"aaaa" + bytes(8) + b"bb" + bytes(2)
    with pytest.raises(UserError, match="below 0x9000"):
        flatten(image, 0x9000)


def test_flatten__span_is_bounded(tmp_path: Path) -> None:
    image = read_image(write(tmp_path, elf([(0x8000, NOP, 4), (0x10_0000_0000, NOP, 4)])))
    with pytest.raises(UserError, match="at most"):
        flatten(image)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty file"),
        (b"\x7fELF", "malformed ELF: the file ends inside its header"),
        (elf()[:63], "malformed ELF: the file ends inside its header"),
        (elf(bits=1), "not an aarch64 ELF: expected 64 bits (ELFCLASS64), got class 1"),
        (elf(endian=2), "not an aarch64 ELF: expected little-endian data, got encoding 2"),
        (elf(machine=62), "not an aarch64 ELF: built for x86-64"),
        (elf(machine=999), "not an aarch64 ELF: built for machine 999"),
        (elf(kind=1), "expected an executable ELF, got an object file: link it first"),
        (elf(kind=4), "expected an executable ELF, got type 4"),
        (elf([]), "malformed ELF: no program headers: there is nothing to load"),
        (elf(phentsize=55), "malformed ELF: program headers of 55 bytes, expected 56"),
        (elf([(0x8000, NOP, 0)]), "malformed ELF: no PT_LOAD segment: there is nothing to load"),
        (elf([(0x8000, NOP * 2, 4)]), "malformed ELF: segment 0 has 0x8 bytes in the file and 0x4 in memory"),
        (
            elf([(0x8000, NOP, 1 << 60)]),
            "malformed ELF: segment 0 at 0x8000 + 0x1000000000000000 ends beyond 2^52",
        ),
        (elf([(0x8000, NOP, 16), (0x800C, NOP, 4)]), "malformed ELF: segments at 0x8000 and 0x800c overlap"),
        (elf(entry=0x8800_0010), "malformed ELF: the entry point 0x88000010 lies in no segment"),
        (elf(entry=0x8800_0002), "malformed ELF: the entry point 0x88000002 is not a multiple of 4"),
        (elf()[:100], "malformed ELF: the program headers lie beyond the end of the file"),
        (elf()[:124], "malformed ELF: segment 0 lies beyond the end of the file"),
        (linux_image(flags=0xB), "a big-endian arm64 Image"),
        (linux_image(image_size=1 << 40), "malformed arm64 Image: image_size 0x10000000000, text_offset 0x0"),
        (linux_image(text_offset=2), "malformed arm64 Image: text_offset 0x2"),
    ],
)
def test_bad_file__one_line(tmp_path: Path, data: bytes, message: str) -> None:
    assert failure(write(tmp_path, data)) == message


def test_bad_file__missing_directory_fifo(tmp_path: Path) -> None:
    assert failure(tmp_path / "none") == "No such file or directory"
    assert failure(tmp_path) == "Is a directory"
    os.mkfifo(tmp_path / "fifo")
    assert failure(tmp_path / "fifo") == "not a file"
    assert failure("/dev/zero") == "not a file"


def test_bad_file__oversized(tmp_path: Path) -> None:
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)
    assert "can be loaded" in failure(path)


def test_image__header(tmp_path: Path) -> None:
    data = linux_image(text_offset=0x200, image_size=0x1000)
    image = read_image(write(tmp_path, data))
    assert (image.kind, image.entry, image.fixed, image.end) == ("image", 0x200, False, 0x1200)
    placed = image.placed(0x8000_0000)
    assert (placed.entry, placed.base) == (0x8000_0200, 0x8000_0200)


def test_image__without_image_size_uses_the_legacy_offset(tmp_path: Path) -> None:
    assert read_image(write(tmp_path, linux_image(image_size=0, text_offset=0x1000))).entry == 0x80000


def test_image__content_longer_than_image_size(tmp_path: Path) -> None:
    data = linux_image(NOP * 100, image_size=64)
    assert read_image(write(tmp_path, data)).end == len(data)


def test_raw__starts_at_its_first_byte(tmp_path: Path) -> None:
    image = read_image(write(tmp_path, b"abc")).placed(0x1000)
    assert (image.kind, image.entry, image.base, image.end) == ("raw", 0x1000, 0x1000, 0x1003)
    with pytest.raises(UserError, match=r"2\^52"):
        read_image(write(tmp_path, b"abc")).placed((1 << 52) - 2)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.integers(0, 119), st.integers(0, 255)), max_size=6), cut=st.integers(0, 600))
def test_hostile_elf__loads_or_one_line(tmp_path: Path, flips: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(elf([(0x8000, NOP * 4, 32), (0x9000, NOP, 4)], symbols=[("f", 0x8000, 4)]))
    for at, value in flips:
        data[at] = value
    path = write(tmp_path, bytes(data[: len(data) - cut]))
    try:
        image = read_image(path)
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert all(len(s.data) <= s.size for s in image.segments)
    assert list(overlaps([(s.address, s.end) for s in image.segments])) == []


@given(ranges=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=8))
def test_overlaps__finds_one_exactly_when_there_is_one(ranges: list[tuple[int, int]]) -> None:
    spans = [(base, base + size) for base, size in ranges]
    cells = [cell for low, high in spans for cell in range(low, high)]
    assert bool(list(overlaps(spans))) == (len(cells) != len(set(cells)))
    for a, b in overlaps(spans):
        assert spans[a][0] < spans[b][1] and spans[b][0] < spans[a][1]


def test_header_formats__match_the_builder() -> None:
    assert struct.calcsize("<16sHHIQQQIHHHHHH") == 64 and struct.calcsize("<IIQQQQQQ") == 56
