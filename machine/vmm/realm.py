# SPDX-License-Identifier: GPL-2.0-or-later
"""The verbs by which a realm is made, run and destroyed: KVM's, one to one (docs/vmm.md)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from machine.vmm import errors as e
from machine.vmm.door import GRANULE, Door
from machine.vmm.errors import Refusal, VmmError
from machine.vmm.memory import RealmMemory
from machine.vmm.options import HASHES, RealmOptions, complete, configured
from machine.vmm.vcpu import Vcpu, mpidr_of
from rmm.abi import rmi
from rmm.abi.bits import REALM_FLAGS, REC_CREATE_FLAGS
from rmm.abi.structs import REALM_PARAMS, REC_PARAMS
from rmm.abi.values import PsciStatus
from rmm.features import Features

if TYPE_CHECKING:
    from machine.machine import Machine
    from machine.vmm.pool import Pool

MASK64 = (1 << 64) - 1
Source = bytes | str | os.PathLike[str] | Literal["alias"]
Progress = Callable[[int, int], None]


class State(Enum):
    """Where a realm is in its life."""

    CONFIGURING = "being configured"
    CREATED = "created"
    ACTIVE = "active"
    DESTROYED = "destroyed"


_WRONG_STATE = {
    (State.CONFIGURING, State.CREATED): e.FIXED,
    (State.CONFIGURING, State.ACTIVE): e.ACTIVE,
    (State.CREATED, State.ACTIVE): e.ACTIVE,
    (State.ACTIVE, State.CREATED): e.NOT_ACTIVE,
    (State.ACTIVE, State.CONFIGURING): e.NOT_ACTIVE,
}


def wrong_state(wanted: State, actual: State) -> Refusal:
    """What a verb that needs a realm in one state says of one in another."""
    return _WRONG_STATE.get((wanted, actual), e.NOT_CREATED)


def _root(width: int) -> tuple[int, int]:
    """(start level, number of concatenated root tables): the lowest tables that reach the width."""
    level = 1 if width <= 43 else 0 if width <= 48 else -1
    bits = 12 + 9 * (4 - level)
    return level, 1 << max(width - bits, 0)


def pages_needed(options: RealmOptions, vcpus: int, aux: int) -> int:
    """Pages of the host for RAM, tables and RECs: what `create` makes sure of beforehand."""
    ram = options.memory // GRANULE
    leaves = options.memory // (GRANULE * 512) + 2
    _, roots = _root(options.width)
    # RAM and its alias each have level 3 tables; level 2 tables stand for 1 GiB
    tables = 2 * (leaves + options.memory // (1 << 30) + 2) + 8
    return ram + tables + 2 * roots + vcpus * (2 + aux) + 8


class Vmm:
    """One realm and its host side.

    A verb that is refused raises VmmError and has changed nothing.  All that the VMM does to the machine goes
    through `door`.  vmid: unique among the machine's realms.
    """

    def __init__(self, machine: Machine, pool: Pool, *, vmid: int = 1, name: str = "realm") -> None:
        self.name = name
        self.door = Door(machine)
        self.pool = pool
        self.vmid = vmid
        self.state = State.CONFIGURING
        self.options = RealmOptions()
        self.features = Features.decode(self.door.call(rmi.FEATURES, 0)[0])
        self.vcpus: list[Vcpu] = []
        self.rd = 0
        self._root: list[int] = []
        self._aux = 0
        self._memory: RealmMemory | None = None

    def _expect(self, verb: str, state: State) -> None:
        if self.state is state:
            return
        raise VmmError(verb, wrong_state(state, self.state))

    @property
    def memory(self) -> RealmMemory:
        """The realm's RAM; only of one that has been created."""
        if self._memory is None:
            raise VmmError("memory", e.NOT_CREATED)
        return self._memory

    # Before creation

    def configure(self, **changes: Any) -> None:
        """Sets parameters (machine.vmm.options); repeatable, each checked at once against what the RMM offers."""
        self._expect("configure", State.CONFIGURING)
        self.options = configured(self.options, changes, self.features)

    def create(self, vcpus: int = 1) -> None:
        """REALM_CREATE, after making sure that RAM, tables and `vcpus` RECs can be backed."""
        if self.state in (State.CREATED, State.ACTIVE):
            raise VmmError("create", e.CREATED)
        self._expect("create", State.CONFIGURING)
        complete(self.options, self.features)
        most = self.most_vcpus
        if not 1 <= vcpus <= most:
            raise VmmError("create", e.TOO_MANY, f"{vcpus} vCPUs: the RMM offers 1 to {most}")
        needed = pages_needed(self.options, vcpus, 16)
        if needed > self.pool.free:
            raise VmmError(
                "create",
                e.NO_MEMORY,
                f"{needed * GRANULE >> 20} MiB for {self.options.memory >> 20} MiB of RAM, tables and {vcpus} RECs; "
                f"{self.pool.free * GRANULE >> 20} MiB are free",
            )
        self._create()
        self.state = State.CREATED

    @property
    def most_vcpus(self) -> int:
        return (1 << self.features.max_recs_order) - 1

    def _create(self) -> None:
        options, door = self.options, self.door
        level, count = _root(options.width)
        base = self.pool.take_aligned(count)
        self._root = [base + i * GRANULE for i in range(count)]
        self.rd = self.pool.take()
        for pa in (*self._root, self.rd):
            door.call(rmi.GRANULE_DELEGATE, pa)
        flags = REALM_FLAGS.encode(
            LPA2=int(options.width > 48), SVE=int(options.sve_bits > 0), PMU=int(options.pmu_counters is not None)
        )
        params = REALM_PARAMS.pack(
            {
                "flags": flags,
                "s2sz": options.width,
                "sve_vl": options.sve_bits // 128 - 1 if options.sve_bits else 0,
                "num_bps": options.breakpoints - 1,
                "num_wps": options.watchpoints - 1,
                "pmu_num_ctrs": options.pmu_counters or 0,
                "hash_algo": HASHES.index(options.hash),
                "rpv": options.rpv,
                "vmid": self.vmid,
                "rtt_base": base,
                "rtt_level_start": level,
                "rtt_num_start": count,
            }
        )
        self._with_page(params, lambda pa: door.call(rmi.REALM_CREATE, self.rd, pa))
        self._aux = door.call(rmi.REC_AUX_COUNT, self.rd)[0]
        self._memory = RealmMemory(door, self.pool, self.rd, options, level)

    def _with_page(self, content: bytes, use: Callable[[int], object]) -> None:
        """Does something with a page that holds parameters."""
        pa = self.pool.take()
        try:
            self.door.write(pa, content)
            use(pa)
        finally:
            self.pool.give(pa)

    # Before activation

    def init_ripas(self, base: int, size: int) -> None:
        """Makes [base, base + size) of the realm's IPA space RAM."""
        self._expect("init_ripas", State.CREATED)
        self.memory.init_ripas(base, size)

    def populate(
        self,
        ipa: int,
        size: int,
        source: Source = "alias",
        *,
        measure: bool = True,
        progress: Progress | None = None,
    ) -> None:
        """Gives pages of RAM their content, and enters it into the RIM when `measure`.

        source: "alias" for what stands at the shared alias, which the pages there are given back for; bytes, or
        the path of a file, padded with zeros to `size`.
        """
        self._expect("populate", State.CREATED)
        pages: Iterator[bytes] | None = None
        if source != "alias":
            content = source if isinstance(source, bytes) else self._content(source)
            if len(content) > size:
                raise VmmError("populate", e.RANGE, f"{len(content):#x} bytes for {size:#x}")
            view = memoryview(content)
            pages = (bytes(view[at : at + GRANULE]).ljust(GRANULE, b"\0") for at in range(0, size, GRANULE))
        count = size // GRANULE
        if size % GRANULE:
            raise VmmError("populate", e.RANGE, f"{size:#x} bytes are not whole pages")
        for done in self.memory.populate(ipa, pages, count, measure=measure):
            if progress is not None and done & 0xFF == 0:
                progress(done, count)

    @staticmethod
    def _content(path: Any) -> bytes:
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise VmmError("populate", e.NO_SOURCE, f"{path}: {error.strerror}") from None

    def add_vcpu(self, mpidr: int | None = None, *, runnable: bool | None = None) -> Vcpu:
        """The next vCPU; the first one is runnable unless told otherwise."""
        self._expect("add_vcpu", State.CREATED)
        index = len(self.vcpus)
        if index >= self.most_vcpus:
            raise VmmError("add_vcpu", e.TOO_MANY, f"the RMM offers {self.most_vcpus}")
        if mpidr is not None and mpidr != mpidr_of(index):
            raise VmmError("add_vcpu", e.MPIDR_ORDER, f"{mpidr:#x}, expected {mpidr_of(index):#x}")
        vcpu = Vcpu(index, runnable=index == 0 if runnable is None else runnable)
        self.vcpus.append(vcpu)
        return vcpu

    def finalize(self, vcpu: Vcpu) -> None:
        """REC_CREATE: the vCPU's registers are the realm's from now on."""
        self._expect("finalize", State.CREATED)
        if vcpu.finalized:
            raise VmmError("finalize", e.FINALIZED)
        if vcpu.pc is None:
            raise VmmError("finalize", e.NO_REGISTERS)
        if any(not other.finalized for other in self.vcpus[: vcpu.index]):
            raise VmmError("finalize", e.MPIDR_ORDER, f"vCPU {vcpu.index} before those below it")
        memory, door = self.memory, self.door
        rec = memory.granule()
        aux = [memory.granule() for _ in range(self._aux)]
        params = REC_PARAMS.pack(
            {
                "flags": REC_CREATE_FLAGS.encode(RUNNABLE=int(vcpu.runnable)),
                "mpidr": vcpu.mpidr,
                "pc": vcpu.pc,
                "gprs": vcpu.gprs,
                "num_aux": self._aux,
                "aux": aux + [0] * (16 - self._aux),
            }
        )
        self._with_page(params, lambda pa: door.call(rmi.REC_CREATE, self.rd, rec, pa))
        vcpu.run = self.pool.take()
        door.write(vcpu.run, bytes(GRANULE))
        vcpu.rec, vcpu.aux, vcpu.finalized = rec, aux, True

    def activate(self) -> None:
        """REALM_ACTIVATE: the initial state and its measurement are fixed."""
        self._expect("activate", State.CREATED)
        if not self.vcpus:
            raise VmmError("activate", e.NO_VCPU)
        for vcpu in self.vcpus:
            if not vcpu.finalized:
                raise VmmError("activate", e.NOT_FINALIZED, f"vCPU {vcpu.index}")
        self.door.call(rmi.REALM_ACTIVATE, self.rd)
        self.state = State.ACTIVE

    # While it runs

    def require_active(self, verb: str) -> None:
        self._expect(verb, State.ACTIVE)

    def find_vcpu(self, mpidr: int) -> Vcpu | None:
        return next((vcpu for vcpu in self.vcpus if vcpu.mpidr == mpidr), None)

    def psci_complete(self, vcpu: Vcpu, target_mpidr: int, status: int = PsciStatus.SUCCESS) -> None:
        """PSCI_COMPLETE: answers the PSCI call that `vcpu` left by.  status: SUCCESS or DENIED (-3)."""
        self._expect("psci_complete", State.ACTIVE)
        if vcpu.request is None:
            raise VmmError("psci_complete", e.NO_REQUEST, f"vCPU {vcpu.index}")
        target = self.find_vcpu(target_mpidr)
        if target is None or vcpu.request[1] != target_mpidr:
            raise VmmError("psci_complete", e.NO_TARGET, f"{target_mpidr:#x}")
        if status not in (PsciStatus.SUCCESS, PsciStatus.DENIED):
            raise VmmError("psci_complete", e.STATUS, f"{status}")
        function, _ = vcpu.request
        self.door.call(rmi.PSCI_COMPLETE, vcpu.rec, target.rec, status & MASK64)
        vcpu.request = None
        if function in CPU_ON and status == PsciStatus.SUCCESS:
            target.on, target.waiting = True, False

    def destroy(self) -> None:
        """Takes the realm apart; every page is the host's again, and wiped."""
        if self.state not in (State.CREATED, State.ACTIVE):
            raise VmmError("destroy", e.NOT_CREATED)
        memory = self.memory
        for vcpu in self.vcpus:
            if vcpu.finalized:
                self.door.call(rmi.REC_DESTROY, vcpu.rec)
                for pa in (vcpu.rec, *vcpu.aux):
                    memory.give_granule(pa)
                self.pool.give(vcpu.run)
        memory.destroy()
        self.door.call(rmi.REALM_DESTROY, self.rd)
        for pa in (self.rd, *self._root):
            memory.give_granule(pa)
        self.vcpus.clear()
        self._memory = None
        self.state = State.DESTROYED


CPU_ON = frozenset({0x8400_0003, 0xC400_0003})
