# SPDX-License-Identifier: GPL-2.0-or-later
"""A graph of Python objects as plain data, and back: of declared classes alone, and never code.

Two kinds of classes (machine.snapshot.schema).  Objects of a *fixed* class are there in every machine of one
configuration: they are found by walking from the machine, named by the way there, and get their attributes in place.
Objects of a *made* class come and go: each is created without its constructor and given its attributes.  Attributes
that are wiring (callables, handles, what other attributes are derived from) are named in the schema and left alone.
"""

from __future__ import annotations

import importlib
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import partial
from types import MethodType
from typing import Any

from machine.snapshot.schema import FIXED, MADE, VALUES, Damaged, Unsupported, name_of

_SMALL = 1 << 63
_SCALARS = (str, bytes, float)
MAX_DEPTH = 400


def attributes(obj: object) -> list[str]:
    """Names of all instance attributes that are set, in a fixed order."""
    names = [*getattr(obj, "__dict__", ())]
    for klass in type(obj).__mro__:
        slots = klass.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else [*slots]
    return sorted({name for name in names if name not in ("__dict__", "__weakref__") and hasattr(obj, name)})


def wired(kind: type, classes: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The attributes that a snapshot leaves alone.  classes: FIXED or MADE."""
    return frozenset().union(*(classes.get(name_of(klass), ()) for klass in kind.__mro__))


def stateful(obj: object, classes: Mapping[str, frozenset[str]] = FIXED) -> list[str]:
    left_out = wired(type(obj), classes)
    return [name for name in attributes(obj) if name not in left_out]


def walk(root: object) -> dict[str, object]:
    """Every object of a fixed class that can be reached through others, by its path."""
    found: dict[str, object] = {}
    seen: set[int] = set()

    def visit(value: object, path: str) -> None:
        if name_of(type(value)) in FIXED:
            if id(value) in seen:
                return
            seen.add(id(value))
            found[path] = value
            for name in stateful(value):
                visit(getattr(value, name), f"{path}.{name}")
        elif isinstance(value, dict):
            for key, item in value.items():
                if isinstance(key, (str, int)):
                    visit(item, f"{path}[{key!r}]")
        elif isinstance(value, (list, tuple)):
            for at, item in enumerate(value):
                visit(item, f"{path}[{at}]")

    visit(root, "machine")
    return found


class Encoder:
    """Objects to data.  fixed: by `walk`."""

    def __init__(self, fixed: Mapping[str, object]) -> None:
        self._fixed = {id(obj): path for path, obj in fixed.items()}
        self._kept = list(fixed.values())
        self._memo: dict[int, int] = {}
        self._alive: list[object] = []  # an id is that of one object only while that lives
        self._path: list[str] = []

    def state(self, obj: object, classes: Mapping[str, frozenset[str]] = FIXED) -> dict[str, Any]:
        """The attributes of one object."""
        out = {}
        for name in stateful(obj, classes):
            self._path.append(f"{type(obj).__name__}.{name}")
            out[name] = self.encode(getattr(obj, name))
            self._path.pop()
        return out

    def _remember(self, value: object) -> list[Any] | None:
        """A reference to what has been written already, else None and it counts as written."""
        number = self._memo.get(id(value))
        if number is not None:
            return ["r", number]
        self._memo[id(value)] = len(self._memo)
        self._alive.append(value)
        return None

    def encode(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind in _SCALARS:
            return value
        if isinstance(value, Enum):
            return ["e", self._known(kind, VALUES), self.encode(value.value)]
        if isinstance(value, int):  # the kinds of numbers of a machine file among them
            return int(value) if -_SMALL <= value < _SMALL * 2 else ["i", str(int(value))]
        path = self._fixed.get(id(value))
        if path is not None:
            return ["f", path]
        if isinstance(value, type):
            return ["c", self._known(value, {**MADE, **FIXED})]
        reference = self._remember(value)
        return self._fresh(value, kind) if reference is None else reference

    def _fresh(self, value: Any, kind: type) -> list[Any]:
        encode = self.encode
        if kind is tuple:
            return ["t", *map(encode, value)]
        if kind is list:
            return ["l", *map(encode, value)]
        if kind is dict:
            return ["d", *(encode(part) for item in value.items() for part in item)]
        if kind in (set, frozenset):
            return ["s" if kind is set else "z", *(encode(item) for item in sorted(value))]
        if kind is deque:
            return ["q", value.maxlen, *map(encode, value)]
        if kind is bytearray:
            return ["B", bytes(value)]
        if kind is array:
            return ["a", value.typecode, value.tobytes()]
        if kind is memoryview and isinstance(value.obj, bytearray):
            return ["v", value.format, value.tobytes()]
        if kind is MethodType:
            return ["m", encode(value.__self__), value.__name__]
        if kind is partial:
            if value.keywords:
                raise self._unknown(value)
            return ["p", encode(value.func), *map(encode, value.args)]
        name = name_of(kind)
        special = VALUES.get(name)
        if special is not None:
            return ["n", name, encode(special.take(value))]
        if name in MADE:
            return ["o", name, self.state(value, MADE)]
        raise self._unknown(value)

    def _known(self, kind: type, where: Mapping[str, object]) -> str:
        name = name_of(kind)
        if name not in where:
            raise self._unknown(kind)
        return name

    def _unknown(self, value: object) -> Unsupported:
        return Unsupported(f"{' > '.join(self._path[-3:])} holds {value!r:.80}, which the schema does not name")


class Decoder:
    """Data to objects.  fixed: of the machine to be restored.  Damaged for whatever no encoder writes."""

    def __init__(self, fixed: Mapping[str, object]) -> None:
        self._fixed = fixed
        self._memo: list[object] = []
        self._depth = 0
        self.made: list[object] = []

    def put(self, obj: object, state: Mapping[str, Any]) -> None:
        """Gives a fixed object its attributes; containers are refilled, so that whoever holds them sees it."""
        if not isinstance(state, dict) or sorted(state) != stateful(obj):
            expected = ", ".join(sorted(set(stateful(obj)) ^ set(state))) if isinstance(state, dict) else "nothing"
            raise Damaged(f"state of {type(obj).__name__}: {expected} in one and not in the other")
        for name in stateful(obj):
            before = getattr(obj, name)
            value = self.decode(state[name], before)
            if value is not before:
                object.__setattr__(obj, name, value)

    def decode(self, data: Any, before: object = None) -> Any:
        if not isinstance(data, list):
            return data
        self._depth += 1
        try:
            if self._depth > MAX_DEPTH or not data or not isinstance(data[0], str):
                raise Damaged("values nest without end, or have no kind")
            method = _KINDS.get(data[0])
            if method is None:
                raise Damaged(f"there is no value of kind {data[0]!r}")
            return method(self, data, before)
        except (IndexError, TypeError, KeyError, ValueError, OverflowError, AttributeError) as error:
            raise Damaged(f"a value of kind {data[0]!r}: {error}") from None
        finally:
            self._depth -= 1

    # One for each kind that Encoder writes.  A container is remembered before its content, which may refer to it.

    def _reference(self, data: list[Any], before: object) -> object:
        if not isinstance(data[1], int) or not 0 <= data[1] < len(self._memo):
            raise Damaged(f"a reference to object {data[1]!r} of {len(self._memo)}")
        return self._memo[data[1]]

    def _tuple(self, data: list[Any], before: object) -> object:
        at = len(self._memo)
        self._memo.append(None)
        self._memo[at] = value = tuple(map(self.decode, data[1:]))
        return value

    def _list(self, data: list[Any], before: object) -> object:
        value: list[Any] = before if type(before) is list else []
        self._memo.append(value)
        value[:] = map(self.decode, data[1:])
        return value

    def _dict(self, data: list[Any], before: object) -> object:
        value: dict[Any, Any] = before if type(before) is dict else {}
        self._memo.append(value)
        items = [self.decode(item) for item in data[1:]]
        value.clear()
        value.update(zip(items[::2], items[1::2], strict=True))
        return value

    def _set(self, data: list[Any], before: object) -> object:
        value: set[Any] = before if type(before) is set else set()
        self._memo.append(value)
        items = [self.decode(item) for item in data[1:]]
        value.clear()
        value.update(items)
        return value

    def _frozenset(self, data: list[Any], before: object) -> object:
        at = len(self._memo)
        self._memo.append(None)
        self._memo[at] = value = frozenset(map(self.decode, data[1:]))
        return value

    def _deque(self, data: list[Any], before: object) -> object:
        kept = type(before) is deque and before.maxlen == data[1]
        value: deque[Any] = before if kept else deque(maxlen=data[1])  # type: ignore[assignment]
        self._memo.append(value)
        items = [self.decode(item) for item in data[2:]]
        value.clear()
        value.extend(items)
        return value

    def _bytearray(self, data: list[Any], before: object) -> object:
        value: bytearray = before if type(before) is bytearray else bytearray()
        self._memo.append(value)
        value[:] = data[1]
        return value

    def _array(self, data: list[Any], before: object) -> object:
        value: array[Any] = before if type(before) is array and before.typecode == data[1] else array(data[1])
        self._memo.append(value)
        del value[:]
        value.frombytes(data[2])
        return value

    def _view(self, data: list[Any], before: object) -> object:
        if not isinstance(before, memoryview) or before.format != data[1] or before.nbytes != len(data[2]):
            raise Damaged("an array of another size")
        self._memo.append(before)
        before.cast("B")[:] = data[2]
        return before

    def _method(self, data: list[Any], before: object) -> object:
        at = len(self._memo)
        self._memo.append(None)
        owner, name = self.decode(data[1]), data[2]
        known = name_of(type(owner))
        if (known not in MADE and known not in FIXED) or not isinstance(name, str) or name.startswith("__"):
            raise Damaged(f"a method {name!r} of {type(owner).__name__}")
        self._memo[at] = value = getattr(owner, name)
        if not isinstance(value, MethodType):
            raise Damaged(f"{type(owner).__name__}.{name} is no method")
        return value

    def _partial(self, data: list[Any], before: object) -> object:
        at = len(self._memo)
        self._memo.append(None)
        function = self.decode(data[1])
        if not isinstance(function, MethodType):
            raise Damaged("a partial call of what is no method")
        self._memo[at] = value = partial(function, *map(self.decode, data[2:]))
        return value

    def _value(self, data: list[Any], before: object) -> object:
        at = len(self._memo)
        self._memo.append(None)
        try:
            self._memo[at] = value = VALUES[data[1]].make(self.decode(data[2]))
        except ValueError as error:
            raise Damaged(f"{data[1]}: {error}") from None
        return value

    def _enum(self, data: list[Any], before: object) -> object:
        try:
            return VALUES[data[1]].make(self.decode(data[2]))
        except ValueError as error:
            raise Damaged(f"{data[1]}: {error}") from None

    def _object(self, data: list[Any], before: object) -> object:
        if data[1] not in MADE or not isinstance(data[2], dict):
            raise Damaged(f"objects of {data[1]!r} are not made")
        klass = class_of(data[1])
        value: Any = object.__new__(klass)
        self._memo.append(value)
        self.made.append(value)
        left_out = wired(klass, MADE)
        for name in sorted(data[2]):
            if name in left_out or name.startswith("__"):
                raise Damaged(f"{data[1]} has no state {name!r}")
            object.__setattr__(value, name, self.decode(data[2][name]))
        return value

    def _fixed_object(self, data: list[Any], before: object) -> object:
        if data[1] not in self._fixed:
            raise Damaged(f"this machine has no {data[1]!r}")
        return self._fixed[data[1]]

    def _class(self, data: list[Any], before: object) -> object:
        if data[1] not in MADE and data[1] not in FIXED:
            raise Damaged(f"no class {data[1]!r}")
        return class_of(data[1])


_KINDS: dict[str, Callable[[Decoder, list[Any], object], object]] = {
    "r": Decoder._reference,
    "t": Decoder._tuple,
    "l": Decoder._list,
    "d": Decoder._dict,
    "s": Decoder._set,
    "z": Decoder._frozenset,
    "q": Decoder._deque,
    "B": Decoder._bytearray,
    "a": Decoder._array,
    "v": Decoder._view,
    "m": Decoder._method,
    "p": Decoder._partial,
    "n": Decoder._value,
    "e": Decoder._enum,
    "o": Decoder._object,
    "f": Decoder._fixed_object,
    "c": Decoder._class,
    "i": lambda decoder, data, before: int(data[1]),
}


def class_of(name: str) -> type:
    """A class that the schema names."""
    module, _, qualified = name.partition(":")
    klass: type = getattr(importlib.import_module(module), qualified)
    return klass


def objects(decoder: Decoder, kind: type) -> Iterator[Any]:
    """The made ones of a class, in the order in which they were met."""
    return (obj for obj in decoder.made if isinstance(obj, kind))
