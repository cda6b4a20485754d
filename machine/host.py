# SPDX-License-Identifier: GPL-2.0-or-later
"""The Normal world's run loop: firmware at NS-EL2 runs, and its exits are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.exits import Reason
from bridge.plugin import ffi, lib
from machine.end import STUCK, End
from machine.recs import stop_of

if TYPE_CHECKING:
    from machine.machine import Machine

SMC = int(Reason.SMC)


def run_host(machine: Machine) -> None:
    """Runs the Normal world until something raises End."""
    core = machine.host
    handle, exit_ = core.handle, core.exit
    smc = machine.monitor.normal
    run, resume, resume5, unpack = lib.cca_run, lib.cca_set_x, lib.cca_resume5, ffi.unpack
    slice_ = machine.slice
    reason = run(handle, slice_)
    while True:
        if machine.tracing:
            machine.drain_events(core)
        if reason == SMC:
            result = smc(unpack(exit_.x, 8))
            if len(result) == 5:
                reason = resume5(handle, slice_, *result)
            else:
                resume(handle, 0, len(result), result)
                reason = run(handle, slice_)
            continue
        match reason:
            case Reason.MMIO:
                machine.mmio(core)
            case Reason.SLICE:
                machine.poll()
                machine.alarms.run_due()
                machine.attached.poll()
            case Reason.SEMIHOST:
                machine.semihosting.call(core)
            case Reason.WFI:
                raise End(STUCK, "WFI in the Normal world and no interrupt can come", core=core)
            case _:
                raise stop_of(core, reason)
        reason = run(handle, slice_)
