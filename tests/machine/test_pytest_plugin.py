# SPDX-License-Identifier: GPL-2.0-or-later
"""The pytest plugin, as another project's tests have it (docs/library.md)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = "pytester"

ROOT = Path(__file__).resolve().parents[2]
PAYLOAD = ROOT / "firmware/build/hello.elf"


def run(pytester: pytest.Pytester, text: str) -> pytest.RunResult:
    """Tests in a folder of their own; nothing of this repository is on their path."""
    pytester.makepyfile(text)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=60)


def test_fixtures__machine_and_realm(pytester: pytest.Pytester) -> None:
    (pytester.path / "own.yaml").write_text("layers: [hello-realm]\n")
    result = run(
        pytester,
        f"""
        from machine.library import call

        def test_machine(machine):
            own = machine("own.yaml")
            assert own.wait_for("Hello", console="realm 0")
            own.assert_calls(["rmi_realm_create", call("rmi_rec_enter", "SUCCESS")])

        def test_two(machine):
            assert machine().run().code == machine("hello-realm").run().code == 0

        def test_realm(realm):
            assert realm({str(PAYLOAD)!r}).run().code == 0

        def test_realm_of_the_vmm(realm):
            guest = realm("firmware:hello", vmm=True, hash="sha512")
            assert "SHA-512" in guest.wait_for("Hello").text
        """,
    )
    result.assert_outcomes(passed=4)


def test_failure__shows_calls_exits_consoles_and_trace(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        def test_order(machine):
            m = machine()
            m.run()
            m.assert_calls(["rmi_realm_destroy", "rmi_realm_create"])

        def test_console(machine):
            machine().wait_for("nothing of that kind")

        def test_stop(machine):
            m = machine()
            m.run("realm:main")
            assert not m.realms
        """,
    )
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "E   *these calls were not made in this order:",
            "E   *rmi_realm_destroy    call *",
            "E   *> rmi_realm_create    not found",
            "*- ccabridge: machine 0 -*",
            "<Session hello-realm: guest-exit 0, * instructions>",
            "last exits:",
            "    rec_exit: REC 0x* exits: HOST_CALL",
            "consoles:",
            "    [[]realm 0[]] Hello from a realm*",
            "trace:",
            "    *RMI_REALM_DESTROY(rd=0x*) = SUCCESS",
            "E   *NotReached: no console printed 'nothing of that kind' before the end*",
            "stop: breakpoint 1 (realm:main)",
        ]
    )
    assert "_parsed" not in result.stdout.str()  # the test's own line is shown, not the library's


def test_failure__of_a_test_without_machines_says_nothing(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_it(): assert False")
    result.assert_outcomes(failed=1)
    assert "ccabridge: machine" not in result.stdout.str()


def test_close__machines_of_a_test_are_closed_after_it(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest
        kept = []

        def test_one(machine):
            kept.append(machine())
            kept[0].run("realm:main")

        def test_other():
            with pytest.raises(Exception, match="closed"):
                kept[0].run()
        """,
    )
    result.assert_outcomes(passed=2)


def test_loading__brings_in_nothing_but_itself() -> None:
    """Projects that have ccabridge in their environment and do not use it pay for one module."""
    script = "import machine.pytest_plugin, sys; print(*sorted(m for m in sys.modules if m.split('.')[0] in NAMES))"
    done = subprocess.run(
        [sys.executable, "-c", f"NAMES = {{'machine', 'bridge', 'rmm', 'yaml', 'unicorn'}}; {script}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["machine", "machine.pytest_plugin"]
