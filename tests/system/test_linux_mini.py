# SPDX-License-Identifier: GPL-2.0-or-later
"""mini-linux: the VMM's whole service, by a payload that comes along and needs no kernel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from machine.config import load
from machine.end import End
from machine.machine import Machine
from machine.vmm.guest import LinuxGuest
from machine.vmm.pool import Pool
from machine.vmm.realm import Vmm
from tests.system.cli import Result, ccabridge


def passed(result: Result) -> int:
    """Checks that the payload made, all of which must be good."""
    match = re.search(r"mini-linux: (\d+) of (\d+) checks passed", result.out)
    assert match is not None, result.out[-2000:] + result.err
    assert "FAIL" not in result.out
    assert match[1] == match[2]
    assert result.code == 0
    return int(match[1])


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disk") / "disk.img"
    path.write_bytes(bytes(512) + bytes((i * 7 + 1) & 0xFF for i in range(512)) + bytes(6 * 512))
    return path


def test_mini_linux__all_devices_and_the_trace_of_their_refusals(disk: Path) -> None:
    result = ccabridge("run", "mini-linux", "-s", f"vmm.disks=[{{file: {disk}, mode: rw}}]", "--trace=virtio")
    assert passed(result) >= 42
    assert re.search(r"virtio: rng: queue 0: IPA 0x8[0-9a-f]+ is protected: DEVICE_NEEDS_RESET", result.out)
    assert result.out.count("does not accept VIRTIO_F_ACCESS_PLATFORM") == 2
    assert disk.read_bytes()[2 * 512 : 3 * 512] == bytes((i * 7 + 1) & 0xFF for i in range(512))


def test_mini_linux__console_by_virtio() -> None:
    assert passed(ccabridge("run", "mini-linux", "-s", "vmm.console=virtio")) >= 36


def test_mini_linux__powered_off_while_a_vcpu_runs_gives_everything_back() -> None:
    """RECs that are preempted within their REC_ENTER are kicked out first."""
    machine = Machine(load("mini-linux"), lambda _line: None)
    pool, description = machine.config.boot.pool, machine.config.vmm
    assert pool is not None and description is not None
    before = list(machine.gpt.ranges())
    vmm = Vmm(machine, Pool(pool.base, pool.size))
    guest = LinuxGuest(machine, vmm, description)
    guest.build(machine.progress)
    with pytest.raises(End, match="is off"):
        guest.run(machine.console("realm 0"))
    assert any(rec.running for rec in machine.rmm.recs())
    guest.runner.halt()
    vmm.destroy()
    assert list(machine.gpt.ranges()) == before
    machine.close()


def test_mini_linux__makes_its_calls_in_linux_order() -> None:
    """linux-realm.md, "SMCs made by the kernel, in order"."""
    result = ccabridge("run", "mini-linux", "--trace=psci_*,rsi_*")
    names = [match[1] for line in result.lines if (match := re.search(r"\] ((?:PSCI|RSI)_\w+)\(", line))]
    assert names[:6] == ["PSCI_VERSION", *["PSCI_FEATURES"] * 5]
    assert names[6:10] == ["RSI_VERSION", "RSI_REALM_CONFIG", "RSI_IPA_STATE_SET", "RSI_IPA_STATE_SET"]
    assert names[10:14] == ["RSI_IPA_STATE_GET"] * 4  # the pool, then devices
    assert names[-1] == "PSCI_SYSTEM_OFF"


def test_mini_linux__missing_vcpu_is_seen() -> None:
    """The closing line can fail, and so does the process."""
    result = ccabridge("run", "mini-linux", "-s", "vmm.vcpus=1")
    assert "FAIL there is a second vCPU" in result.out
    assert result.code == 1


def test_mini_linux__stopped_half_way_is_named() -> None:
    """World, EL, PC with the symbol of the vmlinux that was given, the last exits of its vCPUs."""
    result = ccabridge("run", "mini-linux", "-s", "limits.instructions=60000")
    assert result.code == 124
    assert re.search(r"^  in: rec 0 of realm 0x[0-9a-f]+, EL1$", result.out, re.M)
    assert re.search(r"^  PC: 0x800[0-9a-f]+ <[a-z_]\w+(\+0x[0-9a-f]+)?>", result.out, re.M), result.out[-2000:]
    assert re.search(r"^  last exits:\n    vCPU 0: SYNC ESR=0x90000007 .* IPA=0x800[0-9a-f]+$", result.out, re.M)


def test_mini_linux__stopped_half_way_is_named_by_the_system_map_that_was_given(tmp_path: Path) -> None:
    names = tmp_path / "System.map"
    names.write_text("ffff800080000000 T _text\nffff800080000000 T of_the_map\nffff800080800000 B _end\n")
    result = ccabridge("run", "--realm", "mini-linux", "--symbols", str(names), "-s", "limits.instructions=60000")
    assert result.code == 124
    assert re.search(r"^  PC: 0x800[0-9a-f]+ <of_the_map\+0x[0-9a-f]+>", result.out, re.M), result.out[-2000:]
    names.write_text("0000000000000000 T\n")
    result = ccabridge("run", "--realm", "mini-linux", "--symbols", str(names))
    assert result.code == 2
    assert result.err.startswith(f"ccabridge: error: --symbols: vmm.symbols: {names}:1: ")
    assert len(result.err.splitlines()) == 1


def test_mini_linux__with_the_tree_that_was_dumped_runs_the_same(tmp_path: Path) -> None:
    """A given device tree is honoured, its command line too, and what comes out again is what went in."""
    first, second = tmp_path / "first.dtb", tmp_path / "second.dtb"
    dumped = ccabridge("run", "--realm", "mini-linux", "-p", "some=word", "--dump-dtb", str(first))
    given = ccabridge("run", "--realm", "mini-linux", "--dtb", str(first), "--dump-dtb", str(second))
    assert passed(dumped) == passed(given)
    assert b"panic=-1 " in first.read_bytes() and b" some=word\0" in first.read_bytes()
    assert first.read_bytes() == second.read_bytes()
    assert dumped.out == given.out
