# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls by their names, with keyword arguments: `rmi.RTT_CREATE(rd=rd, rtt=rtt, ipa=0x8000_0000, level=2)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from rmm.abi.call import Call, Value

R = TypeVar("R")
Argument = int | Sequence[int]


def words(decl: Call, args: Sequence[Argument] = (), named: Mapping[str, Argument] = MappingProxyType({})) -> list[int]:
    """The registers X1.. of a call: its inputs in order, the rest by name.

    TypeError for inputs that are missing, unknown or given twice; ValueError for what is no number of 64 bits.
    """
    names = [value.name for value in decl.inputs]
    if len(args) > len(names):
        raise TypeError(f"{decl.name} takes {len(names)} inputs, {len(args)} are given")
    given: dict[str, Argument] = dict(zip(names, args, strict=False))
    for name, argument in named.items():
        if name not in names:
            raise TypeError(f"{signature(decl)} has no input `{name}`")
        if name in given:
            raise TypeError(f"{decl.name}: `{name}` is given twice")
        given[name] = argument
    missing = [name for name in names if name not in given]
    if missing:
        raise TypeError(f"{signature(decl)}: missing {', '.join(missing)}")
    return [word for value in decl.inputs for word in _encoded(decl, value, given[value.name])]


def _encoded(decl: Call, value: Value, given: Argument) -> Iterable[int]:
    many = [given] if isinstance(given, int) else list(given)
    if len(many) != value.count:
        raise ValueError(f"{decl.name}: `{value.name}` has {value.count} words, {len(many)} are given")
    for word in many:
        if not -(1 << 63) <= word < 1 << 64:
            raise ValueError(f"{decl.name}: {value.name}={word:#x} is no number of 64 bits")
        yield value.type.encode(word)


def signature(decl: Call) -> str:
    """`RMI_RTT_CREATE(rd, rtt, ipa, level)`."""
    return f"{decl.name}({', '.join(value.name for value in decl.inputs)})"


class Named(Generic[R]):
    """One call as a function.  send: makes it, with X1.. of the call."""

    def __init__(self, decl: Call, send: Callable[[Call, Sequence[int]], R]) -> None:
        self.decl = decl
        self._send = send
        self.__doc__ = decl.doc

    def __call__(self, *args: Argument, **named: Argument) -> R:
        return self._send(self.decl, words(self.decl, args, named))

    def __repr__(self) -> str:
        return signature(self.decl)


class Interface(Generic[R]):
    """The calls of an interface as attributes, by their names without its prefix."""

    def __init__(self, calls: Iterable[Call], send: Callable[[Call, Sequence[int]], R]) -> None:
        self.calls: Mapping[str, Named[R]] = MappingProxyType({decl.short: Named(decl, send) for decl in calls})
        vars(self).update(self.calls)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Named[R]: ...

    def __repr__(self) -> str:
        return ", ".join(map(repr, self.calls.values()))
