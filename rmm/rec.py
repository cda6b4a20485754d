# SPDX-License-Identifier: GPL-2.0-or-later
"""RECs: their parameters and state, and RMI_REC_CREATE, RMI_REC_DESTROY (rmm-abi.md §3.8, §3.9, §5.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmm import granule
from rmm.abi.bits import REC_CREATE_FLAGS, REC_MPIDR
from rmm.abi.structs import REC_PARAMS
from rmm.abi.values import GranuleState
from rmm.features import MAX_AUX
from rmm.frame import Check, Frame
from rmm.granule import DELEGATED, OFFSET, UNDELEGATED
from rmm.measurement import rim_after_rec
from rmm.protocols import RecInit
from rmm.realm import FLAG_PMU, FLAG_SVE, RD_CHECKS, Realm, host_granule, not_new

if TYPE_CHECKING:
    from rmm.abi.call import Call
    from rmm.protocols import Gic, RecContext
    from rmm.token import Token

FLAG_RUNNABLE = REC_CREATE_FLAGS.by_name["RUNNABLE"].mask
MPIDR_RES1 = 1 << 31

_unpack = REC_PARAMS.unpacker()


class RecParams:
    """RmiRecParams as a host gave them, with the image that is measured."""

    __slots__ = ("aux", "flags", "gprs", "image", "mpidr", "num_aux", "pc")

    def __init__(self, image: bytes) -> None:
        self.image = image
        self.flags: int
        self.flags, self.mpidr, self.pc, *rest = _unpack(image)
        self.gprs: tuple[int, ...] = tuple(rest[:8])
        self.num_aux: int = rest[8]
        self.aux: tuple[int, ...] = tuple(rest[9:])


class PsciRequest:
    """A PSCI call about another REC, which waits for PSCI_COMPLETE.  target: REC index."""

    __slots__ = ("call", "context_id", "entry_point", "target")

    def __init__(self, call: Call, target: int, entry_point: int = 0, context_id: int = 0) -> None:
        self.call = call
        self.target = target
        self.entry_point = entry_point
        self.context_id = context_id


class LastExit:
    """The syndrome of a REC's last exit to the host, as far as the next entry may refer to it.

    pc: of the instruction.  esr, far, hpfar: unmasked.  value: what a load returns goes where esr says.  el: where the
    REC was.  emulatable: the host was shown an abort that it may complete by EMUL_MMIO.
    """

    __slots__ = ("el", "emulatable", "esr", "far", "hpfar", "pc")

    def __init__(self, pc: int, esr: int, far: int, hpfar: int, el: int, emulatable: bool) -> None:
        self.pc = pc
        self.esr = esr
        self.far = far
        self.hpfar = hpfar
        self.el = el
        self.emulatable = emulatable


class Rec:
    """A realm execution context.

    ripas_base, ripas_top: the region of a RIPAS change asked for (top 0: none); ripas_addr: how far SET_RIPAS got.
    host_call: IPA of the structure of a pending host call.  timers: (CNTV, CNTP) asserted at the last exit.
    token: the attestation token in the making.
    gic_exit: the virtual interface of an exit, and how RmiRecExit shows it.
    """

    __slots__ = (
        "aux",
        "change_destroyed",
        "context",
        "gic_exit",
        "host_call",
        "index",
        "last",
        "pa",
        "psci",
        "realm",
        "ripas_addr",
        "ripas_base",
        "ripas_top",
        "ripas_value",
        "runnable",
        "running",
        "timers",
        "token",
    )

    def __init__(
        self, pa: int, realm: Realm, index: int, aux: tuple[int, ...], context: RecContext, runnable: bool
    ) -> None:
        self.pa = pa
        self.realm = realm
        self.index = index
        self.aux = aux
        self.context = context
        self.runnable = runnable
        self.running = False
        self.psci: PsciRequest | None = None
        self.host_call: int | None = None
        self.ripas_base = 0
        self.ripas_top = 0
        self.ripas_addr = 0
        self.ripas_value = 0
        self.change_destroyed = False
        self.last: LastExit | None = None
        self.timers = (False, False)
        self.token: Token | None = None
        self.gic_exit: tuple[Gic | None, bytes] = (None, b"")

    @property
    def rd(self) -> int:
        """PA of the owner's realm descriptor."""
        return self.realm.rd

    @property
    def state(self) -> str:
        """READY or RUNNING (§5.3)."""
        return "RUNNING" if self.running else "READY"


# MPIDR and index (§11.8)


def index_of_rec_mpidr(mpidr: int) -> int:
    """REC index of an MPIDR in RmiRecMpidr format."""
    return mpidr & 0xF | (mpidr >> 8 & 0xFF) << 4 | (mpidr >> 16 & 0xFF) << 12 | (mpidr >> 24 & 0xFF) << 20


def index_of_mpidr(mpidr: int) -> int:
    """REC index of an MPIDR_EL1 value; only its affinity fields count."""
    return mpidr & 0xF | (mpidr >> 8 & 0xFF) << 4 | (mpidr >> 16 & 0xFF) << 12 | (mpidr >> 32 & 0xFF) << 20


def mpidr_of_index(index: int) -> int:
    """MPIDR_EL1 of a REC."""
    aff3 = (index >> 20 & 0xFF) << 32
    return aff3 | (index >> 12 & 0xFF) << 16 | (index >> 4 & 0xFF) << 8 | index & 0xF | MPIDR_RES1


# REC_CREATE


def _params_fault(f: Frame) -> bool:
    if host_granule(f, f.params):
        return True
    f.rec_params = RecParams(f.host_data)
    return False


def _too_many_aux(f: Frame) -> bool:
    if f.rec_params.num_aux > MAX_AUX:
        return True
    f.aux = f.rec_params.aux[: f.rec_params.num_aux]
    return False


CREATE_CHECKS: dict[str, Check] = {
    **granule.checks("params", UNDELEGATED),
    "params_gpt": _params_fault,
    "num_aux_bound": _too_many_aux,
    "aux_align": lambda f: any(pa & OFFSET for pa in f.aux),
    "aux_bound": lambda f: any(f.rmm.granules.state(pa) < 0 for pa in f.aux),
    "aux_state": lambda f: any(f.rmm.granules.state(pa) != DELEGATED for pa in f.aux),
    "aux_alias": lambda f: len(set(f.aux)) != len(f.aux),
    **granule.checks("rec", DELEGATED),
    "rec_alias": lambda f: f.rec in f.aux,
    **RD_CHECKS,
    "realm_recs": lambda f: len(f.realm.recs) >= (1 << f.rmm.features.max_recs_order) - 1,
    "realm_state": not_new,
    "mpidr_valid": lambda f: f.rec_params.mpidr & ~REC_MPIDR.valid,
    "mpidr_index": lambda f: index_of_rec_mpidr(f.rec_params.mpidr) != f.realm.rec_count,
    "num_aux": lambda f: f.rec_params.num_aux != f.rmm.features.rec_aux_count,
}


def create(f: Frame) -> None:
    rmm, realm, params = f.rmm, f.realm, f.rec_params
    index = realm.rec_count
    flags = realm.params.flags
    init = RecInit(
        rec_pa=f.rec,
        index=index,
        mpidr=mpidr_of_index(index),
        pc=params.pc,
        gprs=params.gprs,
        stage2=realm.stage2,
        sve_vq=realm.params.sve_vl if flags & FLAG_SVE else None,
        pmu_counters=realm.params.pmu_num_ctrs if flags & FLAG_PMU else None,
        rd_pa=realm.rd,
    )
    runnable = bool(params.flags & FLAG_RUNNABLE)
    rec = Rec(f.rec, realm, index, f.aux, rmm.platform.create_rec(init), runnable)
    for pa in f.aux:
        rmm.granules.set(pa, GranuleState.REC_AUX)
    rmm.granules.set(f.rec, GranuleState.REC)
    rmm.rec_at[f.rec] = rec
    realm.recs[index] = rec
    realm.rec_count += 1
    if runnable:
        realm.rim = rim_after_rec(realm.hash, realm.rim, params.image)


# REC_DESTROY, and checks of other commands on a REC


def _no_rec(f: Frame) -> bool:
    rec = f.rmm.rec_at.get(f.rec)
    if rec is None:
        return True
    f.vcpu = rec
    return False


RUNNING = "f.vcpu.running"
REC_CHECKS: dict[str, Check] = granule.checks("rec", _no_rec)
DESTROY_CHECKS: dict[str, Check] = {**REC_CHECKS, "rec_running": RUNNING}


def destroy(f: Frame) -> None:
    rmm, rec = f.rmm, f.vcpu
    rmm.platform.destroy_rec(rec.context)
    # The granules' content stays zero throughout: what they describe is kept in Rec objects.
    for pa in (*rec.aux, rec.pa):
        rmm.granules.set(pa, DELEGATED)
    del rmm.rec_at[rec.pa]
    del rec.realm.recs[rec.index]
