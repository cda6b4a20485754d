# SPDX-License-Identifier: GPL-2.0-or-later
"""Traces as JSON Lines (docs/trace.md has the schema): a header, then an object an event."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from bridge.errors import UserError
from machine.calls import CallRecord
from machine.events import OWN, WORLDS, calls
from machine.traces.item import Delta, Item, status_name

if TYPE_CHECKING:
    from rmm.abi.call import Call

FORMAT = "ccabridge-trace"
VERSION = 1
LONGEST_LINE = 1 << 20
_BATCH = 4096  # lines kept before they are written
_CACHE = 8192
_MASK = (1 << 64) - 1
_DECIMAL = frozenset({"number", "enum"})
_OWN = {event.name: {field.name: field.kind for field in event.fields} for event in OWN}
_HEX_FIELDS = frozenset(field.name for event in OWN for field in event.fields if field.kind == "hex")


class Header(NamedTuple):
    """The first line.  rate: instructions a second of virtual time."""

    rate: int
    machine: str


def header_line(header: Header) -> str:
    return json.dumps({"format": FORMAT, "version": VERSION, "rate": header.rate, "machine": header.machine}) + "\n"


class JsonLines:
    """Writes a trace.  Lines are put together from parts that repeat: the words of a call are all that is formatted."""

    def __init__(self, file: IO[str], header: Header) -> None:
        self._file = file
        self._lines = [header_line(header)]
        self._heads: dict[tuple[Any, ...], str] = {}
        self._args: dict[Call, str] = {}
        self._tails: dict[tuple[Any, ...], str] = {}

    def put(self, item: Item) -> None:
        insns, name, world, pe, rec, realm, call, fields, start, pc, symbol, deltas = item
        key = (name, world, pe, rec, realm)
        head = self._heads.get(key)
        if head is None:
            head = self._head(key)
        parts = [f'{{"i":{insns}{head}']
        if start is not None:
            parts.append(f',"s":{start}')
        if pc is not None:
            parts.append(f',"pc":"{pc:#x}","sym":{json.dumps(symbol)}')
        if call is None:
            parts.append(f',"f":{json.dumps({k: _plain(k, v) for k, v in fields.items()}, ensure_ascii=False)}')
        else:
            parts.append(self._call(call))
        if deltas:
            rows = [[delta.what, f"{delta.pa:#x}", delta.old, delta.new] for delta in deltas]
            parts.append(f',"d":{json.dumps(rows)}')
        parts.append("}\n")
        lines = self._lines
        lines.append("".join(parts))
        if len(lines) >= _BATCH:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        self._file.write("".join(self._lines))
        self._lines.clear()

    def _head(self, key: tuple[Any, ...]) -> str:
        name, world, pe, rec, realm = key
        of_rec = "" if rec is None else f',"rec":{rec},"realm":"{realm:#x}"'
        if len(self._heads) >= _CACHE:
            self._heads.clear()
        head = self._heads[key] = f',"e":"{name}","w":"{world}","pe":{pe}{of_rec}'
        return head

    def _call(self, call: CallRecord) -> str:
        _, decl, args, result, condition, rec_pa, secure = call
        if decl is None:
            words = [f"{word:#x}" for word in args]
            return f',"raw":{json.dumps(words)}{self._tail(call)}'
        template = self._args.get(decl)
        if template is None:
            template = self._args[decl] = _template(decl)
        key = (decl, result, condition, rec_pa, secure)
        tail = self._tails.get(key)
        if tail is None:
            tail = self._tail(call)
            if len(self._tails) >= _CACHE:
                self._tails.clear()
            self._tails[key] = tail
        try:
            return template % args + tail
        except TypeError:  # fewer registers came than are declared
            args = (*args, *(0,) * decl.words)[: decl.words]
            return template % args + tail

    def _tail(self, call: CallRecord) -> str:
        status = status_name(call)
        out = "" if status is None else f',"status":"{status.name}"'
        if call.condition is not None:
            out += f',"cond":"{call.condition}"'
        if call.rec_pa is not None:
            out += f',"rec_pa":"{call.rec_pa:#x}"'
        if call.secure:
            out += ',"secure":1'
        words = call.result
        if call.decl is not None and call.decl.interface in ("RMI", "RSI", "PSCI"):
            words = words[: 1 + sum(value.count for value in call.decl.outputs)]
        return out + ',"x":[' + ",".join(f'"{word & _MASK:#x}"' for word in words) + "]"


def _plain(name: str, value: Any) -> Any:
    return f"{value:#x}" if name in _HEX_FIELDS and isinstance(value, int) else value


def _template(decl: Call) -> str:
    parts = []
    for value in decl.inputs:
        one = "%d" if value.type.kind in _DECIMAL else '"%#x"'
        text = one if value.count == 1 else "[" + ",".join([one] * value.count) + "]"
        parts.append(f'"{value.name}":{text}')
    return ',"args":{' + ",".join(parts) + "}"


# Reading


class _Bad(Exception):
    """What is wrong with a line; at: the key whose value that is."""

    def __init__(self, what: str, at: str = "") -> None:
        super().__init__(what)
        self.at = at


def read(path: Path) -> tuple[Header, Iterator[Item]]:
    """A trace file; UserError with the line that is wrong, now or while its events are read."""
    lines = _lines(path)
    try:
        number, first = next(lines)
    except StopIteration:
        raise UserError(f"{path}: empty: a trace has a header") from None
    data = _object(path, number, first)
    if data.get("format") != FORMAT:
        raise UserError(f"{path}:{number}:1: no trace of ccabridge: its first line is not a header")
    try:
        return _header(data), _items(path, lines)
    except _Bad as error:
        raise _wrong(path, number, first, error) from None


def _header(data: dict[str, Any]) -> Header:
    version, rate, machine = data.get("version"), data.get("rate"), data.get("machine")
    if version != VERSION or type(version) is not int:
        raise _Bad(f"version {str(version)[:20]} of the format: this is version {VERSION}", "version")
    if type(rate) is not int or not 0 < rate < 1 << 64:
        raise _Bad("the header needs `rate`, instructions a second", "rate")
    if not isinstance(machine, str):
        raise _Bad("the header needs `machine`, a name", "machine")
    return Header(rate, machine)


def _wrong(path: Path, number: int, line: str, error: _Bad) -> UserError:
    column = line.find(f'"{error.at}"') + 1 if error.at else 0
    return UserError(f"{path}:{number}:{max(column, 1)}: {error}")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            for number in range(1, 1 << 62):
                line = file.readline(LONGEST_LINE)
                if not line:
                    return
                if len(line) == LONGEST_LINE:
                    raise UserError(f"{path}:{number}:{LONGEST_LINE}: the line is longer than a trace's")
                if not line.isascii():
                    _check_encoding(path, number, line)
                if line.strip():
                    yield number, line.rstrip("\n")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def _check_encoding(path: Path, number: int, line: str) -> None:
    try:
        line.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{path}:{number}:{error.start + 1}: not UTF-8") from None


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{number}:{error.colno}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError):  # numbers of thousands of digits; nested without end
        raise UserError(f"{path}:{number}:1: not JSON that a trace has") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}:{number}:1: an object is expected")
    return data


def _items(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[Item]:
    for number, line in lines:
        data = _object(path, number, line)
        try:
            yield _item(data)
        except _Bad as error:
            raise _wrong(path, number, line, error) from None


def _item(data: dict[str, Any]) -> Item:
    name, world = data.get("e"), data.get("w")
    if not isinstance(name, str) or world not in WORLDS:
        raise _Bad("an event needs `e`, its name, and `w`, its world", "w" if isinstance(name, str) else "e")
    insns = _number(data, "i")
    fields: dict[str, Any] = {}
    call = None
    if name in calls() or name == "smc_unknown":
        call = _call(insns, name, data)
    elif name in _OWN:
        fields = _fields(name, data.get("f"))
    else:
        raise _Bad(f"`{name[:60]}` is no event", "e")
    symbol = data.get("sym")
    return Item(
        insns,
        name,
        world,
        _number(data, "pe"),
        _number(data, "rec") if "rec" in data else None,
        _number(data, "realm") if "realm" in data else None,
        call,
        fields,
        _number(data, "s") if "s" in data else None,
        _number(data, "pc") if "pc" in data else None,
        symbol if isinstance(symbol, str) else None,
        tuple(_delta(row) for row in _list(data.get("d", []), "d")),
    )


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise _Bad(f"`{name}` has to be a list", name)
    return value


def _delta(row: Any) -> Delta:
    if not isinstance(row, list) or len(row) != 4 or not all(isinstance(word, str) for word in row):
        raise _Bad("`d` has rows of four texts", "d")
    return Delta(row[0], _word(row[1], "d"), row[2], row[3])


def _number(data: Mapping[str, Any], name: str) -> int:
    if name not in data:
        raise _Bad(f"`{name}` is missing")
    return _word(data[name], name)


def _word(value: Any, name: str) -> int:
    if isinstance(value, str) and len(value) < 24:
        try:
            value = int(value, 16)
        except ValueError:
            raise _Bad(f"`{name}` is no number", name) from None
    if type(value) is not int or not -(1 << 63) <= value < 1 << 64:
        raise _Bad(f"`{name}` is no number of 64 bits", name)
    return value


def _fields(name: str, data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise _Bad("`f` has to be an object", "f")
    out: dict[str, Any] = {}
    for key, kind in _OWN[name].items():
        if key not in data:
            raise _Bad(f"field `{key}` of `{name}` is missing", "f")
        out[key] = data[key] if kind in ("name", "text") else _word(data[key], key)
        if kind in ("name", "text") and not isinstance(out[key], str):
            raise _Bad(f"field `{key}` of `{name}` has to be text", key)
    text = data.get("text")
    if isinstance(text, str):
        out["text"] = text
    return out


def _call(insns: int, name: str, data: Mapping[str, Any]) -> CallRecord:
    decl = calls().get(name)
    words: list[int] = []
    if decl is None:
        words = [_word(word, "raw") for word in _list(data.get("raw"), "raw")]
        if len(words) != 4:
            raise _Bad("`raw` has the function id and three words", "raw")
    else:
        args = data.get("args")
        if not isinstance(args, dict):
            raise _Bad("`args` has to be an object", "args")
        for value in decl.inputs:
            given = args.get(value.name)
            many = _list(given, value.name) if value.count > 1 else [given]
            if len(many) != value.count:
                raise _Bad(f"`{value.name}` has {value.count} words", value.name)
            words += [_word(word, value.name) for word in many]
    result = tuple(_word(word, "x") for word in _list(data.get("x"), "x"))
    if decl is not None and result and not decl.status and not decl.outputs:
        raise _Bad(f"`{name}` has no result", "x")
    condition = data.get("cond")
    if condition is not None and not isinstance(condition, str):
        raise _Bad("`cond` has to be text", "cond")
    rec_pa = _number(data, "rec_pa") if "rec_pa" in data else None
    return CallRecord(insns, decl, tuple(words), result, condition, rec_pa, bool(data.get("secure")))
