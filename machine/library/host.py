# SPDX-License-Identifier: GPL-2.0-or-later
"""What a script needs that plays the host: pages, structures, RECs to enter, and the Python VMM for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bridge.errors import UserError
from machine.vmm.door import GRANULE
from machine.vmm.pool import Pool
from rmm.abi.structs import REC_ENTER, REC_EXIT

if TYPE_CHECKING:
    from machine.library.calls import Result
    from machine.library.session import Session
    from machine.vmm.realm import Vmm
    from rmm.abi.layout import Struct


class Entered(NamedTuple):
    """result: of RMI_REC_ENTER.  exit: RmiRecExit by field, what stood there before where the call failed."""

    result: Result
    exit: dict[str, Any]


class Host:
    """The host's memory is `boot.pool` of the machine file."""

    def __init__(self, session: Session) -> None:
        pool = session.machine.config.boot.pool
        if not session.machine.scripted:
            raise UserError("the machine has a host of its own; make the session with host='script'")
        if pool is None:
            raise UserError("boot.pool is missing: the script has no memory to be host with")
        self._session = session
        self.pool = Pool(pool.base, pool.size)
        self._runs: dict[int, int] = {}
        self._vmids = 0

    def pages(self, count: int = 1) -> int:
        """PA of `count` Non-secure granules next to each other, aligned to their size; a power of two."""
        if count < 1 or count & count - 1:
            raise UserError(f"pages: {count}: expected a power of two")
        return self.pool.take() if count == 1 else self.pool.take_aligned(count)

    def delegated(self, count: int = 1) -> int:
        """The same, delegated."""
        first = self.pages(count)
        for pa in range(first, first + count * GRANULE, GRANULE):
            self._session.rmi.GRANULE_DELEGATE(addr=pa).check()
        return first

    def put(self, struct: Struct, **fields: Any) -> int:
        """PA of a fresh page that begins with a structure: `put(REALM_PARAMS, s2sz=33, ...)`; the rest is zero."""
        unknown = [name for name in fields if name not in struct.by_name]
        if unknown:
            raise UserError(f"{struct.name} has no field `{unknown[0]}`: {', '.join(struct.by_name)}")
        pa = self.pages()
        self._session.write(pa, struct.pack(fields).ljust(GRANULE, b"\0"))
        return pa

    def enter(self, rec: int, **fields: Any) -> Entered:
        """RMI_REC_ENTER of the REC at PA `rec`, with fields of RmiRecEnter: `flags`, `gprs`, `gicv3_lrs`, ..."""
        run = self._runs.get(rec)
        if run is None:
            run = self._runs[rec] = self.pages()
        self._session.write(run, REC_ENTER.pack(fields).ljust(GRANULE, b"\0"))
        result = self._session.rmi.REC_ENTER(rec=rec, run=run)
        return Entered(result, REC_EXIT.unpack(self._session.read(run + REC_ENTER.size, REC_EXIT.size)))

    def vmm(self, name: str = "realm") -> Vmm:
        """A realm by the verbs of docs/vmm.md, made from the same pages."""
        from machine.vmm.realm import Vmm

        self._vmids += 1
        return Vmm(self._session.machine, self.pool, vmid=self._vmids, name=name)
