# SPDX-License-Identifier: GPL-2.0-or-later
"""A realm's initial measurement, computed from the machine file: the calls of its host in their order, nothing run.

The order is that of firmware/vmm/realm.c and machine/vmm (docs/attestation.md); what each call adds is rmm.measurement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from bridge.errors import UserError
from machine.payload_abi import UART_IPA
from rmm.abi.bits import REALM_FLAGS, REC_CREATE_FLAGS
from rmm.abi.structs import REALM_PARAMS, REC_PARAMS
from rmm.abi.values import DataMeasure
from rmm.measurement import hash_function, initial_rim, rim_after_data, rim_after_rec, rim_after_ripas

if TYPE_CHECKING:
    from machine.config.images import Piece, RealmImage
    from machine.config.loader import MachineConfig
    from machine.vmm.options import RealmOptions

GRANULE = 4096
HASHES = ("sha256", "sha512")
BUILDS_OTHERWISE = "firmware:conformance"  # a host that makes realms of its own
_PAGE_LEVEL = 3


class Step(msgspec.Struct, omit_defaults=True):
    """One call that the RIM depends on.  rim: after it, hexadecimal.

    what: of a page, which content it belongs to.  base, top: IPA.  digest: SHA-256 of a page, whatever the realm's
    hash.  values: what is measured of parameters, by name.
    """

    call: str
    rim: str
    what: str = ""
    base: int = 0
    top: int = 0
    digest: str = ""
    values: dict[str, int] = {}


class Prediction(msgspec.Struct):
    """unmeasured: what the realm has but its RIM does not tell.  trees: device trees by content, properties by path."""

    realm: str
    hash: str
    rim: str
    steps: list[Step]
    unmeasured: dict[str, str]
    trees: dict[str, dict[str, str]] = {}


class _Chain:
    """The RIM as it grows."""

    def __init__(self, options: RealmOptions) -> None:
        algorithm = HASHES.index(options.hash)
        self.hash = hash_function(algorithm)
        values = {
            "flags": REALM_FLAGS.encode(
                LPA2=int(options.width > 48), SVE=int(options.sve_bits > 0), PMU=int(options.pmu_counters is not None)
            ),
            "s2sz": options.width,
            "sve_vl": options.sve_bits // 128 - 1 if options.sve_bits else 0,
            "num_bps": options.breakpoints - 1,
            "num_wps": options.watchpoints - 1,
            "pmu_num_ctrs": options.pmu_counters or 0,
            "hash_algo": algorithm,
        }
        self._start_level = 1 if options.width <= 43 else 0 if options.width <= 48 else -1
        self._tables: set[tuple[int, int]] = set()
        self.rim = initial_rim(self.hash, REALM_PARAMS.pack(values))
        self.steps = [Step("RMI_REALM_CREATE", self.rim.hex(), values=values)]

    def ripas(self, base: int, top: int) -> None:
        """INIT_RIPAS until `top`, with the tables that it finds missing made one by one."""
        # Plain integers: the machine file's scalars are subclasses, which JSON does not take.
        for at, end in ripas_entries(int(base), top, self._start_level, self._tables):
            self.rim = rim_after_ripas(self.hash, self.rim, at, end)
            self.steps.append(Step("RMI_RTT_INIT_RIPAS", self.rim.hex(), base=at, top=end))

    def data(self, what: str, base: int, content: bytes, *, is_measured: bool = True) -> None:
        """Whole pages from `base`, the last one padded with zeros; with the tables that they need."""
        flags = DataMeasure.MEASURE_CONTENT if is_measured else DataMeasure.NO_MEASURE_CONTENT
        view, base = memoryview(content), int(base)
        for offset in range(0, len(content), GRANULE):
            page, ipa = bytes(view[offset : offset + GRANULE]).ljust(GRANULE, b"\0"), base + offset
            self._tables.update(
                (level + 1, ipa & -_entry_size(level)) for level in range(self._start_level, _PAGE_LEVEL)
            )
            self.rim = rim_after_data(self.hash, self.rim, ipa, flags, page if is_measured else None)
            digest = hashlib.sha256(page).hexdigest() if is_measured else "not measured"
            self.steps.append(Step("RMI_DATA_CREATE", self.rim.hex(), what, ipa, ipa + GRANULE, digest))

    def rec(self, pc: int, gprs: Sequence[int]) -> None:
        """The one runnable REC."""
        flags = REC_CREATE_FLAGS.encode(RUNNABLE=1)
        params = REC_PARAMS.pack({"flags": flags, "pc": pc, "gprs": [*gprs, *(0,) * (8 - len(gprs))]})
        self.rim = rim_after_rec(self.hash, self.rim, params)
        values = {"flags": flags, "pc": int(pc)} | {f"x{i}": int(value) for i, value in enumerate(gprs)}
        self.steps.append(Step("RMI_REC_CREATE", self.rim.hex(), values=values))

    def result(self, name: str, options: RealmOptions, recs: int) -> Prediction:
        unmeasured = {
            "personalization value": _personalization(options.rpv),
            "RECs that are not runnable": str(recs - 1),
        }
        return Prediction(name, options.hash, self.rim.hex(), self.steps, unmeasured)


def _personalization(rpv: bytes) -> str:
    """As `--realm-pv` takes it."""
    used = rpv.rstrip(b"\0")
    text = used.decode("ascii", "replace")
    if text.startswith("hex:") or not (text.isascii() and text.isprintable()):
        return f"hex:{used.hex()}"
    return text or "none"


def ripas_entries(base: int, top: int, start_level: int, tables: set[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """[IPA, IPA) of each RTT entry that INIT_RIPAS measures, in order (rmm-abi.md §3.20, §9.5).

    tables: (level, first IPA) of those that there are; what is missing is added.
    """
    while base < top:
        level = start_level
        while level < _PAGE_LEVEL and (level + 1, base & -_entry_size(level)) in tables:
            level += 1
        size = _entry_size(level)
        if base % size or base + size > top:
            tables.add((level + 1, base & -size))
            continue
        end = (base & -(size << 9)) + (size << 9)
        while base + size <= min(top, end) and (level + 1, base) not in tables:
            yield base, base + size
            base += size


def _entry_size(level: int) -> int:
    return 1 << 39 - 9 * level


def predict(config: MachineConfig) -> list[Prediction]:
    """One for each realm of the machine, in their order; UserError for what could not be built either."""
    if config.vmm is not None:
        return [_linux(config)]
    from machine.config.images import read_images

    if config.realms and any(load.file == BUILDS_OTHERWISE for load in config.load.values()):
        raise UserError(f"the host {BUILDS_OTHERWISE} makes realms of its own: nothing is known of them beforehand")
    return [_payload(staged) for staged in read_images(config).realms]


def foreign_host(config: MachineConfig) -> str | None:
    """The file of a host that is not of this project, and so may build realms in another way."""
    if not config.realms or config.boot.host != "firmware":
        return None
    files = (load.file for load in config.load.values() if load.world == "normal")
    return next((file for file in files if not file.startswith("firmware:")), None)


def _payload(staged: RealmImage) -> Prediction:
    from machine.vmm.options import RealmOptions

    realm = staged.realm
    options = RealmOptions(
        memory=realm.ram.size,
        ram_base=realm.ram.base,
        ipa_bits=realm.ipa_bits,
        hash=realm.hash,
        rpv=realm.rpv,
        sve_bits=realm.sve,
        pmu_counters=realm.pmu,
    )
    chain = _Chain(options)
    linux = staged.linux
    bare = linux is not None and linux.by_loader
    if not bare:
        chain.ripas(realm.ram.base, realm.ram.base + realm.ram.size)
    contents = [("image", staged.base, staged.content(), True)]
    contents += [(_role(piece, staged), piece.ipa, piece.data, piece.measured) for piece in staged.pieces]
    for what, base, content, is_measured in contents:
        if bare:
            chain.ripas(base, base + -(-len(content) // GRANULE) * GRANULE)
        chain.data(what, base, content, is_measured=is_measured)
    shared = options.shared_bit
    gprs: tuple[int, ...] = (realm.ram.base, realm.ram.size, shared, realm.ipa_bits, UART_IPA | shared)
    if linux is not None:
        gprs = (*gprs, linux.dtb, linux.kernel) if bare else (linux.dtb,)
    chain.rec(staged.entry, gprs)
    found = chain.result(realm.name, options, realm.recs)
    for what, base, content, _ in contents:
        if what == "dtb" and linux is not None:
            found.trees[what] = dict(_properties(content[linux.dtb - base :]))
    return found


def _role(piece: Piece, staged: RealmImage) -> str:
    linux = staged.linux
    assert linux is not None
    if piece.ipa == linux.dtb & -GRANULE:
        return "dtb"
    return "kernel" if linux.by_loader and piece.ipa == linux.kernel & -GRANULE else "initrd"


def _linux(config: MachineConfig) -> Prediction:
    """Images and device tree are made as for the run; the machine that this needs never starts."""
    from machine.machine import Machine
    from machine.vmm.guest import LinuxGuest
    from machine.vmm.linux import layout
    from machine.vmm.pool import Pool
    from machine.vmm.realm import Vmm

    assert config.vmm is not None and config.boot.pool is not None  # validated
    machine = Machine(config, lambda _line: None)
    try:
        description = _harmless(config.vmm)
        vmm = Vmm(machine, Pool(config.boot.pool.base, config.boot.pool.size), name="linux")
        guest = LinuxGuest(machine, vmm, description)
        try:
            chain = _Chain(vmm.options)
            chain.ripas(layout.RAM_BASE, layout.RAM_BASE + description.memory)
            for what, ipa, content in guest.launch.contents():
                start = ipa & -GRANULE
                chain.data(what, start, bytes(ipa - start) + content)
            chain.rec(guest.launch.where.entry, (guest.launch.where.dtb,))
            found = chain.result("linux", vmm.options, description.vcpus)
            found.trees["dtb"] = dict(_properties(guest.launch.dtb))
            return found
        finally:
            for device in guest.virtio:
                device.close()
    finally:
        machine.close()


def _harmless(description: Any) -> Any:
    """The same realm, without the files that a run would write."""
    changes: dict[str, Any] = {"dump_dtb": None}
    changes["disks"] = [
        msgspec.structs.replace(disk, mode="overlay" if disk.mode == "rw" else disk.mode) for disk in description.disks
    ]
    if description.net is not None:
        changes["net"] = msgspec.structs.replace(description.net, capture=None)
    return msgspec.structs.replace(description, **changes)


def _properties(data: bytes) -> Iterator[tuple[str, str]]:
    """(path of a property, its value for people) of a device tree."""
    from machine.vmm.linux.dtb import parse_tree

    def walk(node: Any, path: str) -> Iterator[tuple[str, str]]:
        for name, value in node.properties.items():
            yield f"{path}/{name}", _value(bytes(value))
        for child in node.children:
            yield from walk(child, f"{path}/{child.name}")

    yield from walk(parse_tree("device tree", data).root, "")


def _value(data: bytes) -> str:
    text = data[:-1].decode("ascii", "replace")
    if data.endswith(b"\0") and len(data) > 1 and text.isprintable() and text.isascii():
        return text
    return f"<{data.hex(' ', 4)}>"


# What makes two differ


def differences(a: Prediction, b: Prediction) -> Iterator[str]:
    """What two realms differ in that their RIMs tell, a line each."""
    create_a, create_b = a.steps[0].values, b.steps[0].values
    for name in dict.fromkeys((*create_a, *create_b)):
        of_a, of_b = create_a.get(name, 0), create_b.get(name, 0)
        if of_a != of_b:
            shown = (a.hash, b.hash) if name == "hash_algo" else (f"{of_a:#x}", f"{of_b:#x}")
            yield f"parameters: {name}: {shown[0]} / {shown[1]}"
    ranges_a, ranges_b = (_runs(one, "RMI_RTT_INIT_RIPAS") for one in (a, b))
    if ranges_a != ranges_b:
        yield f"RAM: {_spans(ranges_a)} / {_spans(ranges_b)}"
    contents_a, contents_b = (_contents(one) for one in (a, b))
    for what in dict.fromkeys((*contents_a, *contents_b)):
        yield from _content_differences(what, contents_a.get(what, {}), contents_b.get(what, {}))
        for path, left, right in _tree_differences(a.trees.get(what, {}), b.trees.get(what, {})):
            yield f"{what}: {path}: {left} / {right}"
    recs_a, recs_b = ([s.values for s in one.steps if s.call == "RMI_REC_CREATE"] for one in (a, b))
    for index in range(max(len(recs_a), len(recs_b))):
        rec_a, rec_b = (recs[index] if index < len(recs) else {} for recs in (recs_a, recs_b))
        for name in dict.fromkeys((*rec_a, *rec_b)):
            if rec_a.get(name) != rec_b.get(name):
                yield f"REC {index}: {name}: {rec_a.get(name, 0):#x} / {rec_b.get(name, 0):#x}"


def unmeasured(a: Prediction, b: Prediction) -> Iterator[str]:
    """What two realms differ in that their RIMs do not tell, a line each."""
    for name in dict.fromkeys((*a.unmeasured, *b.unmeasured)):
        left, right = a.unmeasured.get(name, "none"), b.unmeasured.get(name, "none")
        if left != right:
            yield f"{name}: {left} / {right}"


def _runs(prediction: Prediction, call: str) -> list[tuple[int, int, int]]:
    """(base, top, entry size) of neighbouring entries of one size."""
    runs: list[tuple[int, int, int]] = []
    for step in prediction.steps:
        if step.call != call:
            continue
        size = step.top - step.base
        if runs and runs[-1][1] == step.base and runs[-1][2] == size:
            runs[-1] = (runs[-1][0], step.top, size)
        else:
            runs.append((step.base, step.top, size))
    return runs


def _spans(runs: Sequence[tuple[int, int, int]]) -> str:
    return ", ".join(f"{base:#x} to {top - 1:#x} by {size >> 10} KiB" for base, top, size in runs[:6]) or "none"


def _contents(prediction: Prediction) -> dict[str, dict[int, str]]:
    """{what: {IPA: digest}}"""
    found: dict[str, dict[int, str]] = {}
    for step in prediction.steps:
        if step.call == "RMI_DATA_CREATE":
            found.setdefault(step.what, {})[step.base] = step.digest
    return found


def _content_differences(what: str, a: dict[int, str], b: dict[int, str]) -> Iterator[str]:
    if not a or not b:
        yield f"{what}: {len(a)} / {len(b)} pages"
        return
    first_a, first_b = min(a), min(b)
    if first_a != first_b:
        yield f"{what}: at {first_a:#x} / {first_b:#x}"
    if len(a) != len(b):
        yield f"{what}: {len(a)} / {len(b)} pages"
    shifted = {ipa - first_a: digest for ipa, digest in a.items()}
    other = {ipa - first_b: digest for ipa, digest in b.items()}
    changed = sorted(offset for offset in shifted.keys() & other.keys() if shifted[offset] != other[offset])
    if changed:
        yield f"{what}: {len(changed)} of {len(shifted)} pages differ, the first at offset {changed[0]:#x}"


def _tree_differences(a: dict[str, str], b: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for path in dict.fromkeys((*a, *b)):
        left, right = a.get(path, "(none)"), b.get(path, "(none)")
        if left != right:
            yield path, left, right
