"""`ccabridge sdk` prints paths that are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import firmware
from bridge import cli


def test_sdk__names_each_file_once_and_it_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sdk"]) == 0
    paths = [Path(line.split()[1]) for line in capsys.readouterr().out.splitlines() if line.startswith("    ")]
    assert {"smccc.h", "rmi.h", "rsi.h", "crt0_host.S", "crt0_realm.S", "realm.ld", "host.ld"} <= {
        path.name for path in paths
    }
    assert all(path.is_file() for path in paths)
    assert len(paths) == len(set(paths))


def test_sdk_include__is_the_directory_for_a_compiler(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sdk", "--include"]) == 0
    assert (Path(capsys.readouterr().out.strip()) / "rmi.h").is_file()


def test_sdk_json__name_to_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sdk", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)
    assert all(Path(path).name == name and Path(path).is_file() for name, path in files.items())


def test_sdk__headers_not_generated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(firmware, "_ROOT", tmp_path)
    assert cli.main(["sdk"]) == 2
    assert capsys.readouterr().err.endswith("smccc.h, rmi.h, rsi.h not generated yet (make firmware)\n")
