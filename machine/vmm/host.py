# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python VMM as a machine's host: builds the realm of the machine file, runs it, takes it apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from machine.bus import Bus
from machine.devices.pl011 import Pl011
from machine.end import GUEST_EXIT, End
from machine.payload_abi import UART_IPA
from machine.vmm.pool import Pool
from machine.vmm.realm import Vmm
from machine.vmm.run import Runner

if TYPE_CHECKING:
    from machine.config.images import RealmImage
    from machine.config.types import Vmm as Description
    from machine.machine import Machine


def run_vmm(machine: Machine) -> None:
    """Ends by End."""
    if machine.hosted is not None:
        machine.hosted.go_on()
    config = machine.config
    assert config.boot.pool is not None  # validated
    pool = Pool(config.boot.pool.base, config.boot.pool.size)
    if config.vmm is not None:
        _run_linux(machine, Vmm(machine, pool, name="linux"), config.vmm)
    staged = machine.images.realms[0]
    vmm = Vmm(machine, pool, name=staged.realm.name)
    build_payload(vmm, staged)
    console = machine.console("realm 0").write
    devices = Bus()
    devices.attach(UART_IPA, Pl011(console))
    machine.hosted = Payload(machine, vmm, Runner(machine, vmm, devices=devices, console=console))
    machine.hosted.go_on()
    raise AssertionError("psci is auto: the run ends by End only")


class Payload:
    """A realm with one of the project's own payloads, while it runs."""

    def __init__(self, machine: Machine, vmm: Vmm, runner: Runner) -> None:
        self.vmm = vmm
        self.runner = runner

    def wire(self, machine: Machine) -> None:
        """There is nothing to it."""

    def go_on(self) -> None:
        """Ends by End."""
        try:
            self.runner.run()
        except End as end:
            if end.kind == GUEST_EXIT:
                self.runner.halt()
                self.vmm.destroy()
            raise


def _run_linux(machine: Machine, vmm: Vmm, description: Description) -> None:
    from machine.vmm.guest import LinuxGuest

    guest = LinuxGuest(machine, vmm, description)
    guest.build(machine.progress)
    guest.run(machine.terminal("realm 0") if guest.takes_input else machine.console("realm 0"))


def build_payload(vmm: Vmm, staged: RealmImage) -> None:
    """A payload by the contract of docs/payload.md, step for step as the firmware host does: the RIM is the same."""
    realm = staged.realm
    vmm.configure(
        memory=realm.ram.size,
        ram_base=realm.ram.base,
        ipa_bits=realm.ipa_bits,
        hash=realm.hash,
        rpv=realm.rpv,
        sve_bits=realm.sve,
        pmu_counters=realm.pmu,
    )
    vmm.create(realm.recs)
    vmm.init_ripas(realm.ram.base, realm.ram.size)
    vmm.populate(staged.base, staged.size, staged.content())
    shared = vmm.options.shared_bit
    arguments = (realm.ram.base, realm.ram.size, shared, realm.ipa_bits, UART_IPA | shared)
    for _ in range(realm.recs):
        vcpu = vmm.add_vcpu()
        vcpu.set_pc(staged.entry)
        for number, value in enumerate(arguments):
            vcpu.set_register(number, value)
        vmm.finalize(vcpu)
    vmm.activate()
