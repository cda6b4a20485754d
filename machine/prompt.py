# SPDX-License-Identifier: GPL-2.0-or-later
"""The prompt at a stop: the inspection commands, and Python with the machine as plain objects."""

from __future__ import annotations

import code
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bridge.errors import UserError
from machine.end import GUEST_EXIT, End
from machine.inspect import COMMANDS, inspect
from machine.inspect.code import code as code_lines
from machine.inspect.contexts import Context, context_of, select
from machine.library.calls import HostCalls
from machine.rewind import Rewind
from machine.stops import Stop, Stops

if TYPE_CHECKING:
    from machine.machine import Machine

CONTROL = {
    "c": "go on",
    "s [COUNT]": "so many instructions of what has stopped",
    "rs": "one instruction back",
    "rc": "back to the stop before this one",
    "break PLACE": "another place to stop at, as with --break; alone: the list",
    "delete NUMBER": "one less",
    "save FILE": "write a snapshot: save x.snap, or save('x.snap')",
    "select NAME": "look at another context: pe 0, secure, rec 1",
    "q": "end the machine",
    "help": "this",
}


class Prompt(code.InteractiveConsole):
    """Whoever is told of a machine's stops: a person.  read: where lines come from; EOFError at their end."""

    def __init__(
        self, machine: Machine, write: Callable[[str], object], read: Callable[[str], str] = input, *, talk: bool
    ) -> None:
        named = {"machine": machine, "memory": machine.memory, "rmm": machine.rmm, "gpt": machine.gpt}
        super().__init__({**named, "rmi": HostCalls(machine).rmi})
        self.machine = machine
        self.stops = Stops(machine, self.front)
        self.context: Context | None = None
        self._out = write
        self._in = read
        self._talk = talk
        self._introduced = False
        self._steps = 0
        self._over = False
        self.rewind: Rewind | None = None

    def write(self, data: str) -> None:
        self._out(data)

    def raw_input(self, prompt: str = "") -> str:
        return self._in(prompt)

    def poll(self) -> None:
        """Between turns."""
        if self.rewind is not None:
            self.rewind.poll()
        self.stops.poll()

    def go_back(self) -> None:
        """Makes `rs` and `rc` possible: from now on the machine is remembered."""
        self.rewind = Rewind(self.machine, self.stops)

    def ended(self, end: End) -> None:
        """The report says it."""

    def close(self) -> None:
        """A terminal stays open."""

    def front(self, stop: Stop) -> None:
        if stop.text == "step" and self._steps > 1 and stop.core is not None:
            self._steps -= 1
            stop.core.step()
            return
        self._steps = 0
        self.context = context_of(self.machine, stop.core)
        self.write(f"ccabridge: stop at {self.machine.board.insns:,}: {stop.text}\n")
        if self.context is not None:
            here = list(code_lines(self.machine, self.context, self.context.general()[2], 1))
            self.write(f"  {self.context.title} {here[0]}\n")
        if not self._talk:
            return
        if not self._introduced:
            self._introduced = True
            self.write("  c goes on, s steps, help lists the commands; anything else is Python (machine, core, rmi)\n")
        self.locals: dict[str, Any]
        self.locals.update(
            save=self.save, core=stop.core, stop=stop, stops=self.stops, rmm=self.machine.rmm, gpt=self.machine.gpt
        )
        self._over = False
        self._stop = stop
        while not self._over:
            try:
                line = self.raw_input("... " if self.buffer else "(ccabridge) ")
            except EOFError:
                self.write("\n")
                self._talk = False
                return
            except KeyboardInterrupt:
                self.resetbuffer()
                self.write("\n")
                continue
            self.push(line)

    def push(self, line: str, *rest: Any, **options: Any) -> bool:
        words = line.split()
        if self.buffer or not words or not self._command(words, line):
            return super().push(line, *rest, **options)
        return False

    def _command(self, words: list[str], line: str) -> bool:
        """Runs a command; False where the line is Python's."""
        name, *args = words
        if args and args[0][:1] in "=.([":
            return False
        try:
            if name in COMMANDS:
                self.write("\n".join(inspect(self.machine, self.context, line)) + "\n")
            elif name in ("c", "continue", "s", "step", "stepi", "q", "quit"):
                self._control(name[0], args)
            elif name in ("rs", "rc") and not args:
                self._back(name)
            elif name == "break":
                text = line.strip()[len(name) :].strip()
                shown = [self.stops.add(text)] if text else self.stops.breakpoints.values()
                self.write("".join(f"{one}\n" for one in shown))
            elif name == "delete" and len(args) == 1 and args[0].isdecimal():
                self.stops.remove(int(args[0]))
            elif name == "save" and len(args) == 1:
                self.save(args[0])
            elif name == "select" and args:
                self._select(args)
            elif name == "help" and not args:
                every = [*((one.usage, one.doc) for one in COMMANDS.values()), *CONTROL.items()]
                self.write("".join(f"  {usage:28} {doc}\n" for usage, doc in every))
            else:
                return False
        except UserError as error:
            self.write(f"{error}\n")
        return True

    def _control(self, what: str, args: list[str]) -> None:
        if what == "q":
            core = None if self.context is None else self.context.core
            raise End(GUEST_EXIT, "ended at the prompt", code=0, core=core)
        if what == "s":
            if args and not (args[0].isdecimal() and 0 < int(args[0]) < 1 << 32):
                raise UserError("usage: s [COUNT]")
            if self.context is None or self.context.core is None:
                raise UserError("nothing here that could step")
            self._steps = int(args[0]) if args else 1
            self.context.core.step()
        self._over = True

    def _back(self, what: str) -> None:
        refused = "nothing of this run is remembered" if self.rewind is None else self.rewind.possible
        if self.rewind is None or refused:
            raise UserError(f"no way back: {refused}")
        (self.rewind.step if what == "rs" else self.rewind.back)()
        self._over = True

    def save(self, path: str) -> None:
        """Writes the machine, as it stands, to a snapshot file; the prompt is back when that is done."""
        stop = self._stop

        def take() -> None:
            from machine.snapshot.file import save

            try:
                size = save(self.machine, path)
                self.write(f"{path}: {size / 1e6:.1f} MB\n")
            except UserError as error:
                self.write(f"{error}\n")
            self.front(stop)

        self.machine.freeze(take)
        self._over = True

    def _select(self, args: list[str]) -> None:
        self.context = select(self.machine, args)
        self.locals["core"] = self.context.core
        self.write(f"{self.context.title}\n")


def terminal_prompt(machine: Machine, write: Callable[[str], object]) -> Prompt:
    """At a terminal with history and completion; elsewhere each stop is said, and the run goes on."""
    talk = sys.stdin.isatty() and sys.stdout.isatty()
    prompt = Prompt(machine, write, talk=talk)
    if talk:
        prompt.go_back()
        try:
            import readline
            import rlcompleter
        except ImportError:  # a Python built without it: lines can be typed all the same
            return prompt
        complete = rlcompleter.Completer(prompt.locals).complete
        verbs = sorted([*COMMANDS, *(usage.split()[0] for usage in CONTROL)])

        def completer(text: str, state: int) -> str | None:
            own = [verb for verb in verbs if verb.startswith(text)]
            return own[state] if state < len(own) else complete(text, state - len(own))

        readline.set_completer(completer)
        readline.parse_and_bind("tab: complete")
    return prompt
