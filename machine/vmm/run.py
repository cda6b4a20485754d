# SPDX-License-Identifier: GPL-2.0-or-later
"""Entering RECs and answering what they leave for: KVM_RUN and the loop around it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from bridge.core import NEVER
from machine.bus import Bus
from machine.end import GUEST_EXIT, STUCK, UNHANDLED, End
from machine.payload_abi import HOST_CALLS
from machine.vmm.hostcalls import HostCalls
from machine.vmm.memory import DATA, EMPTY, GIVEN, SHARED, STATE, RealmMemory
from machine.vmm.realm import CPU_ON, Vmm
from machine.vmm.vcpu import Vcpu
from rmm.abi import rmi
from rmm.abi.bits import REC_ENTER_FLAGS
from rmm.abi.structs import REC_ENTER, REC_EXIT
from rmm.abi.values import ExitReason, PsciStatus, Ripas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from machine.machine import Machine

EMUL_MMIO = REC_ENTER_FLAGS.by_name["EMUL_MMIO"].mask
INJECT_SEA = REC_ENTER_FLAGS.by_name["INJECT_SEA"].mask
TRAP_WFI = REC_ENTER_FLAGS.by_name["TRAP_WFI"].mask
RIPAS_RESPONSE = REC_ENTER_FLAGS.by_name["RIPAS_RESPONSE"].mask

_REC_ENTER = rmi.REC_ENTER.fid
_EXIT = REC_ENTER.size
_GPRS = REC_ENTER.offset("gprs")
_GIC = REC_ENTER.offset("gicv3_hcr")
_reason = REC_EXIT.unpacker("exit_reason")
_syndrome = REC_EXIT.unpacker("esr", "far", "hpfar")
_X0 = slice(REC_EXIT.offset("gprs"), REC_EXIT.offset("gprs") + 8)
_gprs = REC_EXIT.unpacker("gprs")
_gic = REC_EXIT.unpacker("gicv3_hcr", "gicv3_lrs", "gicv3_misr", "gicv3_vmcr")
_GIC_EXIT = slice(REC_EXIT.offset("gicv3_hcr"), REC_EXIT.by_name["gicv3_vmcr"].end)
_timers = REC_EXIT.unpacker("cntp_ctl", "cntp_cval", "cntv_ctl", "cntv_cval")
_ripas = REC_EXIT.unpacker("ripas_base", "ripas_top", "ripas_value")
_PMU = REC_EXIT.offset("pmu_ovf_status")
_imm = REC_EXIT.unpacker("imm")

EC_WFX, EC_SYSREG, EC_IABORT, EC_DABORT = 0x01, 0x18, 0x20, 0x24
_ISV, _WNR = 1 << 24, 1 << 6
_CPU_SUSPEND = frozenset({0x8400_0001, 0xC400_0001})
_AFFINITY_INFO = frozenset({0x8400_0004, 0xC400_0004})
_CPU_OFF, _SYSTEM_OFF, _SYSTEM_RESET = 0x8400_0002, 0x8400_0008, 0x8400_0009

# One fault at one address so often in a row, and nothing that the host can do about it
_STUCK = 16

HC_YIELD = HOST_CALLS["YIELD"][0]


def _nothing() -> None:
    """There is nothing outside."""


class PsciRequest(NamedTuple):
    """A PSCI call that waits for `Vmm.psci_complete` (psci="manual")."""

    vcpu: Vcpu
    function: int
    target: int


class Interrupts(Protocol):
    """The realm's interrupt controller, as its host emulates it (machine.vmm.vgic)."""

    def fill(self, vcpu: int) -> tuple[int, Sequence[int]]: ...
    def fold(self, vcpu: int, hcr: int, lrs: tuple[int, ...], misr: int, vmcr: int) -> None: ...
    def pending(self, vcpu: int) -> bool: ...
    def levels(self, vcpu: int, cntp_ctl: int, cntv_ctl: int, pmu: int) -> None: ...
    def sysreg(self, vcpu: int, esr: int, value: int) -> bool: ...


class Runner:
    """Runs one active realm's vCPUs in turns on the machine's first PE.

    devices: by IPA without the shared bit.  console: where host calls print.  psci: "auto" answers CPU_ON with
    SUCCESS, "manual" makes `run` return the request.
    """

    def __init__(
        self,
        machine: Machine,
        vmm: Vmm,
        *,
        devices: Bus | None = None,
        interrupts: Interrupts | None = None,
        console: Callable[[bytes], None],
        psci: str = "auto",
    ) -> None:
        vmm.require_active("run")
        self.machine = machine
        self.vmm = vmm
        self.devices = devices or Bus()
        self.interrupts = interrupts
        self.psci = psci
        self._puts = console
        self._memory: RealmMemory = vmm.memory
        self._shared_bit = vmm.options.shared_bit
        # By vCPU: what its run structure holds from the entry before, and what was read of the exit before.
        self._gic_written: dict[int, tuple[int, Sequence[int]]] = {}
        self._flags_written: dict[int, int] = {}
        self._gic_read: dict[int, tuple[bytes, tuple[int, tuple[int, ...], int, int]]] = {}
        self._stuck: tuple[int, int] = (0, 0)
        # Called between turns: where the outside world is looked at.
        self.poll: Callable[[], None] = _nothing
        self.request: PsciRequest | None = None
        self.mmio = self.faults = self.ripas_changes = 0
        self._exits: deque[tuple[int, bytes]] = deque(maxlen=8)
        # Where the round of turns is, as machine.scheduler.Turns says it; the turn's own alone and trap.
        self._at = 0
        self._idle_round = True
        self._midway = False
        self._alone = True
        self._trap = 0
        self.wire(machine)

    def wire(self, machine: Machine) -> None:
        """What is derived from the rest."""
        self.machine = machine
        self._host_calls = HostCalls(self.vmm, self._puts, self._count_exits)
        self._answers: dict[int, Callable[[Vcpu, bytes], bool]] = {
            ExitReason.SYNC: self._sync_exit,
            ExitReason.IRQ: self._interrupted,
            ExitReason.FIQ: self._interrupted,
            ExitReason.PSCI: self._psci_exit,
            ExitReason.RIPAS_CHANGE: self._ripas_exit,
            ExitReason.HOST_CALL: self._host_call,
            ExitReason.SERROR: self._serror,
        }
        machine.last_exits = self._last_exits

    def _count_exits(self, ipa: int) -> int:
        """For faults at an IPA that the host cannot mend."""
        return self._stuck[1] if self._stuck[0] == ipa else 0

    # The loop

    def run(self) -> PsciRequest:
        """Until the realm ends (End is raised) or, with psci="manual", asks for PSCI_COMPLETE."""
        vcpus, machine = self.vmm.vcpus, self.machine
        while True:
            while self._at < len(vcpus):
                vcpu = vcpus[self._at]
                if not self._midway:
                    if not vcpu.on or vcpu.request is not None or (vcpu.waiting and not self._wakes(vcpu)):
                        self._at += 1
                        continue
                    self._idle_round = vcpu.waiting = False
                self._turn(vcpu)
                if machine.interrupted:
                    self._midway = True
                    machine.thaw()
                    continue
                self._at += 1
                if self.request is not None:
                    request, self.request = self.request, None
                    self._at, self._idle_round = 0, True
                    return request
            if self._idle_round:
                self._idle()
            self._at, self._idle_round = 0, True

    def halt(self) -> None:
        """Kicks every vCPU out of the REC_ENTER that it is preempted in: a REC that runs cannot be destroyed."""
        pe = self.machine.pe
        for vcpu in self.vmm.vcpus:
            if vcpu.entry is not None:
                pe.kicked = True
                self.machine.rmm.resume(vcpu.entry)
                pe.kicked, vcpu.entry = False, None

    def _wakes(self, vcpu: Vcpu) -> bool:
        if vcpu.wake_at <= self.machine.board.insns:
            return True
        return self.interrupts is not None and self.interrupts.pending(vcpu.index)

    def _wait(self, vcpu: Vcpu, data: bytes) -> None:
        """Until an interrupt, or the next edge of a timer that the REC has left armed."""
        clock = self.machine.config.clock
        cntp_ctl, cntp_cval, cntv_ctl, cntv_cval = _timers(data)
        edges = [cval for ctl, cval in ((cntp_ctl, cntp_cval), (cntv_ctl, cntv_cval)) if ctl & 7 == 1]
        vcpu.waiting = True
        vcpu.wake_at = min((-(-cval * clock.rate // clock.cntfrq) for cval in edges), default=NEVER)

    def _idle(self) -> None:
        """Every vCPU waits: time goes on to what wakes one of them."""
        edges = [v.wake_at for v in self.vmm.vcpus if v.on and v.request is None]
        if not edges or not self.machine.skip_time(edges):
            names = ", ".join(f"vCPU {v.index}" for v in self.vmm.vcpus if v.on) or "no vCPU is on"
            raise End(STUCK, f"realm `{self.vmm.name}`: {names}: WFI and no interrupt can come")

    def _turn(self, vcpu: Vcpu) -> None:
        """Runs a vCPU until it waits, is off, or its turn is over."""
        machine = self.machine
        if not self._midway:
            self._alone = sum(v.on and not v.waiting for v in self.vmm.vcpus) == 1
            self._trap = 0 if len(self.vmm.vcpus) == 1 else TRAP_WFI
            machine.begin_slice(alone=self._alone)
            self.poll()
        alone, trap = self._alone, self._trap
        midway, self._midway = self._midway, False
        if vcpu.entry is not None:
            if not midway and self._wakes(vcpu):
                machine.pe.kicked = True
            result: tuple[int, ...] = machine.rmm.resume(vcpu.entry)
        else:
            result = self._enter(vcpu, trap)
        while True:
            if not result:
                vcpu.entry = machine.rmm.paused or vcpu.entry
                machine.rmm.paused = None
                if machine.interrupted:
                    return
                vcpu.waiting, vcpu.wake_at = machine.pe.waiting, machine.pe.wake_at
                machine.pe.waiting = False
                return
            vcpu.entry = None
            if result[0]:
                raise End(UNHANDLED, f"the host's REC_ENTER failed: {self.vmm.door.explain()}")
            if not self._answer(vcpu) or (alone and trap and self._another(vcpu)):
                return
            result = self._enter(vcpu, trap)

    def _another(self, vcpu: Vcpu) -> bool:
        """Whether what `vcpu` has done (CPU_ON, an SGI, a request to a device) lets another one run."""
        return any(v.on and v is not vcpu and (not v.waiting or self._wakes(v)) for v in self.vmm.vcpus)

    def _enter(self, vcpu: Vcpu, flags: int) -> tuple[int, ...]:
        door, run = self.vmm.door, vcpu.run
        vcpu.flags |= flags
        vcpu.entries += 1
        if self.interrupts is not None:
            gic = self.interrupts.fill(vcpu.index)
            if gic is not self._gic_written.get(vcpu.index):
                hcr, lrs = gic
                door.write(run + _GIC, b"".join(word.to_bytes(8, "little") for word in (hcr, *lrs)))
                self._gic_written[vcpu.index] = gic
        if vcpu.flags != self._flags_written.get(vcpu.index):
            self._flags_written[vcpu.index] = vcpu.flags
            door.write(run, vcpu.flags.to_bytes(8, "little"))
        vcpu.flags = 0
        return self.machine.monitor.normal((_REC_ENTER, vcpu.rec, run, 0, 0, 0, 0, 0))

    def _answer(self, vcpu: Vcpu) -> bool:
        """Answers an exit; False when the vCPU does not go on now."""
        data = self.vmm.door.read(vcpu.run + _EXIT, REC_EXIT.size)
        if self.interrupts is not None:
            raw = data[_GIC_EXIT]
            seen = self._gic_read.get(vcpu.index)
            if seen is None or seen[0] != raw:
                hcr, *lrs, misr, vmcr = _gic(data)
                seen = self._gic_read[vcpu.index] = (raw, (hcr, tuple(lrs), misr, vmcr))
            self.interrupts.fold(vcpu.index, *seen[1])
            cntp_ctl, _, cntv_ctl, _ = _timers(data)
            self.interrupts.levels(vcpu.index, cntp_ctl, cntv_ctl, data[_PMU])
        self._exits.append((vcpu.index, data))
        return self._answers[_reason(data)[0]](vcpu, data)

    def _last_exits(self) -> Iterable[str]:
        from machine.vmm.names import describe_exits

        return describe_exits(self._exits)

    def _interrupted(self, vcpu: Vcpu, data: bytes) -> bool:
        return True

    def _serror(self, vcpu: Vcpu, data: bytes) -> bool:
        raise End(UNHANDLED, f"realm `{self.vmm.name}`: SError in vCPU {vcpu.index}")

    # Synchronous exceptions

    def _sync_exit(self, vcpu: Vcpu, data: bytes) -> bool:
        esr, far, hpfar = _syndrome(data)
        x0 = int.from_bytes(data[_X0], "little")
        ec = esr >> 26
        if ec in (EC_DABORT, EC_IABORT):
            ipa = (hpfar & ~0xF) << 8
            if ipa & self._shared_bit:
                return self._unprotected(vcpu, esr, ipa, far & 0xFFF, x0)
            return self._protected(vcpu, esr, ipa)
        if ec == EC_WFX:
            self._wait(vcpu, data)
            return False
        if ec == EC_SYSREG and self.interrupts is not None and self.interrupts.sysreg(vcpu.index, esr, x0):
            return True
        raise End(UNHANDLED, f"realm `{self.vmm.name}`: vCPU {vcpu.index} left with ESR {esr:#x}")

    def _protected(self, vcpu: Vcpu, esr: int, ipa: int) -> bool:
        i = self._memory.index(ipa)
        if i is None or self._memory.pages[i] & STATE in (DATA, EMPTY, GIVEN):
            return self._cannot_mend(vcpu, ipa)
        self.faults += 1
        self._memory.fault_in(i)
        return True

    def _cannot_mend(self, vcpu: Vcpu, ipa: int) -> bool:
        """Another vCPU may change the RIPAS; for ever is too long."""
        at, times = self._stuck
        self._stuck = (ipa, times + 1 if at == ipa else 1)
        if self._stuck[1] >= _STUCK and not any(other.on and other is not vcpu for other in self.vmm.vcpus):
            raise End(STUCK, f"vCPU {vcpu.index} of realm `{self.vmm.name}` faults for ever at IPA {ipa:#x}")
        return False

    def _unprotected(self, vcpu: Vcpu, esr: int, ipa: int, offset: int, value: int) -> bool:
        hit = self.devices.find((ipa & ~self._shared_bit) + offset)
        if hit is not None and esr & _ISV:
            self.mmio += 1
            device, at = hit
            size = 1 << (esr >> 22 & 3)
            vcpu.flags = EMUL_MMIO
            if esr & _WNR:
                device.write(at, size, value)
            else:
                value = device.read(at, size)
                self.vmm.door.write(vcpu.run + _GPRS, value.to_bytes(8, "little"))
            if self.machine.tracer is not None:
                write = int(bool(esr & _WNR))
                self.machine.calls.event("vmm_mmio", "", ipa=ipa + offset, size=size, write=write, value=value)
            return True
        i = self._memory.index(ipa)
        if i is not None and self._memory.pages[i] & STATE in (SHARED, EMPTY, GIVEN):
            self.faults += 1
            self._memory.map(i)
            return True
        why = "an access that cannot be emulated" if hit is not None else "nothing is there"
        text = f"IPA {ipa + offset:#x}: {why}: the realm gets an external abort"
        self.machine.calls.event("vmm_abort", text, ipa=ipa + offset)
        vcpu.flags = INJECT_SEA
        return True

    # PSCI

    def _psci_exit(self, vcpu: Vcpu, data: bytes) -> bool:
        function, target, *_ = _gprs(data)
        vmm = self.vmm
        if function == _CPU_OFF:
            vcpu.on = False
            return False
        if function in CPU_ON or function in _AFFINITY_INFO:
            vcpu.request = (function, target)
            if self.psci == "manual":
                self.request = PsciRequest(vcpu, function, target)
                return False
            vmm.psci_complete(vcpu, target, PsciStatus.SUCCESS)
            return True
        if function in _CPU_SUSPEND:
            if self.interrupts is not None:  # without, nothing could end it
                self._wait(vcpu, data)
            return False
        if function in (_SYSTEM_OFF, _SYSTEM_RESET):
            if function == _SYSTEM_OFF:
                raise End(GUEST_EXIT, f"realm `{vmm.name}` is off", code=0)
            raise End(GUEST_EXIT, f"realm `{vmm.name}` asks for a reset: a realm cannot be reset", code=1)
        raise End(UNHANDLED, f"realm `{vmm.name}`: PSCI function {function:#x}")

    # RIPAS

    def _ripas_exit(self, vcpu: Vcpu, data: bytes) -> bool:
        base, top, ripas = _ripas(data)
        memory = self._memory
        self.ripas_changes += 1
        if ripas == Ripas.RAM and (base < memory.base or top > memory.end):
            vcpu.flags = RIPAS_RESPONSE  # there is nothing that could be put there
            return True
        if ripas == Ripas.RAM:  # while it is EMPTY: what is destroyed later is not RAM
            for i in memory.numbers(base, top):
                memory.entry(i)
        while base < top:
            status, done, *_ = memory.set_ripas(vcpu.rec, base, top)
            if status:
                vcpu.flags = RIPAS_RESPONSE
                break
            self._changed(base, done, ripas)
            base = done
        return True

    def _changed(self, base: int, top: int, ripas: int) -> None:
        memory = self._memory
        for i in memory.numbers(base, top):
            if ripas == Ripas.EMPTY:
                memory.reclaim(i)
            else:
                memory.take_back(i)

    def _host_call(self, vcpu: Vcpu, data: bytes) -> bool:
        (imm,) = _imm(data)
        gprs = list(_gprs(data))
        self._host_calls.answer(imm, gprs)
        self.vmm.door.write(vcpu.run + _GPRS, b"".join(word.to_bytes(8, "little") for word in gprs))
        return bool(imm != HC_YIELD)
