# SPDX-License-Identifier: GPL-2.0-or-later
"""Names for addresses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import UserError
from bridge.symbols import SymbolTable

from .elf import NOP, elf

SYMBOLS = [
    ("start", 0x8000, 8),
    ("main", 0x8008, 16),
    ("$x", 0x8008, 0),
    ("label", 0x8020, 0),
    ("after", 0x8030, 4),
]


@pytest.fixture
def table(tmp_path: Path) -> SymbolTable:
    path = tmp_path / "a.elf"
    path.write_bytes(elf([(0x8000, NOP * 16, 64)], symbols=SYMBOLS))
    return SymbolTable.from_elf(path)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (0x7FFF, None),
        (0x8000, "start"),
        (0x8004, "start+0x4"),
        (0x8008, "main"),
        (0x8017, "main+0xf"),
        (0x8018, None),
        (0x8020, "label"),
        (0x802C, "label+0xc"),
        (0x8030, "after"),
        (0x8034, None),
        (1 << 64, None),
    ],
)
def test_lookup__name_and_offset(table: SymbolTable, address: int, name: str | None) -> None:
    assert table.lookup(address) == name


def test_address__of_a_name(table: SymbolTable) -> None:
    assert table.address("main") == 0x8008
    assert table.address("$x") is None and table.address("none") is None
    assert table.names() == ["start", "main", "label", "after"]


def test_lookup__of_two_names_the_one_with_a_size() -> None:
    assert SymbolTable([(0x10, 4, "function"), (0x10, 0, "text_start")]).lookup(0x10) == "function"


def test_lookup__last_label_has_an_end() -> None:
    assert SymbolTable([(0x10, 0, "end")]).lookup(0x1_0000) is None


def test_from_elf__raw_file_has_no_symbols(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"abc")
    assert len(SymbolTable.from_elf(tmp_path / "raw")) == 0


def test_from_elf__hostile_name_cannot_drive_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a.elf"
    path.write_bytes(elf([(0x8000, NOP, 4)], symbols=[("a\x1b[2Jb", 0x8000, 4)]))
    name = SymbolTable.from_elf(path).lookup(0x8000)
    assert name is not None and name.isprintable()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.integers(4, 700), st.integers(0, 255)), max_size=8), cut=st.integers(0, 500))
def test_from_elf__hostile_file_is_one_line(tmp_path: Path, flips: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(elf([(0x8000, NOP * 16, 64)], symbols=SYMBOLS))
    for at, value in flips:
        data[at % len(data)] = value
    path = tmp_path / "a.elf"
    path.write_bytes(bytes(data[: max(len(data) - cut, 4)]))
    try:
        SymbolTable.from_elf(path).lookup(0x8000)
    except UserError as error:
        assert "\n" not in str(error)
