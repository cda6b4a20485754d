"""Linux at a terminal and in a pipe (docs/vmm.md)."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from machine.vmm.linux.cache import cached_kernel
from tests.machine.test_interactive import read_until

pytestmark = pytest.mark.skipif(cached_kernel() is None, reason="no kernel: `ccabridge fetch-kernel`")
RUN = [sys.executable, "-m", "bridge.cli", "run", "--realm", "--timeout=200"]


def test_terminal__a_shell_that_idles_cheaply_and_ends_with_its_status() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(RUN[0], RUN)
    try:
        assert b"\r\n# " in read_until(terminal, b"\r\n# ", 120)
        os.write(terminal, b"echo a$b; exit 7\n")
        assert b"guest-exit 7" in read_until(terminal, b"guest-exit 7", 120)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    finally:
        os.close(terminal)


def test_pipe__the_shell_reads_standard_input_from_its_first_byte() -> None:
    done = subprocess.run(RUN, input=b"echo one; exit 5\n", capture_output=True, timeout=240, check=False)
    assert done.returncode == 5, done.stdout[-500:]
    assert b"[realm 0] # one\n" in done.stdout


def test_pipe__a_shell_without_input_ends_by_name() -> None:
    done = subprocess.run(RUN, stdin=subprocess.DEVNULL, capture_output=True, timeout=240, check=False)
    assert done.returncode == 3
    assert b"standard input has ended" in done.stdout.splitlines()[-1]
