# SPDX-License-Identifier: GPL-2.0-or-later
"""What a diagnosis looks at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bridge.core import sysreg
from machine.end import INTERRUPTED, STUCK, TIMEOUT
from machine.recs import RecCore
from rmm.abi import rmi
from rmm.abi.values import Ripas

if TYPE_CHECKING:
    from bridge.core import Core
    from machine.end import End
    from machine.machine import Machine
    from machine.stuck import Fault, Refusal
    from rmm.abi.call import Call
    from rmm.inspect import Step
    from rmm.rec import Rec

ESR_EL1, ELR_EL1 = sysreg(3, 0, 5, 2, 0), sysreg(3, 0, 4, 0, 1)
_EXTERNAL = 0x10
_CUT_SHORT = (TIMEOUT, INTERRUPTED)
# What a host does that gives up.
_TEARDOWN = frozenset(
    {
        rmi.DATA_DESTROY,
        rmi.GRANULE_UNDELEGATE,
        rmi.REALM_DESTROY,
        rmi.REC_DESTROY,
        rmi.RTT_DESTROY,
        rmi.RTT_UNMAP_UNPROTECTED,
    }
)
_EC_ABORTS = frozenset({0x20, 0x24})


class OpenFault(NamedTuple):
    """A stage-2 fault that nobody has mended.  step: where the walk for its IPA stops."""

    rec: Rec
    core: Core
    fault: Fault
    step: Step


class Case:
    """A run that has ended; or, where end is None, some RECs of one that goes on."""

    def __init__(self, machine: Machine, end: End | None, recs: Sequence[Rec] | None = None) -> None:
        self.machine = machine
        self.end = end
        self.recs = machine.rmm.recs() if recs is None else recs
        self.evidence = machine.evidence

    @property
    def hangs(self) -> bool:
        """It would not have ended by itself."""
        return self.end is not None and self.end.kind in (STUCK, *_CUT_SHORT)

    @property
    def settled(self) -> int:
        """The instruction count since which nobody is about to mend a thing any more: a run that is cut short may have
        been about to, for a millisecond."""
        now = self.machine.board.insns
        cut_short = self.end is not None and self.end.kind in _CUT_SHORT
        return now - self.machine.config.clock.rate // 1000 if cut_short else now

    def name(self, rec: Rec) -> str:
        return f"REC {rec.index} of realm {rec.rd:#x}"

    def core(self, rec: Rec) -> Core | None:
        """A REC's core, if it has run."""
        context = rec.context
        assert isinstance(context, RecCore)
        return context.present

    def where(self, core: Core, pc: int) -> str:
        return self.machine.symbols.symbolise(core, pc)

    def open_faults(self) -> Iterator[OpenFault]:
        """Stage-2 aborts that are still what their REC was at last: refused by the RMM, or left to the host."""
        for rec in self.recs:
            core, fault = self.core(rec), rec.context.fault  # type: ignore[attr-defined]
            if core is None or not fault.times or fault.at > self.settled or fault.esr >> 26 not in _EC_ABORTS:
                continue
            refused = (
                core.get_sysreg(ESR_EL1) & 0x3F == _EXTERNAL
                and core.get_sysreg(ELR_EL1) == fault.pc
                and core.get_sysreg(ESR_EL1) >> 26 in (0x20, 0x21, 0x24, 0x25)
            )
            left = core.pc == fault.pc and (self.hangs or self.unmoved(fault))
            steps = self.machine.rmm.walk(rec.rd, fault.ipa) if refused or left else []
            if steps:
                yield OpenFault(rec, core, fault, steps[-1])

    def unmoved(self, fault: Fault) -> bool:
        """Whether a fault that was left to the host is the last that it knows of its RECs: one that has run one since,
        or has mended something, ends for reasons of its own."""
        calls = self.machine.calls
        if calls.entries != fault.entries:
            return False
        for record in reversed(calls.ring):
            if record.decl is rmi.REC_ENTER:
                break
            if (
                record.condition is None
                and record.decl not in _TEARDOWN
                and getattr(record.decl, "interface", "") == "RMI"
            ):
                return False
        return True

    def refused(self, decl: Call, *conditions: str) -> Refusal | None:
        """The failure of a call's last use, for one of these conditions."""
        return self.evidence.final(decl, *conditions, before=self.settled)

    def requested(self, rec: Rec, ipa: int) -> int | None:
        """The RIPAS that the realm last asked for there; None where it did not."""
        same = {one.pa for one in self.machine.rmm.recs() if one.rd == rec.rd}
        for pa, base, top, ripas in reversed(self.evidence.requests):
            if pa in same and base <= ipa < top:
                return ripas
        return None

    def who_made_it_empty(self, rec: Rec, ipa: int) -> str:
        """The half sentence about RSI_IPA_STATE_SET."""
        asked = self.requested(rec, ipa)
        if asked == Ripas.EMPTY:
            return "the guest made it so itself by RSI_IPA_STATE_SET"
        if asked == Ripas.RAM:
            return "the guest called RSI_IPA_STATE_SET for it, and the host did not set it"
        if len(self.evidence.requests) == self.evidence.requests.maxlen:
            return "the host never called RMI_RTT_INIT_RIPAS for it"
        return "the guest never called RSI_IPA_STATE_SET for it, nor the host RMI_RTT_INIT_RIPAS"

    def how(self, fault: Fault) -> str:
        """`faults for ever`, `faults`."""
        return "faults for ever" if fault.times > 1 and self.hangs else "faults"
