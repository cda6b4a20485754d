# SPDX-License-Identifier: GPL-2.0-or-later
"""Source lines from DWARF (DWARF 4, 6.2), in the project's own images and in files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

import firmware
from bridge.lines import LineTable
from bridge.symbols import SymbolTable

HELLO = firmware.locate("hello")


def line_of(path: str, text: str) -> int:
    """The number of the first line of a firmware source that starts with a text."""
    source = (Path(firmware.__file__).parent / path).read_text().splitlines()
    return next(number for number, line in enumerate(source, 1) if line.startswith(text))


def test_lookup__function_is_where_its_source_says() -> None:
    lines, symbols = LineTable.from_elf(HELLO), SymbolTable.from_elf(HELLO)
    main, start = symbols.address("main"), symbols.address("_start")
    assert main is not None and start is not None
    # Its head, or its brace: compilers differ.
    head = line_of("payloads/hello.c", "int main")
    assert lines.lookup(main) in (f"payloads/hello.c:{head}", f"payloads/hello.c:{head + 1}")
    assert (lines.lookup(start) or "").startswith("sdk/crt0_realm.S:")
    assert lines.lookup(start - 4) is None
    assert lines.lookup((1 << 64) - 4) is None


def test_file__that_has_no_lines_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"", b"no ELF", b"\x7fELF", b"\x7fELF" + bytes(60)):
        path.write_bytes(content)
        assert len(LineTable.from_elf(path)) == 0
        assert LineTable.from_elf(path).lookup(0) is None


@pytest.mark.parametrize("seed", range(8))
def test_file__damaged_is_empty_or_has_lines(seed: int, tmp_path: Path) -> None:
    """Nothing that stands in a file raises."""
    import random

    rnd = random.Random(seed)
    data = bytearray(HELLO.read_bytes())
    for _ in range(200):
        data[rnd.randrange(len(data))] = rnd.randrange(256)
    path = tmp_path / "file"
    path.write_bytes(data)
    LineTable.from_elf(path).lookup(0x8000_0000)
