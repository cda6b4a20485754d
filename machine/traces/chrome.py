# SPDX-License-Identifier: GPL-2.0-or-later
"""Traces as Chrome trace-event JSON, for Perfetto: a process a world, a thread a PE or a REC, flows between worlds."""

from __future__ import annotations

import json
from typing import IO, Any

from machine.events import NORMAL, REALM, SECURE, WORLDS
from machine.traces.item import Item, inputs, nanoseconds, status_name
from machine.traces.text import line_of

_PIDS = {world: pid for pid, world in enumerate(WORLDS, 1)}
_FIRST_REC_TID = 1000  # below are PEs
_BATCH = 2048


class ChromeTrace:
    """Writes `{"traceEvents": [...]}`; times are virtual, in microseconds.

    A call is a complete event of the world that made it, on its PE; RMI_REC_ENTER lasts as long as its REC runs, which
    is another in the Realm's process, on the REC's thread.  A flow leads there and back.
    """

    def __init__(self, file: IO[str], rate: int) -> None:
        self._file = file
        self._rate = rate
        self._rows: list[str] = []
        self._written = False
        self._threads: dict[tuple[int, Any], int] = {}
        self._running: dict[int, tuple[Item, int]] = {}  # by REC: its entry, and the flow that led there
        self._away: dict[int, Item] = {}  # by PE: since when it is in the Secure world
        self._flows = 0
        file.write('{"displayTimeUnit":"ns","traceEvents":[\n')
        for world, pid in _PIDS.items():
            self._meta("process_name", pid, 0, f"{world} world")

    def put(self, item: Item) -> None:
        if item.name == "rec_enter":
            self._enter(item)
        elif item.name == "rec_exit":
            self._exit(item)
        elif item.name == "secure_enter":
            self._away.setdefault(item.pe, item)
        elif item.name == "secure_leave":
            self._back(item)
        elif item.call is not None:
            self._call(item)
        else:
            pid, tid = self._thread(item)
            self._row(name=item.name, ph="i", s="t", pid=pid, tid=tid, ts=self._us(item.insns), args=self._args(item))

    def close(self) -> None:
        still = [("REC run", item, _PIDS[REALM], self._of_rec(item)) for item, _ in self._running.values()]
        still += [("service runs", item, *self._thread(item)) for item in self._away.values()]
        for name, item, pid, tid in still:  # when the machine stopped
            self._row(name=name, ph="B", pid=pid, tid=tid, ts=self._us(item.insns), cat="rec")
        self._flush()
        self._file.write("\n]}\n")
        self._file.close()

    def _us(self, insns: int) -> float:
        return nanoseconds(insns, self._rate) / 1000

    def _row(self, **row: Any) -> None:
        self._rows.append(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
        if len(self._rows) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._file.write((",\n" if self._written else "") + ",\n".join(self._rows))
            self._written = True
            self._rows.clear()

    def _meta(self, what: str, pid: int, tid: int, name: str) -> None:
        self._row(name=what, ph="M", pid=pid, tid=tid, args={"name": name})

    def _named(self, pid: int, key: Any, tid: int, name: str) -> int:
        if (pid, key) not in self._threads:
            self._threads[pid, key] = tid
            self._meta("thread_name", pid, tid, name)
        return self._threads[pid, key]

    def _of_rec(self, item: Item, pid: int = _PIDS[REALM]) -> int:
        """The thread of a REC, or in the Normal world of the vCPU that it is to its host."""
        key = (item.realm, item.rec)
        what = "REC" if pid == _PIDS[REALM] else "vCPU"
        realm = "" if item.realm is None else f" of realm {item.realm:#x}"
        return self._named(pid, key, _FIRST_REC_TID + len(self._threads), f"{what} {item.rec}{realm}")

    def _thread(self, item: Item) -> tuple[int, int]:
        pid = _PIDS[item.world]
        if item.world == REALM and item.rec is not None:
            return pid, self._of_rec(item)
        return pid, self._named(pid, item.pe, item.pe, f"PE {item.pe}" if item.world != REALM else f"RMM, PE {item.pe}")

    def _args(self, item: Item) -> dict[str, Any]:
        out = {key: f"{value:#x}" if type(value) is int else value for key, value in item.fields.items()}
        if item.call is not None:
            for key, value in inputs(item.call).items():
                out[key] = value.name if hasattr(value, "name") else f"{value:#x}" if type(value) is int else str(value)
            status = status_name(item.call)
            if status is not None:
                out["status"] = status.name
            if item.call.condition is not None:
                out["condition"] = item.call.condition
        out["text"] = line_of(item)
        return out

    def _enter(self, item: Item) -> None:
        self._flows += 1
        self._running[item.fields["rec_pa"]] = (item, self._flows)

    def _exit(self, item: Item) -> None:
        entry = self._running.pop(item.fields["rec_pa"], None)
        if entry is None:
            return
        begun, flow = entry
        ts, end = self._us(begun.insns), self._us(item.insns)
        pid, tid, host = _PIDS[REALM], self._of_rec(begun), self._of_rec(begun, _PIDS[NORMAL])
        self._row(
            name="REC run", ph="X", pid=pid, tid=tid, ts=ts, dur=_between(ts, end), cat="rec",
            args={"reason": item.fields["reason"]},
        )  # fmt: skip
        self._arrows(flow, host, pid, tid, ts, end)

    def _back(self, item: Item) -> None:
        """A PE has left the Secure world: a slice there, one in the Normal world for the PE that was away."""
        begun = self._away.pop(item.pe, None)
        if begun is None:
            return
        self._flows += 1
        ts, end = self._us(begun.insns), self._us(item.insns)
        pid, (_, tid), (_, host) = _PIDS[SECURE], self._thread(item), self._thread(item._replace(world=NORMAL))
        for process, thread, name in ((pid, tid, "service runs"), (_PIDS[NORMAL], host, "in the Secure world")):
            self._row(name=name, ph="X", pid=process, tid=thread, ts=ts, dur=_between(ts, end), cat="secure")
        self._arrows(self._flows, host, pid, tid, ts, end)

    def _arrows(self, flow: int, host: int, pid: int, tid: int, there: float, back: float) -> None:
        """From a thread of the Normal world to one of another, and back."""
        ends = ("enter", _PIDS[NORMAL], host, pid, tid, there), ("exit", pid, tid, _PIDS[NORMAL], host, back)
        for number, (name, source, thread, target, other, at) in enumerate(ends):
            id_ = flow * 2 + number
            self._row(name=name, ph="s", cat="world", id=id_, pid=source, tid=thread, ts=at)
            self._row(name=name, ph="f", bp="e", cat="world", id=id_, pid=target, tid=other, ts=at)

    def _call(self, item: Item) -> None:
        assert item.call is not None
        pid, tid = self._thread(item)
        if item.name == "rmi_rec_enter":
            tid = self._of_rec(item, _PIDS[NORMAL])
        ts = self._us(item.insns if item.start is None else item.start)
        name = item.name.upper()
        self._row(
            name=name, ph="X", pid=pid, tid=tid, ts=ts, dur=_between(ts, self._us(item.insns)),
            cat=name.partition("_")[0], args=self._args(item),
        )  # fmt: skip


def _between(start: float, end: float) -> float:
    return round(end - start, 3)
