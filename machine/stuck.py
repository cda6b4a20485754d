# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept for a diagnosis while a machine runs, and the word that it will never get further.

All of it is counted in events and virtual time, so that each run is stopped at the same place.  Nothing is kept of what
goes well: the counters here are touched at stage-2 faults, at calls that fail, at WFI exits and between slices.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from bridge.core import NEVER
from bridge.pas import PAS
from bridge.plugin import lib
from machine.calls import CallRecord
from machine.end import STUCK, End
from rmm.abi import rmi, rsi
from rmm.abi.structs import REC_PARAMS
from rmm.abi.values import GranuleState, name_of

if TYPE_CHECKING:
    from typing import Any

    from bridge.core import Core
    from machine.inspect.contexts import Context
    from machine.machine import Machine
    from machine.recs import RecCore
    from rmm.abi.call import Call
    from rmm.rec import Rec

# Instructions between two looks at what has moved.
LOOK = 20_000_000
# An exception taken over and over at EL1 or EL2 has no exit.
REPEATS = lib.CCA_REPEATS
# Of a context between two faults, or two WFIs, that bring it no further.
SHORT = 5_000
REQUESTS = 256
_PARKED = 3  # words that a context may be parked in: WFE, WFI or a hint, and a branch back
_ABORTS = frozenset({0x00, 0x20, 0x21, 0x22, 0x24, 0x25, 0x26})  # UNDEF, aborts, PC and SP alignment


class Refusal(NamedTuple):
    """A call that failed; the first of several in a row with the same arguments.

    later: how often the call had been made by the last of them.  said: what stood in memory then.
    """

    record: CallRecord
    later: int
    said: dict[str, str]


class Fault:
    """A REC's last stage-2 fault.  times: in a row, at this PC and IPA; the first at the machine's instruction count
    `at`, the second at the REC's own `since`.  entries: of all RECs, up to the last time.
    """

    __slots__ = ("at", "entries", "esr", "far", "ipa", "pc", "since", "times")

    def __init__(self) -> None:
        self.pc = self.ipa = -1
        self.at = self.entries = self.esr = self.far = self.times = self.since = 0

    def clear(self) -> None:
        """The instruction was completed by the host: it is no fault any more."""
        self.pc = -1
        self.times = 0


class Evidence:
    """Of one machine, from power-up on."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._handle = machine.board.handle
        self._repeating = lib.cca_repeating(self._handle)
        limits = machine.config.stuck
        self._faults = limits.faults or NEVER
        self._calls = limits.calls or NEVER
        self._waits = limits.waits or NEVER
        self._silence = int(limits.silence) * machine.config.clock.rate // 1_000_000_000 or NEVER
        self.refusals: dict[Call, Refusal] = {}
        self.refused = 0  # so often in a row, with the same arguments
        self.refused_last: CallRecord | None = None
        self._refused_at = 0
        # RIPAS changes that realms have asked for: (REC, base, top, RIPAS); the oldest are forgotten
        self.requests: deque[tuple[int, int, int, int]] = deque(maxlen=REQUESTS)
        self.waits = 0
        self._wait_mark: dict[int, int] = {}
        self._next_look = LOOK
        self.activity = -1
        self.active_at = 0  # instruction count at which something was last seen to move
        # What a REC had to say when it was destroyed: name, text, how often RECs had been entered by then.
        self.last_words: list[tuple[str, str, int]] = []

    # Calls

    def note(self, record: CallRecord, count: int) -> None:
        """A call that failed, or one that asks for RIPAS.  count: how often the call has been made."""
        decl = record.decl
        if decl is rsi.IPA_STATE_SET and record.rec_pa is not None:
            base, top, ripas = record.args[:3]
            self.requests.append((record.rec_pa, base, top, ripas))
        if record.condition is None or decl is None or decl.interface != "RMI":
            return
        last = self.refused_last
        again = last is not None and last.decl is decl and last.args == record.args and count == self._refused_at + 1
        self.refused = self.refused + 1 if again else 1
        self.refused_last, self._refused_at = record, count
        if not again:
            self.refusals[decl] = Refusal(record, count, self._read(decl, record))
        else:
            self.refusals[decl] = self.refusals[decl]._replace(later=count)
        if self.refused >= self._calls and self._machine.stops is None:
            raise End(
                STUCK,
                f"{decl.name} has been refused {self.refused:,} times in a row [{record.condition}]",
                core=self._machine.running,
            )

    def _read(self, decl: Call, record: CallRecord) -> dict[str, str]:
        """What the host gave in memory to a REC_CREATE, and what is wrong with it."""
        if decl is not rmi.REC_CREATE:
            return {}
        from machine.inspect.tables import owner
        from rmm.rec import RecParams, index_of_rec_mpidr

        rmm, image = self._machine.rmm, None
        realm = rmm.realm_at.get(record.args[0])
        if self._machine.memory.is_ram(record.args[2], REC_PARAMS.size):
            image = self._machine.board.read_as(PAS.NON_SECURE, record.args[2], REC_PARAMS.size)
        if image is None or realm is None:
            return {}
        params = RecParams(image)
        said = {"mpidr": f"{params.mpidr:#x}", "index": str(index_of_rec_mpidr(params.mpidr))}
        said["next"] = str(realm.rec_count)
        for pa in params.aux[: min(params.num_aux, len(params.aux))]:
            state = rmm.granule_state(pa)
            if state != GranuleState.DELEGATED:
                whose = owner(self._machine, pa, state)
                name = "not tracked by the RMM" if state < 0 else str(name_of(GranuleState, state))
                said["aux"] = f"{pa:#x}"
                said["state"] = f"{name} ({whose})" if whose else name
                break
        return said

    def final(self, decl: Call, *conditions: str, before: int) -> Refusal | None:
        """The failure of a call's last use, for one of these conditions, at an instruction count up to `before`."""
        refusal = self.refusals.get(decl)
        if refusal is None or refusal.record.condition not in conditions or refusal.record.insns > before:
            return None
        return refusal if self._machine.calls.count(decl) == refusal.later else None

    # RECs

    def fault(self, rec: RecCore, core: Core, exit_: Any) -> None:
        """A stage-2 fault."""
        fault = rec.fault
        pc, ipa = exit_.pc, exit_.ipa
        fault.entries = self._machine.calls.entries
        if pc != fault.pc or ipa != fault.ipa:
            fault.pc, fault.ipa, fault.times = pc, ipa, 1
            fault.esr, fault.far, fault.at = exit_.esr, exit_.far, lib.cca_insns(self._handle)
            return
        fault.times += 1
        if fault.times == 2:  # each access to a device is the first of its kind: those must cost little
            fault.since = core.insns
        if fault.times >= self._faults:
            short = core.insns - fault.since <= SHORT * fault.times
            if short and self._machine.stops is None:
                raise End(STUCK, f"{rec.name} has taken one fault {fault.times:,} times in a row", core=core)
            fault.times, fault.since = 1, core.insns

    def waited(self, rec: RecCore, core: Core) -> None:
        """A REC comes out by WFI, which the host has trapped."""
        self.waits += 1
        if self.waits < self._waits:
            return
        self.waits = 0
        recs = [one.context for one in self._machine.rmm.recs() if one.runnable]
        marks = {id(one): one.present.insns for one in recs if one.present is not None}  # type: ignore[attr-defined]
        moved = sum(insns - self._wait_mark.get(key, 0) for key, insns in marks.items())
        same, self._wait_mark = marks.keys() == self._wait_mark.keys(), marks
        hopeless = same and moved <= SHORT * self._waits and self._machine.stops is None
        if hopeless and self.nothing_comes() and all(map(self.rests, self._machine.rmm.recs())):
            raise End(STUCK, f"{rec.name} waits by WFI for ever, and the host enters it for ever", core=core)

    def rests(self, rec: Rec) -> bool:
        """Whether a REC that is off, or waits, has nothing that could make it go on: no timer, no list register."""
        core = rec.context.present  # type: ignore[attr-defined]
        if not rec.runnable or core is None:
            return True
        pending = any(lr >> 62 & 1 for lr in self._machine.interrupts.virtual(core).lrs)
        return core.wake_at == NEVER and not pending

    def nothing_comes(self) -> bool:
        """No device has an alarm, and nobody can type."""
        machine = self._machine
        return machine.alarms.next_at() is None and not machine.attached.endpoints.live

    def destroyed(self, rec: Rec) -> None:
        """A REC is about to go: what would be said of it is said now."""
        from machine.diagnosis import of_rec

        if rec.context.fault.times:  # type: ignore[attr-defined]
            entries = self._machine.calls.entries
            self.last_words += [(*said, entries) for said in of_rec(self._machine, rec)]
            del self.last_words[:-8]

    # Between slices

    def begin_anew(self) -> None:
        """Nothing is known to stand still: a machine has been given another state."""
        self._repeating = lib.cca_repeating(self._handle)
        self.waits, self._wait_mark = 0, {}
        self.active_at = self._machine.board.insns
        self._next_look = self.active_at + LOOK

    def look(self) -> None:
        """Whether anything has moved since the last look."""
        machine = self._machine
        if lib.cca_repeating(self._handle) != self._repeating:
            self._look_for_repeats()
        now = machine.board.insns
        if now < self._next_look or machine.stops is not None:
            return
        self._next_look = now + LOOK
        activity = machine.board.activity
        if activity != self.activity:
            self.activity, self.active_at = activity, now
            return
        core_ = running(machine)
        if core_ is not None and self._silence != NEVER and parked(machine, core_):
            raise End(STUCK, f"{core_.name} spins on the spot, and no interrupt can come", core=core_)
        if now - self.active_at >= self._silence:
            raise End(STUCK, "nothing exits, and nothing is printed", core=core_)

    def _look_for_repeats(self) -> None:
        machine = self._machine
        self._repeating = lib.cca_repeating(self._handle)
        if machine.stops is not None:
            return
        for core in machine.cores:
            times, elr, esr, _ = core.repeats()
            if times >= REPEATS and esr >> 26 in _ABORTS and self._faults != NEVER:
                raise End(STUCK, f"{core.name} has taken one exception {times:,} times in a row at {elr:#x}", core=core)


def running(machine: Machine) -> Core | None:
    """The context whose turn it is: of a REC that is preempted, its own and not its host's; None for several."""
    entered = [rec.context.present for rec in machine.rmm.recs() if rec.running]  # type: ignore[attr-defined]
    if entered:
        return entered[0] if len(entered) == 1 else None
    return machine.running


def parked(machine: Machine, core: Core) -> bool:
    """Whether all that a context does is to branch back to where it is, with nothing that could interrupt it."""
    if sum(pe.on for pe in machine.pes) > 1 or machine.alarms.next_at() is not None:
        return False
    # A realm's interrupts are its host's, whatever it masks.
    masked = core.pstate >> 6 & 3 == 3 and core.pas is not PAS.REALM
    if not masked and (core.wake_at != NEVER or core.irq_lines or machine.attached.endpoints.live):
        return False
    from machine.inspect.contexts import context_of

    context = context_of(machine, core)
    if context is None:
        return False
    pc = core.pc
    for at in range(pc, pc + 4 * _PARKED, 4):
        word = _word(machine, context, at)
        if word is not None and word >> 26 == 0x05:  # B
            back = (word & 0x3FF_FFFF) - (1 << 26 if word >> 25 & 1 else 0)
            first = at + 4 * back
            return pc - 4 * _PARKED < first <= pc and all(
                _idles(_word(machine, context, other)) for other in range(first, at, 4)
            )
        if not _idles(word):
            return False
    return False


def _word(machine: Machine, context: Context, va: int) -> int | None:
    from machine.inspect.code import read_virtual

    raw = read_virtual(machine, context, va, 4)
    return None if raw is None else int.from_bytes(raw, "little")


def _idles(word: int | None) -> bool:
    """A hint (NOP, YIELD, WFE, WFI, …) or a barrier."""
    return word is not None and (word & 0xFFFF_F01F == 0xD503_201F or word & 0xFFFF_F01F == 0xD503_301F)
