# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine file, declared once: the checks, the JSON schema and docs/machine-file.md derive from this."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from .scalars import Address, Duration, Size

Name = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")]

ShortText = Annotated[str, Meta(min_length=1, max_length=128)]
Digest = Annotated[str, Meta(pattern=r"^([0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$")]
ImplementationId = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
InstanceId = Annotated[str, Meta(pattern=r"^01[0-9a-f]{64}$")]

# Mappings whose keys are names that the user makes up.
NAMED = ("memory", "devices", "load")


class _Block(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A mapping of the machine file: unknown keys are errors."""


class CpuFeatures(_Block, frozen=True):
    """What the ID registers of every PE offer; anything not named here is hidden when the engine lacks it."""

    pauth: Annotated[bool, Meta(description="Pointer authentication (FEAT_PAuth, QARMA5). Halves the speed.")] = False
    sve: Annotated[bool, Meta(description="Scalable vectors (FEAT_SVE).")] = False
    hafdbs: Annotated[
        Literal["none", "af", "dirty"],
        Meta(description="Hardware access flag (`af`) and dirty state (`dirty`) in stage 1 (FEAT_HAFDBS)."),
    ] = "none"
    rndr: Annotated[bool, Meta(description="RNDR and RNDRRS (FEAT_RNG), from the seeded source.")] = True
    lse: Annotated[bool, Meta(description="Atomic instructions (FEAT_LSE).")] = True
    pan: Annotated[bool, Meta(description="Privileged access never (FEAT_PAN).")] = True
    crypto: Annotated[bool, Meta(description="AES, PMULL, SHA-1, SHA-256, SHA-512, SHA-3 instructions.")] = True
    fp16: Annotated[bool, Meta(description="Half-precision arithmetic (FEAT_FP16).")] = True
    pmu: Annotated[
        bool,
        Meta(description="PMU (FEAT_PMUv3p7) with `rmm.features.pmu_counters`; a cycle is an instruction."),
    ] = False


class Cpu(_Block, frozen=True):
    """The PEs of the machine."""

    count: Annotated[int, Meta(ge=1, le=8, description="PEs.")] = 1
    quantum: Annotated[
        int,
        Meta(ge=100, le=1_000_000_000, description="Instructions that a PE runs before the next one has its turn."),
    ] = 20_000
    pa_bits: Annotated[
        Literal[32, 36, 40, 42, 44, 48, 52], Meta(description="Implemented physical address size in bits.")
    ] = 48
    seed: Annotated[Address, Meta(description="Seed of RNDR and of every other random source of the machine.")] = field(
        default_factory=partial(Address, 1)
    )
    mpidr: Annotated[
        list[Address],
        Meta(description="MPIDR_EL1 affinity of each PE; by default Aff0 counts them.", max_length=8),
    ] = []
    features: CpuFeatures = field(default_factory=CpuFeatures)

    @property
    def affinities(self) -> list[int]:
        """MPIDR_EL1 affinity fields of each PE."""
        return [int(value) for value in self.mpidr] or list(range(self.count))


class Clock(_Block, frozen=True):
    """Time. Virtual time is retired instructions, so that equal inputs give equal runs."""

    mode: Annotated[Literal["virtual"], Meta(description="`virtual`: time passes with retired instructions.")] = (
        "virtual"
    )
    cntfrq: Annotated[
        int, Meta(ge=1, le=4_000_000_000, description="CNTFRQ_EL0: counter ticks in a virtual second.")
    ] = 1_000_000_000
    rate: Annotated[
        int, Meta(ge=1_000, le=1_000_000_000_000, description="Instructions retired in a virtual second.")
    ] = 1_000_000_000


class Region(_Block, frozen=True):
    """A stretch of RAM."""

    base: Annotated[Address, Meta(description="Physical address, a multiple of 4K.")]
    size: Annotated[Size, Meta(description="Bytes, a multiple of 4K.")]
    pas: Annotated[
        Literal["non-secure", "secure", "realm", "root"],
        Meta(description="Physical address space that the GPT assigns it to at boot."),
    ] = "non-secure"
    retain: Annotated[bool, Meta(description="Keeps its content over a reset of the machine.")] = False
    fill: Annotated[int, Meta(ge=0, le=255, description="Byte that it holds at power-on.")] = 0


class Range(_Block, frozen=True):
    """A range of physical addresses."""

    base: Annotated[Address, Meta(description="Address, a multiple of 4K.")]
    size: Annotated[Size, Meta(description="Bytes, a multiple of 4K.")]


class Gpt(_Block, frozen=True):
    """Granule protection table (rmm-abi.md §13.6)."""

    region: Annotated[str, Meta(description="Memory region (PAS root) that holds the tables.")] = "root"
    pps: Annotated[
        Literal[32, 36, 40, 42, 44, 48, 52],
        Meta(description="Protected physical address size in bits (GPCCR_EL3.PPS)."),
    ] = 40
    l0gptsz: Annotated[
        Literal["1G", "16G", "64G", "512G"],
        Meta(description="Memory under one level 0 entry (GPCCR_EL3.L0GPTSZ)."),
    ] = "1G"
    pgs: Annotated[Literal["4K"], Meta(description="Granule size (GPCCR_EL3.PGS). The RMM's granule is 4K.")] = "4K"
    open: Annotated[
        list[Range],
        Meta(
            description="Addresses that all worlds may reach where the file declares nothing, as TF-A leaves those of "
            "a board's peripherals: an access to nothing is an external abort there, and a granule protection fault "
            "elsewhere.",
            max_length=16,
        ),
    ] = []

    @property
    def l0_bits(self) -> int:
        """log2 of the bytes under one level 0 entry."""
        return {"1G": 30, "16G": 34, "64G": 36, "512G": 39}[self.l0gptsz]


Intid = Annotated[
    int | None, Meta(description="Interrupt number as the GIC counts: 32 to 1019 for a shared interrupt (SPI + 32).")
]
Pas = Annotated[
    Literal["non-secure", "secure", "realm", "root", "any"],
    Meta(description="Physical address space that it answers in (the GPI of its granules)."),
]
Hertz = Annotated[int, Meta(ge=1, le=10_000_000_000, description="Frequency of its clock in Hz.")]


class _Device(_Block, frozen=True, kw_only=True, tag_field="type"):
    """What all devices have."""

    base: Annotated[Address, Meta(description="Physical address, a multiple of 4K.")]
    pas: Pas = "non-secure"


class _Page(_Device, frozen=True):
    """A device whose registers fit into a page."""

    @property
    def size(self) -> int:
        return 4096


ConsoleText = Annotated[
    str,
    Meta(
        description="Where its output goes: the label of its lines on standard output (`NS`, `realm 0`, …), "
        "`file:PATH`, `tcp:ADDRESS:PORT` or `unix:PATH` (the machine listens, and drops output while nobody is "
        "connected; with `,wait` behind it the machine waits for someone before it starts), or `none`.",
        min_length=1,
        max_length=4096,
    ),
]
InputText = Annotated[
    str,
    Meta(
        description="Where its input comes from: `none`, `stdin` or `file:PATH`. A socket is always read as well. "
        "Input from `stdin` or a socket makes a run unrepeatable.",
        min_length=1,
        max_length=4096,
    ),
]


class Pl011(_Page, frozen=True, kw_only=True, tag="pl011"):
    """Arm PrimeCell UART (PL011), one 4K page."""

    interrupt: Intid = None
    clock: Hertz = 24_000_000
    console: ConsoleText = "NS"
    input: InputText = "none"


class Ns16550(_Page, frozen=True, kw_only=True, tag="ns16550"):
    """16550 UART, as kvmtool offers it, with 8-bit registers."""

    interrupt: Intid = None
    clock: Hertz = 1_843_200
    reg_shift: Annotated[
        int, Meta(ge=0, le=3, description="Registers are 2^reg_shift bytes apart (`reg-shift` of a device tree).")
    ] = 0
    console: ConsoleText = "NS"
    input: InputText = "none"


class Sp805(_Page, frozen=True, kw_only=True, tag="sp805"):
    """Arm watchdog SP805: an interrupt, then a reset of the machine."""

    interrupt: Intid = None
    clock: Hertz = 32_768


class Sp804(_Page, frozen=True, kw_only=True, tag="sp804"):
    """Arm dual timer SP804, with one combined interrupt."""

    interrupt: Intid = None
    clock: Hertz = 1_000_000


class Sp810(_Page, frozen=True, kw_only=True, tag="sp810"):
    """Arm system controller SP810, which selects clocks."""


class Pl031(_Page, frozen=True, kw_only=True, tag="pl031"):
    """Arm real time clock PL031, on virtual time."""

    interrupt: Intid = None
    epoch: Annotated[
        int, Meta(ge=0, le=0xFFFF_FFFF, description="What it shows at power-on: seconds since 1970, UTC.")
    ] = 1_767_225_600


class SbsaWatchdog(_Page, frozen=True, kw_only=True, tag="sbsa-watchdog"):
    """Generic watchdog of the Base System Architecture: WS0 is an interrupt, WS1 resets the machine."""

    refresh: Annotated[Address, Meta(description="Physical address of the refresh frame; `base` is the control frame.")]
    interrupt: Intid = None


class TimerFrame(_Block, frozen=True):
    """One CNTBaseN frame."""

    base: Annotated[Address, Meta(description="Physical address, a multiple of 4K.")]
    interrupt: Annotated[int | None, Meta(description="Interrupt of the physical timer.")] = None
    virtual_interrupt: Annotated[int | None, Meta(description="Interrupt of the virtual timer.")] = None
    pas: Pas = "non-secure"


class TimerFrames(_Page, frozen=True, kw_only=True, tag="timer-frames"):
    """Memory-mapped generic timer: CNTCTLBase at `base`, and its frames."""

    frames: Annotated[list[TimerFrame], Meta(description="CNTBase0 and on, in order.", min_length=1, max_length=8)]


class SystemCounter(_Page, frozen=True, kw_only=True, tag="system-counter"):
    """The system counter's own frames: CNTControlBase at `base`. Its frequency is `clock.cntfrq`."""

    read: Annotated[Address | None, Meta(description="Physical address of CNTReadBase.")] = None


class FvpPower(_Page, frozen=True, kw_only=True, tag="fvp-power"):
    """Power controller of Arm's Base FVP."""


class FvpSysregs(_Page, frozen=True, kw_only=True, tag="fvp-sysregs"):
    """System registers of the Versatile Express motherboard, as Arm's Base FVP has them."""

    id: Annotated[Address, Meta(description="What SYS_ID reads.")] = field(
        default_factory=partial(Address, 0x2020_1100)
    )


class Gicv3(_Device, frozen=True, kw_only=True, tag="gicv3"):
    """Interrupt controller GICv3 (IHI 0069): the distributor at `base`, and a redistributor for each PE.

    The number of list registers is `rmm.features.list_registers`.
    """

    redistributors: Annotated[Address, Meta(description="Physical address of the first redistributor.")]
    stride: Annotated[
        Size, Meta(description="From one redistributor to the next: RD_base and SGI_base, 128K, or more.")
    ] = field(default_factory=partial(Size, 0x2_0000))
    spis: Annotated[
        int, Meta(ge=32, le=988, description="Shared interrupts: a multiple of 32, or 988 for all there can be.")
    ] = 256
    pas: Pas = "any"

    @property
    def size(self) -> int:
        return 0x1_0000


Save = Annotated[
    bool, Meta(description="Write the content back to `file` when the run has ended; the file need not exist before.")
]
Backing = Annotated[
    str | None,
    Meta(description="File that holds its content at power-on, relative to this file."),
]


class Nvm(_Device, frozen=True, tag="nvm", kw_only=True):
    """Non-volatile memory: RAM that keeps its content over a reset."""

    size: Annotated[Size, Meta(description="Bytes, a multiple of 4K.")]
    fill: Annotated[int, Meta(ge=0, le=255, description="Byte that it holds when it is new.")] = 0xFF
    retain: Annotated[bool, Meta(description="Keeps its content over a reset of the machine.")] = True
    file: Backing = None
    save: Save = False


class Flash(_Device, frozen=True, tag="flash", kw_only=True):
    """NOR flash (CFI, Intel command set): two 16-bit chips side by side, blocks of 256K. It is read and programmed,
    not executed from."""

    size: Annotated[Size, Meta(description="Bytes: 256K times a power of 2.")]
    file: Backing = None
    save: Save = False


Uart = Pl011 | Ns16550
Device = (
    Pl011
    | Ns16550
    | Sp805
    | Sp804
    | Sp810
    | Pl031
    | SbsaWatchdog
    | TimerFrames
    | SystemCounter
    | FvpPower
    | FvpSysregs
    | Gicv3
    | Nvm
    | Flash
)


class Load(_Block, frozen=True):
    """A file placed in memory before the machine starts."""

    file: Annotated[
        str,
        Meta(
            description="ELF, arm64 `Image` or raw binary: a path relative to this file, or `firmware:NAME`.",
            min_length=1,
            max_length=4096,
        ),
    ]
    at: Annotated[
        Address | None,
        Meta(description="Physical address. An ELF is placed at its own addresses and takes none."),
    ] = None
    world: Annotated[Literal["normal", "secure"], Meta(description="World whose memory it is loaded into.")] = "normal"


Register = Annotated[str, Meta(pattern=r"^x([0-9]|[12][0-9]|30)$")]


class Boot(_Block, frozen=True):
    """How the first PE starts."""

    host: Annotated[
        Literal["firmware", "vmm"],
        Meta(
            description="Who builds and runs the realms: aarch64 `firmware` at NS-EL2, or the Python `vmm` in KVM's "
            "and kvmtool's role (docs/vmm.md)."
        ),
    ] = "firmware"
    world: Annotated[Literal["normal", "secure"], Meta(description="World that PE 0 starts in.")] = "normal"
    el: Annotated[Literal[1, 2], Meta(description="Exception level that it starts at, MMU off.")] = 2
    entry: Annotated[
        int | str | None,
        Meta(
            description="First instruction: an address, `NAME` (entry point of that load) or `NAME:SYMBOL`. "
            "By default the entry point of the one ELF loaded for the boot world."
        ),
    ] = None
    registers: Annotated[
        dict[Register, Address], Meta(description="General registers at entry, `x0` to `x30`; others are 0.")
    ] = {}
    info: Annotated[
        Address | None,
        Meta(description="Where the machine writes the host information block (docs/payload.md); passed in X0."),
    ] = None
    pool: Annotated[
        Range | None, Meta(description="Memory that the host may hand out: granules for realms, RTTs, RECs.")
    ] = None
    stage: Annotated[
        Address | None, Meta(description="Where the machine leaves the realm images for the host to take.")
    ] = None


class Secure(_Block, frozen=True):
    """The Secure world: one service at S-EL1, which the monitor offers to the Normal world by FF-A 1.1.

    It runs before the Normal world, until FFA_MSG_WAIT (docs/secure-world.md).
    """

    entry: Annotated[
        int | str | None,
        Meta(
            description="First instruction, MMU off: an address, `NAME` (entry point of that load) or `NAME:SYMBOL`. "
            "By default the entry point of the one ELF loaded for the secure world."
        ),
    ] = None
    uuid: Annotated[
        str,
        Meta(
            description="UUID of the service, by which FFA_PARTITION_INFO_GET finds it.",
            pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        ),
    ] = "cca5ec0e-0001-4000-8000-000000000001"


def personalization(text: str) -> bytes:
    """A realm personalization value, padded to 64 bytes; ValueError when it does not fit."""
    try:
        value = bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()
    except UnicodeEncodeError:
        raise ValueError("expected UTF-8, or `hex:` and pairs of hexadecimal digits") from None
    except ValueError:
        raise ValueError("expected pairs of hexadecimal digits after `hex:`") from None
    if len(value) > 64:
        raise ValueError(f"{len(value)} bytes, a realm personalization value has 64")
    return value.ljust(64, b"\0")


class Disk(_Block, frozen=True):
    """A virtio block device."""

    file: Annotated[str, Meta(description="Raw image: a path relative to this file.", min_length=1, max_length=4096)]
    mode: Annotated[
        Literal["overlay", "ro", "rw"],
        Meta(description="Writes: kept in memory until the machine ends, refused, or made to the file."),
    ] = "overlay"


class Share(_Block, frozen=True):
    """A folder of the host's, for the realm to mount by 9p."""

    folder: Annotated[str, Meta(description="A path relative to this file.", min_length=1, max_length=4096)]
    tag: Annotated[str, Meta(description="mount_tag.", pattern=r"^[!-~]{1,127}$")]
    writable: Annotated[bool, Meta(description="The realm may change what is in it.")] = False


class Net(_Block, frozen=True):
    """A virtio network device: DHCP, DNS, and connections to the host's loopback, without any privileges."""

    capture: Annotated[str | None, Meta(description="Packets go to this file (pcap).")] = None


class Vmm(_Block, frozen=True):
    """A realm with Linux for the Python VMM, laid out as kvmtool does (docs/linux.md)."""

    kernel: Annotated[
        str | None,
        Meta(
            description="Image, Image.gz, zboot or vmlinux: a path relative to this file. By default what was fetched."
        ),
    ] = None
    initrd: Annotated[
        str | None, Meta(description="A path relative to this file. By default the project's initramfs.")
    ] = None
    script: Annotated[
        str | None, Meta(description="What the project's initramfs runs; without it, an interactive shell.")
    ] = None
    busybox: Annotated[bool, Meta(description="The initramfs has the busybox that was fetched.")] = False
    modules: Annotated[list[str], Meta(description="Kernel modules that the initramfs loads.", max_length=64)] = []
    cmdline: Annotated[
        str | None,
        Meta(
            description="Kernel command line, after the defaults that it has no word for: console, panic, swiotlb, cma."
        ),
    ] = None
    dtb: Annotated[
        str | None, Meta(description="Device tree: a path relative to this file. By default one is made.")
    ] = None
    symbols: Annotated[
        str | None,
        Meta(description="System.map or vmlinux that names addresses: a relative path. By default the kernel's own."),
    ] = None
    dump_dtb: Annotated[
        str | None, Meta(description="The device tree that the realm is started with goes to this file.")
    ] = None
    memory: Annotated[Size, Meta(description="RAM of the realm, at IPA 0x8000_0000.")] = field(
        default_factory=partial(Size, 256 << 20)
    )
    vcpus: Annotated[int, Meta(ge=1, le=8, description="vCPUs.")] = 1
    console: Annotated[
        Literal["serial", "virtio", "pl011"],
        Meta(description="`serial`: a 16550; `virtio`: hvc0; `pl011`."),
    ] = "serial"
    hash: Annotated[Literal["sha256", "sha512"], Meta(description="Hash algorithm of the measurements.")] = "sha256"
    personalization: Annotated[
        str, Meta(description="Realm personalization value: text, or `hex:…`; at most 64 bytes, padded with zeros.")
    ] = ""
    sve: Annotated[int, Meta(ge=0, le=2048, multiple_of=128, description="SVE vector length in bits; 0 for none.")] = 0
    pmu: Annotated[
        Annotated[int, Meta(ge=0, le=31)] | Literal["all"] | None,
        Meta(description="PMU event counters; `all` that the RMM offers; without it no PMU."),
    ] = None
    disks: Annotated[list[Disk], Meta(description="Disks: vda, vdb, …", max_length=16)] = []
    shares: Annotated[list[Share], Meta(description="Folders.", max_length=8)] = []
    net: Annotated[Net | None, Meta(description="A network device.")] = None
    rng: Annotated[bool, Meta(description="A virtio entropy device, from the machine's seed.")] = True

    @property
    def rpv(self) -> bytes:
        """The 64 bytes of RmiRealmParams.rpv; ValueError when `personalization` does not fit."""
        return personalization(self.personalization)


class Linux(_Block, frozen=True):
    """What the Linux of a realm is started with, for the host firmware `host-linux` (docs/linux.md)."""

    kernel: Annotated[
        str | None,
        Meta(
            description="Where `image` is a boot loader, the kernel that it starts: a path relative to this file, "
            "or `kernel:fetched`."
        ),
    ] = None
    initrd: Annotated[
        str | None, Meta(description="A path relative to this file; by default the project's initramfs.")
    ] = None
    script: Annotated[
        str | None, Meta(description="What the project's initramfs runs; there is no input for a shell.")
    ] = None
    cmdline: Annotated[str | None, Meta(description="Kernel command line; by default `console=ttyS0`.")] = None
    dtb: Annotated[
        str | None, Meta(description="Device tree: a path relative to this file; by default one is made.")
    ] = None
    measure: Annotated[
        bool,
        Meta(description="The realm's initial measurement covers device tree, initrd, and what a boot loader starts."),
    ] = True


class Realm(_Block, frozen=True):
    """A realm for the host to build. The host firmware reads this from the host information block."""

    name: Annotated[str, Meta(description="Name in traces and consoles.", pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,30}$")]
    image: Annotated[
        str,
        Meta(
            description="ELF, arm64 `Image` or raw binary: a path relative to this file, or `firmware:NAME`. With "
            "`linux`: Image, Image.gz or zboot, `kernel:fetched` for the one fetched, or the ELF of a boot loader.",
            min_length=1,
            max_length=4096,
        ),
    ]
    at: Annotated[
        Address | None,
        Meta(description="IPA that a raw binary or `Image` is loaded at; by default the base of `ram`."),
    ] = None
    ram: Annotated[Range, Meta(description="Protected RAM of the realm, in IPA.")] = field(
        default_factory=partial(Range, Address(0x8000_0000), Size(16 << 20))
    )
    ipa_bits: Annotated[int, Meta(ge=32, le=52, description="IPA width; the upper half is unprotected.")] = 33
    hash: Annotated[Literal["sha256", "sha512"], Meta(description="Hash algorithm of the realm's measurements.")] = (
        "sha256"
    )
    personalization: Annotated[
        str,
        Meta(description="Realm personalization value: text, or `hex:…`; at most 64 bytes, padded with zeros."),
    ] = ""
    recs: Annotated[int, Meta(ge=1, le=1023, description="RECs; the first one is runnable.")] = 1
    sve: Annotated[
        int,
        Meta(
            ge=0,
            le=2048,
            multiple_of=128,
            description="Length of an SVE vector in bits, which the host asks for; 0 for a realm without SVE. "
            "The RMM refuses more than it offers (`rmm.features.sve`, `sve_vl`).",
        ),
    ] = 0
    pmu: Annotated[
        Annotated[int, Meta(ge=0, le=31)] | None,
        Meta(
            description="PMU event counters that the host asks for; none for a realm without a PMU. "
            "The RMM refuses more than it offers (`rmm.features.pmu`, `pmu_counters`).",
        ),
    ] = None
    entry: Annotated[
        int | str | None,
        Meta(description="First instruction: an IPA or a symbol. By default the image's entry point."),
    ] = None
    linux: Annotated[
        Linux | None, Meta(description="The image is a Linux kernel, or a boot loader that starts one.")
    ] = None

    @property
    def rpv(self) -> bytes:
        """The 64 bytes of RmiRealmParams.rpv; ValueError when `personalization` does not fit."""
        return personalization(self.personalization)


class RmmFeatures(_Block, frozen=True):
    """What the RMM offers: RmiFeatureRegister0 (rmm-abi.md §2.6) and the limits behind it."""

    s2sz: Annotated[int, Meta(ge=32, le=52, description="Widest IPA space of a realm, in bits.")] = 48
    lpa2: Annotated[bool, Meta(description="52-bit addresses with 4K granules.")] = False
    sve: Annotated[bool, Meta(description="SVE for realms; needs `cpu.features.sve`.")] = False
    sve_vl: Annotated[int, Meta(ge=0, le=15, description="Longest vector: (sve_vl + 1) × 128 bits.")] = 0
    num_bps: Annotated[int, Meta(ge=1, le=15, description="NUM_BPS: breakpoints minus 1.")] = 1
    num_wps: Annotated[int, Meta(ge=1, le=15, description="NUM_WPS: watchpoints minus 1.")] = 1
    pmu: Annotated[bool, Meta(description="Performance monitors for realms; needs `cpu.features.pmu`.")] = False
    pmu_counters: Annotated[int, Meta(ge=0, le=31, description="PMU event counters of a PE.")] = 6
    sha256: Annotated[bool, Meta(description="Measurements by SHA-256.")] = True
    sha512: Annotated[bool, Meta(description="Measurements by SHA-512.")] = True
    list_registers: Annotated[int, Meta(ge=1, le=16, description="GICv3 list registers.")] = 4
    max_recs_order: Annotated[int, Meta(ge=1, le=10, description="A realm has at most 2^max_recs_order - 1 RECs.")] = 10
    vmid_bits: Annotated[Literal[8, 16], Meta(description="Width of a VMID.")] = 16
    aux_granules: Annotated[int, Meta(ge=0, le=16, description="Auxiliary granules of a REC.")] = 16


class Rmm(_Block, frozen=True):
    """The Realm Management Monitor."""

    features: RmmFeatures = field(default_factory=RmmFeatures)


class _Behaviour(_Block, frozen=True, kw_only=True, tag_field="type"):
    """What all behaviours of the host have."""

    realm: Annotated[str | None, Meta(description="Name of the realm that meets it; by default every realm.")] = None
    after: Annotated[int, Meta(ge=0, le=(1 << 32) - 1, description="Occasions that pass before the first.")] = 0
    times: Annotated[int, Meta(ge=0, le=(1 << 32) - 1, description="Occasions that it is met at; 0 for all.")] = 0


class RejectRipas(_Behaviour, frozen=True, kw_only=True, tag="reject-ripas"):
    """The host makes no RIPAS change that the realm asks for, and answers REJECT.

    Of a change to EMPTY the realm sees that it went no page far: REJECT concerns RAM only (rmm-abi.md §4.7)."""


class PartialRipas(_Behaviour, frozen=True, kw_only=True, tag="partial-ripas"):
    """The host makes the first pages of each RIPAS change only; the realm must ask again for the rest."""

    pages: Annotated[int, Meta(ge=1, le=1 << 36, description="Pages of 4K that it changes at a time.")] = 1


class DenyCpuOn(_Behaviour, frozen=True, kw_only=True, tag="deny-cpu-on"):
    """The host answers PSCI_CPU_ON by RMI_PSCI_COMPLETE with PSCI_DENIED (rmm-abi.md §3.22)."""

    rec: Annotated[int | None, Meta(description="REC that may not start; by default any.")] = None


class Evict(_Behaviour, frozen=True, kw_only=True, tag="evict"):
    """The host takes a page from the realm: destroys its DATA granule, or unmaps it when it is shared."""

    ipa: Annotated[Address, Meta(description="Page of the realm's RAM; of its shared alias in the upper half.")]
    after: Annotated[int, Meta(ge=0, le=(1 << 32) - 1, description="REC exits of the realm before the first.")] = 0
    times: Annotated[int, Meta(ge=0, le=(1 << 32) - 1, description="How often; 0: at each exit while it is there.")] = 1
    then: Annotated[
        Literal["remap", "report"],
        Meta(
            description="At the next access: `remap` supplies the page again (a DATA granule of unknown content, "
            "which does not make DESTROYED memory RAM), `report` says so and ends the realm with exit code 91."
        ),
    ] = "remap"


class InjectSea(_Behaviour, frozen=True, kw_only=True, tag="inject-sea"):
    """The host answers the realm's MMIO by a synchronous external abort (INJECT_SEA, rmm-abi.md §7.1)."""

    ipa: Annotated[Address | None, Meta(description="Page of the device, without the shared bit; any by default.")] = (
        None
    )


class IgnoreMmio(_Behaviour, frozen=True, kw_only=True, tag="ignore-mmio"):
    """The host enters the REC again without having emulated its MMIO: the access exits anew.

    A REC that does so 8 times on end, and alone, counts as stuck: its realm ends with exit code 91."""

    ipa: Annotated[Address | None, Meta(description="Page of the device, without the shared bit; any by default.")] = (
        None
    )


TimerName = Annotated[Literal["virtual", "physical", "any"], Meta(description="The realm's timer, CNTV or CNTP.")]


class DelayInterrupt(_Behaviour, frozen=True, kw_only=True, tag="delay-interrupt"):
    """The host holds a timer's interrupt back once the timer is asserted; meanwhile no WFI of the REC waits."""

    timer: TimerName = "any"
    exits: Annotated[int, Meta(ge=1, le=(1 << 32) - 1, description="Exits of the REC that it holds it back.")] = 10


class DuplicateInterrupt(_Behaviour, frozen=True, kw_only=True, tag="duplicate-interrupt"):
    """The host injects a timer's interrupt once more after the realm has ended it, with the timer quiet."""

    timer: TimerName = "any"


Behaviour = (
    RejectRipas | PartialRipas | DenyCpuOn | Evict | InjectSea | IgnoreMmio | DelayInterrupt | DuplicateInterrupt
)


class Host(_Block, frozen=True):
    """How the shipped host firmware treats its realms. It reads this from the host information block."""

    behaviour: Annotated[
        list[Behaviour],
        Meta(description="What it does that a kind host would not, to try the realms' error paths.", max_length=16),
    ] = []


class Limits(_Block, frozen=True):
    """Where a run ends at the latest (exit code 124)."""

    instructions: Annotated[
        int,
        Meta(ge=0, le=(1 << 62), description="Retired instructions of the whole machine; 0 for no limit."),
    ] = 0
    time: Annotated[Duration, Meta(description="Virtual time: `60s`, `1.5ms`; 0 for no limit.")] = field(
        default_factory=Duration
    )


TestSeed = Annotated[int, Meta(ge=0, le=15)]


class SoftwareComponent(_Block, frozen=True, kw_only=True):
    """A software component of the platform, as the platform token names it."""

    type: Annotated[str, Meta(description="What it is: `RMM`, `MONITOR`.", min_length=1, max_length=32)]
    measurement: Annotated[
        str,
        Meta(
            description="Its digest, quoted: 32, 48 or 64 bytes in hexadecimal; or `monitor` or `rmm` for the SHA-256 "
            "of the emulator's own one.",
            pattern=r"^(monitor|rmm|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$",
        ),
    ]
    version: Annotated[ShortText | None, Meta(description="By default the emulator's.")] = None
    signer: Annotated[
        Digest | None, Meta(description="Digest of its signer's key, quoted; by default the emulator's.")
    ] = None


class Platform(_Block, frozen=True, kw_only=True):
    """Who the platform is to a verifier of attestation tokens (docs/attestation.md).

    Keys that are not given are generated once for each user, and kept in `~/.local/share/ccabridge/keys`."""

    seed: Annotated[
        TestSeed | None,
        Meta(
            description="For tests: keys made from this number, the same for everybody. `ccabridge token` warns of "
            "tokens that they sign.",
        ),
    ] = None
    platform_key: Annotated[
        str | None, Meta(description="Private key that signs platform tokens: a PEM file, P-384.")
    ] = None
    realm_key: Annotated[
        str | None, Meta(description="Realm attestation key, which signs realm tokens: a PEM file, P-384.")
    ] = None
    profile: Annotated[str, Meta(description="Profile of the platform token.", min_length=1, max_length=128)] = (
        "tag:arm.com,2023:cca_platform#1.0.0"
    )
    implementation_id: Annotated[
        ImplementationId | None, Meta(description="32 bytes in hexadecimal, quoted; by default the emulator's.")
    ] = None
    instance_id: Annotated[
        InstanceId | None,
        Meta(description="UEID: 33 bytes, quoted, the first one 01; by default made from the platform's public key."),
    ] = None
    lifecycle: Annotated[
        int,
        Meta(ge=0, le=0xFFFF, description="Lifecycle state: 0x3000 to 0x30FF is secured, 0x4000 to 0x5FFF debug."),
    ] = 0x3003
    config: Annotated[
        str, Meta(description="Configuration claim, in hexadecimal, quoted.", pattern=r"^([0-9a-f]{2}){1,64}$")
    ] = "cca00001"
    verification_service: Annotated[ShortText | None, Meta(description="Where a verifier is to be found.")] = None
    components: Annotated[
        list[SoftwareComponent],
        Meta(description="By default the emulator's monitor and RMM, as measured.", max_length=16),
    ] = []


class MachineFile(_Block, frozen=True, kw_only=True):
    """A machine: PEs, memory and its physical address spaces, devices, and what runs in each world."""

    description: Annotated[str, Meta(description="One line that says what the machine is for.", max_length=1000)] = ""
    layers: Annotated[
        list[str],
        Meta(
            description="Machine files that this one builds on, the later over the earlier and this file "
            "over all: paths relative to this file, or shipped names. Mappings merge, lists are replaced, "
            "null deletes."
        ),
    ] = []
    cpu: Cpu = field(default_factory=Cpu)
    clock: Clock = field(default_factory=Clock)
    memory: Annotated[dict[Name, Region], Meta(description="RAM, by name.", min_length=1, max_length=64)]
    gpt: Gpt = field(default_factory=Gpt)
    devices: Annotated[dict[Name, Device], Meta(description="Devices, by name.", max_length=64)] = {}
    console: Annotated[
        str | None,
        Meta(
            description="The UART that is standard output, by its name in `devices`: other UARTs whose `console` is "
            "a label are not shown. On a terminal it is also the UART that the keyboard goes to (Ctrl-A x ends "
            "the machine, Ctrl-A Ctrl-A sends Ctrl-A)."
        ),
    ] = None
    load: Annotated[dict[Name, Load], Meta(description="Files placed in memory, by name.", max_length=64)] = {}
    boot: Boot = field(default_factory=Boot)
    secure: Annotated[Secure | None, Meta(description="Service of the Secure world.")] = None
    realms: Annotated[list[Realm], Meta(description="Realms for the host to build.", max_length=64)] = []
    vmm: Annotated[Vmm | None, Meta(description="Linux as a realm, under `boot.host: vmm`; instead of `realms`.")] = (
        None
    )
    host: Host = field(default_factory=Host)
    rmm: Rmm = field(default_factory=Rmm)
    limits: Limits = field(default_factory=Limits)
    platform: Platform = field(default_factory=Platform)
    semihosting: Annotated[bool, Meta(description="HLT #0xF000 calls (console, exit) of the boot world.")] = True
