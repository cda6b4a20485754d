# SPDX-License-Identifier: GPL-2.0-or-later
"""A host's calls by name, and what they answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bridge.errors import UserError
from machine.traces.item import outputs, status_name
from machine.traces.text import describe
from rmm.abi import rmi
from rmm.abi.named import Interface

if TYPE_CHECKING:
    from machine.calls import CallRecord
    from machine.machine import Machine
    from rmm.abi.call import Call


class CallFailed(AssertionError):
    """A call that should have succeeded.  result: what it answered."""

    def __init__(self, result: Result) -> None:
        super().__init__(str(result))
        self.result = result


class Result(Mapping[str, Any]):
    """What a call answered: its outputs by name, where the result defines them.

    status: `SUCCESS`, `ERROR_RTT`, ...; empty where X0 is a bare value.  index: bits [15:8] of an RMI status, for
    ERROR_RTT the level.  condition: the name of the condition that failed.  x: X0 upwards.  str() is the trace's line.
    """

    def __init__(self, record: CallRecord) -> None:
        status = status_name(record)
        self.record = record
        self.status = "" if status is None else status.name
        self.x: Sequence[int] = record.result
        rmi_status = record.decl is not None and record.decl.interface == "RMI" and self.status != "NOT_SUPPORTED"
        self.index = record.result[0] >> 8 & 0xFF if rmi_status and record.result else 0
        self.condition = record.condition
        self._outputs = outputs(record)

    @property
    def ok(self) -> bool:
        return self.condition is None and self.status in ("", "SUCCESS")

    def check(self) -> Result:
        """Itself; CallFailed where the call did not succeed."""
        if not self.ok:
            raise CallFailed(self)
        return self

    def __getitem__(self, name: str) -> Any:
        return self._outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)

    def __str__(self) -> str:
        return describe(self.record)[1]

    __repr__ = __str__


class HostCalls:
    """SMCs of the Normal world, made from outside.  rmi: each RMI command as a function.

    bound: instructions after which a REC is called back, as by a physical interrupt; 0 for never.
    """

    def __init__(self, machine: Machine, bound: int = 0) -> None:
        self._machine = machine
        self._bound = bound
        self.rmi: Interface[Result] = Interface(rmi.CALLS, self._make)

    def _make(self, decl: Call, words: Sequence[int]) -> Result:
        self.smc(decl.fid, *words)
        return Result(self._machine.calls.ring[-1])

    def smc(self, fid: int, *words: int) -> tuple[int, ...]:
        """X0.. of one SMC with X1.. given.  REC_ENTER only where the script is the host."""
        if fid & 0xFFFF_FFFF == rmi.REC_ENTER.fid:
            return self._enter((fid, *words))
        return self._machine.monitor.normal((fid, *words, *(0,) * (7 - len(words))))

    def _enter(self, x: Sequence[int]) -> tuple[int, ...]:
        """Until the REC leaves to the host, however often it is preempted meanwhile."""
        machine = self._machine
        if not machine.scripted:
            raise UserError("RMI_REC_ENTER: the machine's own host runs its RECs; make the session with host='script'")
        machine.begin_slice(alone=True)
        end = machine.board.insns + self._bound
        result = machine.monitor.normal((*x, *(0,) * (8 - len(x))))
        while not result:
            frame, machine.rmm.paused = machine.rmm.paused, None
            assert frame is not None
            if machine.pe.waiting:
                machine.pe.waiting = False
                if not machine.skip_time([machine.pe.wake_at]):
                    machine.pe.kicked = True  # nothing can come: as if the host had looked after it
            if self._bound and machine.board.insns >= end:
                machine.pe.kicked = True
            machine.begin_slice(alone=True)
            result = machine.rmm.resume(frame)
        return result
