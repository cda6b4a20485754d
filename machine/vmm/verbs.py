# SPDX-License-Identifier: GPL-2.0-or-later
"""The VMM's verbs and what each can refuse, beside KVM's of the same role (docs/vmm.md)."""

from __future__ import annotations

from typing import NamedTuple

from machine.vmm import errors as e
from machine.vmm.errors import Refusal
from machine.vmm.realm import State, wrong_state


class Verb(NamedTuple):
    """kvm: its counterpart.  state: that the realm must be in.  needs: what else must be so.  refusals: else."""

    name: str
    kvm: str
    state: State
    needs: str
    refusals: tuple[Refusal, ...]

    @property
    def wrong_state(self) -> tuple[Refusal, ...]:
        """What it says in the other states of a realm's life."""
        others = [state for state in State if state is not self.state]
        if self.name == "create":
            others = [State.DESTROYED]  # of the others it says `created`
        return tuple(dict.fromkeys(wrong_state(self.state, other) for other in others))


_RME = "KVM_CAP_ARM_RME:"

VERBS = (
    Verb("configure", f"{_RME} CONFIG_REALM", State.CONFIGURING, "the RMM offers it", (e.OPTION, e.UNSUPPORTED)),
    Verb(
        "create",
        f"{_RME} CREATE_REALM",
        State.CONFIGURING,
        "memory for RAM, tables and RECs",
        (e.CREATED, e.TOO_MANY, e.NO_MEMORY, e.OPTION, e.UNSUPPORTED, e.REFUSED),
    ),
    Verb("init_ripas", f"{_RME} INIT_RIPAS_REALM", State.CREATED, "pages of RAM", (e.RANGE, e.REFUSED)),
    Verb(
        "populate",
        f"{_RME} POPULATE_REALM",
        State.CREATED,
        "pages of RAM, each once; content that fits",
        (e.RANGE, e.NO_SOURCE, e.POPULATED, e.REFUSED),
    ),
    Verb("add_vcpu", "KVM_CREATE_VCPU", State.CREATED, "the next MPIDR", (e.TOO_MANY, e.MPIDR_ORDER)),
    Verb("set_register", "KVM_SET_ONE_REG", State.CREATED, "X0 to X7, before finalize", (e.FINALIZED, e.REGISTER)),
    Verb("set_pc", "KVM_SET_ONE_REG", State.CREATED, "before finalize", (e.FINALIZED,)),
    Verb("set_pstate", "KVM_SET_ONE_REG", State.CREATED, "EL1h, masked, before finalize", (e.FINALIZED, e.PSTATE)),
    Verb(
        "finalize",
        "KVM_ARM_VCPU_FINALIZE",
        State.CREATED,
        "once, with a PC, after the vCPUs below it",
        (e.FINALIZED, e.NO_REGISTERS, e.MPIDR_ORDER, e.REFUSED),
    ),
    Verb(
        "activate",
        f"{_RME} ACTIVATE_REALM",
        State.CREATED,
        "vCPUs, all finalized",
        (e.NO_VCPU, e.NOT_FINALIZED, e.REFUSED),
    ),
    Verb("run", "KVM_RUN", State.ACTIVE, "", ()),
    Verb(
        "psci_complete",
        "KVM_ARM_VCPU_RMM_PSCI_COMPLETE",
        State.ACTIVE,
        "a request that waits, its target, SUCCESS or DENIED",
        (e.NO_REQUEST, e.NO_TARGET, e.STATUS, e.REFUSED),
    ),
    Verb("destroy", "close of the VM", State.ACTIVE, "a realm that was created", (e.NOT_CREATED, e.REFUSED)),
)
