"""Runs the command line as a user does, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LAUNCH = "import sys; from bridge.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Result:
    """Exit code and outputs of one process."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def ccabridge(*words: str, cwd: Path | None = None, timeout: float = 60) -> Result:
    """`ccabridge WORDS`; a hung guest fails by timeout."""
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH, *words],
        capture_output=True,
        cwd=cwd,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())
