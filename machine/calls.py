# SPDX-License-Identifier: GPL-2.0-or-later
"""The record of calls: the last few, always, and all of them for whoever traces."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from bridge.pas import PAS
from bridge.plugin import lib
from rmm.abi.rsi import IPA_STATE_SET

if TYPE_CHECKING:
    from bridge.core import Board
    from machine.stuck import Evidence
    from rmm.abi.call import Call

RING = 8
FREQUENT = frozenset({"vmm_mmio", "console"})  # told to traces, but not kept for the report of a stop


class CallRecord(NamedTuple):
    """One finished call.  decl is None for a function id that nothing declares; args[0] is that id then."""

    insns: int
    decl: Call | None
    args: tuple[int, ...]
    result: tuple[int, ...]
    condition: str | None
    rec_pa: int | None
    secure: bool = False  # the Secure world's


class Happened(NamedTuple):
    """Something that was no call, as a line of the trace has it."""

    insns: int
    text: str


class Listener(Protocol):
    """Whoever wants every event as it happens, in words."""

    def call(self, record: CallRecord) -> None: ...
    def event(self, name: str, insns: int, text: str, depth: int) -> None: ...


class Trace(Protocol):
    """Whoever wants every event with its fields, as machine.events declares them."""

    def call(self, record: CallRecord) -> None: ...
    def event(self, name: str, insns: int, fields: Mapping[str, Any], depth: int) -> None: ...


class CallLog:
    """Observer of the RMM and of the monitor: keeps the last calls, counts all, tells the listener."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._ring: deque[tuple[Any, ...]] = deque(maxlen=RING)
        self._others: deque[tuple[int, str, int | None, str]] = deque(maxlen=RING)
        self._counts: dict[Call | None, int] = {}
        self._handle = board.handle
        self.evidence: Evidence | None = None
        self.listener: Listener | None = None
        self.trace: Trace | None = None
        self.entries = 0  # so often has a REC been entered
        self.moves = False  # the trace wants granules that change hands, too

    def call(
        self,
        decl: Call | None,
        args: tuple[int, ...],
        result: tuple[int, ...],
        condition: str | None,
        rec_pa: int | None,
        *,
        secure: bool = False,
    ) -> None:
        counts = self._counts
        counts[decl] = counts.get(decl, 0) + 1
        record = (lib.cca_insns(self._handle), decl, args, result, condition, rec_pa, secure)
        self._ring.append(record)
        if self.trace is not None:
            self.trace.call(CallRecord(*record))
        if self.listener is not None:
            self.listener.call(CallRecord(*record))
        if (condition is not None or decl is IPA_STATE_SET) and self.evidence is not None:
            self.evidence.note(CallRecord(*record), counts[decl])

    @property
    def ring(self) -> list[CallRecord]:
        """The last calls, oldest first."""
        return [CallRecord(*record) for record in self._ring]

    @property
    def last(self) -> list[CallRecord | Happened]:
        """The last calls, and the last of what else there was to tell, oldest first."""
        others = [
            Happened(insns, f"{name}: {text if rec_pa is None else _exits(rec_pa, text)}")
            for insns, name, rec_pa, text in self._others
        ]
        return sorted([*others, *self.ring], key=lambda entry: entry.insns)

    @property
    def counts(self) -> dict[str, int]:
        """Calls by name; `unknown` for function ids that nothing declares."""
        return {"unknown" if decl is None else decl.name: count for decl, count in self._counts.items()}

    def count(self, decl: Call) -> int:
        """How often one call was made."""
        return self._counts.get(decl, 0)

    def monitor(self, fid: int, x: Sequence[int], result: int, condition: str | None = None) -> None:
        """A call that the Root monitor answered by itself; unknown ones too, named as such."""
        from rmm.abi import by_fid

        decl = by_fid(fid)
        args = (fid, *x[1:4]) if decl is None else decl.decode(x)
        self.call(decl, args, (result,), condition, None)

    def event(self, name: str, text: str, depth: int = 0, **fields: Any) -> None:
        """Something that is no call, with the fields that machine.events declares for it.  depth: 0 for the Normal
        world's own.
        """
        if name not in FREQUENT:
            self._others.append((self.board.insns, name, None, text))
        self._tell(name, text, depth, {**fields, "text": text})

    def _tell(self, name: str, text: str, depth: int, fields: Mapping[str, Any]) -> None:
        insns = self.board.insns
        if self.trace is not None:
            self.trace.event(name, insns, fields, depth)
        if self.listener is not None:
            self.listener.event(name, insns, text, depth)

    def rec_enter(self, rec_pa: int) -> None:
        self.entries += 1
        if self.trace is not None or self.listener is not None:
            self._tell("rec_enter", f"REC {rec_pa:#x} runs", 1, {"rec_pa": rec_pa})

    def rec_exit(self, rec_pa: int, reason: str) -> None:
        self._others.append((lib.cca_insns(self._handle), "rec_exit", rec_pa, reason))
        if self.trace is not None or self.listener is not None:
            self._tell("rec_exit", _exits(rec_pa, reason), 1, {"rec_pa": rec_pa, "reason": reason})

    def granule(self, pa: int, old: int, new: int) -> None:
        if self.moves or self.listener is not None:
            from rmm.abi.values import GranuleState, name_of

            was, now = name_of(GranuleState, old), name_of(GranuleState, new)
            self._tell("granule", f"{pa:#x} {was} → {now}", 1, {"pa": pa, "old": was, "new": now})

    def gpt(self, pa: int, requester: int, to: int, status: int) -> None:
        """A granule of the GPT that the RMM or the Secure world asked the monitor to move; status: RMM-EL3's."""
        if not self.moves or self.trace is None:
            return
        insns = self.board.insns
        new = PAS(to)
        old = PAS(requester) if new is PAS.NON_SECURE else PAS.NON_SECURE
        if status == 0:
            self.trace.event("gpt", insns, {"pa": pa, "old": old.text, "new": new.text}, 1)
        if requester == PAS.REALM:
            from rmm.abi import el3

            decl = el3.GTSI_UNDELEGATE if new is PAS.NON_SECURE else el3.GTSI_DELEGATE
            self.trace.call(CallRecord(insns, decl, (pa,), (status & (1 << 64) - 1,), None, None))

    def total(self, prefix: str) -> int:
        """Calls whose name starts with `prefix`."""
        return sum(count for name, count in self.counts.items() if name.startswith(prefix))


def _exits(rec_pa: int, reason: str) -> str:
    return f"REC {rec_pa:#x} exits: {reason}"
