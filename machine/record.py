# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs that can be repeated although somebody typed: what came from outside, and when, in a file (docs/snapshots.md).

A record is JSON Lines: the machine, then each input with the instruction count at which it came, and now and then what
the machine looked like.  Everything else of a run follows from the machine file.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

from bridge.errors import UserError
from machine.devices.endpoints import Endpoint, Endpoints
from machine.end import INTERRUPTED, End
from machine.snapshot.file import config_text, digest, input_files
from machine.snapshot.state import refuse, state_hash

if TYPE_CHECKING:
    from machine.config.loader import MachineConfig
    from machine.devices.console import Console
    from machine.machine import Machine

FORMAT = "ccabridge record"
VERSION = 1
CHECK = 10_000_000  # instructions from one look at the machine to the next
MAX_BYTES = 1 << 30
FIELDS = {"config": str, "withheld": list, "inputs": dict}


def _look(machine: Machine) -> int:
    """What all contexts look like: general registers, PC, PSTATE."""
    total = 0
    for core in machine.cores:
        words = (*core.get_x(0, 31), core.sp, core.pc, core.pstate)
        total = zlib.crc32(b"".join(word.to_bytes(8, "little") for word in words), total)
    return total


class _Ends(Endpoints):
    """Endpoints that stand before a machine's own."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine
        self._consoles: list[Console] = []
        self._next_check = CHECK

    def _number(self, endpoint: Endpoint) -> None:
        """Consoles that get input, in the order in which they come: the same in each run of a machine."""
        console: Console | None = getattr(endpoint, "console", None)
        if console is not None:
            self._consoles.append(console)

    @property
    def _now(self) -> int:
        return self._machine.board.insns


class Recording(_Ends):
    """Writes a record of a machine that has not run yet.  UserError for a file that cannot be written."""

    def __init__(self, machine: Machine, path: str) -> None:
        super().__init__(machine)
        refuse(machine, hosted=True)
        self._inner = machine.attached.endpoints
        self._path = path
        self._live = False
        text, withheld = config_text(machine.config)
        inputs = input_files(machine.config, disks=True)
        try:
            self._file: IO[str] = open(path, "w", encoding="utf-8")  # noqa: SIM115  (open until the end)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        self._put({"format": FORMAT, "version": VERSION, "config": text, "withheld": withheld, "inputs": inputs})
        machine.attached.endpoints = self

    def _put(self, line: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            raise UserError(f"{self._path}: {error.strerror}") from None

    def _tap(self, endpoint: Endpoint) -> None:
        self._number(endpoint)
        if self._consoles:
            number, console = len(self._consoles) - 1, self._consoles[-1]
            if console.fed is None:
                console.fed = lambda data: self._put({"at": self._now, "to": number, "data": data.hex()})

    def start(self) -> None:
        for endpoint in self._inner.every:
            self._tap(endpoint)
        self._inner.start()

    def add(self, endpoint: Endpoint) -> None:
        self._inner.add(endpoint)

    def open(self, endpoint: Endpoint) -> None:
        self._tap(endpoint)
        self._inner.open(endpoint)

    def poll(self) -> bool:
        arrived = self._inner.poll()
        if self._now >= self._next_check:
            self._next_check = self._now + CHECK
            self._put({"at": self._now, "look": _look(self._machine)})
        return arrived

    @property
    def live(self) -> bool:
        live = self._inner.live
        if live != self._live:
            self._live = live
            self._put({"at": self._now, "live": live})
        return live

    def wait(self, seconds: float) -> bool:
        return self._inner.wait(seconds)

    def stop(self) -> None:
        self._inner.stop()

    def paced(self, reached: int) -> int:
        self._put({"at": self._now, "idle": reached})
        return reached

    def ended(self, end: End) -> None:
        """The run is over."""
        self._put({"at": self._now, "end": end.reason, "code": end.code, "hash": state_hash(self._machine)})
        self._file.close()


class Record:
    """A record file, read.  UserError for what is none."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read(MAX_BYTES)
            self.lines = [json.loads(line) for line in text.splitlines()]
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        except ValueError:
            raise UserError(f"{path}: not a record of ccabridge") from None
        head = self.lines.pop(0) if self.lines else None
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise UserError(f"{path}: not a record of ccabridge")
        if head.get("version") != VERSION:
            raise UserError(f"{path}: a record of version {head.get('version')}; this ccabridge has {VERSION}")
        if not all(isinstance(head.get(name), kind) for name, kind in FIELDS.items()):
            raise UserError(f"{path}: damaged: its first line is not whole")
        for number, line in enumerate(self.lines, 2):
            if not isinstance(line, dict) or type(line.get("at")) is not int:
                raise UserError(f"{path}:{number}: damaged: no instruction count")
        self._head = head

    def config(self, overrides: Sequence[str] = ()) -> MachineConfig:
        from machine.config.loader import load_text

        for name, expected in self._head["inputs"].items():
            if digest(str(name)) != expected:
                raise UserError(f"{self.path}: {name} is not what it was when the record was made")
        return load_text(self._head["config"].encode(), self.path, overrides)


class Replaying(_Ends):
    """Gives a machine what a record says, when it says so.  UserError where the run is another one."""

    def __init__(self, machine: Machine, record: Record) -> None:
        super().__init__(machine)
        self._inner = machine.attached.endpoints
        self._record = record
        self._at = 0
        self._live = False
        machine.attached.endpoints = self

    def _diverged(self, what: str) -> UserError:
        return UserError(
            f"{self._record.path}:{self._at + 2}: the replay diverges at {self._now:,} instructions: {what}"
        )

    def _line(self) -> dict[str, Any] | None:
        lines = self._record.lines
        return lines[self._at] if self._at < len(lines) else None

    def start(self) -> None:
        from machine.devices.endpoints import InputFile, Keyboard, Server

        for endpoint in self._inner.every:
            self._number(endpoint)
            if not isinstance(endpoint, (InputFile, Keyboard, Server)):
                self._inner.open(endpoint)
        self.poll()

    def add(self, endpoint: Endpoint) -> None:
        self._inner.add(endpoint)

    def open(self, endpoint: Endpoint) -> None:
        self._number(endpoint)

    cut: End | None = None  # where somebody ended the recorded run

    def poll(self) -> bool:
        arrived = False
        while (line := self._line()) is not None and line["at"] <= self._now:
            if "end" in line:
                if line["at"] < self._now:
                    if (
                        line.get("code") == End(INTERRUPTED, "").code
                    ):  # no place of the guest's, and nothing differed up to it
                        self.cut = End(INTERRUPTED, f"the recorded run was, at {line['at']:,} instructions")
                        raise self.cut
                    raise self._diverged(f"the run was over at {line['at']:,}")
                break
            if "idle" in line:
                break
            if line["at"] < self._now:
                raise self._diverged(f"something was to happen at {line['at']:,}, between two looks at the outside")
            if "look" in line and line["look"] != _look(self._machine):
                raise self._diverged("its contexts have other registers")
            if "live" in line:
                self._live = bool(line["live"])
            elif "data" in line:
                if line.get("to") == len(self._consoles):
                    break  # that one is still to come
                self._feed(line)
                arrived = True
            self._at += 1
        return arrived

    def _feed(self, line: dict[str, Any]) -> None:
        to = line.get("to")
        try:
            console, data = self._consoles[int(to)], bytes.fromhex(line["data"])  # type: ignore[arg-type]
        except (IndexError, TypeError, ValueError):
            raise self._diverged("input for a console that there is not") from None
        console.feed(data)

    @property
    def live(self) -> bool:
        self.poll()
        return self._live

    def wait(self, seconds: float) -> bool:
        """What the machine waits for comes at this very instruction, if it comes at all."""
        if not self.poll() and self._live:
            line = self._line()
            if line is None or line["at"] > self._now or "end" in line:
                raise self._diverged("it waits for input, and none is left")
        return True

    def stop(self) -> None:
        self._inner.stop()

    def paced(self, reached: int) -> int:
        self.poll()
        line = self._line()
        if line is None or "idle" not in line or line["at"] != self._now or type(line["idle"]) is not int:
            raise self._diverged("it is idle, and was not")
        self._at += 1
        return int(line["idle"])

    def ended(self, end: End) -> None:
        """The run is over: it must have ended as the record says."""
        if end is self.cut:
            return
        self.poll()
        line = self._line()
        if line is None:
            raise self._diverged("it is over, and the record is not whole")
        if "end" not in line or line["at"] != self._now:
            raise self._diverged(f"it is over, and was not before {line['at']:,}")
        if (line["end"], line.get("code"), line.get("hash")) != (end.reason, end.code, state_hash(self._machine)):
            raise self._diverged("it ends in another state")
