"""`ccabridge new` writes a folder, or writes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge import cli
from firmware import templates_dir


@pytest.mark.parametrize("kind", ["payload", "host"])
def test_new__every_file_of_the_template_with_the_name_filled_in(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "deep" / "my-firmware"
    assert cli.main(["new", kind, str(target)]) == 0
    template = [path for path in (templates_dir() / kind).iterdir() if path.is_file()]
    assert sorted(path.name for path in target.iterdir()) == sorted(path.name for path in template)
    for path in template:
        expected = path.read_text().replace("@NAME@", "my-firmware").replace("@PYTHON@", sys.executable)
        assert (target / path.name).read_text() == expected
        assert "@" + "NAME@" not in expected
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"next: cd {target} && make run"
    assert len(lines) == len(template) + 1


def test_new__an_empty_folder_is_filled(tmp_path: Path) -> None:
    target = tmp_path / "empty"
    target.mkdir()
    assert cli.main(["new", "payload", str(target)]) == 0
    assert (target / "main.c").is_file()


def test_new__the_name_is_that_of_the_folder_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert cli.main(["new", "host", "."]) == 0
    assert "here" in (here / "machine.yaml").read_text()


def test_new__a_folder_with_something_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "main.c").write_text("mine")
    (tmp_path / "x").mkdir()
    target = tmp_path / "x" / ".."
    assert cli.main(["new", "payload", str(target.resolve())]) == 2
    assert capsys.readouterr().err.endswith("is not empty; nothing was written\n")
    assert (tmp_path / "main.c").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["main.c", "x"]


@pytest.mark.parametrize("name", ["1st", "-x", "a b", "é", "a.b", "x" * 49, "a$b", 'a"b'])
def test_new__a_name_that_would_not_build(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["new", "payload", f"{tmp_path}/{name}"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "is no name for firmware" in err
    assert list(tmp_path.iterdir()) == []


def test_new__a_file_or_a_dangling_link_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for word in ("file", "link"):
        assert cli.main(["new", "payload", str(tmp_path / word)]) == 2
    assert cli.main(["new", "payload", str(tmp_path / "file" / "below")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("ccabridge: error: new: ") for line in lines] == [True] * 3
    assert not (tmp_path / "nowhere").exists()


def test_new__only_payload_and_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["new", "kernel", str(tmp_path / "k")]) == 2
    assert "choose from" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["payload", "host"])
def test_new__builds_runs_and_passes_its_test_as_it_is(kind: str, tmp_path: Path) -> None:
    assert cli.main(["new", kind, str(tmp_path / "mine")]) == 0
    # Not as part of a make that runs these tests, whose variables would be handed down.
    alone = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "PYTHON"))}
    for target, closing in (("run", "ccabridge: guest-exit 0: "), ("test", "1 passed")):
        done = subprocess.run(
            ["make", target], cwd=tmp_path / "mine", env=alone, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert closing in done.stdout.splitlines()[-1]
