# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine's whole state, taken while nothing of it runs, and put into a machine of the same configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from bridge.core import Core
from bridge.errors import UserError
from bridge.plugin import ffi, lib
from machine.recs import RecCore
from machine.snapshot.codec import Decoder, Encoder, objects, walk
from machine.snapshot.schema import Damaged, Unsupported
from rmm.frame import Frame
from rmm.measurement import hash_function
from rmm.realm import Realm

if TYPE_CHECKING:
    from bridge.memory import Region
    from machine.machine import Machine

PAGE = 4096
# of the graph
PARTS = frozenset(["fixed", "hosted", "owners", "waiters", "pe", "running", "attester", "files", "consoles"])


class Pages(NamedTuple):
    """One region's content.  used: a byte for each page that is not all zeros; data: those pages."""

    base: int
    size: int
    used: bytes
    data: bytes | bytearray | memoryview


class State(NamedTuple):
    """insns: when it was taken.  board, cores: the plugin's bytes.  graph: objects (machine.snapshot.codec)."""

    insns: int
    board: bytes
    cores: list[bytes]
    graph: bytes
    memory: list[Pages]


# Taking it


def capture(machine: Machine) -> State:
    """The state of a machine that stands (Machine.freeze).  Unsupported where something cannot be kept."""
    refuse(machine)
    cores = [_core_bytes(core) for core in machine.cores]
    return State(machine.board.insns, _board_bytes(machine), cores, _graph(machine), [*_memory(machine)])


def refuse(machine: Machine, *, hosted: bool = False) -> None:
    """Unsupported for what a snapshot cannot hold, by its name in the machine file.  hosted: a realm is to come."""
    for name, placed in machine.attached.placed.items():
        declared: Any = machine.config.devices[name]
        if placed and getattr(declared, "console", "").startswith(("tcp:", "unix:")) and not hosted:
            raise Unsupported(f"devices.{name}.console: a socket cannot be in a snapshot")
    vmm = machine.config.vmm
    if vmm is None or not (hosted or machine.hosted is not None):
        return
    if vmm.net is not None:
        raise Unsupported("vmm.net: connections of the network cannot be in a snapshot")
    for disk in vmm.disks:
        if disk.mode == "rw":
            raise Unsupported(f"vmm.disks: {disk.file} is written in place, and would not be that of the snapshot")
    for share in vmm.shares:
        raise Unsupported(f"vmm.shares: folder `{share.tag}`: files open there cannot be in a snapshot")


def _core_bytes(core: Core) -> bytes:
    buffer = ffi.new("uint8_t[]", lib.cca_core_state_size())
    if lib.cca_core_save(core.handle, buffer) != 0:
        raise Unsupported(f"{core.name}: its engine has given up, and cannot be in a snapshot")
    data: bytes = ffi.buffer(buffer)[:]
    return data


def _board_bytes(machine: Machine) -> bytes:
    handle = machine.board.handle
    buffer = ffi.new("uint8_t[]", lib.cca_machine_state_size(handle))
    lib.cca_machine_save(handle, buffer)
    data: bytes = ffi.buffer(buffer)[:]
    return data


def owners(machine: Machine) -> list[tuple[str, Any]]:
    """Whose each core is, in the order of the machine's cores: a PE's index, a RecCore, or nothing for the service."""
    found: dict[int, tuple[str, Any]] = {id(pe.core): ("pe", pe.index) for pe in machine.pes if pe.core is not None}
    found |= {id(rec.present): ("rec", rec) for rec in machine.platform.recs if rec.present is not None}
    if machine.secure is not None:
        found[id(machine.secure.core)] = ("secure", None)
    return [found[id(core)] for core in machine.cores]


def _index(machine: Machine, core: Core | None) -> int | None:
    return next((at for at, one in enumerate(machine.cores) if one is core), None)


def _graph(machine: Machine) -> bytes:
    fixed = walk(machine)
    encoder = Encoder(fixed)
    data = {
        "consoles": [*machine.consoles],
        "fixed": {path: encoder.state(obj) for path, obj in fixed.items()},
        "hosted": encoder.encode(machine.hosted),
        "owners": [[kind, encoder.encode(who)] for kind, who in owners(machine)],
        "waiters": [_index(machine, pe.waiter) for pe in machine.pes],
        "pe": machine.pe.index,
        "running": _index(machine, machine.running),
        "attester": _attester(machine),
        "files": machine.attached.endpoints.positions,
    }
    return msgspec.msgpack.encode(data)


def _attester(machine: Machine) -> dict[str, Any] | None:
    """What the RMM has fetched of the Root world, but for the key."""
    attester: Any = machine.rmm.attester
    if attester is None or attester.made is None or attester.made.fetched is None:
        return None
    platform, public, ready = attester.made.fetched
    return {"platform": platform, "rest": attester.root.rest, "public": public, "ready": ready}


def _memory(machine: Machine) -> Iterator[Pages]:
    for region in machine.memory:
        pages = region.size // PAGE
        used = _touched(region)
        pointer, flags = ffi.from_buffer(region.mapping), ffi.from_buffer(used)
        count = lib.cca_used_pages(pointer, pages, flags)
        data = bytearray(count * PAGE)
        lib.cca_gather_pages(pointer, pages, flags, ffi.from_buffer(data))
        yield Pages(int(region.base), int(region.size), bytes(used), data)


def _touched(region: Region) -> bytearray:
    """One for each page that may hold something: the kernel knows those that nobody has touched."""
    pages = region.size // PAGE
    try:
        with open("/proc/self/pagemap", "rb", buffering=0) as file:
            file.seek(int(ffi.cast("uintptr_t", ffi.from_buffer(region.mapping))) // PAGE * 8)
            entries = bytearray(pages * 8)
            if file.readinto(entries) == len(entries):
                # bits 63 and 62 of an entry: present, swapped
                return bytearray(entries[7::8].translate(_PRESENT))
    except OSError:
        pass  # no /proc: every page is looked at
    return bytearray(b"\1") * pages


_PRESENT = bytes(int(byte >= 0x40) for byte in range(256))


# Putting it back


def restore(machine: Machine, state: State) -> None:
    """Gives a machine of the same configuration this state.  Damaged, and the machine is of no more use."""
    for device in getattr(machine.hosted, "virtio", ()):
        device.close()
    for core in list(machine.cores):
        machine.remove_core(core)
        core.close()
    for pe in machine.pes:
        pe.core = None
    _put_memory(machine, state.memory)
    try:
        data = msgspec.msgpack.decode(state.graph)
    except (msgspec.DecodeError, ValueError) as error:
        raise Damaged(f"its objects: {error}") from None
    if not isinstance(data, dict) or set(data) != PARTS:
        raise Damaged("its objects are not those of a machine")
    for label in data["consoles"]:
        machine.console(str(label))
    decoder = Decoder(fixed := walk(machine))
    if not isinstance(data["fixed"], dict) or not set(data["fixed"]) <= set(fixed):
        missing = ", ".join([path for path in data["fixed"] if path not in fixed][:3])
        raise Damaged(f"its devices are not those of its machine file: {missing}")
    for path, content in data["fixed"].items():
        decoder.put(fixed[path], content)
    hosted = decoder.decode(data["hosted"])
    for realm in objects(decoder, Realm):
        realm.hash = hash_function(realm.hash_algo)
    for frame in objects(decoder, Frame):
        frame.finish = machine.rmm.finisher(frame)
    for rec in objects(decoder, RecCore):
        rec.wire(machine)
    try:
        _put_cores(machine, decoder, data, state.cores)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise Damaged(f"its cores: {error}") from None
    _put_board(machine, state.board)
    machine.hosted = hosted
    if hosted is not None:
        _rewire(machine, decoder)
    try:
        machine.attached.endpoints.go_on_at(data["files"])
    except (TypeError, ValueError):
        raise Damaged("its consoles are not those of its machine file") from None
    _put_attester(machine, data["attester"])
    machine.evidence.begin_anew()


def _put_memory(machine: Machine, memory: list[Pages]) -> None:
    regions = {(region.base, region.size): region for region in machine.memory}
    if sorted(regions) != sorted((pages.base, pages.size) for pages in memory):
        raise Damaged("its memory is not that of its machine file")
    for pages in memory:
        region = regions[pages.base, pages.size]
        if len(pages.used) != region.size // PAGE:
            raise Damaged("its memory is not whole")
        region.zero()
        pointer = ffi.from_buffer(region.mapping)
        used, data = ffi.from_buffer(pages.used), ffi.from_buffer(pages.data)
        if lib.cca_scatter_pages(pointer, region.size // PAGE, used, data, len(pages.data)) != 0:
            raise Damaged("its memory has more or fewer pages than it says")


def _put_cores(machine: Machine, decoder: Decoder, data: dict[str, Any], cores: list[bytes]) -> None:
    made: list[Core] = []
    for (kind, who), content in zip(data["owners"], cores, strict=True):
        owner = decoder.decode(who)
        if kind == "pe":
            core = machine.pes[owner].core = machine.normal_core(machine.pes[owner])
            machine.add_core(core)
        elif kind == "rec" and isinstance(owner, RecCore) and owner.present is None:
            core = owner.core
        elif kind == "secure" and machine.secure is not None:
            from machine.secure import secure_core

            core = machine.secure.core = secure_core(machine, 0)
        else:
            raise Damaged("a core belongs to nobody")
        made.append(core)
        if lib.cca_core_restore(core.handle, content, len(content)) != 0:
            raise Damaged(f"{core.name}: {ffi.string(lib.cca_core_error(core.handle)).decode()}")
    for pe, at in zip(machine.pes, data["waiters"], strict=True):
        pe.waiter = None if at is None else made[at]
    machine.pe = machine.pes[data["pe"]]
    machine.running = None if data["running"] is None else made[data["running"]]
    if machine.secure is not None and machine.secure.core not in made:
        raise Damaged("the Secure world has no core")


def _put_board(machine: Machine, content: bytes) -> None:
    if lib.cca_machine_restore(machine.board.handle, content, len(content)) != 0:
        raise Damaged("its interrupt controller is not that of its machine file")


def _rewire(machine: Machine, decoder: Decoder) -> None:
    from machine.vmm.door import Door
    from machine.vmm.guest import LinuxGuest
    from machine.vmm.host import Payload
    from machine.vmm.run import Runner
    from machine.vmm.virtio.disk import RawFile

    for door in objects(decoder, Door):
        door.wire(machine)
    files = [] if machine.config.vmm is None else [disk.file for disk in machine.config.vmm.disks]
    for disk, path in zip(objects(decoder, RawFile), files, strict=True):
        disk.reopen(path)
    for runner in objects(decoder, Runner):
        runner.wire(machine)
    if not isinstance(machine.hosted, (LinuxGuest, Payload)):
        raise Damaged("its realm is none of the VMM's")
    machine.hosted.wire(machine)


def _put_attester(machine: Machine, data: Any) -> None:
    """The key is derived again, or read from its file: no snapshot holds it."""
    attester: Any = machine.rmm.attester
    if attester is None:
        return
    attester.forget()
    if data is None:
        return
    if not isinstance(data, dict) or set(data) != {"platform", "rest", "public", "ready"}:
        raise Damaged("its attestation")
    if not attester.remake(data["platform"], data["rest"], data["public"], data["ready"]):
        raise UserError("platform: the realm attestation key is another one than when the snapshot was taken")


# A state in one number


def state_hash(machine: Machine) -> str:
    """SHA-256 over all that a guest could ever see of a machine that stands, as hexadecimal digits.

    Translations, caches and what a debugger has asked for do not count.
    """
    total = hashlib.sha256()
    for core in machine.cores:
        buffer = ffi.new("uint8_t[]", lib.cca_core_state_size())
        size = lib.cca_core_seen(core.handle, buffer)
        if size == 0:
            raise Unsupported(f"{core.name}: its engine has given up, and has no state")
        total.update(ffi.buffer(buffer)[:size])
    total.update(_board_bytes(machine))
    total.update(_graph(machine))
    for pages in _memory(machine):
        total.update(pages.base.to_bytes(8, "little") + pages.used)
        total.update(pages.data)
    return total.hexdigest()
