# SPDX-License-Identifier: GPL-2.0-or-later
"""The Realm Management Monitor: RMI from a host, and the calls of its realms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rmm import data, granule, psci, realm, rec, rsi, rtt, run
from rmm.abi import SVE_HINT
from rmm.abi import rmi as abi
from rmm.abi.call import UNKNOWN, Call
from rmm.features import Features
from rmm.frame import PAUSED, Check, Effect, Frame, RecCall, Result, bind_realm, bind_rmi

if TYPE_CHECKING:
    from rmm.exits import Exit
    from rmm.inspect import Step
    from rmm.observer import Observer
    from rmm.protocols import Attester, Memory, Platform
    from rmm.realm import Realm
    from rmm.rec import Rec

# X0 and the inputs of the call of a realm that has most of them.
REALM_WORDS = 1 + max(decl.words for decl, _, _ in rsi.HANDLERS + psci.HANDLERS)
_FID_MASK = 0xFFFFFFFF & ~SVE_HINT
_NOT_SUPPORTED = "not_supported"


def _features(f: Frame) -> tuple[int]:
    return (f.rmm.features.encode() if f.index == 0 else 0,)


HANDLERS: tuple[tuple[Call, dict[str, Check], Effect], ...] = (
    (abi.VERSION, {"req_revision": rsi.wrong_revision(abi.REVISION)}, rsi.version),
    (abi.GRANULE_DELEGATE, granule.DELEGATE_CHECKS, granule.DELEGATE),
    (abi.GRANULE_UNDELEGATE, granule.UNDELEGATE_CHECKS, granule.UNDELEGATE),
    (abi.DATA_CREATE, data.CREATE_CHECKS, data.create),
    (abi.DATA_CREATE_UNKNOWN, data.CREATE_UNKNOWN_CHECKS, data.create_unknown),
    (abi.DATA_DESTROY, data.DESTROY_CHECKS, data.destroy),
    (abi.REALM_ACTIVATE, realm.ACTIVATE_CHECKS, realm.activate),
    (abi.REALM_CREATE, realm.CREATE_CHECKS, realm.create),
    (abi.REALM_DESTROY, realm.DESTROY_CHECKS, realm.destroy),
    (abi.REC_CREATE, rec.CREATE_CHECKS, rec.create),
    (abi.REC_DESTROY, rec.DESTROY_CHECKS, rec.destroy),
    (abi.REC_ENTER, run.ENTER_CHECKS, run.enter),
    (abi.RTT_CREATE, rtt.CREATE_CHECKS, rtt.create),
    (abi.RTT_DESTROY, rtt.DESTROY_CHECKS, rtt.destroy),
    (abi.RTT_MAP_UNPROTECTED, rtt.MAP_CHECKS, rtt.map_unprotected),
    (abi.RTT_READ_ENTRY, rtt.READ_ENTRY_CHECKS, rtt.read_entry),
    (abi.RTT_UNMAP_UNPROTECTED, rtt.UNMAP_CHECKS, rtt.unmap_unprotected),
    (abi.PSCI_COMPLETE, psci.COMPLETE_CHECKS, psci.complete),
    (abi.FEATURES, {}, _features),
    (abi.RTT_FOLD, rtt.FOLD_CHECKS, rtt.fold),
    (abi.REC_AUX_COUNT, realm.RD_CHECKS, realm.aux_count),
    (abi.RTT_INIT_RIPAS, rtt.INIT_RIPAS_CHECKS, rtt.init_ripas),
    (abi.RTT_SET_RIPAS, rtt.SET_RIPAS_CHECKS, rtt.set_ripas),
)


class Rmm:
    """One RMM, fresh from boot: every granule of `dram` is UNDELEGATED, there are no realms.

    dram: (base, size) in bytes of each bank of memory that can be delegated.  observer: told of every call.
    attester: makes attestation tokens, which are refused without one.
    amend: replaces a call's declaration before it is bound (to test the tests).
    """

    features: Features
    granules: granule.Granules

    def __init__(
        self,
        memory: Memory,
        platform: Platform,
        *,
        features: Features,
        dram: Sequence[tuple[int, int]],
        observer: Observer | None = None,
        attester: Attester | None = None,
        amend: Callable[[Call], Call] | None = None,
    ) -> None:
        self.memory = memory
        self.platform = platform
        self.features = features
        self.observer = observer
        self.attester = attester
        self.granules = granule.Granules(dram, observer)
        self.realm_at: dict[int, Realm] = {}
        self.rec_at: dict[int, Rec] = {}
        self.vmids: set[int] = set()
        self.paused: Frame | None = None
        self._amend = amend
        self._rmi: dict[int, Callable[[Sequence[int]], Result]] = {}
        self._realm_calls: dict[int, RecCall] = {}

    def rmi(self, x: Sequence[int]) -> Result:
        """One RMI call: X0 (the function id) to X6 or more of the SMC; X0..X4 of its result.

        PAUSED, which is empty, when a REC that was entered is preempted: `paused` is the call to `resume`.
        """
        call = self._rmi.get(x[0] & _FID_MASK) or self._bound(x[0] & _FID_MASK)
        return self._unknown(x, None) if call is None else call(x)

    def resume(self, entry: Frame) -> Result:
        """Goes on with a REC_ENTER that returned PAUSED (`paused` was it); PAUSED again, or its result."""
        out = run.go_on(entry)
        return PAUSED if out is PAUSED else entry.finish(entry, out)

    def finisher(self, entry: Frame) -> Callable[[Frame, tuple[int, ...] | None], Result]:
        """What `Frame.finish` is to be of a REC_ENTER in progress that has come from elsewhere."""
        bound = self._rmi.get(abi.REC_ENTER.fid) or self._bound(abi.REC_ENTER.fid)
        finish: Callable[[Frame, tuple[int, ...] | None], Result] = bound.finish  # type: ignore[union-attr]
        return finish

    def _bound(self, fid: int) -> Callable[[Sequence[int]], Result] | None:
        """Binds a command when it is first called: a machine pays for those that its host uses."""
        for decl, checks, effect in HANDLERS:
            if decl.fid == fid:
                amended = decl if self._amend is None else self._amend(decl)
                self._rmi[fid] = bind_rmi(self, amended, checks, effect)
                return self._rmi[fid]
        return None

    def _realm_bound(self, fid: int) -> RecCall | None:
        for decl, checks, effect in rsi.HANDLERS + psci.HANDLERS:
            if fid in (decl.fid, decl.fid32):
                amended = decl if self._amend is None else self._amend(decl)
                self._realm_calls[fid] = bind_realm(self, amended, checks, effect, rsi.retry_exit)
                return self._realm_calls[fid]
        return None

    def realm_call(self, rec: Rec, x: Sequence[int]) -> Exit | None:
        """One SMC of a REC, `REALM_WORDS` registers from X0; None when the REC goes on."""
        fid = x[0] & _FID_MASK
        call = self._realm_calls.get(fid) or self._realm_bound(fid)
        if call is not None:
            return call(rec, x)
        rec.context.set_x(0, self._unknown(x, rec)[:4])
        return None

    def _unknown(self, x: Sequence[int], rec: Rec | None) -> Result:
        """A call that is not of RMM 1.0, or not the caller's to make: X0 = -1, named for the observer if possible."""
        result = (UNKNOWN, 0, 0, 0, x[4])
        if self.observer is not None:
            from rmm.abi import by_fid

            fid = x[0] & 0xFFFFFFFF
            decl = by_fid(fid)
            args = (fid, *x[1:4]) if decl is None else decl.decode(x)
            self.observer.call(decl, args, result, _NOT_SUPPORTED, None if rec is None else rec.pa)
        return result

    # For tools: nothing below changes anything.

    def granule_state(self, pa: int) -> int:
        """GranuleState of the granule that holds `pa`; -1 for memory that is not tracked."""
        return self.granules.state(pa)

    def realms(self) -> list[Realm]:
        """Every realm, by ascending RD."""
        return [self.realm_at[rd] for rd in sorted(self.realm_at)]

    def recs(self) -> list[Rec]:
        """Every REC, by ascending PA."""
        return [self.rec_at[pa] for pa in sorted(self.rec_at)]

    def walk(self, rd: int, ipa: int) -> list[Step]:
        """The stage-2 walk for an IPA, entry by entry; empty for an IPA outside the realm's space or no such realm."""
        from rmm.inspect import steps

        owner = self.realm_at.get(rd)
        return [] if owner is None else steps(self.memory, owner, ipa)
