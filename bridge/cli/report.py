# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge report`: a run as one page of HTML."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from machine.reports.collect import Collector
    from machine.reports.page import About

HELP = "a run as one page of HTML: worlds and calls over time, GPT, tables, exits, consoles, failures first"
_TRACES = (".jsonl", ".ndjson")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", metavar="RUN", help="trace in JSON Lines (`ccabridge run --trace-file FILE.jsonl`), or a machine to run"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="the page; by default RUN's name with .html, here")
    parser.add_argument("--force", action="store_true", help="replace a file that is not a report")
    parser.add_argument(
        "-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="of a machine: override a key"
    )
    parser.add_argument(
        "--timeout", type=float, metavar="S", help="of a machine: end it after S seconds of wall time, and report"
    )


def main(args: argparse.Namespace) -> int:
    from bridge.errors import UserError
    from machine.reports.page import page
    from machine.reports.write import check, write

    if args.timeout is not None and not 0 < args.timeout < 1e9:
        raise UserError(f"--timeout {args.timeout}: expected seconds, more than 0")
    recorded = args.run.endswith(_TRACES) or _is_trace(args.run)
    if recorded and (args.set or args.timeout is not None):
        raise UserError(f"{args.run}: a trace is not run: --set and --timeout are for machines")
    output = Path(args.output if args.output is not None else f"{Path(args.run).stem or 'report'}.html")
    check(output, force=args.force, source=Path(args.run))
    run, about = _read(Path(args.run)) if recorded else _run(args)
    replaced = write(output, page(run, about), force=args.force)
    print(f"ccabridge: {output}: {'replaced' if replaced else 'written'}, {run.failures:,} failed calls and faults")
    return 0


def _is_trace(name: str) -> bool:
    """A machine file never begins with a brace of JSON's on a line of its own kind, a trace always does."""
    try:
        with open(name, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
            return file.read(64).lstrip().startswith(b'{"')
    except OSError:
        return False


def _read(path: Path) -> tuple[Collector, About]:
    from bridge.errors import UserError
    from machine.reports.collect import Collector
    from machine.reports.page import About
    from machine.traces import jsonl

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    header, items = jsonl.read(path)
    run = Collector(header.rate)
    for item in items:
        run.put(item)
    run.close()
    return run, About(header.machine[:200], f"From the trace {path.name}")


def _run(args: argparse.Namespace) -> tuple[Collector, About]:
    from bridge.cli.run import run_bounded
    from bridge.progress import Progress
    from machine.config.loader import load
    from machine.diagnosis import diagnose
    from machine.end import GUEST_EXIT
    from machine.events import events
    from machine.machine import Machine
    from machine.reports.collect import Collector
    from machine.reports.page import About
    from machine.trace import Tracer

    progress = Progress(verbose=False)

    def say(line: str) -> None:
        progress.clear()
        sys.stdout.write(line)

    machine = Machine(load(args.run, args.set), say)
    machine.stdin = False
    run = Collector(machine.config.clock.rate)
    machine.trace_with(Tracer(machine, frozenset(events()), run))
    try:
        end = run_bounded(machine, args.timeout, progress)
        run.last = max(run.last, machine.board.insns)
        run.close()
        found = diagnose(machine, end)
    finally:
        machine.close()
    how = f"{end.kind} {end.code}: {end.reason}" + ("" if found is None else f". Diagnosis: {found}")
    good = end.kind == GUEST_EXIT and end.code == 0
    about = About(Path(args.run).name, "A machine that was run for this report", how, good)
    return run, about
