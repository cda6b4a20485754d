# SPDX-License-Identifier: GPL-2.0-or-later
"""The firmware images of the project and what each is made of."""

from __future__ import annotations

from dataclasses import dataclass

VMM_PARTS = "behaviour granule hostcall lock pages realm rtt run status timers"
VMM = tuple(f"vmm/{name}.c" for name in VMM_PARTS.split())

HOST = ("host/main.c", "vmm/pes.c", "stage1/stage1.c", *VMM)

HOST_LINUX = (
    *(f"host-linux/{name}.c" for name in ("main", "exits", "uart", "vgic")),
    "irqs/gic.c",
    *(f"vmm/{name}.c" for name in ("behaviour", "granule", "hostcall", "lock", "pages", "realm", "rtt", "status")),
)

IRQS = (
    *("irqs/main.c", "irqs/gic.c", "stage1/stage1.c"),
    *(f"vmm/{name}.c" for name in ("granule", "lock", "pes", "status")),
)

CONFORMANCE_TABLES = "interface granules realms tables data ripas shared recs run change psci off"
CONFORMANCE = tuple(f"conformance/{name}.c" for name in ("main", "world", *CONFORMANCE_TABLES.split()))

PROBES = ("attacker/probe.c", "attacker/probes.S", "attacker/window.c", "stage1/stage1.c")

BENCH = ("bench/loops.S", "bench/realm.c")


@dataclass(frozen=True, slots=True)
class Firmware:
    """An image.  kind: `host` (NS-EL2), `realm` (R-EL1) or `secure` (S-EL1), `image` (R-EL1, an ELF with the header of
    an arm64 Image, as vmlinux has it), or `linux` (a static program).

    sources: relative to this folder, besides the SDK's, which a `linux` program does not have.
    """

    name: str
    kind: str
    sources: tuple[str, ...]
    doc: str


IMAGES = (
    Firmware("host", "host", HOST, "builds, runs and destroys the realms of the machine file"),
    Firmware("host-smp", "host", ("host/smp.c", *HOST), "the same, after its PEs have counted together"),
    Firmware("host-linux", "host", HOST_LINUX, "runs one realm with Linux: its GICv3, its 16550, its pages"),
    Firmware(
        "attacker",
        "host",
        (
            *("attacker/main.c", "attacker/host_window.c", "attacker/secure_side.c"),
            *PROBES,
            "secure/client.c",
            *VMM,
        ),
        "tries every way into memory that is not the Normal world's",
    ),
    Firmware(
        "secure-host",
        "host",
        ("secure/host.c", "secure/client.c", *VMM),
        "finds the service of the Secure world by FF-A and makes each of its requests",
    ),
    Firmware(
        "secure-irqs",
        "host",
        ("secure/irqs.c", "secure/client.c", "irqs/gic.c", *VMM),
        "sees the Secure world's interrupts come while it runs, and while a realm does",
    ),
    Firmware(
        "service",
        "secure",
        ("secure/service.c", *PROBES),
        "answers direct requests, takes granules, probes other worlds",
    ),
    Firmware("conformance", "host", (*CONFORMANCE, *VMM), "makes each RMI command in every way that can fail"),
    Firmware("irqs", "host", IRQS, "takes SGIs, timers' PPIs and an SPI on every PE"),
    Firmware(
        "guest",
        "host",
        ("guest/main.c", "guest/stage2.c", "vmm/granule.c", "vmm/status.c"),
        "runs a guest at EL1 behind a stage 2 of its own",
    ),
    Firmware("guest-el1", "realm", ("guest/el1.c", "stage1/stage1.c"), "that guest"),
    Firmware("puppet", "realm", ("conformance/puppet.c",), "does what the conformance host tells it to"),
    Firmware("hello", "realm", ("payloads/hello.c",), "says hello by RSI_HOST_CALL"),
    Firmware("rsi-tour", "realm", ("payloads/rsi-tour.c",), "makes every RSI call"),
    Firmware("token", "realm", ("payloads/token.c",), "prints its attestation token"),
    Firmware("ripas", "realm", ("payloads/ripas.c",), "takes pages from RAM to EMPTY, shared, and back"),
    Firmware("destroyed", "realm", ("payloads/destroyed.c",), "recovers RAM that the host destroyed"),
    Firmware("faults", "realm", ("payloads/faults.c", "stage1/stage1.c"), "meets every kind of exception"),
    Firmware("sve", "realm", ("payloads/sve.c",), "measures its vectors, and adds with them"),
    Firmware("pmu", "realm", ("payloads/pmu.c",), "counts its cycles and instructions, to an overflow"),
    Firmware("awkward", "realm", ("payloads/awkward.c",), "meets a host that is not kind to it"),
    Firmware("smp", "realm", ("payloads/smp.c", "stage1/stage1.c"), "counts with four RECs"),
    Firmware("power", "realm", ("payloads/power.c", "stage1/stage1.c"), "turns RECs on and off, and lets them sleep"),
    Firmware(
        "mini-linux",
        "image",
        (
            *(f"payloads/mini-linux/{name}" for name in ("head.S", "main.c", "board.c", "virtio.c")),
            "stage1/stage1.c",
        ),
        "asks of its host what a Linux realm does",
    ),
    Firmware("victim", "realm", ("payloads/victim.c",), "the attacker's prey"),
    Firmware("devices", "realm", ("payloads/devices.c",), "meets the devices that a host gives to Linux"),
    Firmware("loader", "realm", ("payloads/loader.c",), "makes all memory RAM, and starts a kernel"),
    Firmware("bench-int", "realm", ("bench/int.c", *BENCH), "integer loop"),
    Firmware("bench-mem", "realm", ("bench/mem.c", *BENCH), "64 KB load and store loop"),
    Firmware("bench-hostcall", "realm", ("bench/hostcall.c", *BENCH), "host call round trips"),
    Firmware("bench-rmi", "host", ("bench/rmi.c",), "RMI round trips"),
)

PROGRAMS = (
    Firmware(
        "linux-init",
        "linux",
        (
            *(f"linux-init/{name}" for name in ("start.S", "main.c", "shell.c", "commands.c", "text.c")),
            "sdk/runtime/mem.c",
        ),
        "the first process of a Linux realm",
    ),
)
