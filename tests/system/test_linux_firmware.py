# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux as a realm under aarch64 host firmware (firmware/host-linux), its devices, and the boot loader in the realm.

A stand-in for a kernel, three instructions that power off, does where it is not Linux that is tested.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from machine.config import load
from machine.config.dump import resolved
from machine.end import GUEST_EXIT
from machine.machine import Machine
from machine.vmm.linux.cache import cached_kernel
from tests.system.cli import Result, ccabridge

needs_a_kernel = pytest.mark.skipif(cached_kernel() is None, reason="no kernel: ccabridge fetch-kernel")

BAD_TREE, REFUSED = 2, 3  # exit codes of firmware/payloads/loader.c
# Linux, booting.rst: the header, then `mov w0, #PSCI_SYSTEM_OFF; smc #0`.
POWER_OFF = struct.pack("<3I", 0x5280_0100, 0x72B0_8000, 0xD400_0003)
KERNEL = struct.pack("<IIQQQQQQ4sI", 0x1400_0010, 0, 0, 0x3000, 0xA, 0, 0, 0, b"ARM\x64", 0) + POWER_OFF


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "Image"
    path.write_bytes(KERNEL)
    return path


def counts(result: Result) -> tuple[int, ...]:
    """Entries, faults, MMIO, RIPAS changes: what the host says of the realm."""
    match = re.search(r"ended with 0: (\d+) entries, (\d+) faults, (\d+) MMIO, (\d+) RIPAS changes", result.out)
    assert match is not None, result.out[-2000:] + result.err
    return tuple(map(int, match.groups()))


def boots(name: str) -> Result:
    result = ccabridge("run", name, "-s", "realms.0.linux.script=echo hello", timeout=300)
    assert result.code == 0, result.out[-2000:] + result.err
    console = [line.removeprefix("[realm 0] ") for line in result.lines if line.startswith("[realm 0] ")]
    at = console.index("hello")
    assert console[at - 1].startswith("ccabridge-init: Linux ")
    assert console[at + 1] == "ccabridge-init: exit 0"
    match = re.search(r"(\d+) granules delegated, (\d+) returned and zero", result.out)
    assert match is not None
    assert int(match[1]) == int(match[2]) > 10_000
    return result


@needs_a_kernel
def test_linux__boots_quietly_and_powers_off_the_same_twice() -> None:
    first, second = boots("linux-host"), boots("linux-host")
    entries, faults, mmio, ripas = counts(first)
    assert ripas == 3  # linux-realm.md: all RAM, then what is shared with the host, twice
    assert entries > faults > 1_000
    assert mmio > 100
    assert first.lines[-2].split()[1].replace(",", "").isdigit() and "instructions" in first.lines[-2]
    assert first.out == second.out


@needs_a_kernel
def test_boot_loader__makes_all_described_memory_ram_and_starts_linux() -> None:
    result = boots("linux-loader")
    assert "[realm 0] loader: 256 MiB of memory are RAM; starting the kernel at 0x80200000" in result.lines
    assert counts(result)[3] == 1 + 3


@needs_a_kernel
def test_script__its_status_is_the_exit_code() -> None:
    result = ccabridge("run", "linux-host", "-s", "realms.0.linux.script=exit 37", timeout=300)
    assert result.code == 37
    assert "[realm 0] ccabridge-init: exit 37" in result.lines


def under(name: str, kernel: Path, *overrides: str) -> tuple[Machine, list[str]]:
    lines: list[str] = []
    key = "linux.kernel" if name == "linux-loader" else "image"
    config = load(name, [f"realms.0.{key}={kernel}", *overrides])
    return Machine(config, lambda line: lines.append(line.rstrip())), lines


def test_devices__gic_timer_uart_and_shared_pages(kernel: Path) -> None:
    machine, lines = under("linux-loader", kernel, "realms.0.image=firmware:devices")
    end = machine.run()
    machine.close()
    assert (end.kind, end.code) == (GUEST_EXIT, 0), [line for line in lines if "FAIL" in line]
    assert "[realm 0] devices: 56 of 56 checks passed" in lines
    assert "[realm 0] devices: by the UART" in lines
    assert not any("X" in line for line in lines if "UART" in line)


@pytest.mark.parametrize("name", ["linux-host", "linux-loader"])
def test_kernel__is_entered_and_powers_off(name: str, kernel: Path) -> None:
    machine, lines = under(name, kernel)
    end = machine.run()
    machine.close()
    assert (end.kind, end.code) == (GUEST_EXIT, 0), lines[-5:]


def activated(machine: Machine) -> bytes:
    """The RIM of the machine's realm, which runs to its end."""
    seen: list[bytes] = []

    class Watch:
        def call(self, record: object) -> None:
            if getattr(getattr(record, "decl", None), "name", "") == "RMI_REALM_ACTIVATE":
                seen.append(machine.rmm.realms()[0].rim)

        def event(self, name: str, insns: int, text: str, depth: int) -> None:
            """Only calls matter."""

    machine.calls.listener = Watch()
    assert machine.run().kind == GUEST_EXIT
    machine.close()
    assert len(seen) == 1
    return seen[0]


def test_rim__is_the_same_under_both_hosts(kernel: Path) -> None:
    line = "cmdline=console=ttyS0 panic=-1"  # has the VMM's defaults
    firmware, _ = under("linux-host", kernel, "realms.0.linux.script=uname", f"realms.0.linux.{line}")
    same = [f"vmm.kernel={kernel}", f"vmm.{line}", "vmm.script=uname", "vmm.rng=false"]
    vmm = Machine(load("linux-realm", same), lambda _line: None)
    assert activated(firmware) == activated(vmm)


def test_measure__decides_whether_kernel_and_tree_are_in_the_rim(kernel: Path) -> None:
    def rim(cmdline: str, measure: str) -> bytes:
        overrides = (f"realms.0.linux.cmdline={cmdline}", f"realms.0.linux.measure={measure}")
        return activated(under("linux-loader", kernel, *overrides)[0])

    assert rim("a", "true") != rim("b", "true")
    assert rim("a", "false") == rim("b", "false") != rim("a", "true")


def patched(kernel: Path, change: dict[int, int]) -> tuple[int | None, list[str]]:
    """The loader's end when a hostile host has changed words of its device tree: {offset: word}."""
    machine, lines = under("linux-loader", kernel)
    tree = next(piece for piece in machine.images.realms[0].pieces if piece.data[:4] == b"\xd0\x0d\xfe\xed")
    for offset, word in change.items():
        machine.memory.write(tree.stage + offset, word.to_bytes(4, "big"))
    end = machine.run()
    machine.close()
    return end.code, [line for line in lines if "loader" in line]


def words_at(kernel: Path, what: bytes) -> int:
    """Where bytes stand in the tree that the loader gets."""
    machine, _ = under("linux-loader", kernel)
    data = next(piece.data for piece in machine.images.realms[0].pieces if piece.data[:4] == b"\xd0\x0d\xfe\xed")
    machine.close()
    return data.index(what)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({0: 0}, "there is none"),
        ({4: 0xFFFF_FFF0}, "its header contradicts itself"),  # totalsize
        ({8: 0xFFFF_FFFC}, "its header contradicts itself"),  # off_dt_struct
        ({36: 0xFFFF_FFFC}, "its header contradicts itself"),  # size_dt_struct
        ({32: 0xFFFF_FFFF}, "its header contradicts itself"),  # size_dt_strings
        ({20: 16}, "unknown version"),
        ({36: 0}, "it does not end"),
        ({36: 64}, "it does not end|a value or a name does not end"),
        ({32: 0}, "a property without a name"),
    ],
)
def test_boot_loader__refuses_a_tree_that_lies(kernel: Path, change: dict[int, int], why: str) -> None:
    code, lines = patched(kernel, change)
    assert code == BAD_TREE
    assert re.search(f"loader: device tree: ({why})", lines[-1]), lines


def test_boot_loader__refuses_memory_that_does_not_become_ram(kernel: Path) -> None:
    reg = words_at(kernel, struct.pack(">2Q", 0x8000_0000, 256 << 20))
    code, lines = patched(kernel, {reg + 12: 257 << 20})  # a page beyond what the host has
    assert code == REFUSED and "cannot become RAM" in lines[-1]
    code, lines = patched(kernel, {reg: 1})  # 0x1_8000_0000: not protected
    assert code == REFUSED and "cannot become RAM" in lines[-1]
    code, lines = patched(kernel, {reg + 12: 0x800})
    assert code == BAD_TREE and "no whole pages" in lines[-1]


def test_boot_loader__refuses_what_is_no_kernel(kernel: Path) -> None:
    machine, lines = under("linux-loader", kernel)
    staged = next(piece for piece in machine.images.realms[0].pieces if piece.data == KERNEL)
    machine.memory.write(staged.stage + 56, b"X")
    assert machine.run().code == 1
    machine.close()
    assert "[realm 0] loader: the host gave no device tree, or no arm64 kernel" in lines


def test_host__says_what_it_cannot_do(kernel: Path) -> None:
    for override, why in (
        ("host.behaviour=[{type: reject-ripas}]", "this host has no behaviours"),
        ("devices.gic=null", "the machine has no gicv3"),
    ):
        machine, lines = under("linux-host", kernel, override)
        assert machine.run().code == 2
        machine.close()
        assert why in lines[0]
    machine, lines = under("linux-host", kernel, "boot.pool.size=64K")
    assert machine.run().code == 93
    machine.close()
    assert "make boot.pool larger" in lines[0]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("realms.0.recs=2",), "realms[0].recs: 2 RECs: the host firmware has one vCPU for Linux"),
        (("realms.0.at=0x8000_0000",), "realms[0].at: with `linux`, what is loaded is placed by itself"),
        (("boot.host=vmm",), "realms[0].linux: for the host firmware; under boot.host: vmm use the key `vmm`"),
        (("realms.0.image=firmware:loader",), "is a boot loader: name its kernel"),
        (("realms.0.linux.kernel={kernel}",), "is a kernel itself, no boot loader that starts one"),
        (("realms.0.ram.size=2M",), "needs 0 MiB of memory and 2 MiB for a device tree, of 2 MiB"),
        (("realms.0.image={kernel}.none",), "No such file or directory"),
        (("realms.0.linux.dtb={kernel}",), "realms[0].linux.dtb: "),
        (("realms.0.linux.initrd={kernel}.none",), "realms[0].linux.initrd: "),
        (("realms.0.linux.cmdline=earlycon=uart,mmio,0x1000000",), "use 0x101000000"),
        (("boot.stage=0xBFFF_F000", "boot.pool.size=256M"), "K staged at 0xbfff_f000 leaves memory.dram"),
    ],
)
def test_machine_file__what_is_wrong_is_one_line(kernel: Path, overrides: tuple[str, ...], message: str) -> None:
    words = [word for one in overrides for word in ("-s", one.format(kernel=kernel))]
    result = ccabridge("check", "linux-host", "-s", f"realms.0.image={kernel}", *words)
    assert result.code == 2
    assert message in result.err and len(result.err.splitlines()) == 1, result.err


def test_fetched_kernel__that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = ccabridge("check", "linux-host")
    assert result.code == 2
    assert "no kernel: name a file, or fetch one with `ccabridge fetch-kernel`" in result.err


def test_paths__are_relative_to_the_file_and_stand_in_what_is_resolved(kernel: Path) -> None:
    keys = "linux: {kernel: Image, initrd: initrd, dtb: my.dtb}"
    file = kernel.parent / "mine.yaml"
    file.write_text(f"layers: [linux-host]\nrealms:\n  - {{name: a, image: Image, {keys}}}\n")
    config = load(str(file))
    linux = config.realms[0].linux
    assert linux is not None
    assert [linux.kernel, linux.initrd, linux.dtb] == [
        str(kernel.parent / name) for name in ("Image", "initrd", "my.dtb")
    ]
    text = resolved(config)
    assert str(kernel.parent / "my.dtb") in text
    assert "image: kernel:fetched" in resolved(load("linux-host"))
