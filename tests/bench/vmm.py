# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python VMM and Linux: seconds of processor time, of a process or of a stretch of this one, and exits a second.

Processor time, since other work on the machine must not count; a single thread does all of it.
"""

from __future__ import annotations

import os
import resource
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from machine.bus import Bus
from machine.config import load
from machine.end import GUEST_EXIT, End
from machine.machine import Machine
from machine.vmm.linux.cache import cached_kernels
from machine.vmm.linux.layout import GICD
from machine.vmm.pool import Pool
from machine.vmm.realm import Vmm
from machine.vmm.run import Runner
from machine.vmm.vcpu import mpidr_of
from machine.vmm.vgic import VGic

KERNEL = "7.2"
MIB = 1 << 20
RAM = 0x8000_0000
PORT = 0x100_0000
KERNEL_BYTES = 39 * MIB
READS = 100_000
FIRST_OUTPUT = b"ccabridge-init:"
QUIET = "console=ttyS0 quiet"
FULL = "console=ttyS0 earlycon=uart,mmio,0x101000000"

# loop: ldr w3, [x1] ; subs x2, x2, #1 ; b.ne loop ; mov w0, #8 ; movk w0, #0x8400, lsl #16 ; smc #0 (SYSTEM_OFF)
READ_LOOP = (0xB9400023, 0xF1000442, 0x54FFFFC1, 0x52800100, 0x72B08000, 0xD4000003)


class Port:
    """A register that reads as a constant: what is measured is the way to it."""

    size = 0x1000

    def __init__(self) -> None:
        self.reads = 0

    def read(self, offset: int, size: int) -> int:
        self.reads += 1
        return 0x5A

    def write(self, offset: int, size: int, value: int) -> None:
        raise AssertionError("the loop only reads")


def _machine() -> tuple[Machine, Vmm]:
    machine = Machine(load("hello-realm", ["boot.host=vmm"]), lambda _text: None)
    pool = machine.config.boot.pool
    assert pool is not None
    return machine, Vmm(machine, Pool(pool.base, pool.size))


def mmio(repeats: int) -> float:
    """Loads in the shared half that the host emulates, a second: realm, RMM, host with its GIC, RMM, realm."""
    rates = []
    for _ in range(repeats):
        machine, vmm = _machine()
        vmm.configure(memory=4 * MIB)
        vmm.create()
        vmm.init_ripas(RAM, 4 * MIB)
        vmm.populate(RAM, 4096, struct.pack(f"<{len(READ_LOOP)}I", *READ_LOOP))
        vcpu = vmm.add_vcpu()
        vcpu.set_pc(RAM)
        vcpu.set_register(1, PORT | vmm.options.shared_bit)
        vcpu.set_register(2, READS)
        vmm.finalize(vcpu)
        vmm.activate()
        port, bus = Port(), Bus()
        gic = VGic([mpidr_of(0)], spis=64, lrs=vmm.features.gicv3_num_lrs + 1)
        bus.attach(PORT, port)
        bus.attach(GICD.base, gic.distributor)
        start = time.process_time()
        try:
            Runner(machine, vmm, devices=bus, interrupts=gic, console=lambda _text: None).run()
        except End as end:
            assert end.kind == GUEST_EXIT, end.reason
        took = time.process_time() - start
        assert port.reads == READS
        rates.append(READS / took)
        machine.close()
    return statistics.median(rates)


def populate(repeats: int) -> float:
    """Seconds for the content of a kernel, measured into the RIM."""
    times = []
    content = os.urandom(MIB) * (KERNEL_BYTES // MIB)
    for _ in range(repeats):
        machine, vmm = _machine()
        vmm.configure(memory=64 * MIB)
        vmm.create()
        vmm.init_ripas(RAM, 64 * MIB)
        start = time.process_time()
        vmm.populate(RAM, KERNEL_BYTES, content)
        times.append(time.process_time() - start)
        machine.close()
    return statistics.median(times)


def kernel() -> Path | None:
    """The cached cloud kernel that the figures are for, the newest of them."""
    fit = (k.image for k in cached_kernels() if k.flavour == "cloud" and k.release.startswith(f"{KERNEL}."))
    return next(fit, None)


def linux(image: Path, command_line: str, words: Sequence[str] = ()) -> float:
    """Processor seconds from process start to the first line of init; words: more arguments."""
    settings = (f"vmm.kernel={image}", "vmm.script=echo ready", f"vmm.cmdline={command_line}")
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from bridge.cli import main; sys.exit(main())",
            *("run", "linux-realm"),
            *(part for setting in settings for part in ("-s", setting)),
            *words,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if FIRST_OUTPUT in line:
                process.kill()
                break
        else:
            raise SystemExit("bench: Linux said nothing")
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime


def rows(repeats: int) -> Iterator[tuple[str, str, str, str]]:
    """(what, measured, result, at most or at least)."""
    yield "MMIO round trips of a realm", f"{READS} loads", f"{mmio(repeats):,.0f}/s", "50,000/s"
    yield "populate and measure 39 MB", "DATA_CREATE, SHA-256", f"{populate(repeats):.2f} s", "1.00 s"
    image = kernel()
    for what, command_line, most in (("Linux quiet", QUIET, "5.0 s"), ("Linux full console", FULL, "8.0 s")):
        if image is None:
            yield what, f"no {KERNEL} cloud kernel cached", "skipped", most
        else:
            took = statistics.median(linux(image, command_line) for _ in range(repeats))
            yield what, image.parent.name, f"{took:.2f} s", most
