# SPDX-License-Identifier: GPL-2.0-or-later
"""The Secure world as a state machine: SMCs of both worlds in, and out who runs next with which registers.

Each call is validated by the conditions of its declaration, in their order, before anything changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from bridge.pas import GPI, PAS
from machine.ffa import abi, sip
from machine.ffa.abi import NORMAL, SECURE, FfaStatus
from machine.ffa.partition import PAGE, Endpoint, Model, Partition, State
from rmm.abi import SVE_HINT, psci
from rmm.abi.call import UNKNOWN, Call

MASK32 = 0xFFFF_FFFF
MASK64 = (1 << 64) - 1
SMC64 = 1 << 30
PAGES_MASK = 0x3F

Registers = tuple[int, ...]
"""X0 upwards; registers beyond the last one keep their values."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The caller goes on, with these registers."""

    regs: Registers


@dataclass(frozen=True, slots=True)
class Enter:
    """The Secure core runs next, on the PE that the call came from, with these registers."""

    regs: Registers


@dataclass(frozen=True, slots=True)
class Leave:
    """The Normal world of `pe` goes on, with these registers; none where it was interrupted or has not booted."""

    regs: Registers
    pe: int


Outcome = Reply | Enter | Leave


class Root(Protocol):
    """What the SPMC needs of the Root world: memory as a world reaches it, and the GPT."""

    def accessible(self, pas: PAS, pa: int, size: int) -> bool:
        """Whether [pa, pa + size) is RAM that `pas` may access."""
        ...

    def write(self, pas: PAS, pa: int, data: bytes) -> bool:
        """Writes as `pas` may; False, with nothing written, where it may not."""
        ...

    def owner(self, pa: int) -> GPI | None:
        """GPI of the granule at `pa`; None where no RAM is."""
        ...

    def boot_secure(self, pa: int) -> bool:
        """Whether the machine file gives the RAM at `pa` to the Secure world."""
        ...

    def take(self, pa: int) -> None:
        """Non-secure to Secure; the caller has checked that it can be."""
        ...

    def give_back(self, pa: int) -> None:
        """Wipes a Secure granule, then makes it Non-secure."""
        ...


class Observer(Protocol):
    """Told of each call once it has been answered, and of switches between the worlds."""

    def call(
        self,
        decl: Call | None,
        args: tuple[int, ...],
        result: tuple[int, ...],
        condition: str | None,
        rec_pa: int | None,
        *,
        secure: bool = False,
    ) -> None: ...
    def event(self, name: str, text: str, depth: int = 0) -> None: ...


class Frame:
    """One call in progress."""

    __slots__ = ("caller", "partition", "pe", "root", "world", "x")

    def __init__(self, world: str, pe: int, x: Registers, caller: Endpoint, partition: Partition, root: Root) -> None:
        self.world = world
        self.pe = pe
        self.x = x
        self.caller = caller
        self.partition = partition
        self.root = root

    @property
    def secure(self) -> bool:
        return self.world == SECURE

    @property
    def uuid(self) -> bytes:
        return b"".join((word & MASK32).to_bytes(4, "little") for word in self.x[1:5])

    @property
    def sender(self) -> int:
        return self.x[1] >> 16 & 0xFFFF

    @property
    def receiver(self) -> int:
        return self.x[1] & 0xFFFF


Check = Callable[[Frame], object]
Effect = Callable[[Frame], "Outcome | Sequence[int]"]
"""An outcome, or X2 upwards of FFA_SUCCESS."""


def registers(fid: int, *values: int) -> Registers:
    """X0..X7 of a call or a result; what FF-A does not use is zero (chapter 11)."""
    return (fid, *values, *(0,) * (7 - len(values)))


def error(status: int) -> Registers:
    return registers(abi.ERROR.fid, 0, status & MASK32)


def success(*values: int) -> Registers:
    return registers(abi.SUCCESS.fids[1], 0, *values)


# ---- discovery ----


def _version(f: Frame) -> Reply:
    f.caller.version = min(f.x[1], abi.VERSION_1_1)
    return Reply(registers(abi.VERSION_1_1))


def _other_version(f: Frame) -> bool:
    return f.caller.settled and min(f.x[1], abi.VERSION_1_1) != f.caller.version


def _no_feature(f: Frame) -> bool:
    decl = abi.calls_by_fid().get(f.x[1] & MASK32)
    return decl is None or not decl.supported or f.world not in (*decl.callers, *decl.receivers)


def _map(f: Frame) -> tuple[int, ...]:
    f.caller.tx, f.caller.rx, f.caller.pages = f.x[1], f.x[2], f.x[3]
    f.caller.rx_full = False
    return ()


def _unmap(f: Frame) -> tuple[int, ...]:
    f.caller.tx = f.caller.rx = f.caller.pages = 0
    f.caller.rx_full = False
    return ()


def _overlap(f: Frame) -> bool:
    return abs(f.x[1] - f.x[2]) < f.x[3] * PAGE


def _inaccessible(f: Frame) -> bool:
    size = f.x[3] * PAGE
    return not all(f.root.accessible(f.caller.pas, base, size) for base in f.x[1:3])


def _release(f: Frame) -> tuple[int, ...]:
    f.caller.rx_full = False
    return ()


def _wants_descriptors(f: Frame) -> bool:
    return not f.x[5] & abi.InfoFlags.COUNT


def _rx_refused(f: Frame) -> bool:
    return _wants_descriptors(f) and not f.root.accessible(f.caller.pas, f.caller.rx, f.caller.pages * PAGE)


def _info(f: Frame) -> tuple[int, ...]:
    if not _wants_descriptors(f):
        return (1,)
    descriptor = f.partition.descriptor(f.uuid, f.caller.version)
    f.root.write(f.caller.pas, f.caller.rx, descriptor)
    f.caller.rx_full = True
    # §13.8: W3 is reserved in 1.0
    return (1, 0 if f.caller.version == abi.VERSION_1_0 else len(descriptor))


# ---- the partition's life ----


def _error(f: Frame) -> Leave:
    p = f.partition
    if p.model is Model.INIT:
        p.state = State.ABORTED
        return Leave((), p.pe)
    p.state = State.WAITING
    return Leave(registers(abi.ERROR.fid, p.target, f.x[2] & MASK32), p.pe)


def _wait(f: Frame) -> Leave:
    p = f.partition
    p.state = State.WAITING
    p.rx_full = False
    return Leave(registers(abi.MSG_WAIT.fid, p.target) if p.model is Model.RUN else (), p.pe)


def _yield(f: Frame) -> Leave:
    f.partition.state = State.BLOCKED
    return Leave(registers(abi.YIELD.fid, f.partition.target), f.partition.pe)


def _not_partition(f: Frame, endpoint: int) -> bool:
    return f.secure or endpoint != f.partition.id


def _run(f: Frame) -> Enter:
    p = f.partition
    preempted = p.state is State.PREEMPTED
    if p.state is State.WAITING:
        p.model = Model.RUN
    p.state = State.RUNNING
    p.pe = f.pe
    return Enter(() if preempted else registers(abi.RUN.fid, p.target))


def _request(f: Frame) -> Enter:
    p = f.partition
    p.state, p.model, p.pe, p.requester = State.RUNNING, Model.DIRECT, f.pe, f.sender
    return Enter(f.x)


def _respond(f: Frame) -> Leave:
    f.partition.state = State.WAITING
    return Leave(f.x, f.partition.pe)


def _foreign_sender(f: Frame) -> bool:
    """VMs of the Normal world are the hypervisor's business: it may speak for them (§15.2)."""
    return f.sender != f.partition.id if f.secure else bool(f.sender & abi.SECURE_ID_BIT)


Handler = tuple[Mapping[str, Check], Effect]

HANDLERS: Mapping[Call, Handler] = {
    abi.ERROR: ({"model": lambda f: f.partition.model not in (Model.INIT, Model.DIRECT)}, _error),
    abi.VERSION: (
        {
            "version_bit31": lambda f: f.x[1] >> 31 & 1,
            "version_major": lambda f: f.x[1] >> 16 != 1,
            "version_settled": _other_version,
        },
        _version,
    ),
    abi.FEATURES: ({"feature_supp": _no_feature, "properties_zero": lambda f: f.x[2]}, lambda f: ()),
    abi.RX_RELEASE: ({"vm_zero": lambda f: f.x[1], "rx_owned": lambda f: not f.caller.rx_full}, _release),
    abi.RXTX_MAP: (
        {
            "pages_valid": lambda f: not f.x[3] or f.x[3] & ~PAGES_MASK,
            "align": lambda f: (f.x[1] | f.x[2]) & PAGE - 1,
            "overlap": _overlap,
            "access": _inaccessible,
            "mapped": lambda f: f.caller.pages,
        },
        _map,
    ),
    abi.RXTX_UNMAP: ({"vm_zero": lambda f: f.x[1], "mapped": lambda f: not f.caller.pages}, _unmap),
    abi.PARTITION_INFO_GET: (
        {
            "flags_valid": lambda f: f.x[5] & ~abi.InfoFlags.COUNT,
            "uuid_known": lambda f: not f.partition.matches(f.uuid),
            "rx_mapped": lambda f: _wants_descriptors(f) and not f.caller.pages,
            "rx_free": lambda f: _wants_descriptors(f) and f.caller.rx_full,
            "rx_access": _rx_refused,
        },
        _info,
    ),
    abi.ID_GET: ({}, lambda f: (f.caller.id,)),
    abi.SPM_ID_GET: ({}, lambda f: (abi.SPMC_ID,)),
    abi.MSG_WAIT: ({"model": lambda f: f.partition.model is Model.DIRECT}, _wait),
    abi.YIELD: ({"model": lambda f: f.partition.model in (Model.INIT, Model.INTERRUPT)}, _yield),
    abi.RUN: (
        {
            "target_id": lambda f: _not_partition(f, f.x[1] >> 16 & 0xFFFF),
            "target_vcpu": lambda f: f.x[1] & 0xFFFF,
            "target_aborted": lambda f: f.partition.state is State.ABORTED,
            "target_running": lambda f: f.partition.state is State.RUNNING,
        },
        _run,
    ),
    abi.MSG_SEND_DIRECT_REQ: (
        {
            "flags_zero": lambda f: f.x[2] & MASK32,
            "sender": _foreign_sender,
            "receiver": lambda f: _not_partition(f, f.receiver),
            "receiver_aborted": lambda f: f.partition.state is State.ABORTED,
            "receiver_waits": lambda f: f.partition.state is not State.WAITING,
        },
        _request,
    ),
    abi.MSG_SEND_DIRECT_RESP: (
        {
            "flags_zero": lambda f: f.x[2] & MASK32,
            "sender": _foreign_sender,
            "model": lambda f: f.partition.model is not Model.DIRECT,
            "receiver": lambda f: f.receiver != f.partition.requester,
        },
        _respond,
    ),
}


# ---- what the monitor answers the Secure world beside FF-A ----


def _take(f: Frame) -> Reply:
    f.root.take(f.x[1])
    return Reply(registers(0)[:4])


def _give_back(f: Frame) -> Reply:
    f.root.give_back(f.x[1])
    return Reply(registers(0)[:4])


_ADDR: Mapping[str, Check] = {
    "addr_align": lambda f: f.x[1] & PAGE - 1,
    "addr_bound": lambda f: f.root.owner(f.x[1]) is None,
    "addr_root": lambda f: f.root.owner(f.x[1]) == GPI.ROOT,
    "addr_realm": lambda f: f.root.owner(f.x[1]) == GPI.REALM,
}
OWN_HANDLERS: Mapping[Call, Handler] = {
    psci.SMCCC_VERSION: ({}, lambda f: Reply((psci.SMCCC_1_2,))),
    sip.GRANULE_TAKE: ({**_ADDR, "addr_secure": lambda f: f.root.owner(f.x[1]) == GPI.SECURE}, _take),
    sip.GRANULE_GIVE_BACK: (
        {
            **_ADDR,
            "addr_ns": lambda f: f.root.owner(f.x[1]) == GPI.NON_SECURE,
            "addr_boot": lambda f: f.root.boot_secure(f.x[1]),
        },
        _give_back,
    ),
}


@cache
def _table(world: str) -> Mapping[int, tuple[Call, Handler]]:
    """What a world may call, by function id."""
    table: dict[int, tuple[Call, Handler]] = {}
    for decl in abi.CALLS:
        if decl.supported and world in decl.callers:
            table.update(dict.fromkeys(decl.fids, (decl, HANDLERS[decl])))
    if world == SECURE:
        table.update({decl.fid: (decl, handler) for decl, handler in OWN_HANDLERS.items()})
    return table


class SecureWorld:
    """SPMD and SPMC for one partition.

    uuid: the partition's, 16 bytes.  root: the monitor's memory and GPT.  observer: told of every call.
    `boot` comes first, and what it says is done before the Normal world runs.
    """

    def __init__(self, uuid: bytes, root: Root, observer: Observer) -> None:
        self.partition = Partition(uuid)
        self.normal = Endpoint(abi.HYPERVISOR_ID, PAS.NON_SECURE)
        self._root = root
        self._observer = observer
        # The Normal world's call that the partition's next Leave completes; None at boot and after an interrupt.
        self._pending: tuple[Call, Registers] | None = None

    def boot(self, pe: int = 0) -> Enter:
        """The partition initialises, until FFA_MSG_WAIT, or FFA_ERROR (chapter 5)."""
        self.partition.pe = pe
        return self._entered(Enter(()), "initialises")

    def from_normal(self, pe: int, x: Sequence[int]) -> Reply | Enter:
        """An FF-A call of the Normal world on `pe`; X0..X7."""
        outcome = self._call(NORMAL, pe, x, self.normal)
        if isinstance(outcome, Leave):
            raise AssertionError("no call of the Normal world leaves the Secure world")
        return outcome

    def from_secure(self, x: Sequence[int]) -> Reply | Leave:
        """An SMC of the partition; X0..X7."""
        outcome = self._call(SECURE, self.partition.pe, x, self.partition)
        if isinstance(outcome, Enter):
            raise AssertionError("no call of the partition enters it")
        return outcome

    def interrupt(self, pe: int, number: int = 0) -> Enter | None:
        """A Secure interrupt on `pe`, in the Normal world (chapter 9): the waiting partition runs with FFA_INTERRUPT.

        None where the partition does not wait: it takes the interrupt by its own vectors when it next runs.
        """
        p = self.partition
        if p.state is not State.WAITING:
            return None
        p.state, p.model, p.pe = State.RUNNING, Model.INTERRUPT, pe
        return self._entered(Enter(registers(abi.INTERRUPT.fid, 0, number)), "handles an interrupt")

    def preempt(self) -> Leave | None:
        """A Normal interrupt while the partition runs (chapter 9): its PE goes to the Normal world with FFA_INTERRUPT.

        None while it initialises or handles an interrupt of its own: the Normal one stays pending.
        """
        p = self.partition
        if p.state is not State.RUNNING or p.model not in (Model.DIRECT, Model.RUN):
            return None
        p.state = State.PREEMPTED
        return self._left(Leave(registers(abi.INTERRUPT.fid, p.target), p.pe))

    def _call(self, world: str, pe: int, x: Sequence[int], caller: Endpoint) -> Outcome:
        fid = x[0] & MASK32 & ~SVE_HINT
        x = tuple(word & (MASK64 if fid & SMC64 else MASK32) for word in (fid, *x[1:8]))
        entry = _table(world).get(fid)
        if entry is None:
            return self._unknown(world, fid, x)
        decl, (checks, effect) = entry
        frame = Frame(world, pe, x, caller, self.partition, self._root)
        for condition in decl.conditions:
            if checks[condition.name](frame):
                regs = self._refusal(decl, condition.status or 0)
                self._tell(world, decl, x, regs, condition.name)
                return Reply(regs)
        result = effect(frame)
        outcome = result if isinstance(result, Outcome) else Reply(success(*result))
        if decl is not abi.VERSION:
            caller.settled = True
        match outcome:
            case Reply(regs):
                self._tell(world, decl, x, regs, None)
            case Enter():
                self._pending = (decl, x)
                return self._entered(outcome, "runs")
            case Leave():
                self._tell(world, decl, x, (), None)
                return self._left(outcome)
        return outcome

    @staticmethod
    def _refusal(decl: Call, status: int) -> Registers:
        if decl is abi.VERSION:
            return registers(status & MASK64)
        return error(status) if isinstance(decl, abi.FfaCall) else registers(status & MASK64)[:4]

    def _unknown(self, world: str, fid: int, x: Registers) -> Reply:
        if not abi.is_ffa(fid):
            self._observer.call(None, (fid, *x[1:4]), (UNKNOWN,), None, None, secure=world == SECURE)
            return Reply((UNKNOWN,))
        regs = error(FfaStatus.NOT_SUPPORTED)
        decl = abi.calls_by_fid().get(fid)
        if decl is None:
            self._observer.call(None, (fid, *x[1:4]), regs, None, None, secure=world == SECURE)
        else:
            self._tell(world, decl, x, regs, "caller" if decl.supported else "not offered")
        return Reply(regs)

    def _tell(self, world: str, decl: Call, x: Registers, result: Registers, condition: str | None) -> None:
        self._observer.call(decl, decl.decode(x), result, condition, None, secure=world == SECURE)

    def _entered(self, outcome: Enter, what: str) -> Enter:
        self._observer.event("secure_enter", f"partition {self.partition.id:#x} {what} on PE {self.partition.pe}", 1)
        return outcome

    def _left(self, outcome: Leave) -> Leave:
        p = self.partition
        self._observer.event("secure_leave", f"partition {p.id:#x} is {p.state.value}", 1)
        if self._pending is not None:
            decl, x = self._pending
            self._pending = None
            self._tell(NORMAL, decl, x, outcome.regs, None)
        return outcome
