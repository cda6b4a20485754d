# SPDX-License-Identifier: GPL-2.0-or-later
"""The sessions on docs/debugging.md, made by running them: `python -m tests.system.debugging_page` renews the page."""

from __future__ import annotations

import re
import sys

from machine.config.loader import load
from machine.machine import Machine
from machine.prompt import Prompt
from tests.system.test_gdb import GDB, Served, gdb
from tests.system.transcripts import ROOT

PAGE = ROOT / "docs/debugging.md"
MARK = re.compile(r"(<!-- (prompt|gdb): (\S+) (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
LINES = (
    "world",
    "bt",
    "walk main fetch",
    "realm = rmm.realms()[0]",
    "hex(realm.stage2.rtt_base), core.get_x(0, 2)",
    "granule 0x94000000",
    "s 2",
    "dis main 4",
    "rim",
    "gpt",
    "c",
)
COMMANDS = (
    "monitor only realm",
    "break main",
    "continue",
    "info threads",
    "stepi",
    "x/2i $pc",
    "p/x $SCTLR_EL1",
    "monitor break rsi:HOST_CALL",
    "continue",
    "backtrace",
    "monitor trace",
    "monitor delete 1",
    "delete",
    "continue",
)


def prompt_session(name: str, place: str) -> str:
    """What the prompt of a machine shows at a place, with what is typed."""
    out: list[str] = []
    machine = Machine(load(name, []), lambda line: None)
    lines = iter(LINES)

    def read(prompt: str) -> str:
        line = next(lines)
        out.append(f"{prompt}{line}\n")
        return line

    try:
        prompt = Prompt(machine, out.append, read, talk=True)
        hook = sys.displayhook
        sys.displayhook = lambda value: out.append(f"{value!r}\n") if value is not None else None
        try:
            prompt.stops.add(place)
            end = machine.run()
        finally:
            sys.displayhook = hook
        assert end.code == 0, end.__cause__
    finally:
        machine.close()
    return "".join(out)


def gdb_session(name: str, elf: str) -> str:
    """What GDB shows, with what is typed."""
    served = Served(name, "-S")
    try:
        typed = [word for command in COMMANDS for word in (f"echo (gdb) {command}\\n", command)]
        text = gdb(served, *typed, elf=elf)
        assert served.end()[0] == 0
    finally:
        served.close()
    return text


def renewed(text: str) -> str:
    """The page with its sessions as they are now; those of GDB stay where there is none."""

    def renew(match: re.Match[str]) -> str:
        if match[2] == "gdb" and GDB is None:
            return match[0]
        session = (prompt_session if match[2] == "prompt" else gdb_session)(match[3], match[4])
        body = "".join(f"    {line}".rstrip() + "\n" for line in session.splitlines())
        return f"{match[1]}\n{body}\n{match[6]}"

    return MARK.sub(renew, text)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
