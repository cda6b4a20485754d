"""The front of the command line: one line for what the user gave wrong, and an exit code for every kind of end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bridge import cli
from bridge.errors import UserError
from tests.system.cli import LAUNCH, ccabridge

ROOT = Path(__file__).resolve().parents[2]


def command(monkeypatch: pytest.MonkeyPatch, error: BaseException | None = None, text: str = "") -> None:
    """Makes `sdk` a command that prints, then raises."""

    def main(args: object) -> int:
        print(text, end="")
        if error is not None:
            raise error
        return 0

    module = ModuleType("fake")
    vars(module).update(HELP="does it", add_arguments=lambda parser: parser.add_argument("-v", action="store_true"))
    vars(module).update(main=main)
    monkeypatch.setattr(cli, "load_command", lambda name: module)


def test_no_command__short_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")] == list(cli.COMMANDS)
    assert len(out.splitlines()) <= 24


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_help__is_no_error(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([word]) == 0
    assert capsys.readouterr().out.startswith("usage: ccabridge COMMAND")


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_command_help__ends_with_0(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0
    assert f"usage: ccabridge {name}" in capsys.readouterr().out


def test_version__is_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"ccabridge {cli.version()}\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["rnu"], "ccabridge: error: there is no command `rnu` (did you mean `run`?)"),
        (["xyzzy"], "ccabridge: error: there is no command `xyzzy`"),
        (["ru\nn\x1b[31m"], "ccabridge: error: there is no command `ru\\nn\\x1b[31m`\n"),
        (["list", "--jso"], "ccabridge: error: list: unrecognized arguments: --jso (see `ccabridge list --help`)"),
        (["run"], "ccabridge: error: run: the following arguments are required: FILE|NAME|ELF"),
        (["run", "hello-realm", "--timeout", "x"], "ccabridge: error: run: argument --timeout: invalid float value"),
    ],
)
def test_wrong_command_line__is_one_line_and_2(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_user_error__what_was_printed_before_goes_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(monkeypatch, UserError("it is\nwrong"), "before\n")
    assert cli.main(["sdk"]) == 2
    assert capsys.readouterr() == ("before\n", "ccabridge: error: it is\\nwrong\n")


def test_interrupt__ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    command(monkeypatch, KeyboardInterrupt())
    assert cli.main(["sdk"]) == 130
    assert capsys.readouterr().err == "ccabridge: interrupted\n"


def test_model_bug__is_short_and_70(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("CCABRIDGE_DEBUG", raising=False)
    command(monkeypatch, ZeroDivisionError("at\nall"))
    assert cli.main(["sdk"]) == 70
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("ccabridge: model-bug: ZeroDivisionError: at\\nall (in main, test_front.py:")
    assert len(lines) == 2


@pytest.mark.parametrize("how", ["-v", "environment"])
def test_model_bug__traceback_for_who_asks(
    how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(monkeypatch, ZeroDivisionError())
    if how == "environment":
        monkeypatch.setenv("CCABRIDGE_DEBUG", "1")
    else:
        monkeypatch.delenv("CCABRIDGE_DEBUG", raising=False)
    assert cli.main(["sdk", "-v"] if how == "-v" else ["sdk"]) == 70
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_reader_left__quiet(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as out:
        done = subprocess.run(
            [sys.executable, "-c", LAUNCH, "explain", "--list"], stdout=out, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_does_not_fit__is_one_line_and_2() -> None:
    with open("/dev/full", "wb") as out:
        done = subprocess.run(
            [sys.executable, "-c", LAUNCH, "explain", "--list"], stdout=out, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr == b"ccabridge: error: standard output: No space left on device\n"


def test_closed_streams__no_reason_to_fall_over() -> None:
    for words, code in (("list", 0), ("lisst", 2)):
        done = subprocess.run(["sh", "-c", f"exec {sys.executable} -c '{LAUNCH}' {words} >&- 2>&-"], check=False)
        assert done.returncode == code


def test_output__is_utf8_in_every_locale() -> None:
    locales = ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"LC_ALL": "C.UTF-8"})
    outputs = {
        subprocess.run(
            [sys.executable, "-c", LAUNCH, "explain", "SCTLR_EL1"],
            env=os.environ | env,
            capture_output=True,
            check=True,
        ).stdout
        for env in locales
    }
    assert len(outputs) == 1
    assert "…".encode() in outputs.pop()


def test_start__only_the_chosen_command_is_imported() -> None:
    code = (
        "import sys; from bridge import cli; cli.main(['sdk', '--include']); "
        "print([m for m in sys.modules if m.startswith('bridge.cli.') or m in "
        "('yaml', 'msgspec', 'elftools', 'capstone', 'unicorn', 'bridge.plugin', 'rmm', 'machine')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[1] == "['bridge.cli.parser', 'bridge.cli.sdk']"


def test_module__runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "bridge.cli", "nope"], capture_output=True, text=True, check=False)
    assert done.returncode == ccabridge("nope").code == 2
