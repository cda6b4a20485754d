# SPDX-License-Identifier: GPL-2.0-or-later
"""The same commands at the prompt and behind GDB's `monitor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from bridge.errors import UserError
from machine.inspect import code, tables
from machine.inspect.contexts import Context, contexts
from machine.inspect.walk import ACCESSES, walk
from machine.stops import world_of

if TYPE_CHECKING:
    from machine.machine import Machine

Answer = Iterator[str]


def _number(text: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        raise UserError(f"{text!r} is no number") from None
    if not 0 <= value < 1 << 64:
        raise UserError(f"{text} is beyond 64 bits")
    return value


def _address(machine: Machine, context: Context, text: str) -> int:
    """A number, or a symbol: of the context's world first, of another as `world:name`."""
    if text[:1].isdigit():
        return _number(text)
    head, _, tail = text.rpartition(":")
    own = world_of(context.core) if context.core is not None else "realm"
    found = machine.symbols.find(tail, head or own) or machine.symbols.find(tail, head or None)
    if not found:
        raise UserError(f"no loaded image has a symbol {text}")
    return found[0][1]


def _gpt(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    return tables.gpt(machine)


def _granule(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    return tables.granule(machine, _number(args[0]))


def _rtt(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    return tables.rtt(machine, _number(args[0]), _number(args[1]))


def _realm(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    return tables.realms(machine)


def _rim(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    return tables.rim(machine, _number(args[0]) if args else None)


def _world(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    return code.world(machine)


def _here(context: Context | None) -> Context:
    if context is None:
        raise UserError("nothing runs yet")
    return context


def _rec(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    if args:
        pa = _number(args[0])
        found = next((one for one in contexts(machine) if one.key == ("rec", pa)), None)
        if found is None:
            raise UserError(f"there is no REC {pa:#x}")
        return code.rec(machine, found)
    if context is not None and context.rec is not None:
        return code.rec(machine, context)
    return (line for one in contexts(machine) if one.rec is not None for line in code.rec(machine, one))


def _walk(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    access = args[1] if len(args) > 1 else "read"
    if access not in ACCESSES:
        raise UserError(f"{access!r}: expected read, write or fetch")
    return iter(walk(machine, _here(context), _address(machine, _here(context), args[0]), access))


def _regs(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    return code.registers(machine, _here(context))


def _dis(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    at = _address(machine, _here(context), args[0]) if args else None
    return code.code(machine, _here(context), at, _number(args[1]) if len(args) > 1 else 10)


def _bt(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    return code.backtrace(machine, _here(context))


def _trace(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    from machine.trace import describe

    return (f"{record.insns:,} {describe(record)[1]}" for record in machine.calls.ring)


def _rmi(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    return (f"{name} {count:,}" for name, count in sorted(machine.calls.counts.items()))


def _phys(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    return tables.dump(machine, _number(args[0]), _number(args[1]) if len(args) > 1 else 64, lambda pa: pa)


def _ipa(machine: Machine, context: Context | None, args: Sequence[str]) -> Answer:
    here = _here(context)
    if here.rec is None:
        raise UserError(f"{here.title} has no IPAs: look from a REC (select rec 0)")
    return tables.ipa(machine, here.rec.realm, _number(args[0]), _number(args[1]) if len(args) > 1 else 64)


class Command:
    """least, most: how many arguments it takes."""

    def __init__(
        self,
        run: Callable[[Machine, Context | None, Sequence[str]], Answer],
        usage: str,
        least: int,
        most: int,
        doc: str,
    ) -> None:
        self.run = run
        self.usage = usage
        self.least = least
        self.most = most
        self.doc = doc


COMMANDS = {
    "gpt": Command(_gpt, "gpt", 0, 0, "the granule protection table: ranges, and a picture of each region"),
    "granule": Command(_granule, "granule PA", 1, 1, "PAS, state, owner and history of a granule"),
    "rtt": Command(_rtt, "rtt RD IPA", 2, 2, "a realm's table entries on the way to an IPA, raw and decoded"),
    "walk": Command(_walk, "walk VA [read|write|fetch]", 1, 2, "stage 1, stage 2 and GPC step by step"),
    "realm": Command(_realm, "realm", 0, 0, "the realms"),
    "rec": Command(_rec, "rec [PA]", 0, 1, "a REC: registers, list registers, pending requests"),
    "rim": Command(_rim, "rim [RD]", 0, 1, "measurements, and what entered them"),
    "world": Command(_world, "world", 0, 0, "time, PEs, and where each context is"),
    "regs": Command(_regs, "regs", 0, 0, "registers, with their bits named"),
    "dis": Command(_dis, "dis [ADDRESS [COUNT]]", 0, 2, "code"),
    "bt": Command(_bt, "bt", 0, 0, "the callers, by frame pointers"),
    "trace": Command(_trace, "trace", 0, 0, "the last calls"),
    "rmi": Command(_rmi, "rmi", 0, 0, "how often each call was made"),
    "ipa": Command(_ipa, "ipa IPA [SIZE]", 1, 2, "memory of the realm by IPA"),
    "phys": Command(_phys, "phys PA [SIZE]", 1, 2, "memory by physical address"),
}


def inspect(machine: Machine, context: Context | None, line: str) -> list[str]:
    """One command; UserError for a wrong one."""
    name, *args = line.split() or [""]
    command = COMMANDS.get(name)
    if command is None:
        raise UserError(f"{name or 'nothing'!r} is no command: {', '.join(COMMANDS)}")
    if not command.least <= len(args) <= command.most:
        raise UserError(f"usage: {command.usage}")
    return list(command.run(machine, context, args))
