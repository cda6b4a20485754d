# SPDX-License-Identifier: GPL-2.0-or-later
"""Events as lines for people: strace-like, or in the shape of TF-RMM's log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bridge.errors import one_line
from machine.events import NORMAL, REALM, ROOT, SECURE
from machine.traces.item import Delta, Item, nanoseconds, status_name
from rmm.abi.call import UNKNOWN
from rmm.abi.values import RmiStatus, RsiStatus, name_of

if TYPE_CHECKING:
    from machine.calls import CallRecord

Output = Callable[[str], object]

_COLOURS = {NORMAL: "\033[36m", SECURE: "\033[33m", REALM: "\033[32m", ROOT: "\033[35m"}
_RED, _DIM, _PLAIN = "\033[31m", "\033[2m", "\033[0m"


def describe(record: CallRecord) -> tuple[str, str]:
    """(event name, decoded line) of a call."""
    from machine.events import event_name
    from rmm.abi.text import render

    if record.decl is None:
        args = ", ".join(f"{value:#x}" for value in record.args[1:4])
        return "smc_unknown", f"SMC {record.args[0]:#010x}({args}) = -1 [unknown function id]"
    if record.decl.interface in ("FFA", "SIP"):
        from machine.ffa.text import render
    return event_name(record.decl), render(record.decl, record.args, record.result, record.condition)


def route(record: CallRecord) -> str:
    """The worlds that a call goes through."""
    if record.secure:
        return "Secure→Root"
    interface = "" if record.decl is None else record.decl.interface
    if interface == "RMM":
        return "RMM→Root"
    if record.rec_pa is not None:
        return "Realm→RMM"
    return "NS→Root→Realm" if interface == "RMI" else "NS→Root"


def _access(fields: Mapping[str, Any], at: str, unit: str) -> str:
    verb = "write" if fields["write"] else "read"
    value = f" = {fields['value']:#x}" if "value" in fields else ""
    return f"{verb} of {fields['size']} at {unit} {fields[at]:#x}{value}"


def _by(line: str, fields: Mapping[str, Any]) -> str:
    return f"{line} {fields['text']}" if fields.get("text") else line


def _sysreg(fields: Mapping[str, Any]) -> str:
    verb = "write to" if fields["write"] else "read of"
    what = ", which is not there: UNDEF;" if fields["undefined"] else " traps;"
    return _by(f"{verb} {fields['register']}{what}", fields)


def _exception(fields: Mapping[str, Any]) -> str:
    from bridge.arch.esr import decode_esr

    return _by(f"to EL{fields['el']}: {decode_esr(fields['esr'])} FAR={fields['far']:#x};", fields)


_LINES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "rec_enter": lambda f: f"REC {f['rec_pa']:#x} runs",
    "rec_exit": lambda f: f"REC {f['rec_pa']:#x} exits: {f['reason']}",
    "world_switch": lambda f: f"{f['old']} → {f['new']}",
    "granule": lambda f: f"{f['pa']:#x} {f['old']} → {f['new']}",
    "gpt": lambda f: f"{f['pa']:#x} {f['old']} → {f['new']}",
    "gpf": lambda f: _by(f"PA {f['pa']:#x} is {f['gpi']}, reached at VA {f['va']:#x} by", f),
    "s2_fault": lambda f: _by(f"{f['access']} at IPA {f['ipa']:#x}, ESR {f['esr']:#x}, FAR={f['far']:#x};", f),
    "exception": _exception,
    "interrupt": lambda f: _by(f"{f['kind']} to EL{f['el']};", f),
    "mmio": lambda f: _by(_access(f, "pa", "PA") + ";", f),
    "vmm_mmio": lambda f: _by(_access(f, "ipa", "IPA") + ";", f),
    "unclaimed": lambda f: str(f.get("text") or _access(f, "pa", "PA")),
    "sysreg": _sysreg,
    "console": lambda f: f"[{f['label']}] {f['text']}",
    "lost": lambda f: f"{f['count']} events or more are not in the trace",
}


def line_of(item: Item) -> str:
    """An event without its time: `[NS→Root] PSCI_VERSION() = 1.1`, `rec_exit: REC 0x88400000 exits: IRQ`."""
    if item.call is not None:
        line = f"[{route(item.call)}] {describe(item.call)[1]}"
    elif item.name in _LINES:
        line = f"{item.name}: {_LINES[item.name](item.fields)}"
    else:
        line = f"{item.name}: {item.fields.get('text', '')}"
    if item.deltas:
        line += f" {{{'; '.join(_joined(item.deltas))}}}"
    if item.pc is not None and item.call is not None:
        line += f" at {item.symbol or f'{item.pc:#x}'}"
    return one_line(line)


def _joined(deltas: tuple[Delta, ...]) -> list[str]:
    return [delta.text for delta in deltas]


def time_text(insns: int, rate: int) -> str:
    """Virtual time in seconds, 14 wide."""
    ns = nanoseconds(insns, rate)
    return f"{ns // 1_000_000_000:4d}.{ns % 1_000_000_000:09d}"


def _failed(call: CallRecord) -> bool:
    status = status_name(call)
    if status is None:
        return call.decl is None
    rmm = call.decl is not None and call.decl.interface in ("RMI", "RSI")
    return call.condition is not None or status < 0 or (rmm and status != 0)


class TextSink:
    """One line an event, indented by world, with its virtual time.  rate: instructions a second.

    consoles: their lines too, which a machine that runs prints by itself.
    """

    def __init__(self, output: Output, rate: int, *, colour: bool = False, consoles: bool = True) -> None:
        self._output = output
        self._consoles = consoles
        self._rate = rate
        self._colour = colour

    def put(self, item: Item) -> None:
        if item.name == "console" and not self._consoles:
            return
        depth = "" if item.world == NORMAL else "    "
        time, line = time_text(item.insns, self._rate), line_of(item)
        if self._colour:
            failed = item.name == "gpf" if item.call is None else _failed(item.call)
            colour = _RED if failed else _COLOURS[item.world]
            self._output(f"{_DIM}{time}{_PLAIN} {depth}{colour}{line}{_PLAIN}\n")
        else:
            self._output(f"{time} {depth}{line}\n")

    def close(self) -> None:
        """Nothing is kept."""


# The widths of TF-RMM's handler.c and rsi/logger.c
_RMI_WIDTH, _RSI_WIDTH = 25, 29
_INDEXED = ("RMI_REC_ENTER",)  # prints the index with ERROR_REALM too
_GIVES_ON_RTT_ERROR = ("RMI_RTT_DESTROY", "RMI_DATA_DESTROY", "RMI_RTT_UNMAP_UNPROTECTED")
_MASK = (1 << 64) - 1


def tf_rmm_line(record: CallRecord) -> str | None:
    """`SMC_RMI_GRANULE_DELEGATE 88300000 > RMI_SUCCESS`; None for what TF-RMM's log does not have.

    The shape is that of TF-RMM's runtime/core/handler.c and runtime/rsi/logger.c.
    """
    decl, result = record.decl, record.result
    if decl is None or decl.interface not in ("RMI", "RSI", "PSCI") or not result:
        return None
    if decl.interface != "RMI" and record.rec_pa is None:
        return None
    args = "".join(f" {word & _MASK:x}" for word in record.args)
    x0 = result[0]
    if decl.interface == "RMI":
        head = f"SMC_RMI_{decl.short:<{_RMI_WIDTH}}{args}"
        status, index = x0 & 0xFF, x0 >> 8 & 0xFF
        name = name_of(RmiStatus, status)
        if x0 == UNKNOWN or name is None:
            return f"{head} > {x0:x}"
        shown = f" {index:x}" if status == RmiStatus.ERROR_RTT else ""
        if decl.name in _INDEXED and status == RmiStatus.ERROR_REALM:
            shown = f" {index:x}"
        gives = status == 0 or (status == RmiStatus.ERROR_RTT and decl.name in _GIVES_ON_RTT_ERROR)
        return f"{head} > RMI_{name}{shown}{_words(record) if gives else ''}"
    if decl.interface == "PSCI":
        head = f"{f'PSCI_{decl.fid:08x}':<{_RSI_WIDTH}}"
        return f"{head}{args} > {x0:x}" + "".join(f" {word:x}" for word in result[1:4])
    name = name_of(RsiStatus, x0)
    head = f"{f'SMC_RSI_{decl.short}':<{_RSI_WIDTH}}{args}"
    return f"{head} > {f'{x0:x}' if name is None else f'RSI_{name}'}{_words(record)}"


def _words(record: CallRecord) -> str:
    assert record.decl is not None
    count = sum(value.count for value in record.decl.outputs)
    return "".join(f" {word & _MASK:x}" for word in record.result[1 : 1 + count])


class TfRmmSink:
    """The lines of TF-RMM's log: RMI calls, and the RSI and PSCI calls of realms."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def put(self, item: Item) -> None:
        line = None if item.call is None else tf_rmm_line(item.call)
        if line is not None:
            self._output(line + "\n")

    def close(self) -> None:
        """Nothing is kept."""
