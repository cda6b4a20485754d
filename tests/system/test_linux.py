# SPDX-License-Identifier: GPL-2.0-or-later
"""Unmodified Linux kernels as realm guests of the Python VMM.

Needs what `ccabridge fetch-kernel --modules --busybox` has fetched; each test that lacks something is skipped by name.
CCABRIDGE_LINUX_MATRIX=1 boots every kernel in the cache with 1, 2 and 4 vCPUs and 128 MiB to 2 GiB.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from machine.vmm.linux.cache import CachedKernel, cached_busybox, cached_kernel, cached_kernels
from tests.system.cli import Result, ccabridge

KERNELS = cached_kernels()
MATRIX = os.environ.get("CCABRIDGE_LINUX_MATRIX") == "1"
ABOUT = "ccabridge-init: "
TIMEOUT = 240
CONFIGS = Path(__file__).parents[2] / "configs"

pytestmark = pytest.mark.skipif(not KERNELS, reason="no Linux kernel is cached: ccabridge fetch-kernel")
needs_busybox = pytest.mark.skipif(cached_busybox() is None, reason="no busybox is cached: ccabridge fetch-kernel")
needs_modules = pytest.mark.skipif(
    not KERNELS or (cached_kernel() or KERNELS[0]).modules is None,
    reason="the kernel has no modules: ccabridge fetch-kernel --modules",
)
matrix = pytest.mark.skipif(not MATRIX, reason="the matrix of kernels: CCABRIDGE_LINUX_MATRIX=1")


def boot(folder: Path, *words: str, **vmm: Any) -> Result:
    """The shipped linux-realm machine with other values in its `vmm:` block."""
    vmm.setdefault("cmdline", "console=ttyS0 quiet swiotlb=8192")
    file = folder / "machine.yaml"
    file.write_text(json.dumps({"layers": [str(CONFIGS / "linux-realm.yaml")], "vmm": vmm}))
    return ccabridge("run", str(file), *words, timeout=TIMEOUT)


def console(result: Result) -> list[str]:
    """What the script printed: between init's greeting and its last word."""
    lines = [line.removeprefix("[realm 0] ") for line in result.lines if line.startswith("[realm 0] ")]
    marks = [i for i, line in enumerate(lines) if line.startswith(ABOUT)]
    assert len(marks) >= 2, result.out[-3000:] + result.err
    return lines[marks[0] + 1 : marks[-1]]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The plainest boot."""
    return boot(tmp_path_factory.mktemp("traced"), "--trace=psci_*,rsi_*", script="echo hello")


# The plainest boot


def test_linux__runs_a_script_and_powers_off(traced: Result) -> None:
    assert traced.code == 0, traced.out[-3000:] + traced.err
    assert console(traced) == ["hello"]
    assert traced.lines[-1] == "ccabridge: guest-exit 0: realm `linux` is off"


def test_linux__same_command_gives_the_same_instructions_and_bytes(traced: Result, tmp_path: Path) -> None:
    again = boot(tmp_path, "--trace=psci_*,rsi_*", script="echo hello")
    assert again.out == traced.out
    assert re.search(r"ccabridge: [\d,]{9,} instructions in ", traced.out)


def test_linux__calls_come_in_the_order_that_a_real_realm_makes_them(traced: Result) -> None:
    """linux-realm.md, "SMCs made by the kernel, in order"."""
    found = [m[1] for line in traced.lines if (m := re.search(r"\] ((?:PSCI|RSI)_\w+\([^)]*\))", line))]
    expected = [
        r"PSCI_VERSION\(\)",
        r"PSCI_FEATURES\(fid=0x80000000\)",
        r"PSCI_FEATURES\(fid=0xc4000001\)",
        r"RSI_VERSION\(req=1\.0\)",
        r"RSI_REALM_CONFIG\(",
        r"RSI_IPA_STATE_SET\(base=0x80000000, top=0x90000000, ripas=RAM, flags=NO_CHANGE_DESTROYED\)",
        r"RSI_IPA_STATE_SET\(.*ripas=EMPTY, flags=CHANGE_DESTROYED\)",
        r"RSI_IPA_STATE_GET\(",
        r"RSI_IPA_STATE_SET\(.*ripas=EMPTY, flags=CHANGE_DESTROYED\)",
        r"PSCI_SYSTEM_OFF\(\)",
    ]
    at = 0
    for pattern in expected:
        hit = next((i for i in range(at, len(found)) if re.match(pattern, found[i])), None)
        assert hit is not None, f"{pattern} after {found[:at]}, in {found}"
        at = hit + 1
    assert at == len(found), "SYSTEM_OFF is the last"


@needs_modules
def test_linux__early_console_to_power_off_without_a_warning(tmp_path: Path) -> None:
    """Every device is mapped by its alias, and the disk bounces: Linux' own words, from the first line to the last."""
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"abcdefgh" * 64)
    result = boot(
        tmp_path,
        vcpus=2,
        disks=[{"file": str(disk), "mode": "ro"}],
        cmdline="earlycon=uart,mmio,0x101000000",
        script="cat /dev/vda",
    )
    assert result.code == 0
    assert "] earlycon: uart" in result.out
    assert "abcdefgh" * 64 in result.out
    assert result.out.index("Booting Linux on physical CPU") < result.out.index("smp: Brought up 1 node, 2 CPUs")
    assert not [line for line in result.lines if re.search("WARNING|Call trace|BUG|Oops|Unable to", line)]


# Consoles, vCPUs, the kernel's own words


@needs_busybox
@needs_modules
def test_linux__hvc0_two_vcpus_and_the_status_of_the_script(tmp_path: Path) -> None:
    result = boot(
        tmp_path,
        console="virtio",
        vcpus=2,
        busybox=True,
        cmdline="console=hvc0 quiet swiotlb=8192",
        modules=["arm-cca-guest"],
        script="dmesg | grep -o 'RME: .*'; nproc; cut -d' ' -f1 /proc/modules | sort | grep -x -e tsm_report "
        "-e arm_cca_guest; measure >/dev/null 2>&1; echo alive; head -c 16 /dev/hwrng | wc -c; exit 42",
    )
    assert console(result) == ["RME: Using RSI version 1.0", "2", "arm_cca_guest", "tsm_report", "alive", "16"]
    assert result.code == 42
    assert result.lines[-1].startswith("ccabridge: guest-exit 42")


def test_linux__pl011_four_vcpus_and_power_off_while_others_run(tmp_path: Path) -> None:
    result = boot(
        tmp_path,
        console="pl011",
        vcpus=4,
        memory="128M",
        cmdline="console=ttyAMA0 quiet cma=0 swiotlb=2048",
        script="cat /sys/devices/system/cpu/online",
    )
    assert console(result) == ["0-3"]
    assert result.code == 0


# Devices


@contextmanager
def echo_server() -> Iterator[int]:
    """A TCP server on the loopback that answers one line with the same in capitals; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT)

        def serve() -> None:
            with server.accept()[0] as peer:
                peer.sendall(peer.makefile("rb").readline().upper())

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(TIMEOUT)
        assert not thread.is_alive()


NETWORK = r"""
ifconfig eth0 up
cat > /tmp/bound <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ifconfig $interface $ip netmask $subnet
route add default gw $router
END
chmod +x /tmp/bound
udhcpc -i eth0 -n -q -s /tmp/bound >/dev/null 2>&1
ifconfig eth0 | grep -o 'addr:10[0-9.]*'
"""


@needs_busybox
@needs_modules
def test_linux__disks_in_each_mode_and_the_network(tmp_path: Path) -> None:
    content = random.Random(1).randbytes(300 * 512)
    for mode in ("ro", "overlay", "rw"):
        (tmp_path / f"{mode}.img").write_bytes(content)
    with echo_server() as port:
        result = boot(
            tmp_path,
            busybox=True,
            disks=[{"file": str(tmp_path / f"{mode}.img"), "mode": mode} for mode in ("ro", "overlay", "rw")],
            net={"capture": str(tmp_path / "link.pcap")},
            script="for disk in vda vdb vdc; do md5sum < /dev/$disk; done\n"
            "cat /sys/block/vda/ro\n"
            "for disk in vdb vdc; do printf changed | dd of=/dev/$disk bs=512 seek=7 conv=notrunc 2>/dev/null; done\n"
            "sync; echo 3 > /proc/sys/vm/drop_caches\n"
            "for disk in vdb vdc; do dd if=/dev/$disk bs=512 skip=7 count=1 2>/dev/null | head -c 7; echo; done\n"
            + NETWORK
            + f"echo loud | nc 10.0.2.2 {port}\n",
        )
    md5 = hashlib.md5(content).hexdigest()
    assert console(result) == [f"{md5}  -"] * 3 + ["1", "changed", "changed", "addr:10.0.2.15", "LOUD"]
    assert (tmp_path / "ro.img").read_bytes() == content
    assert (tmp_path / "overlay.img").read_bytes() == content
    changed = content[: 7 * 512] + b"changed" + bytes(505) + content[8 * 512 :]
    written = (tmp_path / "rw.img").read_bytes()
    assert written[: 7 * 512 + 7] == changed[: 7 * 512 + 7]
    assert written[8 * 512 :] == content[8 * 512 :]
    assert (tmp_path / "link.pcap").read_bytes()[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")


def full_kernel() -> CachedKernel:
    kernel = next((k for k in KERNELS if k.flavour == "full" and k.modules is not None), None)
    if kernel is None:
        pytest.skip("9p needs a full kernel with modules: ccabridge fetch-kernel --flavour full --modules")
    return kernel


def test_linux__9p_folder_in_both_directions(tmp_path: Path) -> None:
    kernel = full_kernel()
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "from-host").write_text("host\n")
    result = boot(
        tmp_path,
        kernel=str(kernel.image),
        shares=[{"folder": str(folder), "tag": "work", "writable": True}],
        memory="512M",
        busybox=cached_busybox() is not None,
        script="cat /mnt/work/from-host"
        + ("; echo realm > /mnt/work/from-realm; sync" if cached_busybox() is not None else ""),
    )
    assert console(result) == ["host"]
    if cached_busybox() is not None:
        assert (folder / "from-realm").read_text() == "realm\n"


# Ends


@needs_busybox
def test_linux__system_reset_ends_the_run_by_name(tmp_path: Path) -> None:
    result = boot(tmp_path, "--trace=psci_system*", busybox=True, script="reboot -f")
    assert "PSCI_SYSTEM_RESET" in result.out
    assert result.lines[-1].startswith("ccabridge: guest-exit 1: realm `linux` asks for a reset")
    assert result.lines[-1].endswith("before its script has ended")


@pytest.mark.parametrize(
    ("cmdline", "end"),
    [
        ("", "guest-exit 1: realm `linux` asks for a reset: a realm cannot be reset before its script has ended"),
        ("panic=0", "timeout 124: the limit of virtual time or instructions (limits:) is reached"),
    ],
)
def test_linux__that_panics_before_its_console_works_gets_a_hint(tmp_path: Path, cmdline: str, end: str) -> None:
    """Enough memory for the images, not for what Linux does with them: said before it starts, and at the end."""
    result = boot(tmp_path, "-s", "limits.time=300ms", memory="56M", script="echo", cmdline=cmdline)
    small = re.escape("56M of RAM may be too little for this kernel: give -m ") + r"\d+M or more"
    assert re.fullmatch(f"ccabridge: {small}", result.lines[0])
    hint = "; it has printed nothing: -p earlycon=uart,mmio,0x101000000 shows why, and "
    assert re.fullmatch(re.escape(f"ccabridge: {end}{hint}") + small, result.lines[-1])


def test_linux__stuck_guest_is_named(tmp_path: Path) -> None:
    """World, EL, PC with the kernel's own symbol, the last exits."""
    result = boot(tmp_path, "-s", "limits.time=400ms", script="echo")
    assert result.code == 124
    assert re.search(r"^  in: rec 0 of realm 0x[0-9a-f]+, EL[01]$", result.out, re.M)
    assert re.search(r"^  PC: 0x[0-9a-f]+ <[A-Za-z_][\w.]*(\+0x[0-9a-f]+)?>", result.out, re.M), result.out[-2000:]
    assert re.search(r"^  last exits:\n    vCPU 0: (SYNC ESR=0x|IRQ)", result.out, re.M)


# The matrix


@matrix
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: str(kernel.release))
@pytest.mark.parametrize(("vcpus", "memory"), [(1, "128M"), (2, "512M"), (4, "2G")])
def test_linux_matrix__boots(tmp_path: Path, kernel: CachedKernel, vcpus: int, memory: str) -> None:
    result = boot(
        tmp_path,
        kernel=str(kernel.image),
        vcpus=vcpus,
        memory=memory,
        cmdline="console=ttyS0 loglevel=7" + (" cma=0 swiotlb=2048" if memory == "128M" else ""),
        script="cat /sys/devices/system/cpu/online",
    )
    assert ("0" if vcpus == 1 else f"0-{vcpus - 1}") in console(result)
    assert "RME: Using RSI version 1.0" in result.out
    assert result.code == 0
