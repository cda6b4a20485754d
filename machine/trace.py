# SPDX-License-Identifier: GPL-2.0-or-later
"""The trace of a running machine: what its calls, its RMM and its cores tell becomes events (machine.events)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bridge.exits import EventKind, Reason
from bridge.pas import PAS
from machine.calls import CallRecord
from machine.events import NORMAL, REALM, SECURE, event_name, needs_cores
from machine.traces.item import Delta, Item, Sink, values_of
from machine.traces.text import describe

__all__ = ["Tracer", "describe"]

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.core import Core
    from machine.machine import Machine
    from rmm.abi.call import Call

PLUGIN_EVENTS = 256  # that the plugin keeps between two looks (CCA_EVENTS in core.h)
SMC_BYTES = 4
_VECTORS = {0x80: "IRQ", 0x100: "FIQ", 0x180: "SERROR"}
_WORLDS = {PAS.NON_SECURE: NORMAL, PAS.SECURE: SECURE, PAS.REALM: REALM}
_DELTAS = frozenset({"granule", "gpt"})
_SWITCHES = {
    "rec_enter": (NORMAL, REALM),
    "rec_exit": (REALM, NORMAL),
    "secure_enter": (NORMAL, SECURE),
    "secure_leave": (SECURE, NORMAL),
}
_S2_FAULT, _SYSREG = int(Reason.S2_FAULT), int(Reason.SYSREG)


class Tracer:
    """Hands the selected events to a sink.

    selected: names of events.  where: what an event's fields must satisfy.  pc: with the place of each call in the
    caller's code.  deltas: the granules that a call moves are part of its event.
    """

    def __init__(
        self,
        machine: Machine,
        selected: frozenset[str],
        sink: Sink,
        *,
        where: Callable[[Mapping[str, Any]], bool] | None = None,
        pc: bool = False,
        deltas: bool = False,
    ) -> None:
        self._machine = machine
        self._rate = machine.config.clock.rate
        self.selected = selected - _DELTAS if deltas else selected
        self.cores = needs_cores(selected)
        self.moves = deltas or any(name in _DELTAS or name.startswith("el3_") for name in selected)
        self._sink = sink
        self._where = where
        self._pc = pc
        self._with_deltas = deltas
        self._deltas: list[Delta] = []
        self._names: dict[Call | None, str] = {}
        # When the calls in progress were made, by the REC that runs on their behalf or waits for the host.
        self._entered: dict[int, int] = {}
        self._left: dict[int, int] = {}

    def close(self) -> None:
        self._sink.close()

    def _emit(self, item: Item) -> None:
        if self._where is None or self._where(values_of(item, self._rate)):
            self._sink.put(item)

    # What the RMM and the monitor tell

    def call(self, record: CallRecord) -> None:
        insns, decl, args, _, _, rec_pa, secure = record
        name = self._names.get(decl)
        if name is None:
            name = self._names[decl] = event_name(decl)
        deltas: tuple[Delta, ...] = ()
        if self._deltas:
            deltas = tuple(self._deltas)
            if not name.startswith("el3_"):  # those are of the call that the RMM is serving
                self._deltas.clear()
        start = None
        if name == "rmi_rec_enter":
            rec_pa, start = args[0], self._entered.pop(args[0], None)
        if name not in self.selected:
            return
        world = SECURE if secure else NORMAL if record[5] is None and not name.startswith("el3_") else REALM
        rec = None if rec_pa is None else self._machine.rmm.rec_at.get(rec_pa)
        index, realm = (None, None) if rec is None else (rec.index, rec.rd)
        pc, symbol = self._place(record[5], secure) if self._pc and not name.startswith("el3_") else (None, None)
        pe = self._machine.pe.index
        self._emit(Item(insns, name, world, pe, index, realm, record, start=start, pc=pc, symbol=symbol, deltas=deltas))

    def _place(self, rec_pa: int | None, secure: bool) -> tuple[int | None, str | None]:
        """Where the caller made the SMC: its address and symbol; nothing for the Python VMM."""
        machine = self._machine
        core = machine.running
        if rec_pa is not None:
            rec = machine.rmm.rec_at.get(rec_pa)
            core = None if rec is None else getattr(rec.context, "_core", None)
        elif secure and machine.secure is not None:
            core = machine.secure.core
        if core is None or core.exit.reason != Reason.SMC:
            return None, None
        pc = core.exit.pc - SMC_BYTES & (1 << 64) - 1
        return pc, machine.symbols.symbolise(core, pc)

    def event(self, name: str, insns: int, fields: Mapping[str, Any], depth: int) -> None:
        if name == "rec_enter":
            self._entered[fields["rec_pa"]] = insns
        elif self._with_deltas and name in _DELTAS:
            self._deltas.append(Delta(name, fields["pa"], fields["old"], fields["new"]))
        if name in _SWITCHES and "world_switch" in self.selected:
            old, new = _SWITCHES[name]
            self._own("world_switch", insns, {"old": old, "new": new}, depth)
        if name in self.selected:
            self._own(name, insns, fields, depth)

    def _own(self, name: str, insns: int, fields: Mapping[str, Any], depth: int) -> None:
        machine = self._machine
        rec = machine.rmm.rec_at.get(fields["rec_pa"]) if "rec_pa" in fields else None
        world = NORMAL if depth == 0 else SECURE if name.startswith("secure_") else REALM
        index, realm = (None, None) if rec is None else (rec.index, rec.rd)
        self._emit(Item(insns, name, world, machine.pe.index, index, realm, fields=fields))

    # What cores tell

    def exited(self, core: Core) -> None:
        """A core has stopped: what the plugin noted meanwhile, and why it stopped."""
        events = core.events()
        for event in events:
            self._plugin_event(core, event)
        if len(events) == PLUGIN_EVENTS and "lost" in self.selected:
            self._of_core("lost", core, self._machine.board.insns, {"count": 1}, None)
        exit_ = core.exit
        if exit_.reason == _S2_FAULT and "s2_fault" in self.selected:
            fetch = exit_.esr >> 26 & 0x3F in (0x20, 0x21)
            access = "fetch" if fetch else "write" if exit_.esr & 1 << 6 else "read"
            fields = {"ipa": exit_.ipa, "esr": exit_.esr, "far": exit_.far, "access": access, "el": exit_.el}
            self._of_core("s2_fault", core, self._machine.board.insns, fields, exit_.pc)
        elif exit_.reason == _SYSREG and "sysreg" in self.selected:
            from bridge.arch.sysregs import sysreg_name

            esr = exit_.esr
            encoding = (
                (esr >> 20 & 3) << 14 | (esr >> 14 & 7) << 11 | (esr >> 10 & 15) << 7 | (esr >> 1 & 15) << 3
                | (esr >> 17 & 7)
            )  # fmt: skip
            fields = {"register": sysreg_name(encoding), "write": int(not esr & 1), "undefined": 0, "el": exit_.el}
            self._of_core("sysreg", core, self._machine.board.insns, fields, exit_.pc)

    def access(
        self, name: str, core: Core, pa: int, size: int, write: bool, value: int | None, text: str | None = None
    ) -> None:
        """A core's access to a device, or to where there is none."""
        if name in self.selected:
            fields: dict[str, Any] = {"pa": pa, "size": size, "write": int(write)}
            if value is not None:
                fields["value"] = value
            if text is not None:
                fields["text"] = text
            self._of_core(name, core, self._machine.board.insns, fields, core.pc)

    def _plugin_event(self, core: Core, event: tuple[int, int, int, int, int, int]) -> None:
        kind, el, pc, a, b, insns = event
        fields: dict[str, Any]
        if kind == EventKind.UNKNOWN_SYSREG:
            from bridge.arch.sysregs import sysreg_name

            name, fields = "sysreg", {"register": sysreg_name(a), "write": int(not b), "undefined": 1}
        elif kind == EventKind.GPF:
            name, fields = "gpf", {"pa": a, "gpi": self._machine.gpt.get(a).text, "va": b}
        elif kind == EventKind.INTERRUPT:
            name, fields = "interrupt", {"kind": _VECTORS.get(a & 0x180, "SERROR")}
        else:
            name, fields = "exception", {"esr": a, "far": b}
        if name in self.selected:
            self._of_core(name, core, insns, {**fields, "el": el}, pc)

    def _of_core(self, name: str, core: Core, insns: int, fields: dict[str, Any], pc: int | None) -> None:
        machine = self._machine
        symbol = None if pc is None else machine.symbols.symbolise(core, pc)
        el = f" EL{fields['el']}" if "el" in fields else ""
        fields.setdefault("text", f"{core.name}{el} at {symbol}")
        index = realm = None
        if core.pas is PAS.REALM:
            rec = next(
                (rec for rec in machine.rmm.rec_at.values() if getattr(rec.context, "_core", None) is core), None
            )
            if rec is not None:
                index, realm = rec.index, rec.rd
        world = _WORLDS.get(core.pas, NORMAL)
        self._emit(Item(insns, name, world, machine.pe.index, index, realm, fields=fields, pc=pc, symbol=symbol))
