"""The VMM's verbs: what each needs, and the named refusal when it is not there (docs/vmm.md)."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from machine.config import load
from machine.machine import Machine
from machine.vmm.door import HostMemoryFault
from machine.vmm.errors import REFUSALS, VmmError
from machine.vmm.pool import Pool
from machine.vmm.realm import State, Vmm
from rmm.abi import rmi
from rmm.abi.values import RealmState

MIB = 1 << 20
RAM = 0x8000_0000
G = 4096


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine(load("hello-realm", ["boot.host=vmm", "rmm.features.sha512=false"]), lambda _line: None)
    yield machine
    machine.close()


def fresh(machine: Machine, mebibytes: int = 128) -> Vmm:
    pool = machine.config.boot.pool
    assert pool is not None
    return Vmm(machine, Pool(pool.base, mebibytes * MIB))


@pytest.fixture
def vmm(machine: Machine) -> Vmm:
    return fresh(machine)


def created(vmm: Vmm) -> Vmm:
    vmm.configure(memory=4 * MIB)
    vmm.create()
    vmm.init_ripas(RAM, 4 * MIB)
    return vmm


def finalized(vmm: Vmm) -> Vmm:
    created(vmm)
    vcpu = vmm.add_vcpu()
    vcpu.set_pc(RAM)
    vmm.finalize(vcpu)
    return vmm


def active(vmm: Vmm) -> Vmm:
    finalized(vmm).activate()
    return vmm


def refused(call: Callable[[], object], name: str, number: int) -> VmmError:
    with pytest.raises(VmmError) as caught:
        call()
    assert (caught.value.refusal.name, caught.value.errno) == (name, number)
    assert "\n" not in str(caught.value)
    return caught.value


def test_names_of_refusals__are_unique() -> None:
    assert len({refusal.name for refusal in REFUSALS}) == len(REFUSALS) > 20


# Order of the verbs


def test_create__twice(vmm: Vmm) -> None:
    refused(created(vmm).create, "created", errno.EEXIST)


def test_configure__after_create(vmm: Vmm) -> None:
    created(vmm)
    refused(lambda: vmm.configure(hash="sha256"), "fixed", errno.EBUSY)


@pytest.mark.parametrize(
    "verb",
    [
        pytest.param(lambda vmm: vmm.configure(memory=MIB), id="configure"),
        pytest.param(lambda vmm: vmm.populate(RAM, G, b"x"), id="populate"),
        pytest.param(lambda vmm: vmm.init_ripas(RAM, G), id="init_ripas"),
        pytest.param(lambda vmm: vmm.add_vcpu(), id="add_vcpu"),
        pytest.param(lambda vmm: vmm.activate(), id="activate"),
        pytest.param(lambda vmm: vmm.finalize(vmm.vcpus[0]), id="finalize"),
    ],
)
def test_initial_state__is_fixed_by_activate(vmm: Vmm, verb: Callable[[Vmm], None]) -> None:
    active(vmm)
    refused(lambda: verb(vmm), "active", errno.EPERM)


@pytest.mark.parametrize(
    "verb",
    [
        pytest.param(lambda vmm: vmm.populate(RAM, G, b"x"), id="populate"),
        pytest.param(lambda vmm: vmm.init_ripas(RAM, G), id="init_ripas"),
        pytest.param(lambda vmm: vmm.add_vcpu(), id="add_vcpu"),
        pytest.param(lambda vmm: vmm.activate(), id="activate"),
        pytest.param(lambda vmm: vmm.destroy(), id="destroy"),
        pytest.param(lambda vmm: vmm.memory, id="memory"),
    ],
)
def test_verbs__need_a_created_realm(vmm: Vmm, verb: Callable[[Vmm], None]) -> None:
    refused(lambda: verb(vmm), "not-created", errno.ENXIO)


def test_run__before_activate(vmm: Vmm) -> None:
    finalized(vmm)
    refused(lambda: vmm.require_active("run"), "not-active", errno.EPERM)
    refused(lambda: vmm.psci_complete(vmm.vcpus[0], 0), "not-active", errno.EPERM)


def test_activate__that_fails_is_told_from_one_that_was_not_made(vmm: Vmm) -> None:
    created(vmm)
    refused(vmm.activate, "no-vcpu", errno.EINVAL)
    vmm.add_vcpu().set_pc(RAM)
    refused(vmm.activate, "not-finalized", errno.EINVAL)
    assert vmm.state is State.CREATED


# vCPUs


def test_finalize__before_registers_are_set(vmm: Vmm) -> None:
    created(vmm)
    vcpu = vmm.add_vcpu()
    refused(lambda: vmm.finalize(vcpu), "no-registers", errno.EINVAL)


def test_finalize__twice(vmm: Vmm) -> None:
    finalized(vmm)
    refused(lambda: vmm.finalize(vmm.vcpus[0]), "finalized", errno.EPERM)


def test_registers_and_pstate__after_finalize(vmm: Vmm) -> None:
    vcpu = finalized(vmm).vcpus[0]
    refused(lambda: vcpu.set_register(0, 1), "finalized", errno.EPERM)
    refused(lambda: vcpu.set_pc(0), "finalized", errno.EPERM)
    refused(lambda: vcpu.set_pstate(0x3C5), "finalized", errno.EPERM)


def test_registers__that_a_rec_does_not_take(vmm: Vmm) -> None:
    vcpu = created(vmm).add_vcpu()
    refused(lambda: vcpu.set_register(8, 1), "register", errno.EINVAL)
    refused(lambda: vcpu.set_pstate(0x3C9), "pstate", errno.EINVAL)
    vcpu.set_pstate(0x3C5)


def test_mpidr__out_of_order(vmm: Vmm) -> None:
    created(vmm)
    refused(lambda: vmm.add_vcpu(1), "mpidr-order", errno.EINVAL)
    vmm.add_vcpu(0).set_pc(RAM)
    vmm.add_vcpu(1).set_pc(RAM)
    refused(lambda: vmm.finalize(vmm.vcpus[1]), "mpidr-order", errno.EINVAL)
    assert not any(vcpu.finalized for vcpu in vmm.vcpus)


def test_mpidr__has_16_to_an_aff1_group(vmm: Vmm) -> None:
    created(vmm)
    assert [vmm.add_vcpu().mpidr for _ in range(18)][-3:] == [0xF, 0x100, 0x101]


def test_vcpus__no_more_than_the_rmm_offers(machine: Machine) -> None:
    machine.rmm.features.max_recs_order = 2
    vmm = fresh(machine)
    vmm.configure(memory=4 * MIB)
    refused(lambda: vmm.create(4), "too-many-vcpus", errno.EINVAL)
    vmm.create(3)
    for _ in range(3):
        vmm.add_vcpu()
    refused(vmm.add_vcpu, "too-many-vcpus", errno.EINVAL)


# Options


@pytest.mark.parametrize(
    ("options", "name", "text"),
    [
        ({"hash": "sha512"}, "unsupported", "hash=sha512: the RMM offers sha256"),
        ({"sve_bits": 256}, "unsupported", "sve_bits=256: the RMM offers no SVE"),
        ({"pmu_counters": 1}, "unsupported", "pmu_counters=1: the RMM offers no PMU"),
        ({"breakpoints": 7}, "unsupported", "breakpoints=7: the RMM offers 2 to 2"),
        ({"watchpoints": 1}, "unsupported", "watchpoints=1: the RMM offers 2 to 2"),
        ({"ipa_bits": 49}, "unsupported", "ipa_bits=49: the RMM offers 32 to 48"),
        ({"memory": 100}, "option", "multiple of 4K"),
        ({"ram_base": 7}, "option", "multiple of 4K"),
        ({"sve_bits": 100}, "option", "multiple of 128"),
        ({"rpv": bytes(65)}, "option", "65 bytes"),
        ({"colour": 1}, "option", "there is no option colour"),
        ({"memory": MIB, "ipa_bits": 32}, "option", "does not fit into its protected half"),
    ],
)
def test_configure__refuses_at_once_and_by_name(vmm: Vmm, options: dict[str, object], name: str, text: str) -> None:
    before = vmm.options
    assert text in str(refused(lambda: vmm.configure(**options), name, errno.EINVAL))
    assert vmm.options is before


def test_configure__is_repeatable(vmm: Vmm) -> None:
    vmm.configure(memory=MIB)
    vmm.configure(rpv=b"a")
    vmm.configure(memory=2 * MIB)
    assert (vmm.options.memory, vmm.options.rpv) == (2 * MIB, b"a")


def test_create__needs_memory_to_be_configured(vmm: Vmm) -> None:
    refused(vmm.create, "option", errno.EINVAL)
    assert vmm.state is State.CONFIGURING


def test_create__checks_that_ram_tables_and_recs_can_be_backed(machine: Machine) -> None:
    vmm = fresh(machine, mebibytes=16)
    vmm.configure(memory=16 * MIB)
    before = list(machine.gpt.ranges())
    assert "16 MiB of RAM" in str(refused(vmm.create, "no-memory", errno.ENOMEM))
    assert list(machine.gpt.ranges()) == before
    vmm.configure(memory=12 * MIB)
    vmm.create()


# Content


@pytest.mark.parametrize(
    ("ipa", "size"),
    [(RAM - G, G), (RAM + 4 * MIB, G), (RAM + 1, G), (RAM, 0), (RAM, G + 1), (0, G), (RAM + 4 * MIB - G, 2 * G)],
)
def test_ranges__are_pages_of_ram(vmm: Vmm, ipa: int, size: int) -> None:
    created(vmm)
    refused(lambda: vmm.populate(ipa, size, b""), "range", errno.EINVAL)
    refused(lambda: vmm.init_ripas(ipa, size), "range", errno.EINVAL)


def test_populate__from_bytes_alias_and_file(vmm: Vmm, machine: Machine, tmp_path: Path) -> None:
    created(vmm)
    (tmp_path / "f").write_bytes(b"file" * 1500)
    vmm.memory.write_shared(RAM + 4 * G | vmm.options.shared_bit, b"alias")
    free = vmm.pool.free
    vmm.populate(RAM, 2 * G, b"bytes")
    vmm.populate(RAM + 2 * G, 2 * G, str(tmp_path / "f"))
    vmm.populate(RAM + 4 * G, G, "alias")
    content = b"".join(machine.memory.read(vmm.memory.pages[i] & ~7, G) for i in range(5))
    assert content == (b"bytes".ljust(2 * G, b"\0") + (b"file" * 1500).ljust(2 * G, b"\0") + b"alias".ljust(G, b"\0"))
    assert free - vmm.pool.free == 4 + 1  # five pages and a table more, the alias's page back


def test_populate__alias_without_a_page_there(vmm: Vmm) -> None:
    created(vmm)
    vmm.memory.write_shared(RAM, b"only the first")
    refused(lambda: vmm.populate(RAM, 2 * G), "no-source", errno.EFAULT)
    assert vmm.memory.pages[0] & 7 == 2


def test_populate__a_page_twice(vmm: Vmm) -> None:
    created(vmm)
    vmm.populate(RAM + G, G, b"x")
    refused(lambda: vmm.populate(RAM, 2 * G, b"x"), "populated", errno.EEXIST)
    assert vmm.memory.pages[0] == 0


def test_populate__more_bytes_than_asked_for_and_a_file_that_is_not_there(vmm: Vmm) -> None:
    created(vmm)
    refused(lambda: vmm.populate(RAM, G, bytes(G + 1)), "range", errno.EINVAL)
    refused(lambda: vmm.populate(RAM, G, "/nonexistent"), "no-source", errno.EFAULT)


def test_refusal_of_the_rmm__is_named_by_its_condition(vmm: Vmm) -> None:
    error = refused(lambda: vmm.door.call(rmi.GRANULE_DELEGATE, 1), "refused", errno.EIO)
    assert "RMI_GRANULE_DELEGATE(addr=0x1) = ERROR_INPUT [gran_align]" in str(error)


def test_unmeasured_pages__do_not_enter_the_rim(machine: Machine) -> None:
    def rim(content: bytes, *, measure: bool) -> bytes:
        vmm = created(fresh(machine))
        vmm.populate(RAM, G, content, measure=measure)
        value = machine.rmm.realm_at[vmm.rd].rim
        vmm.destroy()
        return value

    assert rim(b"a", measure=True) != rim(b"b", measure=True)
    assert rim(b"a", measure=False) == rim(b"b", measure=False)


def test_host_view__does_not_reach_the_realms_pages(vmm: Vmm) -> None:
    created(vmm)
    vmm.populate(RAM, G, b"secret")
    pa = vmm.memory.pages[0] & ~7
    with pytest.raises(HostMemoryFault):
        vmm.door.read(pa, 8)
    with pytest.raises(HostMemoryFault):
        vmm.door.write(pa, b"x")


# Demand faults and pages given up


def test_demand_faults__in_order_bring_twice_as_many_each(vmm: Vmm) -> None:
    memory = active(vmm).memory

    def brought(page: int) -> list[int]:
        before = list(memory.pages)
        memory.fault_in(page)
        return [i for i, entry in enumerate(memory.pages) if entry != before[i]]

    assert brought(0) == [0]
    assert brought(1) == [1, 2]
    assert brought(3) == [3, 4, 5, 6]
    assert brought(100) == [100]  # out of order
    assert brought(98) == [98]
    assert brought(99) == [99]  # 100 is there
    assert brought(1023) == [1023]  # the last of RAM


def test_demand_faults__bring_2_mib_at_most(vmm: Vmm) -> None:
    memory = active(vmm).memory
    page = 0
    for window in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1):
        memory.fault_in(page)
        page += window
        assert sum(entry != 0 for entry in memory.pages) == page


def test_page_given_up__comes_back_wiped_when_somebody_looks(vmm: Vmm) -> None:
    created(vmm)
    vmm.populate(RAM, G, b"secret")
    vcpu = vmm.add_vcpu()
    vcpu.set_pc(RAM)
    vmm.finalize(vcpu)
    vmm.activate()
    memory = vmm.memory
    pa = memory.pages[0] & ~7
    memory.reclaim(0)
    with pytest.raises(HostMemoryFault):
        vmm.door.read(pa, 8)
    assert memory.shared_page(RAM | memory.shared_bit) == pa
    assert vmm.door.read(pa, G) == bytes(G)


# PSCI


def test_psci_complete__without_a_request(vmm: Vmm) -> None:
    active(vmm)
    refused(lambda: vmm.psci_complete(vmm.vcpus[0], 0), "no-request", errno.EINVAL)


def test_psci_complete__wrong_target_or_status(vmm: Vmm) -> None:
    active(vmm)
    vmm.vcpus[0].request = (0xC400_0003, 1)
    refused(lambda: vmm.psci_complete(vmm.vcpus[0], 1), "no-target", errno.EINVAL)
    vmm.vcpus[0].request = (0xC400_0003, 0)
    refused(lambda: vmm.psci_complete(vmm.vcpus[0], 0, -2), "status", errno.EINVAL)


# Destruction


def test_destroy__gives_every_page_back_wiped(vmm: Vmm, machine: Machine) -> None:
    before, free = list(machine.gpt.ranges()), vmm.pool.free
    active(vmm)
    assert machine.rmm.realm_at[vmm.rd].state == RealmState.ACTIVE
    vmm.destroy()
    assert list(machine.gpt.ranges()) == before
    assert vmm.pool.free == free
    assert vmm.state is State.DESTROYED
    refused(vmm.destroy, "not-created", errno.ENXIO)


def test_destroy__of_a_realm_that_was_never_activated(vmm: Vmm, machine: Machine) -> None:
    before, free = list(machine.gpt.ranges()), vmm.pool.free
    created(vmm)
    vmm.populate(RAM, 8 * G, b"content")
    vmm.memory.write_shared(RAM + MIB, b"shared")
    vmm.memory.map(256)
    vmm.destroy()
    assert list(machine.gpt.ranges()) == before
    assert vmm.pool.free == free
