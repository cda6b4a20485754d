# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge measure`: the predicted RIM is the one that a run measures (rmm-abi.md §9, §14b)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import UserError
from machine.config import load
from machine.config.loader import MachineConfig
from machine.config.shipped import names
from machine.end import GUEST_EXIT, End
from machine.machine import Machine
from machine.measure import differences, predict, ripas_entries, unmeasured
from machine.vmm.guest import LinuxGuest
from machine.vmm.linux.cache import cached_kernel
from machine.vmm.pool import Pool
from machine.vmm.realm import Vmm
from rmm.abi import rmi
from tests.machine.linux.files import NOP, image

MIB = 1 << 20
# The host of `conformance` makes realms of its own besides; a kernel must have been fetched for the last three.
ASIDE = {"conformance", "linux-realm", "linux-host", "linux-loader"}
WITH_REALMS = sorted(set(names()) - ASIDE)


class Watch:
    """Listens for REALM_ACTIVATE: the RIM of each realm as it stands then."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.rims: list[str] = []

    def call(self, record: Any) -> None:
        if record.decl is rmi.REALM_ACTIVATE and record.result[0] == 0:
            self.rims.append(self.machine.rmm.realm_at[record.args[0]].rim.hex())

    def event(self, name: str, insns: int, text: str, depth: int) -> None:
        """Not a call."""


def measured(name: str, *overrides: str) -> list[str]:
    """The RIMs of a run, in the order of activation."""
    machine = Machine(load(name, overrides), lambda _line: None)
    watch = Watch(machine)
    machine.calls.listener = watch
    end: End = machine.run()
    machine.close()
    assert end.kind == GUEST_EXIT, end.reason
    return watch.rims


def until_activated(name: str) -> list[str]:
    """The RIM of the first realm of a run that ends when it is activated."""
    machine = Machine(load(name), lambda _line: None)
    watch = Watch(machine)

    def poll() -> None:
        if watch.rims:
            raise KeyboardInterrupt

    machine.calls.listener = watch
    machine.poll = poll
    with pytest.raises(KeyboardInterrupt):
        machine.run()
    machine.close()
    return watch.rims


def predicted(name: str, *overrides: str) -> list[str]:
    return [one.rim for one in predict(load(name, overrides))]


@pytest.mark.parametrize("name", [n for n in WITH_REALMS if load(n).realms])
def test_prediction__is_what_the_shipped_machine_measures(name: str) -> None:
    assert predicted(name) == measured(name) != []


@pytest.mark.parametrize("name", ["hello-realm", "rsi-tour", "smp", "token"])
def test_prediction__under_the_python_vmm(name: str) -> None:
    assert predicted(name, "boot.host=vmm") == measured(name, "boot.host=vmm") == predicted(name)


@pytest.mark.parametrize("host", ["firmware", "vmm"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("recs", [1, 2, 3, 4])
def test_prediction__hash_and_recs(algorithm: str, recs: int, host: str) -> None:
    overrides = (f"realms.0.hash={algorithm}", f"realms.0.recs={recs}", f"boot.host={host}")
    found = predicted("hello-realm", *overrides)
    assert found == measured("hello-realm", *overrides)
    assert len(found[0]) == (64 if algorithm == "sha256" else 128)


@pytest.mark.parametrize(
    "overrides",
    [
        ("realms.0.ram.size=17M",),
        ("realms.0.ram.size=16388K",),
        ("realms.0.ram.size=3G", "realms.0.ipa_bits=40"),
        ("realms.0.ipa_bits=44",),
        ("realms.0.ipa_bits=48",),
    ],
)
def test_prediction__whatever_tables_the_ram_needs(overrides: tuple[str, ...]) -> None:
    assert predicted("hello-realm", *overrides) == measured("hello-realm", *overrides)


def test_ripas_entries__largest_entries_that_the_tables_allow() -> None:
    """A 1 GiB entry of level 1, then 2 MiB ones, then pages: each call goes to its table's end at most."""
    entries = list(ripas_entries(1 << 30, (2 << 30) + 2 * MIB + 8192, 1, set()))
    assert entries == [
        (1 << 30, 2 << 30),
        (2 << 30, (2 << 30) + 2 * MIB),
        ((2 << 30) + 2 * MIB, (2 << 30) + 2 * MIB + 4096),
        ((2 << 30) + 2 * MIB + 4096, (2 << 30) + 2 * MIB + 8192),
    ]


def test_ripas_entries__an_unaligned_base_needs_a_table() -> None:
    entries = list(ripas_entries(4096, 2 * MIB + 4096, 2, set()))
    assert entries[0] == (4096, 8192) and len(entries) == 511 + 1
    assert entries[-1] == (2 * MIB, 2 * MIB + 4096)


def test_prediction__of_a_host_that_builds_otherwise() -> None:
    """`conformance` makes its realms in ways of its own."""
    with pytest.raises(UserError, match="firmware:conformance makes realms of its own"):
        predict(load("conformance"))


@pytest.mark.skipif(cached_kernel() is None, reason="no kernel was fetched")
def test_prediction__linux_under_the_shipped_vmm() -> None:
    assert predicted("linux-realm") == [built(load("linux-realm"))]


@pytest.mark.skipif(cached_kernel() is None, reason="no kernel was fetched")
@pytest.mark.parametrize("name", ["linux-host", "linux-loader"])
def test_prediction__linux_under_the_firmware_host(name: str) -> None:
    """The loader's realm has a piece that is not measured, and RIPAS RAM only where something was loaded."""
    assert predicted(name) == until_activated(name)


# What counts, and what does not


def told(*overrides: str) -> tuple[bool, list[str], list[str]]:
    """(whether the RIMs are equal, what differs, what differs without being measured) from hello-realm."""
    a, b = predict(load("hello-realm"))[0], predict(load("hello-realm", overrides))[0]
    return a.rim == b.rim, list(differences(a, b)), list(unmeasured(a, b))


def test_what_does_not_count() -> None:
    equal, differing, others = told("realms.0.personalization=x", "realms.0.recs=3", "realms.0.name=other")
    assert equal and differing == []
    assert [line.partition(":")[0] for line in others] == ["personalization value", "RECs that are not runnable"]


COUNTS = [
    ("realms.0.hash=sha512", "parameters: hash_algo: sha256 / sha512"),
    ("realms.0.ipa_bits=40", "parameters: s2sz: 0x21 / 0x28"),
    ("realms.0.ram.size=18M", "RAM: 0x80000000 to 0x80ffffff by 2048 KiB / 0x80000000 to 0x811fffff by 2048 KiB"),
    ("realms.0.entry=0x80000010", "REC 0: pc: 0x80000000 / 0x80000010"),
    ("realms.0.image=firmware:rsi-tour", "image: 8 / 10 pages"),
]


@pytest.mark.parametrize(("override", "line"), COUNTS)
def test_what_counts_is_explained(override: str, line: str) -> None:
    equal, differing, _ = told(override)
    assert not equal
    assert line in differing or (
        line.partition(":")[0] == "image" and any(one.startswith("image: ") for one in differing)
    )


# Linux, by the Python VMM


def linux(folder: Path, *overrides: str, body: bytes = NOP * 32) -> MachineConfig:
    (folder / "Image").write_bytes(image(body))
    (folder / "initrd").write_bytes(b"an initrd")
    first = (f"vmm.kernel={folder / 'Image'}", f"vmm.initrd={folder / 'initrd'}", "vmm.cmdline=a", "vmm.memory=64M")
    return load("linux-realm", (*first, *overrides))


def built(config: MachineConfig) -> str:
    """The RIM of the realm that the VMM makes, not run."""
    machine = Machine(config, lambda _line: None)
    assert config.boot.pool is not None and config.vmm is not None
    vmm = Vmm(machine, Pool(config.boot.pool.base, config.boot.pool.size))
    LinuxGuest(machine, vmm, config.vmm).build(lambda *_: None)
    rim = machine.rmm.realm_at[vmm.rd].rim.hex()
    machine.close()
    return rim


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("vcpus", [1, 2, 3, 4])
def test_prediction__linux_under_the_vmm(tmp_path: Path, algorithm: str, vcpus: int) -> None:
    config = linux(tmp_path, f"vmm.hash={algorithm}", f"vmm.vcpus={vcpus}")
    assert predict(config)[0].rim == built(config)


def linux_told(folder: Path, *overrides: str, body: bytes = NOP * 32) -> tuple[bool, list[str]]:
    a = predict(linux(folder))[0]
    b = predict(linux(folder, *overrides, body=body))[0]
    return a.rim == b.rim, list(differences(a, b))


def test_linux__kernel_counts(tmp_path: Path) -> None:
    equal, lines = linux_told(tmp_path, body=NOP * 31 + b"\0\0\0\0")
    assert not equal and lines == ["kernel: 1 of 1 pages differ, the first at offset 0x0"]


def test_linux__command_line_counts(tmp_path: Path) -> None:
    equal, lines = linux_told(tmp_path, "vmm.cmdline=b")
    assert not equal and any(re.fullmatch(r"dtb: /chosen/bootargs: (.* )?a / (.* )?b", line) for line in lines)


def test_linux__initrd_counts(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"AN INITRD")
    equal, lines = linux_told(tmp_path, f"vmm.initrd={other}")
    assert not equal and lines == ["initrd: 1 of 1 pages differ, the first at offset 0x0"]


def test_linux__ram_size_counts(tmp_path: Path) -> None:
    equal, lines = linux_told(tmp_path, "vmm.memory=66M")
    assert not equal
    assert "RAM: 0x80000000 to 0x83ffffff by 2048 KiB / 0x80000000 to 0x841fffff by 2048 KiB" in lines
    assert any(line.startswith("dtb: /memory") for line in lines)


def test_linux__secondary_vcpus_count_through_the_device_tree_only(tmp_path: Path) -> None:
    equal, lines = linux_told(tmp_path, "vmm.vcpus=2")
    assert not equal and lines and all(line.startswith("dtb: ") for line in lines)
    assert any("/cpus/cpu@1" in line for line in lines)


def test_linux__personalization_does_not_count(tmp_path: Path) -> None:
    assert linux_told(tmp_path, "vmm.personalization=x") == (True, [])
