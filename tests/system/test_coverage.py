# SPDX-License-Identifier: GPL-2.0-or-later
"""`run --coverage`: drcov (version 2, as DynamoRIO writes it) and LCOV tracefiles (geninfo(1)), of whole machines."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.errors import UserError
from bridge.image import read_image
from machine.config import load
from machine.machine import Machine
from machine.traces.coverage import Coverage
from machine.traces.lcov import check
from tests.system.cli import ccabridge
from tests.system.test_docs import ROOT

SOURCE = """\
#include "realm.h"

static __attribute__((noinline)) int half(int n)
{
    if (n & 1)
        return -1;
    return n / 2;
}

static __attribute__((noinline)) int never(void)
{
    return 5;
}

int main(void)
{
    int sum = 0;
    for (int i = 0; i < 6; i++)
        sum += half(i);
    if (sum > 100)
        sum = never();
    return 0;
}
"""


@pytest.fixture(scope="module")
def payload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("payload")
    (folder / "half.c").write_text(SOURCE)
    out = folder / "half.elf"
    words = [sys.executable, "-m", "firmware.toolchain", "payload", "-g", "-O0", "-o", str(out), "half.c"]
    subprocess.run(words, cwd=folder, env={"PYTHONPATH": str(ROOT), "HOME": str(folder)}, check=True, timeout=120)
    return out


def drcov(path: Path) -> tuple[list[tuple[int, int, str]], list[tuple[int, int, int]]]:
    """(base, end, path) by module, and (offset, size, module) by block."""
    head, _, rest = path.read_bytes().partition(b"BB Table: ")
    lines = head.decode().splitlines()
    assert lines[0] == "DRCOV VERSION: 2" and lines[1].startswith("DRCOV FLAVOR: ")
    assert lines[3] == "Columns: id, base, end, entry, path"
    rows = [[cell.strip() for cell in line.split(",", 4)] for line in lines[4:]]
    assert lines[2] == f"Module Table: version 2, count {len(rows)}"
    assert [int(row[0]) for row in rows] == list(range(len(rows)))
    count, _, table = rest.partition(b" bbs\n")
    assert len(table) == 8 * int(count)
    return [(int(row[1], 16), int(row[2], 16), row[4]) for row in rows], list(struct.iter_unpack("<IHH", table))


def lcov(path: Path) -> dict[str, dict[str, dict[str, int]]]:
    """By source file: counts by line (DA) and by function (FNDA); totals are checked."""
    out: dict[str, dict[str, dict[str, int]]] = {}
    totals: dict[str, int] = {}
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == "SF":
            record = out[value] = {"DA": {}, "FNDA": {}}
            totals = {}
        elif key == "DA":
            number, count = value.split(",")
            record["DA"][number] = int(count)
        elif key == "FNDA":
            count, name = value.split(",")
            record["FNDA"][name] = int(count)
        elif key in ("LF", "LH", "FNF", "FNH"):
            totals[key] = int(value)
        elif line == "end_of_record":
            lines, functions = record["DA"].values(), record["FNDA"].values()
            assert totals == {
                "LF": len(lines), "LH": sum(map(bool, lines)), "FNF": len(functions), "FNH": sum(map(bool, functions)),
            }  # fmt: skip
        else:
            assert key in ("TN", "FN"), line
    return out


def test_lcov__counts_the_lines_of_a_payload(payload: Path, tmp_path: Path) -> None:
    """half() is called for 0 to 5: three of them are odd; never() is not."""
    path = tmp_path / "half.info"
    assert ccabridge("run", str(payload), f"--coverage={path}").code == 0
    files = lcov(path)
    source = files[str(payload.parent / "half.c")]
    wanted = {"5": 6, "6": 3, "7": 3, "12": 0, "17": 1, "19": 6, "20": 1, "21": 0, "22": 1}
    assert {line: source["DA"].get(line) for line in wanted} == wanted
    assert source["FNDA"] == {"half": 6, "never": 0, "main": 1}
    assert any(name.endswith("/runtime/realm.c") for name in files), "the SDK's runtime is built with it"


def test_drcov__has_every_block_in_its_module(payload: Path, tmp_path: Path) -> None:
    path, again = tmp_path / "one.drcov", tmp_path / "again.drcov"
    plain = ccabridge("run", str(payload))
    covered = ccabridge("run", str(payload), f"--coverage={path}", f"--coverage={again}")
    assert covered.lines == plain.lines, "instructions and virtual time are the same"
    assert again.read_bytes() == path.read_bytes()
    modules, blocks = drcov(path)
    assert [name.rpartition("/")[2] for _, _, name in modules] == ["host.elf", "half.elf"]
    for offset, size, module in blocks:
        base, end, _ = modules[module]
        assert size and size % 4 == 0 and base + offset + size <= end
    entry = read_image(payload).entry - modules[1][0]
    assert any(offset == entry and module == 1 for offset, _, module in blocks)


@pytest.mark.parametrize("name", ["hello-realm", "smp"])
def test_blocks__add_up_to_the_instructions_retired(name: str) -> None:
    """But for instructions that were begun and then faulted: they count as begun."""
    machine = Machine(load(name), lambda _line: None)
    coverage = Coverage(machine, ())
    machine.run()
    total = sum(block.size // 4 * block.runs for _, block in coverage.blocks())
    assert 0 <= total - machine.board.insns <= 8
    worlds = {module.name.rpartition("/")[2] for module, _ in coverage.blocks()}
    machine.close()
    assert len(worlds) == 2 and "[" not in "".join(worlds), "the host's image and the realm's"


def test_code_of_no_elf__is_a_module_of_its_context(tmp_path: Path) -> None:
    path = tmp_path / "linux.drcov"
    assert ccabridge("run", "mini-linux", f"--coverage={path}").code == 0
    modules, blocks = drcov(path)
    assert modules and all(name.startswith("[realm 0x") for _, _, name in modules) and len(blocks) > 100


@pytest.mark.parametrize(
    "words, what",
    [
        (("--coverage=x.txt",), "--coverage x.txt: the suffix says the format: .drcov or .info"),
        (("--coverage=/nowhere/x.drcov",), "--coverage /nowhere/x.drcov: No such file or directory"),
    ],
)
def test_coverage_that_cannot_be__is_one_line_and_exit_code_2(words: tuple[str, ...], what: str) -> None:
    result = ccabridge("run", "hello-realm", *words)
    assert result.code == 2 and what in result.err and len(result.err.splitlines()) == 1
    assert not result.out, "it is refused before the run"


def test_lcov_without_line_tables__is_refused_before_the_run(payload: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.elf"
    bare.write_bytes(payload.read_bytes().replace(b".debug_line\0", b".nothing_xy\0"))
    with pytest.raises(UserError, match=r"none of .*bare.elf has DWARF line tables.*: build with -g, or write .drcov"):
        check([read_image(bare)])
    with pytest.raises(UserError, match="there is no ELF file with DWARF line tables"):
        check([])


def test_malformed_dwarf__is_one_line_and_exit_code_2(payload: Path, tmp_path: Path) -> None:
    """The line table's bytes are overwritten: whatever the parser makes of that, nothing but a line comes of it."""
    from elftools.elf.elffile import ELFFile

    with payload.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".debug_line")
        at, size = section["sh_offset"], section["sh_size"]
    data = payload.read_bytes()
    for filler in (b"\xff", b"\x01", b"\x7f\x80"):
        broken = tmp_path / "broken.elf"
        broken.write_bytes(data[:at] + (filler * size)[:size] + data[at + size :])
        result = ccabridge("run", str(broken), f"--coverage={tmp_path / 'broken.info'}")
        assert result.code in (0, 2) and "Traceback" not in result.err
        if result.code == 2:
            assert "malformed DWARF" in result.err and len(result.err.splitlines()) == 1
