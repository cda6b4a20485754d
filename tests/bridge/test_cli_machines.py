# SPDX-License-Identifier: GPL-2.0-or-later
"""`check`, `list` and `schema` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge import cli

from .elf import elf

SMALL = """\
# yaml-language-server: $schema=x
# A small machine.
memory:
  dram: {base: 0x8000_0000, size: 256M}
  root: {base: 0x0400_0000, size: 1M, pas: root}
load: {host: {file: host.elf}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "host.elf").write_bytes(elf())
    return tmp_path


def run(*words: str) -> int:
    return cli.main(list(words))


def test_check__ok_and_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "small.yaml") == 0
    assert capsys.readouterr().out == (
        "small.yaml: ok\n"
        "  1 PE, 48-bit PA\n"
        "       0x0400_0000     1M  root (root)\n"
        "       0x8000_0000   256M  dram (non-secure)\n"
        "  load host: elf, 0x8800_0000 to 0x8800_000f, normal world\n"
        "  starts at 0x8800_0000, EL2, normal world\n"
    )


def test_check__every_file_is_looked_at(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "bad.yaml").write_text("memroy: {}")
    assert run("check", "bad.yaml", "small.yaml") == 2
    out, err = capsys.readouterr()
    assert out.startswith("small.yaml: ok\n")
    assert err == "bad.yaml:1:1: unknown key `memroy` (did you mean `memory`?)\n"


def test_check__reads_the_files_too(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "host.elf").write_bytes(b"\x7fELF")
    assert run("check", "small.yaml") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_check__overrides(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "small.yaml", "-s", "memory.dram.size=1G") == 0
    assert "1G  dram" in capsys.readouterr().out


def test_check__resolved_loads_again(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert run("check", "--resolved", "small.yaml") == 0
    first = capsys.readouterr().out
    (folder / "sub").mkdir()
    (folder / "sub" / "again.yaml").write_text(first)
    assert run("check", "--resolved", "sub/again.yaml") == 0
    assert capsys.readouterr().out.splitlines()[1:] == first.splitlines()[1:]


def test_check__json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "--json", "small.yaml", "nope.yaml") == 2
    good, bad = map(json.loads, capsys.readouterr().out.splitlines())
    assert good["ok"] and good["entry"] == 0x8800_0000 and good["memory"]["dram"]["size"] == 256 << 20
    assert not bad["ok"] and bad["error"].startswith("nope.yaml: no such machine file")


def test_list__one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("hello-realm ") for line in lines)
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)
    assert run("list", "--json") == 0
    assert {"name", "file", "shows"} == set(json.loads(capsys.readouterr().out)[0])


def test_schema__is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "ccabridge machine file"
