"""Progress goes to a terminal, or to who asked; never into a pipe."""

from __future__ import annotations

import io

import pytest

from bridge import progress
from bridge.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_FOR", 0.0)
    monkeypatch.setattr(progress, "INTERVAL", 0.0)


def test_pipe__nothing() -> None:
    stream = io.StringIO()
    shown = Progress(stream=stream)
    shown.update("1 of 2")
    shown.say("took 1 s")
    shown.clear()
    assert stream.getvalue() == ""


def test_pipe_verbose__lines_that_stay() -> None:
    stream = io.StringIO()
    shown = Progress(verbose=True, stream=stream)
    shown.update("1 of 2")
    shown.say("took 1 s")
    assert stream.getvalue() == "ccabridge: took 1 s\n"


def test_terminal__the_line_is_rewritten_and_taken_away() -> None:
    stream = Terminal()
    shown = Progress(verbose=True, stream=stream)
    shown.update("10 of 20")
    shown.update("9")
    shown.say("done")
    assert stream.getvalue() == "\r10 of 20\r9       \r \rccabridge: done\n"


def test_terminal__not_before_it_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_FOR", 1000.0)
    stream = Terminal()
    shown = Progress(stream=stream)
    shown.update("1 of 2")
    shown.clear()
    assert stream.getvalue() == ""
    assert 0 <= shown.elapsed < 1000
