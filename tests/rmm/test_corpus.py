# SPDX-License-Identifier: GPL-2.0-or-later
"""Recorded answers of the reference RMM, replayed (rmm-abi.md §12 has the differences)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from rmm.corpus import CorpusError, features_of, mix, replay

CORPUS = Path(__file__).parent / "corpus"
SAMPLE = 4  # one sequence in so many


@pytest.mark.parametrize("name", ["default.jsonl.gz", "pa40.jsonl.gz"])
def test_sample(name: str) -> None:
    done: list[int] = []
    report = replay([CORPUS / name], done.append, choose=lambda number: number % SAMPLE == 0)
    assert report.failed == 0, report.differences
    assert report.sequences == len(done) == {"default.jsonl.gz": 38, "pa40.jsonl.gz": 10}[name]
    assert report.passed > 500


def changed(tmp_path: Path, change: Any) -> Path:
    """The corpus's first sequence, with one operation changed."""
    with gzip.open(CORPUS / "default.jsonl.gz", "rt") as lines:
        sequence = json.loads(lines.readline())
    change(sequence)
    path = tmp_path / "changed.jsonl"
    path.write_text(json.dumps(sequence) + "\n\n")
    return path


def test_a_wrong_answer_is_found(tmp_path: Path) -> None:
    def change(sequence: dict[str, Any]) -> None:
        next(op for op in sequence["ops"] if op["op"] == "smc")["out"][0] = 3

    report = replay([changed(tmp_path, change)])
    assert report.failed == 1
    assert "GRANULE_DELEGATE" in report.differences[0] and "operation 0" in report.differences[0]
    assert list(report.lines())[-1].endswith("1 failed")


@pytest.mark.parametrize("kind", ["rim", "gsum"])
def test_a_wrong_observation_is_found(tmp_path: Path, kind: str) -> None:
    def change(sequence: dict[str, Any]) -> None:
        op = next(op for op in sequence["ops"] if op["op"] == kind)
        if kind == "rim":
            op["recs"] += 1
        else:
            op["out"].popitem()

    assert replay([changed(tmp_path, change)]).failed == 1


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("smc", "args", [0, 0, 0]),
        ("smc", "args", ["0", 0, 0, 0, 0, 0]),
        ("smc", "args", [1 << 64, 0, 0, 0, 0, 0]),
        ("smc", "fid", None),
        ("smc", "out", "x"),
        ("w64", "val", -1),
        ("w64", "pa", 0x8100_0000 - 7),
        ("zero", "pa", 0x8100_0000 - 8),
        ("zero", "pa", 4096),
    ],
)
def test_malformed_operation(tmp_path: Path, kind: str, key: str, value: object) -> None:
    def change(sequence: dict[str, Any]) -> None:
        next(op for op in sequence["ops"] if op["op"] == kind)[key] = value

    with pytest.raises(CorpusError, match=r":1 \(seed \d+\): malformed operation"):
        replay([changed(tmp_path, change)])


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("bad.jsonl.gz", b"no gzip", "Not a gzipped file"),
        ("bad.jsonl.gz", gzip.compress(b'{"ops": []}' * 100, mtime=0)[:-12], "ended before"),
        ("bad.jsonl", b"\xff\xfe", "can't decode"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(CorpusError, match=rf"{name}:1: cannot be read: .*{why}"):
        replay([path])


def test_malformed_files(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    for text in ("{", "[]", '{"ops": 1}', '{"ops": [{"op": "smc"}]}', '{"ops": [{"op": "nonsense"}]}'):
        path.write_text(text + "\n")
        with pytest.raises(CorpusError, match=r"bad\.jsonl:1"):
            replay([path])


def test_features_of() -> None:
    assert features_of({"config": "default"}).encode() == 0x283FC104130
    registers = "id_aa64mmfr0_el1=20000000002,id_aa64dfr0_el1=305700,pmcr_el0=3000,ich_vtr_el2=14000003"
    assert features_of({"config": "pa40", "sysregs": registers}).encode() == 0x28F34314028


def test_mix() -> None:
    """The first word of a granule filled with seed 0 is splitmix64's first output."""
    assert mix(0) == 0xE220A8397B1DCDAF
