"""`ccabridge doctor` names what is missing, with its remedy, and fails only where nothing works without it."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import requires
from pathlib import Path

import pytest

import firmware
from bridge import cli
from bridge.cli import doctor


def test_here__everything_required_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "MISSING" not in out
    assert out.splitlines()[-1] == "all that is needed is there"


def test_json__one_object_a_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--json"]) == 0
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert {"python", "engine", "plugin", "libraries", "firmware", "C compiler", "aarch64 cc", "make", "dtc"} == set(
        checks
    )
    assert "libunicorn.so.2" in checks["engine"]["found"]
    assert checks["engine"]["required"] and not checks["dtc"]["required"]


def test_every_check_that_fails__has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor, "_installed", lambda name: None)
    monkeypatch.setattr(firmware, "_ROOT", Path("/nonexistent"))
    for check in doctor.all_checks():
        assert check.ok or check.remedy, check.name


def test_firmware_not_built__1_and_make_firmware(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(firmware, "_ROOT", tmp_path)
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert f"MISSING  firmware   {tmp_path / 'build'} has no host, " in out
    assert "remedy: `make firmware`" in out
    assert out.splitlines()[-1] == "something is missing that nothing works without"


@pytest.mark.parametrize(
    ("found", "words"), [(None, "unicorn is not installed"), ("2.1.1", "unicorn 2.1.1; the plugin")]
)
def test_engine_of_another_version__1_and_the_pinned_one(
    found: str | None, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: found if name == "unicorn" else "0")
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert f"MISSING  engine     {words}" in out
    assert "remedy: pip install unicorn==2.1.4" in out


def test_tool_absent__no_failure_and_what_it_is_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "absent   dtc        not found" in out
    assert "remedy: apt install device-tree-compiler" in out


def test_pins__are_those_of_the_distribution() -> None:
    runtime = [line for line in requires("ccabridge") or [] if ";" not in line]
    assert doctor.pins() == dict(line.split("==") for line in runtime)
