# SPDX-License-Identifier: GPL-2.0-or-later
"""The prompt at a stop, and the page that shows it."""

from __future__ import annotations

import re

import pytest

from machine.config.loader import load
from machine.end import GUEST_EXIT, End
from machine.machine import Machine
from machine.prompt import Prompt
from tests.system.debugging_page import MARK, PAGE, gdb_session, prompt_session
from tests.system.test_gdb import GDB


def typed(*lines: str, place: str = "realm:main") -> tuple[str, End, int]:
    """(output, end, instructions) of hello-realm with these lines typed at its stops; then the end of the file."""
    out: list[str] = []
    machine = Machine(load("hello-realm", []), lambda line: None)
    left = iter(lines)

    def read(prompt: str) -> str:
        line = next(left, None)
        if line is None:
            raise EOFError
        return line

    try:
        prompt = Prompt(machine, out.append, read, talk=True)
        prompt.stops.add(place)
        end = machine.run()
        return "".join(out), end, machine.board.insns
    finally:
        machine.close()


def test_prompt__end_of_file_goes_on_to_the_end() -> None:
    out, end, insns = typed()
    assert (end.kind, end.code) == (GUEST_EXIT, 0)
    _, _, again = typed("s 100", "s", "break insn:100000", "c", "c")
    assert again == insns
    assert out.count("stop at") == 1


def test_prompt__steps_and_new_places() -> None:
    out, *_ = typed("s 3", "break rmi:REALM_DESTROY", "delete 1", "break", "c")
    at = [int(number.replace(",", "")) for number in re.findall(r"stop at ([\d,]+)", out)]
    assert at[1] == at[0] + 3
    assert len(at) == 3
    assert "2: rmi:REALM_DESTROY, hit 0 times\n" in out


def test_prompt__is_python_with_the_machine_in_it() -> None:
    out, end, _ = typed(
        "for n in range(2):", "    core.set_x(20 + n, [n + 7])", "", "assert core.get_x(20, 2) == [7, 8]", "c"
    )
    assert end.code == 0
    assert "Error" not in out


def test_prompt__a_mistake_is_a_line_and_nothing_more() -> None:
    out, end, _ = typed(
        "granule", "walk", "walk nowhere", "break nonsense:x:y z", "delete 9", "1/0", "select rec 5", "s x"
    )
    assert end.code == 0
    for text in (
        "usage: granule PA",
        "no loaded image has a symbol nowhere",
        "is no place to stop at",
        "no breakpoint 9",
    ):
        assert text in out
    assert "ZeroDivisionError" in out
    assert "no rec 5" in out


def test_prompt__selects_another_context() -> None:
    out, *_ = typed("select pe 0", "regs", "select secure", "c")
    assert "Normal NS-EL2, PE 0\n" in out
    assert "HCR_EL2 = " in out


def test_prompt__q_ends_the_machine() -> None:
    _, end, _ = typed("q")
    assert (end.kind, end.reason) == (GUEST_EXIT, "ended at the prompt")


def _shape(text: str) -> list[str]:
    """What does not depend on the compiler that built the firmware."""
    lines = [line.strip() for line in text.splitlines() if not re.search(r"<|=>|\t|RMI_DATA_CREATE", line)]
    return [re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{64}\b|\d[\d,.]*", "#", line) for line in lines if line]


@pytest.mark.parametrize("kind", ["prompt", "gdb"])
def test_page__shows_what_is_so(kind: str) -> None:
    if kind == "gdb" and GDB is None:
        pytest.skip("no GDB: pip install gdb-for-pwndbg")
    (match,) = [m for m in MARK.finditer(PAGE.read_text(encoding="utf-8")) if m[2] == kind]
    session = (prompt_session if kind == "prompt" else gdb_session)(match[3], match[4])
    assert _shape(session) == _shape(match[5]), "run python -m tests.system.debugging_page"
