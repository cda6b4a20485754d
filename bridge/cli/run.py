# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge run`: boots a machine and reports how it ended."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.progress import Progress
    from machine.config.loader import MachineConfig
    from machine.end import End
    from machine.gdb import GdbFront
    from machine.machine import Machine
    from machine.prompt import Prompt
    from machine.snapshot.taking import Taking

HELP = "boot a machine: a machine file, a shipped name, an ELF to run as a realm, or Linux as one"
DEFAULT_MACHINE = "hello-realm"


def rewrite(argv: list[str]) -> list[str]:
    """`--trace` alone means all events; it never swallows the machine that follows it."""
    return ["--trace=*" if word == "--trace" else word for word in argv]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from bridge.cli import realm

    parser.add_argument(
        "machine", nargs="?", metavar="FILE|NAME|ELF", help="machine file, shipped name, or realm payload"
    )
    parser.add_argument(
        "-s",
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the machine file, e.g. -s memory.dram.size=1G",
    )
    parser.add_argument(
        "--load",
        action="append",
        default=[],
        metavar="FILE[@ADDR]",
        help="load a file into Normal-world memory: an ELF at its own addresses, anything else at ADDR",
    )
    parser.add_argument(
        "--record", metavar="FILE", help="write all input from outside there, with its times: `replay` repeats the run"
    )
    parser.add_argument("--entry", metavar="ADDR", help="first instruction of the Normal world")
    add_run_arguments(parser)
    realm.add_arguments(parser)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Those that `resume` has, too."""
    parser.add_argument(
        "--trace",
        nargs="?",
        const="*",
        metavar="GLOB",
        help="print events as they happen: all, or those matching, e.g. --trace='rmi_*,gpf'",
    )
    parser.add_argument("--where", metavar="EXPR", help="only events that satisfy it: 'rec==1 and status!=SUCCESS'")
    parser.add_argument("--trace-file", metavar="FILE", help="write the trace there instead")
    parser.add_argument(
        "--trace-format",
        choices=("text", "tf-rmm", "jsonl", "chrome"),
        help="of the trace; else by the file's suffix: .jsonl, .json (chrome), anything else is text",
    )
    parser.add_argument(
        "--trace-with",
        metavar="WHAT,...",
        help="pc: the place of each call in its caller; delta: the granules that a call moves",
    )
    parser.add_argument(
        "--coverage",
        action="append",
        default=[],
        metavar="FILE",
        help="write which code the guests ran: .drcov by block, .info (LCOV) by source line",
    )
    parser.add_argument(
        "--break",
        dest="breaks",
        action="append",
        default=[],
        metavar="PLACE",
        help="stop there, at a prompt where there is a terminal: rmi:GLOB, rsi:GLOB, status!=NAME, gpf, ipa:ADDR, "
        "'pa:ADDR write', va:ADDR, granule:PA, insn:N, event:GLOB, [WORLD:]SYMBOL, [WORLD:]ADDR",
    )
    parser.add_argument(
        "--symbols",
        action="append",
        default=[],
        metavar="[WORLD:]FILE",
        help="names for addresses: a System.map, a vmlinux or another ELF; of the realms, unless normal: or secure: is "
        "said",
    )
    parser.add_argument("--gdb", metavar="[HOST:]PORT", help="let a GDB attach there (loopback; 0 picks a port)")
    parser.add_argument("-S", dest="stopped", action="store_true", help="wait before the first instruction")
    parser.add_argument("--timeout", type=float, metavar="S", help="give up after S seconds of wall time (exit 124)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON instead of the summary")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="wall time, progress and accesses to nothing, to standard error"
    )
    parser.add_argument(
        "--reverse-to",
        metavar="PLACE",
        help="when the run is over, go back to the last time that it came there (a PLACE as of --break), and stop",
    )
    parser.add_argument(
        "--snapshot-at",
        nargs=2,
        action="append",
        default=[],
        metavar=("PLACE", "SNAPSHOT"),
        help="the first time that the machine gets there (a PLACE as of --break), write it to a file; `resume` goes on",
    )


def main(args: argparse.Namespace) -> int:
    from machine.machine import Machine

    def make(write: Callable[[str], object]) -> Machine:
        machine = Machine(_configure(args), write)
        if args.record is not None:
            from machine.record import Recording

            args.inputs = Recording(machine, args.record)
        return machine

    return run_machine(args, make)


def run_machine(args: argparse.Namespace, make: Callable[[Callable[[str], object]], Machine]) -> int:
    """Runs what `make` makes to its end, and reports."""
    from bridge.errors import UserError
    from bridge.progress import Progress

    if args.timeout is not None and not 0 < args.timeout < 1e9:
        raise UserError(f"--timeout {args.timeout}: expected seconds, more than 0")
    address = None
    if args.gdb is not None:
        from bridge.gdb.server import parse_address

        address = parse_address(args.gdb)
    progress = Progress(verbose=args.verbose or bool(getattr(args, "realm_debug", False)))

    def write(line: str) -> None:
        progress.clear()
        sys.stdout.write(line)

    machine = make(write)
    for text in args.symbols:
        try:
            machine.symbols.give(text)
        except UserError as error:
            raise UserError(f"--symbols: {error}") from None
    tracer = debugger = None
    if args.coverage:
        from machine.traces.coverage import Coverage

        Coverage(machine, tuple(args.coverage))
    if args.trace or args.trace_file or args.where or args.trace_format or args.trace_with:
        from machine.traces.start import start

        tracer = start(machine, args, write)
    try:
        if args.reverse_to and address is not None:
            raise UserError("--reverse-to: GDB has commands of its own for that")
        if address is not None or args.breaks or args.stopped or args.reverse_to:
            debugger = _debugger(machine, args, address, write)
        taking = _snapshots(machine, args, progress)
        end = run_bounded(machine, args.timeout, progress, debugger)
        if args.reverse_to:
            end = _reverse(machine, debugger, args.reverse_to, lambda: run_bounded(machine, args.timeout, progress))
        if getattr(args, "inputs", None) is not None:
            args.inputs.ended(end)
        if debugger is not None:
            debugger.ended(end)
        if taking is not None:
            for path in taking.missed():
                progress.clear()
                print(f"ccabridge: the run did not get to where {path} was to be taken", file=sys.stderr)
        _report(machine, end, as_json=args.json)
        if machine.coverage is not None:
            machine.coverage.write()
        if args.verbose:
            for line in machine.unclaimed.report(machine.symbols):
                progress.say(line.strip())
    finally:
        if tracer is not None:
            tracer.close()
        if debugger is not None:
            debugger.close()
        machine.close()
    return end.code


def _configure(args: argparse.Namespace) -> MachineConfig:
    from bridge.cli import realm as options_of_realms
    from bridge.errors import UserError
    from machine.config.loader import load

    extra: dict[str, Any] = {}
    options = options_of_realms.layers(args)
    name = args.machine
    if name is None:
        if not args.realm:
            raise UserError("run: the following arguments are required: FILE|NAME|ELF (see `ccabridge run --help`)")
        name = options_of_realms.MACHINE
    if _is_elf(name):
        if args.realm:
            raise UserError(f"{name}: an ELF: without --realm it is run as a payload; a kernel is given with -k")
        realm = {"name": "payload", "image": _absolute(name)}
        extra["realms"] = [realm]
        name = DEFAULT_MACHINE
    for number, text in enumerate(args.load):
        file, at, address = text.rpartition("@") if "@" in text else (text, "", "")
        entry: dict[str, Any] = {"file": file if file.startswith("firmware:") else _absolute(file)}
        if at:
            entry["at"] = address
        extra.setdefault("load", {})[f"load{number}"] = entry
    if args.entry is not None:
        extra["boot"] = {"entry": args.entry}
    config = load(name, args.set, extra=extra or None, options=options)
    if not config.load and config.boot.host == "firmware":
        raise UserError(f"{name}: nothing is loaded: give the Normal world an image with --load FILE[@ADDR]")
    return config


def _absolute(path: str) -> str:
    import os

    return os.path.abspath(path)


def _is_elf(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def _debugger(
    machine: Machine, args: argparse.Namespace, address: tuple[str, int] | None, write: Callable[[str], object]
) -> GdbFront | Prompt:
    debugger: GdbFront | Prompt
    if address is not None:
        from machine.gdb import GdbFront

        debugger = GdbFront(
            machine, address, wait=args.stopped, say=lambda line: print(line, file=sys.stderr, flush=True)
        )
    else:
        from machine.prompt import terminal_prompt

        debugger = terminal_prompt(machine, write)
        if args.reverse_to:
            from machine.stops import parse

            parse(0, args.reverse_to)
            debugger.go_back()
        if args.stopped:
            debugger.stops.wait_first()
    for text in args.breaks:
        debugger.stops.add(text)
    return debugger


def _reverse(machine: Machine, debugger: GdbFront | Prompt | None, place: str, again: Callable[[], End]) -> End:
    """Runs a machine whose run is over again, to the last time that it came to a place, and from there."""
    from bridge.errors import UserError

    rewind = None if debugger is None else debugger.rewind
    if debugger is None or rewind is None or rewind.possible:
        raise UserError(f"--reverse-to: {rewind.possible if rewind is not None else 'nothing is remembered'}")
    rewind.back_from_end(debugger.stops.add(place))
    end = again()
    while rewind.ended():
        end = again()
    return end


def _snapshots(machine: Machine, args: argparse.Namespace, progress: Progress) -> Taking | None:
    if not args.snapshot_at:
        return None
    from machine.snapshot.taking import Taking, silent
    from machine.stops import Stops

    def say(line: str) -> None:
        progress.clear()
        print(f"ccabridge: {line}", file=sys.stderr, flush=True)

    taking = Taking(machine, machine.stops or Stops(machine, silent), say)
    for place, path in args.snapshot_at:
        taking.at(place, path)
    return taking


def run_bounded(
    machine: Machine, timeout: float | None, progress: Progress, debugger: GdbFront | Prompt | None = None
) -> End:
    """Runs a machine with progress shown, for at most `timeout` seconds of wall time."""
    import signal

    from machine.end import INTERRUPTED, TIMEOUT, End

    def expired(_signal: int, _frame: object) -> None:
        raise TimeoutError

    def beat() -> None:
        if machine.interactive:
            return
        name = machine.running.name if machine.running is not None else "the host"
        progress.update(f"ccabridge: {machine.board.insns / 1e6:,.0f} M instructions, {name}")

    def loading(what: str, done: int, of: int) -> None:
        progress.update(f"ccabridge: {what}: {done * 100 // max(of, 1)} % loaded and measured")

    if machine.config.console is None:  # else the terminal is the guest's
        machine.poll = beat
        machine.progress = loading
    if debugger is not None:
        poll, look = machine.poll, debugger.poll

        def both() -> None:
            poll()
            look()

        machine.poll = both
    previous = signal.signal(signal.SIGALRM, expired) if timeout else None
    try:
        if timeout:
            signal.setitimer(signal.ITIMER_REAL, timeout)
        try:
            end = machine.run()
        except TimeoutError:
            end = End(TIMEOUT, f"no end within {timeout:g} s of wall time", core=machine.running)
        except KeyboardInterrupt:
            end = End(INTERRUPTED, "from outside (Ctrl-C)", core=machine.running)
    finally:
        progress.clear()
        if timeout:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
    took = progress.elapsed
    progress.say(f"{took:.3f} s of wall time, {machine.board.insns / took / 1e6:.0f} M instructions/s")
    return end


def _report(machine: Machine, end: End, *, as_json: bool) -> None:
    from machine.diagnosis import diagnose
    from machine.end import GUEST_EXIT

    abnormal = end.kind != GUEST_EXIT
    if as_json:
        import json

        from machine.postmortem import as_dict

        print(json.dumps(as_dict(machine, end)))
        return
    if abnormal:
        from machine.postmortem import report

        for line in report(machine, end):
            print(line)
    found = diagnose(machine, end)
    if found is not None:
        print(f"ccabridge: diagnosis: {found}")
    calls = machine.calls
    ns = machine.virtual_ns
    print(
        f"ccabridge: {machine.board.insns:,} instructions in {ns / 1e6:.3f} ms of virtual time; "
        f"{calls.total('RMI'):,} RMI, {calls.total('RSI'):,} RSI, {calls.total('PSCI'):,} PSCI calls"
    )
    print(f"ccabridge: {end.kind} {end.code}: {end.reason}")
