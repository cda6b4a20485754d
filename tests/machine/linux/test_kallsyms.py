# SPDX-License-Identifier: GPL-2.0-or-later
"""The symbol tables in a kernel image, as Linux' scripts/kallsyms.c lays them out; built here by hand."""

from __future__ import annotations

import struct

import pytest

from machine.vmm.linux.cache import cached_kernels
from machine.vmm.linux.image import read_kernel
from machine.vmm.linux.kallsyms import kallsyms
from machine.vmm.linux.symbols import KernelSymbols, image_symbols

SYMBOLS = [(0, "T_text"), (0x100, "tprimary_entry"), (0x104, "t$x"), (0x2000, "Astrange"), (0x2000, "Tnumber_0")]
SYMBOLS += [(0x3000 + 16 * n, f"tfiller_{n}") for n in range(700)]
SYMBOLS += [(0x9000, "b" + "long_" * 40), (0xA000, "B_end")]


def tables(
    symbols: list[tuple[int, str]], *, relative: bool, lead: int = 1 << 16, damage: str = "", skew: int = 0
) -> bytes:
    """`lead` bytes of code, then the tables: count, names, markers, tokens, token index, offsets; 8-byte aligned, the
    last two `skew` bytes further."""
    tokens = [bytes([byte]) for byte in range(256)]
    # Two characters in one token, for a code that no name has: 0x80 stands for `fi`.
    tokens = [token if 32 < token[0] < 127 else b"" for token in tokens]
    tokens[0x80] = b"fi"
    out = bytearray(b"\x1f\x20\x03\xd5" * (lead // 4))

    def align() -> None:
        out.extend(bytes(-len(out) % 8))

    out += struct.pack("<I", len(symbols))
    align()
    names, markers = bytearray(), []
    for number, (_, name) in enumerate(symbols):
        if number % 256 == 0:
            markers.append(len(names))
        coded = name.encode().replace(b"fi", b"\x80")
        size = len(coded)
        names += bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])
        names += coded
    out += names
    align()
    if damage == "markers":
        markers[1] += 1
    out += struct.pack(f"<{len(markers)}I", *markers)
    align()
    for token in tokens:
        out += token + b"\0"
    align()
    out += bytes(skew)
    begins = [sum(len(token) + 1 for token in tokens[:n]) for n in range(256)]
    if damage == "index":
        begins[200] += 1
    out += struct.pack("<256H", *begins)
    offsets = [offset for offset, _ in symbols]
    if damage == "order":
        offsets[3:6] = [0x9999, 0x10, 0x9998]
        offsets[9] = 1
    place = len(out)
    if relative:
        out += struct.pack(f"<{len(offsets)}i", *(o - place - 4 * n for n, o in enumerate(offsets)))
    else:
        out += struct.pack(f"<{len(offsets)}I", *offsets)
    return bytes(out) + bytes(64)


@pytest.mark.parametrize("relative", [False, True], ids=["from the first", "from its own place"])
def test_kallsyms__names_by_offset(relative: bool) -> None:
    table = kallsyms(tables(SYMBOLS, relative=relative))
    assert table is not None
    assert table.address("_text") == 0
    assert table.address("primary_entry") == 0x100
    assert table.lookup(0x3000 + 16 * 699 + 4) == "filler_699+0x4"
    assert table.address("long_" * 40) == 0x9000
    assert table.address("strange") is None
    assert len(table) == len({offset for offset, name in SYMBOLS if name not in ("t$x", "Astrange")})


def test_kallsyms__offsets_from_their_own_place_stand_at_any_multiple_of_4() -> None:
    """Two symbols at 0, so that the second of the offsets looks like the first of a table 4 bytes on."""
    table = kallsyms(tables([(0, "T__pi__text"), *SYMBOLS], relative=True, skew=4))
    assert table is not None
    assert (table.address("__pi__text"), table.address("_text"), table.address("primary_entry")) == (0, 0, 0x100)
    assert table.address("_end") == 0xA000


@pytest.mark.parametrize("damage", ["markers", "index", "order"])
def test_kallsyms__tables_that_disagree_are_none(damage: str) -> None:
    assert kallsyms(tables(SYMBOLS, relative=False, damage=damage)) is None


def test_kallsyms__cut_anywhere_is_none_or_whole() -> None:
    data = tables(SYMBOLS[:600], relative=True, lead=64)
    end = len(data) - 64
    for size in [*range(0, end, 97), end - 1]:
        assert kallsyms(data[:size]) is None
    assert kallsyms(data[:end]) is not None


def test_kallsyms__image_without() -> None:
    assert kallsyms(b"") is None
    assert kallsyms(b"0\0001\0002\0003\0004\0005\0006\0007\0008\0009\0") is None
    assert kallsyms(bytes(4096) + b"0\0001\0002\0003\0004\0005\0006\0007\0008\0009\0" + bytes(4096)) is None


def test_own_symbols__by_the_load_address_and_by_the_kernels() -> None:
    """arm64 without KASLR: _text is at 0xffff_8000_8000_0000 (48-bit addresses)."""
    data = tables(SYMBOLS, relative=True)
    symbols = image_symbols("no such file", data, 0x8000_0000)
    assert symbols is not None
    assert symbols.lookup(0x8000_0104) == "primary_entry+0x4"
    assert symbols.lookup(0xFFFF_8000_8000_0104) == "primary_entry+0x4"
    assert symbols.lookup(0x104) is None
    assert symbols.lookup(0x8000_A000) is None
    assert image_symbols("no such file", b"", 0) is None


def test_own_symbols__of_every_cached_kernel_end_where_its_header_says() -> None:
    """`_end` of the table is image_size of the header: two sources that know nothing of each other."""
    kernels = cached_kernels()
    if not kernels:
        pytest.skip("no kernel is cached: `ccabridge fetch-kernel` fetches one")
    for cached in kernels:
        kernel = read_kernel(cached.image)
        table = kallsyms(kernel.data)
        assert table is not None, cached.release
        assert table.address("_end") == kernel.size
        assert table.address("_text") == table.address("__pi__text") == 0
        assert (table.address("vectors") or 1) % 0x800 == 0  # VBAR_EL1 has no lower bits
        assert {"start_kernel", "arm64_rsi_init"} <= set(table.names())
        symbols = KernelSymbols(table, 0x8000_0000, 0)
        assert symbols.lookup(0xFFFF_8000_8000_0000 + (table.address("vectors") or 0)) == "vectors"
