# SPDX-License-Identifier: GPL-2.0-or-later
"""What the VMM's verbs refuse: each refusal has a name and an errno, declared once (docs/vmm.md)."""

from __future__ import annotations

import errno
from typing import NamedTuple

from bridge.errors import UserError


class Refusal(NamedTuple):
    """name: stable, for programs.  number: what KVM's ioctl of the same role would set.  text: for people."""

    name: str
    number: int
    text: str


CREATED = Refusal("created", errno.EEXIST, "the realm has been created already")
FIXED = Refusal("fixed", errno.EBUSY, "the realm has been created: its parameters are fixed")
NOT_CREATED = Refusal("not-created", errno.ENXIO, "the realm has not been created")
ACTIVE = Refusal("active", errno.EPERM, "the realm is active: its initial state is fixed")
NOT_ACTIVE = Refusal("not-active", errno.EPERM, "the realm has not been activated")
UNSUPPORTED = Refusal("unsupported", errno.EINVAL, "the RMM does not offer this")
OPTION = Refusal("option", errno.EINVAL, "the option's value does not fit")
NO_MEMORY = Refusal("no-memory", errno.ENOMEM, "the host has not enough memory")
RANGE = Refusal("range", errno.EINVAL, "the range is not made of pages of the realm's RAM")
NO_SOURCE = Refusal("no-source", errno.EFAULT, "there is no page at the shared alias")
POPULATED = Refusal("populated", errno.EEXIST, "there is a page already")
MPIDR_ORDER = Refusal("mpidr-order", errno.EINVAL, "vCPUs are made in the order of their MPIDRs, without gaps")
TOO_MANY = Refusal("too-many-vcpus", errno.EINVAL, "the realm cannot have more vCPUs")
NO_REGISTERS = Refusal("no-registers", errno.EINVAL, "the vCPU's PC has not been set")
FINALIZED = Refusal("finalized", errno.EPERM, "the vCPU is finalized: its registers are the realm's")
NOT_FINALIZED = Refusal("not-finalized", errno.EINVAL, "a vCPU is not finalized")
NO_VCPU = Refusal("no-vcpu", errno.EINVAL, "the realm has no vCPU")
PSTATE = Refusal("pstate", errno.EINVAL, "a REC starts at EL1h with interrupts masked and no other PSTATE")
REGISTER = Refusal("register", errno.EINVAL, "only X0 to X7 and PC of a REC can be set")
NO_REQUEST = Refusal("no-request", errno.EINVAL, "no PSCI request waits for an answer")
NO_TARGET = Refusal("no-target", errno.EINVAL, "there is no vCPU with this MPIDR")
STATUS = Refusal("status", errno.EINVAL, "a PSCI request is answered with SUCCESS or DENIED")
REFUSED = Refusal("refused", errno.EIO, "the RMM refused")

REFUSALS = tuple(value for value in list(vars().values()) if isinstance(value, Refusal))


class VmmError(UserError):
    """A verb that was refused: nothing has changed.  errno: as KVM's ioctl would give it."""

    def __init__(self, verb: str, refusal: Refusal, detail: str = "") -> None:
        super().__init__(f"{verb}: {refusal.text}{f': {detail}' if detail else ''} [{refusal.name}]")
        self.verb = verb
        self.refusal = refusal
        self.errno = refusal.number
