# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules between the keys of a machine file: what lies where, in whose memory, and what needs what.

The first rule that is broken raises ConfigError at the line it is about.  Rules that need the content of the
files that are loaded are in images.py.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from bridge.errors import ConfigError, did_you_mean
from bridge.pas import GPI, PAS
from machine.gpt import GRANULE, bytes_needed

from .consoles import Stdin, Tcp, Unix, parse_input, parse_output
from .scalars import address_text, size_text, span_text
from .types import Boot, DenyCpuOn, Evict, Flash, Gicv3, IgnoreMmio, InjectSea, MachineFile, Ns16550, Nvm, Pl011, Realm
from .windows import windows, wires

Where = Callable[..., str]
"""`where("memory", "dram", "base")` is the `file:line:col` of that key's value."""

GIC_FRAME = 64 << 10
FLASH_BLOCK = 256 << 10
WORLD_PAS = {"normal": PAS.NON_SECURE, "secure": PAS.SECURE}


class Area(NamedTuple):
    """An occupied range of physical addresses and the key that it comes from."""

    base: int
    size: int
    name: str
    path: tuple[str | int, ...]

    @property
    def end(self) -> int:
        return self.base + self.size


def validate(machine: MachineFile, where: Where) -> None:
    """Raises ConfigError for the first broken rule."""
    areas = _areas(machine, where)
    disjoint(areas, where)
    _gpt(machine, areas, where)
    _cpu(machine, where)
    _devices(machine, where)
    _boot(machine, where)
    _secure(machine, where)
    _rmm(machine, where)
    _vmm(machine, where)
    for index, realm in enumerate(machine.realms):
        _realm(machine, realm, index, where)
    for index in range(len(machine.host.behaviour)):
        _behaviour(machine, index, where)


def gpt_ranges(machine: MachineFile) -> list[tuple[int, int, int]]:
    """(base, size, GPI) of all memory and devices: what GranuleProtectionTable takes."""
    ranges = [(int(r.base), int(r.size), int(PAS.from_text(r.pas))) for r in machine.memory.values()]
    ranges += [(int(window.base), int(window.size), int(window.gpi)) for window in windows(machine)]
    # What is declared stands over the background.
    background = [(int(area.base), int(area.size), int(GPI.ANY)) for area in machine.gpt.open]
    return background + sorted(ranges)


def _granules(base: int, size: int, path: tuple[str | int, ...], where: Where) -> None:
    if base % GRANULE:
        raise ConfigError(f"{where(*path, 'base')}: {_key(path)}.base: expected a multiple of 4K, got {base:#x}")
    if size == 0:
        raise ConfigError(f"{where(*path, 'size')}: {_key(path)}.size: expected at least 4K, got 0")
    if size % GRANULE:
        raise ConfigError(f"{where(*path, 'size')}: {_key(path)}.size: expected a multiple of 4K, got {size:#x}")


def _key(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _areas(machine: MachineFile, where: Where) -> list[Area]:
    areas: list[Area] = []
    for name, region in machine.memory.items():
        _granules(region.base, region.size, ("memory", name), where)
        areas.append(Area(region.base, region.size, f"memory.{name}", ("memory", name, "base")))
    for name, device in machine.devices.items():
        _granules(device.base, device.size, ("devices", name), where)
    for window in windows(machine):
        if window.base % GRANULE:
            at = f"{where(*window.path)}: {_key(window.path)}"
            raise ConfigError(f"{at}: expected a multiple of 4K, got {window.base:#x}")
        areas.append(Area(window.base, window.size, window.name, window.path))
    bits, key = min((machine.cpu.pa_bits, "cpu.pa_bits"), (machine.gpt.pps, "gpt.pps"))
    for area in areas:
        if area.end > 1 << bits:
            raise ConfigError(f"{where(*area.path)}: {area.name}: {_span(area)} ends beyond 2^{bits} ({key})")
    return areas


def _span(area: Area) -> str:
    return span_text(area.base, area.size)


def disjoint(areas: list[Area], where: Where) -> None:
    """ConfigError naming both lines when two areas overlap; of the two the later one in the list is to blame."""
    ordered = sorted(areas)
    for low, high in pairwise(ordered):
        if low.end > high.base:
            first, second = (low, high) if areas.index(low) < areas.index(high) else (high, low)
            raise ConfigError(
                f"{where(*second.path)}: {second.name} ({_span(second)}) overlaps {first.name} "
                f"({_span(first)}) at {where(*first.path)}"
            )


def _gpt(machine: MachineFile, areas: list[Area], where: Where) -> None:
    gpt = machine.gpt
    region = machine.memory.get(gpt.region)
    at = where("gpt", "region")
    if region is None:
        roots = [name for name, r in machine.memory.items() if r.pas == "root"]
        hint = did_you_mean(gpt.region, list(machine.memory)) or (f" (root memory: {roots[0]})" if roots else "")
        raise ConfigError(f"{at}: gpt.region: there is no memory region `{gpt.region}`{hint}")
    if region.pas != "root":
        raise ConfigError(f"{at}: gpt.region: expected a region with pas: root, `{gpt.region}` is {region.pas}")
    if gpt.pps > machine.cpu.pa_bits:
        raise ConfigError(f"{where('gpt', 'pps')}: gpt.pps: {gpt.pps} bits, cpu.pa_bits has {machine.cpu.pa_bits}")
    for index, area in enumerate(gpt.open):
        path = ("gpt", "open", index)
        _granules(area.base, area.size, path, where)
        if area.base + area.size > 1 << gpt.pps:
            raise ConfigError(
                f"{where(*path, 'base')}: {_key(path)}: {span_text(area.base, area.size)} ends beyond 2^{gpt.pps}"
            )
    ranges = [(area.base, area.size, 0) for area in areas]
    ranges += [(area.base, area.size, GPI.ANY) for area in gpt.open]
    needed = bytes_needed(region.base, ranges, gpt.pps, gpt.l0_bits)
    if needed > region.size:
        raise ConfigError(
            f"{where('memory', gpt.region, 'size')}: memory.{gpt.region}.size: the granule protection table "
            f"needs {size_text(needed)} from {address_text(region.base)} on, got {size_text(region.size)}"
        )


def _cpu(machine: MachineFile, where: Where) -> None:
    cpu = machine.cpu
    if cpu.mpidr and len(cpu.mpidr) != cpu.count:
        raise ConfigError(f"{where('cpu', 'mpidr')}: cpu.mpidr: {len(cpu.mpidr)} values for {cpu.count} PEs")
    seen: set[int] = set()
    for index, mpidr in enumerate(cpu.mpidr):
        at = where("cpu", "mpidr", index)
        if mpidr & ~0xFF_00FF_FFFF:
            raise ConfigError(f"{at}: cpu.mpidr[{index}]: bits other than Aff0 to Aff3 are set in {mpidr:#x}")
        if mpidr in seen:
            raise ConfigError(f"{at}: cpu.mpidr[{index}]: {mpidr:#x} stands here twice")
        seen.add(mpidr)


def _devices(machine: MachineFile, where: Where) -> None:
    gic = _gic(machine, where)
    most = 1019 if gic is None else min(31 + gic[1].spis, 1019)
    lines: dict[int, str] = {}
    for wire in wires(machine):
        label = f"{where(*wire.path)}: {_key(wire.path)}"
        if not 32 <= wire.intid <= most:
            hint = f" (devices.{gic[0]} has {gic[1].spis} SPIs)" if gic is not None and wire.intid <= 1019 else ""
            raise ConfigError(f"{label}: expected 32 to {most}, got {wire.intid}{hint}")
        if wire.intid in lines:
            raise ConfigError(f"{label}: {wire.intid} is the interrupt of {lines[wire.intid]}")
        lines[wire.intid] = f"devices.{wire.device}"
    for name, device in machine.devices.items():
        if isinstance(device, Flash) and (device.size < FLASH_BLOCK or device.size & (device.size - 1)):
            at = where("devices", name, "size")
            raise ConfigError(
                f"{at}: devices.{name}.size: expected 256K times a power of 2, got {size_text(device.size)}"
            )
        if isinstance(device, Nvm) and device.pas == "any":
            raise ConfigError(
                f"{where('devices', name, 'pas')}: devices.{name}.pas: memory belongs to one space, got any"
            )
        if isinstance(device, (Nvm, Flash)) and device.save and device.file is None:
            raise ConfigError(f"{where('devices', name, 'save')}: devices.{name}.save: needs `file`")
    _consoles(machine, where)


def _gic(machine: MachineFile, where: Where) -> tuple[str, Gicv3] | None:
    found: tuple[str, Gicv3] | None = None
    for name, device in machine.devices.items():
        if not isinstance(device, Gicv3):
            continue

        def at(key: str, name: str = name) -> str:
            return f"{where('devices', name, key)}: devices.{name}.{key}"

        if found is not None:
            raise ConfigError(f"{at('type')}: devices.{found[0]} is the machine's interrupt controller")
        for key, value in (("base", device.base), ("redistributors", device.redistributors), ("stride", device.stride)):
            if value % GIC_FRAME:
                raise ConfigError(f"{at(key)}: expected a multiple of 64K, got {value:#x}")
        if device.stride < 2 * GIC_FRAME:
            raise ConfigError(f"{at('stride')}: expected at least 128K, got {size_text(device.stride)}")
        if device.spis % 32 and device.spis != 988:
            raise ConfigError(f"{at('spis')}: expected a multiple of 32, or 988, got {device.spis}")
        found = name, device
    return found


def _consoles(machine: MachineFile, where: Where) -> None:
    uarts = [name for name, device in machine.devices.items() if isinstance(device, (Pl011, Ns16550))]
    chosen = machine.console
    if chosen is not None and chosen not in uarts:
        hint = did_you_mean(chosen, uarts) or (f" (UARTs: {', '.join(uarts)})" if uarts else "")
        raise ConfigError(f"{where('console')}: console: there is no UART `{chosen}` in devices{hint}")
    taken: dict[object, str] = {}
    for name in uarts:
        device = machine.devices[name]
        assert isinstance(device, (Pl011, Ns16550))
        for key, parse, text in (
            ("console", parse_output, device.console),
            ("input", parse_input, device.input),
        ):
            at = f"{where('devices', name, key)}: devices.{name}.{key}"
            try:
                target = parse(text)
            except ValueError as error:
                raise ConfigError(f"{at}: {error}, got `{text[:60]}`") from None
            exclusive = (key == "console" and isinstance(target, (Tcp, Unix))) or isinstance(target, Stdin)
            if exclusive and target in taken:
                raise ConfigError(f"{at}: `{text}` is that of {taken[target]} already")
            if exclusive:
                taken[target] = f"devices.{name}"


def region_of(machine: MachineFile, base: int, size: int, pas: PAS) -> str | None:
    """The name of the memory region of that PAS that holds all of [base, base + size), or None."""
    for name, region in machine.memory.items():
        if region.pas == pas.text and region.base <= base and base + size <= region.base + region.size:
            return name
    for name, device in machine.devices.items():
        inside = device.base <= base and base + size <= device.base + device.size
        if inside and isinstance(device, Nvm) and device.pas == pas.text:
            return name
    return None


def outside(machine: MachineFile, base: int, size: int, pas: PAS) -> str:
    """Why `region_of` finds nothing: the tail of an error message."""
    for name, region in machine.memory.items():
        if region.base < base + size and base < region.base + region.size:
            if region.pas != pas.text:
                return f"lies in memory.{name}, which is {region.pas}"
            return (
                f"leaves memory.{name} ({address_text(region.base)} to {address_text(region.base + region.size - 1)})"
            )
    return f"lies in no {pas.text} memory"


def _boot(machine: MachineFile, where: Where) -> None:
    boot = machine.boot
    pas = WORLD_PAS[boot.world]
    if boot.world == "secure" and boot.el == 2:
        raise ConfigError(f"{where('boot', 'el')}: boot.el: the secure world starts at EL1, got 2")
    _entry(machine, "boot", boot.entry, pas, where)
    if machine.load or machine.realms:
        _needs(machine, boot, where)
    for area in boot_areas(boot):
        if area.name == "boot.pool":
            _granules(area.base, area.size, area.path, where)
        elif area.base % GRANULE:
            raise ConfigError(f"{where(*area.path)}: {area.name}: expected a multiple of 4K, got {area.base:#x}")
        if region_of(machine, area.base, area.size, PAS.NON_SECURE) is None:
            reason = outside(machine, area.base, area.size, PAS.NON_SECURE)
            raise ConfigError(f"{where(*area.path)}: {area.name}: {_span(area)} {reason}")
    disjoint(boot_areas(boot), where)


def _entry(machine: MachineFile, block: str, entry: int | str | None, pas: PAS, where: Where) -> None:
    at = f"{where(block, 'entry')}: {block}.entry"
    if isinstance(entry, int):
        if entry % 4:
            raise ConfigError(f"{at}: expected a multiple of 4, got {entry:#x}")
        if entry < 0 or region_of(machine, entry, 4, pas) is None:
            reason = outside(machine, entry, 4, pas)
            raise ConfigError(f"{at}: {address_text(entry)} {reason}")
    elif entry is not None:
        name = entry.partition(":")[0]
        if name not in machine.load:
            hint = did_you_mean(name, list(machine.load))
            raise ConfigError(f"{at}: expected an address, a load or LOAD:SYMBOL; there is no load `{name}`{hint}")


def _secure(machine: MachineFile, where: Where) -> None:
    secure = machine.secure
    if secure is None:
        return
    if secure.entry is None and not any(load.world == "secure" for load in machine.load.values()):
        raise ConfigError(f"{where('secure')}: secure.entry is missing, and nothing is loaded for the secure world")
    _entry(machine, "secure", secure.entry, PAS.SECURE, where)
    if not int(secure.uuid.replace("-", ""), 16):
        raise ConfigError(f"{where('secure', 'uuid')}: secure.uuid: the nil UUID names no partition")


def _needs(machine: MachineFile, boot: Boot, where: Where) -> None:
    by_firmware = boot.host == "firmware"
    if by_firmware and boot.entry is None and not any(load.world == boot.world for load in machine.load.values()):
        raise ConfigError(f"{where('boot')}: boot.entry is missing, and nothing is loaded for the {boot.world} world")
    if machine.realms and by_firmware:
        for key, value in (("info", boot.info), ("pool", boot.pool), ("stage", boot.stage)):
            if value is None:
                raise ConfigError(f"{where('boot')}: boot.{key} is missing: the host that builds the realms needs it")
    if machine.realms and not any(region.pas == "realm" for region in machine.memory.values()):
        raise ConfigError(f"{where('memory')}: memory: the RMM needs a region with pas: realm")


def boot_areas(boot: Boot) -> list[Area]:
    """The ranges of Normal memory that the boot block sets aside; the stage counts one granule here."""
    areas: list[Area] = []
    if boot.info is not None:
        areas.append(Area(boot.info, GRANULE, "boot.info", ("boot", "info")))
    if boot.stage is not None:
        areas.append(Area(boot.stage, GRANULE, "boot.stage", ("boot", "stage")))
    if boot.pool is not None:
        areas.append(Area(boot.pool.base, boot.pool.size, "boot.pool", ("boot", "pool")))
    return areas


def _rmm(machine: MachineFile, where: Where) -> None:
    features = machine.rmm.features

    def at(key: str) -> str:
        return f"{where('rmm', 'features', key)}: rmm.features.{key}"

    if features.s2sz > 48 and not features.lpa2:
        raise ConfigError(f"{at('s2sz')}: {features.s2sz} bits need lpa2: true")
    if features.s2sz > machine.cpu.pa_bits:
        raise ConfigError(f"{at('s2sz')}: {features.s2sz} bits, cpu.pa_bits has {machine.cpu.pa_bits}")
    if features.sve and not machine.cpu.features.sve:
        raise ConfigError(f"{at('sve')}: needs cpu.features.sve: true")
    if features.pmu and not machine.cpu.features.pmu:
        raise ConfigError(f"{at('pmu')}: needs cpu.features.pmu: true")
    if not (features.sha256 or features.sha512):
        raise ConfigError(f"{at('sha256')}: at least one hash algorithm must be on")


def _vmm(machine: MachineFile, where: Where) -> None:
    boot, vmm = machine.boot, machine.vmm
    if boot.host == "vmm":
        if machine.realms and vmm is not None:
            raise ConfigError(f"{where('vmm')}: vmm: the machine has `realms` as well: the VMM runs one or the other")
        if len(machine.realms) > 1:
            raise ConfigError(
                f"{where('boot', 'host')}: boot.host: vmm: it runs one realm, `realms` has {len(machine.realms)}"
            )
        if (machine.realms or vmm is not None) and boot.pool is None:
            raise ConfigError(f"{where('boot')}: boot.pool is missing: the VMM has nothing to make a realm of")
    elif vmm is not None:
        raise ConfigError(f"{where('vmm')}: vmm: needs `boot.host: vmm`, this machine's host is {boot.host}")
    if vmm is None:
        return
    assert boot.pool is not None

    def at(key: str) -> str:
        return f"{where('vmm', key)}: vmm.{key}"

    if not any(region.pas == "realm" for region in machine.memory.values()):
        raise ConfigError(f"{where('memory')}: memory: the RMM needs a region with pas: realm")
    if vmm.memory % GRANULE or vmm.memory == 0:
        raise ConfigError(f"{at('memory')}: expected a multiple of 4K, more than 0, got {size_text(vmm.memory)}")
    if vmm.memory >= boot.pool.size:
        raise ConfigError(
            f"{at('memory')}: {size_text(vmm.memory)} of RAM, its tables and RECs do not fit into boot.pool "
            f"({size_text(boot.pool.size)})"
        )
    if not getattr(machine.rmm.features, vmm.hash):
        raise ConfigError(f"{at('hash')}: {vmm.hash} is off in rmm.features")
    try:
        _ = vmm.rpv
    except ValueError as error:
        raise ConfigError(f"{at('personalization')}: {error}") from None
    for key in ("script", "busybox", "modules"):
        if vmm.initrd is not None and getattr(vmm, key):
            raise ConfigError(f"{at(key)}: is for the project's initramfs, `vmm.initrd` gives another")
    tags = [share.tag for share in vmm.shares]
    for index, tag in enumerate(tags):
        if tag in tags[:index]:
            raise ConfigError(f"{where('vmm', 'shares', index, 'tag')}: vmm.shares[{index}].tag: {tag} is another's")


def _realm(machine: MachineFile, realm: Realm, index: int, where: Where) -> None:
    features = machine.rmm.features

    def at(*keys: str | int) -> str:
        return f"{where('realms', index, *keys)}: realms[{index}].{_key(keys)}"

    for other in machine.realms[:index]:
        if other.name == realm.name:
            raise ConfigError(f"{at('name')}: `{realm.name}` is the name of another realm")
    if realm.ipa_bits > features.s2sz:
        raise ConfigError(f"{at('ipa_bits')}: {realm.ipa_bits} bits, rmm.features.s2sz has {features.s2sz}")
    if not getattr(features, realm.hash):
        raise ConfigError(f"{at('hash')}: {realm.hash} is off in rmm.features")
    most = (1 << features.max_recs_order) - 1
    if realm.recs > most:
        raise ConfigError(f"{at('recs')}: {realm.recs} RECs, rmm.features.max_recs_order allows {most}")
    _granules(realm.ram.base, realm.ram.size, ("realms", index, "ram"), where)
    half = 1 << (realm.ipa_bits - 1)
    if realm.ram.base + realm.ram.size > half:
        raise ConfigError(
            f"{at('ram', 'base')}: the RAM ({span_text(realm.ram.base, realm.ram.size)}) leaves the "
            f"protected half of {realm.ipa_bits} IPA bits, which ends at {address_text(half)}"
        )
    if realm.at is not None:
        if realm.at % GRANULE:
            raise ConfigError(f"{at('at')}: expected a multiple of 4K, got {int(realm.at):#x}")
        if not realm.ram.base <= realm.at < realm.ram.base + realm.ram.size:
            raise ConfigError(f"{at('at')}: {address_text(realm.at)} lies outside the realm's RAM")
    if isinstance(realm.entry, int):
        if realm.entry % 4:
            raise ConfigError(f"{at('entry')}: expected a multiple of 4, got {realm.entry:#x}")
        if not realm.ram.base <= realm.entry < realm.ram.base + realm.ram.size:
            raise ConfigError(f"{at('entry')}: {realm.entry:#x} lies outside the realm's RAM")
    try:
        _ = realm.rpv
    except ValueError as error:
        raise ConfigError(f"{at('personalization')}: {error}") from None
    if realm.linux is not None:
        if machine.boot.host != "firmware":
            raise ConfigError(f"{at('linux')}: for the host firmware; under boot.host: vmm use the key `vmm`")
        if realm.recs != 1:
            raise ConfigError(f"{at('recs')}: {realm.recs} RECs: the host firmware has one vCPU for Linux")
        for key in ("at", "entry"):
            if getattr(realm, key) is not None:
                raise ConfigError(f"{at(key)}: with `linux`, what is loaded is placed by itself")


def _behaviour(machine: MachineFile, index: int, where: Where) -> None:
    behaviour = machine.host.behaviour[index]

    def at(key: str) -> str:
        return f"{where('host', 'behaviour', index, key)}: host.behaviour[{index}].{key}"

    if machine.boot.host == "vmm":
        raise ConfigError(f"{at('type')}: a way of the host firmware, boot.host is vmm")
    if not machine.realms:
        raise ConfigError(f"{at('type')}: the machine has no realms that could meet it")
    names = [realm.name for realm in machine.realms]
    if behaviour.realm is not None and behaviour.realm not in names:
        raise ConfigError(f"{at('realm')}: there is no realm `{behaviour.realm}`{did_you_mean(behaviour.realm, names)}")
    realms = [realm for realm in machine.realms if behaviour.realm in (None, realm.name)]
    if isinstance(behaviour, DenyCpuOn) and behaviour.rec is not None:
        most = max(realm.recs for realm in realms)
        if not 0 <= behaviour.rec < most:
            raise ConfigError(f"{at('rec')}: {behaviour.rec}: the realms that it concerns have {most} RECs, from 0 on")
    if isinstance(behaviour, (Evict, InjectSea, IgnoreMmio)) and behaviour.ipa is not None:
        if behaviour.ipa % GRANULE:
            raise ConfigError(f"{at('ipa')}: expected a multiple of 4K, got {int(behaviour.ipa):#x}")
        if isinstance(behaviour, Evict):
            if not any(_in_ram(realm, behaviour.ipa) for realm in realms):
                raise ConfigError(f"{at('ipa')}: {address_text(behaviour.ipa)} lies in no RAM of a realm")
        elif not any(behaviour.ipa < 1 << (realm.ipa_bits - 1) for realm in realms):
            raise ConfigError(f"{at('ipa')}: {address_text(behaviour.ipa)} lies beyond half the IPA space of a realm")


def _in_ram(realm: Realm, ipa: int) -> bool:
    """Whether an IPA lies in the RAM, or in the alias of it in the unprotected half."""
    offset = (ipa & ~(1 << (realm.ipa_bits - 1))) - realm.ram.base
    return 0 <= offset < realm.ram.size
