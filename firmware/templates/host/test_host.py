"""Builds @NAME@, boots it at NS-EL2, and looks at its console and exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def test_host__says_hello_and_ends_with_0() -> None:
    subprocess.run(["make", f"PYTHON={sys.executable}", "@NAME@.elf"], cwd=HERE, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli", "run", "machine.yaml"],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[NS] hello from @NAME@" in done.stdout
