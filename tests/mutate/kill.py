# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the rule tests tell a mutant from the original, within one process: imports are paid for once."""

from __future__ import annotations

import contextlib
import io
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import pytest

from rmm.abi.call import Call
from tests.mutate.mutants import EVERY
from tests.rmm import fakes
from tests.rmm.test_conditions import TABLES

RULES = Path(__file__).parent.parent / "rmm"
# Long campaigns, tests of layouts, texts and tokens (which no mutant changes), and the one that runs mutants.
ASIDE = frozenset(
    f"test_{name}" for name in ("fuzz", "state_machine", "corpus", "layout", "text", "token", "mutation_sample")
)
TELLING = {  # files that find most mutants of an interface
    "RMI": ("test_mutation_gaps", "test_declarations", "test_lpa2", "test_psci", "test_effects", "test_enter"),
    "RSI": ("test_rsi", "test_token_calls"),
    "PSCI": ("test_psci",),
}
PATIENCE = 30  # seconds for one test: a mutant that never ends is found


class Witness:
    """A pytest plugin that remembers the tests which failed."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


def files(interface: str) -> list[Path]:
    """The files of rule tests, the telling ones first."""
    found = sorted(path for path in RULES.glob("test_*.py") if path.stem not in ASIDE)
    telling = TELLING[interface]
    return sorted(found, key=lambda path: telling.index(path.stem) if path.stem in telling else len(telling))


def failing(paths: Sequence[Path], *options: str) -> list[str]:
    """Node ids of the tests that fail.

    Raises RuntimeError when pytest cannot run them at all: that would find every mutant.
    """
    witness = Witness()
    quiet = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:terminalreporter", "--capture=no")
    patience = (f"--timeout={PATIENCE}", "--timeout-method=signal")
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pytest.main([*quiet, *patience, *options, *map(str, paths)], [witness])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest ends with {code!r}\n{said.getvalue()[-2000:]}")
    if (code == pytest.ExitCode.OK) == bool(witness.failed):
        raise RuntimeError(f"pytest ends with {code!r} and {len(witness.failed)} failures\n{said.getvalue()[-2000:]}")
    return witness.failed


@contextlib.contextmanager
def declared(amend: Callable[[Call], Call]) -> Iterator[None]:
    """The worlds of the rule tests bind what `amend` makes of each declaration."""
    fakes.amend = amend
    try:
        yield
    finally:
        fakes.amend = None


def unmutated() -> list[str]:
    """Tests that fail although every declaration is as good as its original: there must be none."""
    with declared(lambda decl: decl.with_conditions(decl.conditions)):
        return failing(files("RMI"))


def out_of_patience(signum: int, frame: FrameType | None) -> None:
    raise TimeoutError


def failing_row(call: Call) -> str | None:
    """A row of the tables of the call's own conditions that fails, with no test runner around it."""
    before = signal.signal(signal.SIGALRM, out_of_patience)
    row = ""
    try:
        for table in (table for table in TABLES if table.decl is call):
            signal.alarm(PATIENCE)
            row = "success"
            table.check_success()
            for cases in (*((case,) for case in (*table.cases, *table.joint)), *table.pairs()):
                row = " before ".join(case.name for case in cases)
                table.check(*cases)
    except Exception:  # a crash tells mutants from originals too
        return row
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return None


def killer(number: int) -> str | None:
    """What finds EVERY[number]: a row of a table or a test's node id; None when nothing does."""
    mutant = EVERY[number]
    with declared(mutant.amend):
        row = failing_row(mutant.call)
        if row is not None:
            return row
        tests = failing(files(mutant.call.interface), "-x")
    return tests[0] if tests else None
