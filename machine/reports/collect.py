# SPDX-License-Identifier: GPL-2.0-or-later
"""What a report needs of a run's events, gathered while they pass by."""

from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple

from machine.events import REALM, SECURE
from machine.reports.columns import Columns, Steps, Sums
from machine.traces.item import Item, nanoseconds, status_name
from machine.traces.stats import Stats
from machine.traces.text import line_of

INTERFACES = ("RMI", "RSI", "PSCI", "FFA", "other")
TROUBLE = frozenset({"gpf", "vmm_abort", "unclaimed", "lost", "virtio", "semihosting", "reset"})
MOST_LANES = 12
MOST_GROUPS = 400
MOST_FAILED = 200
MOST_LINES = 400  # of a console
MOST_CONSOLES = 8
MOST_EVENTS = 200
MOST_MOVES = 400_000
MOST_REALMS = 4
LONGEST = 400  # characters of a line

_RTT_CHANGES = {"rmi_rtt_create": 1, "rmi_rtt_destroy": -1, "rmi_rtt_fold": -1}
_PAGES = {
    "rmi_data_create": ("data", 1),
    "rmi_data_create_unknown": ("data", 1),
    "rmi_data_destroy": ("data", -1),
    "rmi_rtt_map_unprotected": ("shared", 1),
    "rmi_rtt_unmap_unprotected": ("shared", -1),
}
NORMAL_PAS, OTHER = "non-secure", "other"
_GRANULE = 4096
_ADDRESSES = 1 << 52


class Group(NamedTuple):
    """Failures of one kind.  first: instruction count.  line: of the first.  meaning: of the condition."""

    title: str
    meaning: str
    times: int
    first: int
    line: str


class Occupancy:
    """A realm's tables, by level, and pages.  The root tables come with the realm and are not counted."""

    def __init__(self, columns: Columns) -> None:
        self.tables = {level: Steps(columns) for level in (0, 1, 2, 3)}
        self.pages = {"data": Steps(columns), "shared": Steps(columns)}


class Collector:
    """A sink of events.  rate: instructions a second of virtual time."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.columns = Columns()
        self.last = 0
        self.calls = {name: Sums(self.columns) for name in INTERFACES}
        self.failed = Sums(self.columns)
        self.failures = 0
        self.groups: dict[str, Group] = {}
        self.more_groups = 0
        self.examples: list[tuple[int, str]] = []
        self.lanes: dict[tuple[str, int, int], Sums] = {}  # (world, realm or PE, REC)
        self.more_lanes = 0
        self.busy: dict[int, Sums] = {}  # of each PE: what is not the Normal world's
        self.pas = {name: Steps(self.columns) for name in ("realm", "secure", "root", OTHER)}
        self.moves: list[tuple[int, int, str]] = []
        self.more_moves = 0
        self.realms: dict[int, Occupancy] = {}
        self.exits: dict[str, Counter[str]] = {}
        self.consoles: dict[str, deque[tuple[int, str]]] = {}
        self.console_lines: Counter[str] = Counter()
        self.tail: deque[tuple[int, str, str]] = deque(maxlen=MOST_EVENTS)
        self.stats = Stats((), rate)
        self._running: dict[int, tuple[tuple[str, int, int], int]] = {}
        self._exits_told = self._gpt_told = False
        self._pas_of: dict[int, str] = {}

    # Events

    def put(self, item: Item) -> None:
        now = self.last = max(self.last, min(item.insns, (1 << 63) - 1))  # a damaged trace may go back
        self.stats.add(item)
        if item.name == "console":
            self._console(item, now)
            return
        self.busy.setdefault(item.pe & 0xFF, Sums(self.columns))
        self.tail.append((now, item.world, line_of(item)[:LONGEST]))
        self._worlds(item, now)
        if item.call is not None:
            self._call(item, now)
        elif item.name in TROUBLE:
            self._trouble(item.name, "", item, now)
        if item.name == "gpt":
            self._moved(item.fields["pa"], str(item.fields["new"]), now)
        for delta in item.deltas:
            if delta.what == "gpt":
                self._moved(delta.pa, delta.new, now)

    def close(self) -> None:
        """The events end; what runs now ran to the end."""
        for pe in list(self._running):
            self._leave(pe, self.last)

    def _console(self, item: Item, now: int) -> None:
        label = str(item.fields["label"])[:80]
        if label not in self.consoles and len(self.consoles) >= MOST_CONSOLES:
            return
        self.console_lines[label] += 1
        lines = self.consoles.setdefault(label, deque(maxlen=MOST_LINES))
        lines.append((now, str(item.fields.get("text", ""))[:LONGEST]))

    # Worlds

    def _worlds(self, item: Item, now: int) -> None:
        pe = item.pe & 0xFF
        if item.name == "rec_enter":
            self._enter(pe, (REALM, item.realm or 0, item.rec or 0), now)
        elif item.name == "rec_exit":
            self._exits_told = True
            self._leave(pe, now)
            name = "?" if item.rec is None else f"REC {item.rec} of realm {item.realm or 0:#x}"
            if name in self.exits or len(self.exits) < MOST_LANES:
                self.exits.setdefault(name, Counter())[str(item.fields["reason"])[:80]] += 1
        elif item.name == "secure_enter":
            self._enter(pe, (SECURE, 0, 0), now)
        elif item.name == "secure_leave":
            self._leave(pe, now)
        elif item.name == "rmi_rec_enter" and item.start is not None and not self._exits_told:
            self._enter(pe, (REALM, item.realm or 0, item.rec or 0), min(max(item.start, 0), now))
            self._leave(pe, now)

    def _enter(self, pe: int, lane: tuple[str, int, int], now: int) -> None:
        self._leave(pe, now)
        self._running[pe] = (lane, now)

    def _leave(self, pe: int, now: int) -> None:
        running = self._running.pop(pe, None)
        if running is None:
            return
        lane, start = running
        self.busy.setdefault(pe, Sums(self.columns)).span(start, now)
        if lane not in self.lanes:
            if len(self.lanes) >= MOST_LANES:
                self.more_lanes += 1
                return
            self.lanes[lane] = Sums(self.columns)
        self.lanes[lane].span(start, now)

    # Calls

    def _call(self, item: Item, now: int) -> None:
        call = item.call
        assert call is not None
        interface = "" if call.decl is None else call.decl.interface
        self.calls[interface if interface in self.calls else "other"].count(now)
        status = status_name(call)
        if call.decl is None or call.condition is not None or _failed(interface, status):
            named = "unknown" if status is None else status.name
            title = f"{item.name} = {named}" + (f" [{call.condition}]" if call.condition is not None else "")
            known = None if call.decl is None or call.condition is None else call.decl.by_condition.get(call.condition)
            self._trouble(title, "" if known is None else known.doc, item, now)
            return
        if call.result:
            self._effect(item, now)

    def _trouble(self, title: str, meaning: str, item: Item, now: int) -> None:
        self.failed.count(now)
        self.failures += 1
        line = line_of(item)[:LONGEST]
        title = title[:LONGEST]
        group = self.groups.get(title)
        if group is not None:
            self.groups[title] = group._replace(times=group.times + 1)
        elif len(self.groups) < MOST_GROUPS:
            self.groups[title] = Group(title, meaning, 1, now, line)
        else:
            self.more_groups += 1
        if len(self.examples) < MOST_FAILED:
            self.examples.append((now, line))

    def _effect(self, item: Item, now: int) -> None:
        call = item.call
        assert call is not None
        if item.name in ("rmi_granule_delegate", "rmi_granule_undelegate") and not self._gpt_told:
            self._move(call.args[0], "realm" if item.name == "rmi_granule_delegate" else NORMAL_PAS, now)
            return
        by = _RTT_CHANGES.get(item.name)
        pages = _PAGES.get(item.name)
        if by is None and pages is None:
            return
        realm = self._realm(call.args[0])
        if realm is None:
            return
        if by is not None:
            level = call.args[-1]
            if level in realm.tables:
                realm.tables[level].change(now, by)
        if pages is not None:
            realm.pages[pages[0]].change(now, pages[1])

    def _realm(self, rd: int) -> Occupancy | None:
        if rd not in self.realms:
            if len(self.realms) >= MOST_REALMS:
                return None
            self.realms[rd] = Occupancy(self.columns)
        return self.realms[rd]

    # The GPT

    def _moved(self, pa: int, new: str, now: int) -> None:
        self._gpt_told = True
        self._move(pa, new, now)

    def _move(self, pa: int, new: str, now: int) -> None:
        if not 0 <= pa < _ADDRESSES:
            return
        granule = pa // _GRANULE
        new = new if new in self.pas or new == NORMAL_PAS else OTHER
        old = self._pas_of.get(granule, NORMAL_PAS)
        if old == new:
            return
        self._pas_of[granule] = new
        if old in self.pas:
            self.pas[old].change(now, -1)
        if new in self.pas:
            self.pas[new].change(now, 1)
        if len(self.moves) < MOST_MOVES:
            self.moves.append((now, granule, new))
        else:
            self.more_moves += 1

    # For the page

    def ns(self, insns: int) -> int:
        return nanoseconds(insns, self.rate)

    def lane_titles(self) -> list[tuple[str, str, Sums]]:
        """(world, title, instructions spent) of what ran beside the Normal world, in order."""
        rows = []
        for (world, realm, rec), spent in sorted(self.lanes.items()):
            rows.append((world, f"REC {rec} of {realm:#x}" if world == REALM else "Secure world", spent))
        return rows


def _failed(interface: str, status: int | None) -> bool:
    if status is None:
        return False
    if interface in ("RMI", "RSI"):
        return status != 0 and getattr(status, "name", "") != "INCOMPLETE"
    return status < 0
