# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshot files: a header in JSON, compressed chunks, a SHA-256 over everything (docs/snapshots.md).

Nothing in a file is code, and nothing in it is believed: sizes are bounded by what the machine file that it holds says,
objects are of declared classes.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from bridge.errors import UserError
from bridge.plugin import lib
from machine.snapshot.schema import Damaged, Unsupported
from machine.snapshot.state import PAGE, Pages, State, capture, restore

if TYPE_CHECKING:
    from collections.abc import Callable

    from machine.config.loader import MachineConfig
    from machine.machine import Machine

MAGIC = b"CCASNAP\n"
VERSION = 1
LEVEL = 1  # of zlib: above it, time grows faster than files shrink
CHUNK = 4 << 20
MAX_HEADER = 16 << 20
MAX_GRAPH = 1 << 30
_FIXED = struct.Struct("<8sII")  # magic, version, bytes of the header
_DIGEST = 32
ENGINE = "unicorn 2.1.4"


class Chunk(msgspec.Struct, forbid_unknown_fields=True):
    """size: bytes as they are; stored: in the file."""

    size: int
    stored: int


class Bank(msgspec.Struct, forbid_unknown_fields=True):
    """One region of memory: a byte for each page, then the pages that are not all zeros."""

    base: int
    size: int
    used: Chunk
    pages: list[Chunk]


class Header(msgspec.Struct, forbid_unknown_fields=True):
    """What a file says of itself.  config: the machine file, resolved.  inputs: SHA-256 of files, by path.

    withheld: keys of the machine file that are secret, and to be given again.
    """

    engine: str
    core_size: int
    name: str
    insns: int
    virtual_ns: int
    config: str
    withheld: list[str]
    inputs: dict[str, str]
    board: Chunk
    cores: list[Chunk]
    graph: Chunk
    past: Chunk
    memory: list[Bank]


class Reader:
    """One snapshot file, checked for being whole.  UserError with the reason for what is none."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
                data = file.read()
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        if len(data) < _FIXED.size + _DIGEST or not data.startswith(MAGIC):
            raise UserError(f"{path}: not a snapshot of ccabridge")
        _, version, size = _FIXED.unpack_from(data)
        if version != VERSION:
            age = "an older" if version < VERSION else "a newer"
            raise UserError(f"{path}: a snapshot of {age} version ({version}; this ccabridge has {VERSION})")
        self._data = memoryview(data)[:-_DIGEST]
        if hashlib.sha256(self._data).digest() != data[-_DIGEST:]:
            raise UserError(f"{path}: damaged: its checksum is that of another file (cut off, or changed)")
        self._at = _FIXED.size + size
        try:
            if size > MAX_HEADER or self._at > len(self._data):
                raise Damaged("its header is too large")
            self.header = msgspec.json.decode(self._data[_FIXED.size : self._at], type=Header)
        except (msgspec.DecodeError, Damaged) as error:
            raise UserError(f"{path}: damaged: {error}") from None
        if (self.header.engine, self.header.core_size) != (ENGINE, lib.cca_core_state_size()):
            raise UserError(f"{path}: a snapshot of another build of ccabridge, whose cores have other state")

    def config(self, overrides: Sequence[str] = ()) -> MachineConfig:
        """The machine file in it.  overrides: KEY=VALUE of what was withheld, and nothing else."""
        from machine.config.loader import load_text

        header = self.header
        given = {text.partition("=")[0].strip() for text in overrides}
        if given - set(header.withheld):
            raise UserError(f"{self.path}: {sorted(given - set(header.withheld))[0]} cannot be another in a snapshot")
        if set(header.withheld) - given:
            key = sorted(set(header.withheld) - given)[0]
            raise UserError(f"{self.path}: no snapshot holds {key}: give it again with -s {key}=VALUE")
        return load_text(header.config.encode(), f"{self.path}", overrides)

    def machine(self, write: Callable[[str], object], overrides: Sequence[str] = ()) -> Machine:
        """A machine in the state of the file, that `run` goes on with."""
        from machine.machine import Machine

        self._check_inputs()
        machine = Machine(self.config(overrides), write)
        try:
            state, machine.past = self.state()
            restore(machine, state)
        except Damaged as error:
            machine.close()
            raise UserError(f"{self.path}: damaged: {error}") from None
        except BaseException:
            machine.close()
            raise
        return machine

    def _check_inputs(self) -> None:
        for path, expected in self.header.inputs.items():
            if digest(path) != expected:
                raise UserError(f"{self.path}: {path} is not what it was when the snapshot was taken")

    def state(self) -> tuple[State, bytes]:
        """And what its machine's stops knew (machine.snapshot.past)."""
        header = self.header
        largest = max((bank.size for bank in header.memory), default=0)
        bounds = [
            (header.board, 1 << 20),
            *((core, header.core_size) for core in header.cores),
            (header.graph, MAX_GRAPH),
            (header.past, MAX_GRAPH),
        ]
        for bank in header.memory:
            bounds += [(bank.used, bank.size // PAGE), *((chunk, CHUNK) for chunk in bank.pages)]
            if sum(chunk.size for chunk in bank.pages) > largest:
                raise Damaged("it has more memory than its machine")
        parts = iter(self._inflate(bounds))
        board, cores = next(parts), [next(parts) for _ in header.cores]
        graph, past = next(parts), next(parts)
        memory = []
        for bank in header.memory:
            used = next(parts)
            memory.append(Pages(bank.base, bank.size, used, b"".join(next(parts) for _ in bank.pages)))
        return State(header.insns, board, cores, graph, memory), past

    def _inflate(self, chunks: Sequence[tuple[Chunk, int]]) -> Iterable[bytes]:
        at, jobs = self._at, []
        for chunk, most in chunks:
            if not 0 <= chunk.size <= most or not 0 <= chunk.stored <= len(self._data) - at:
                raise Damaged("a part is larger than it can be")
            jobs.append((self._data[at : at + chunk.stored], chunk.size))
            at += chunk.stored
        if at != len(self._data):
            raise Damaged("there is more in it than its header says")
        with ThreadPoolExecutor(_workers()) as pool:
            return list(pool.map(_inflate, jobs))


def _inflate(job: tuple[memoryview, int]) -> bytes:
    stored, size = job
    engine = zlib.decompressobj()
    try:
        data = engine.decompress(stored, size + 1)
    except zlib.error as error:
        raise Damaged(f"a part cannot be unpacked: {error}") from None
    if len(data) != size or not engine.eof:
        raise Damaged("a part is of another size than its header says")
    return data


def _deflate(data: bytes | memoryview) -> bytes:
    return zlib.compress(data, LEVEL)


def _workers() -> int:
    return min(os.cpu_count() or 1, 4)


def digest(path: str) -> str:
    """Of a file by its path, or as `firmware:NAME`."""
    from machine.config.files import locate

    try:
        with open(locate(path, path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def input_files(config: MachineConfig, *, disks: bool = False) -> dict[str, str]:
    """SHA-256 by path: images that a reset loads again, and whose symbols are looked up; what a realm boots from."""
    from machine.config.files import is_path
    from machine.config.outputs import LINUX_FILES

    files = [load.file for load in config.load.values()] + [realm.image for realm in config.realms]
    for realm in config.realms:
        if realm.linux is not None:
            files += [file for key in LINUX_FILES if (file := getattr(realm.linux, key)) is not None]
    if disks and config.vmm is not None:
        files += [disk.file for disk in config.vmm.disks]
        files += [file for file in (config.vmm.kernel, config.vmm.initrd, config.vmm.dtb) if file is not None]
    names = {os.path.abspath(file) if is_path(file) else file for file in files}
    return {name: digest(name) for name in sorted(names)}


def config_text(config: MachineConfig) -> tuple[str, list[str]]:
    """The machine file as text, and the keys left out of it."""
    from machine.config.dump import resolved
    from machine.config.files import is_path
    from machine.config.vmm_files import vmm_paths, with_paths

    replace = msgspec.structs.replace
    platform, withheld = config.platform, []
    if platform.seed is not None:
        platform, withheld = replace(platform, seed=None), ["platform.seed"]
    for key in ("platform_key", "realm_key"):
        if getattr(platform, key) is not None:
            platform = replace(platform, **{key: os.path.abspath(getattr(platform, key))})
    vmm = config.vmm
    if vmm is not None:
        vmm = with_paths(vmm, {key: os.path.abspath(path) if is_path(path) else path for key, path in vmm_paths(vmm)})
    return resolved(replace(config, platform=platform, vmm=vmm)), withheld


def save(machine: Machine, path: str) -> int:
    """Writes a machine that stands (Machine.freeze) to a file, whole or not at all; its size in bytes."""
    parts = [*_parts(machine, capture(machine))]
    folder = os.path.dirname(path) or "."
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                total = hashlib.sha256()
                for part in parts:
                    total.update(part)
                    file.write(part)
                file.write(total.digest())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    return sum(map(len, parts)) + _DIGEST


def _past(machine: Machine) -> bytes:
    if machine.stops is None:
        return machine.past
    from machine.snapshot.past import pack

    return pack(machine.stops.history, machine.stops.measured)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _parts(machine: Machine, state: State) -> Iterator[bytes]:
    """The file from its start on, but for the digest."""
    pieces: list[bytes | memoryview] = [state.board, *state.cores, state.graph, _past(machine)]
    for pages in state.memory:
        view = memoryview(pages.data)
        pieces += [pages.used, *(view[at : at + CHUNK] for at in range(0, len(view), CHUNK))]
    with ThreadPoolExecutor(_workers()) as pool:
        packed = list(pool.map(_deflate, pieces))
    chunks = iter([Chunk(len(piece), len(data)) for piece, data in zip(pieces, packed, strict=True)])
    config, withheld = config_text(machine.config)
    header = msgspec.json.encode(
        Header(
            engine=ENGINE,
            core_size=lib.cca_core_state_size(),
            name=os.path.basename(machine.config.source.path),
            insns=state.insns,
            virtual_ns=machine.virtual_ns,
            config=config,
            withheld=withheld,
            inputs=input_files(machine.config),
            board=next(chunks),
            cores=[next(chunks) for _ in state.cores],
            graph=next(chunks),
            past=next(chunks),
            memory=[
                Bank(
                    pages.base,
                    pages.size,
                    next(chunks),
                    [next(chunks) for _ in range(0, len(pages.data), CHUNK)],
                )
                for pages in state.memory
            ],
        )
    )
    if len(header) > MAX_HEADER:
        raise Unsupported("the machine file is too large for a snapshot")
    yield _FIXED.pack(MAGIC, VERSION, len(header)) + header
    yield from packed
