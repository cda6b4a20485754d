# SPDX-License-Identifier: GPL-2.0-or-later
"""From a name or a path to a checked machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import msgspec

from bridge.errors import ConfigError, did_you_mean

from . import convert, layers, shipped, tree
from .consoles import with_path
from .files import is_path
from .outputs import LINUX_FILES, check_outputs
from .scalars import integer
from .tree import Node
from .types import NAMED, Flash, Linux, MachineFile, Nvm
from .validate import validate
from .vmm_files import vmm_paths, with_paths


class Source:
    """Where each key of a loaded machine stands, and the file it was read from."""

    __slots__ = ("directories", "path", "root")

    def __init__(self, path: str, root: Node, directories: Mapping[str, str]) -> None:
        self.path = path
        self.root = root
        self.directories = directories

    def node(self, *path: str | int) -> tuple[Node, str]:
        """The node at `path`, or the nearest one above it that is written down, and its `file:line:col`."""
        return convert.find(self.root, path)

    def where(self, *path: str | int) -> str:
        """`file:line:col` of the value at `path`, or of the nearest mapping above it that is written down."""
        return self.node(*path)[1]


class MachineConfig(MachineFile, frozen=True, kw_only=True):
    """A machine file, merged and checked.  Files are named by `firmware:NAME` or by a path from the working
    directory; `source.where("load", "host", "file")` gives a key's place for an error message."""

    source: Source


def load(
    name: str,
    overrides: Sequence[str] = (),
    *,
    extra: Mapping[str, object] | None = None,
    label: str = "command line",
    options: Sequence[tuple[str, Mapping[str, object]]] = (),
) -> MachineConfig:
    """The machine of a file or a shipped name, with its layers; `extra`, `options`, `overrides` (KEY=VALUE) on top.

    extra: a further layer as plain data, shown as `label` in errors.  options: more of them, each with its label.
    Raises ConfigError.
    """
    path = find(name)
    reading = layers.Merge()
    root = reading.read(path)
    for name_shown, layer in [*([(label, extra)] if extra else []), *options]:
        root = layers.merge(root, layers.from_plain(dict(layer), name_shown))
    return _loaded(root, path, overrides, reading.directories)


def load_text(text: bytes, label: str, overrides: Sequence[str] = ()) -> MachineConfig:
    """A machine that machine.config.dump.resolved wrote: without layers, files by absolute path."""
    return _loaded(tree.parse(text, label), label, overrides, {})


def _loaded(root: Node, path: str, overrides: Sequence[str], directories: Mapping[str, str]) -> MachineConfig:
    for text in overrides:
        root = layers.override(root, text, NAMED)
    source = Source(path, root, directories)
    machine = _normal(convert.to_machine(root), source)
    validate(machine, source.where)
    fields = {field: getattr(machine, field) for field in machine.__struct_fields__}
    check_outputs(machine, source.where, [*directories])
    return MachineConfig(**fields, source=source)


def find(name: str) -> str:
    """The path of a machine file: an existing path, or a shipped name."""
    if "\0" in name or not name:
        raise ConfigError("expected the name or the path of a machine file")
    looks_like_path = os.sep in name or name.endswith((".yaml", ".yml"))
    if looks_like_path and os.path.exists(name):
        return name
    found = shipped.find(name)
    if found is not None:
        return str(found)
    if os.path.exists(name):
        return name
    hint = did_you_mean(name.removesuffix(".yaml"), shipped.names(boards=True))
    raise ConfigError(f"{name}: no such machine file{hint or ' (`ccabridge list` shows those that come along)'}")


def _normal(machine: MachineFile, source: Source) -> MachineFile:
    """Files are named relative to the machine file that names them; after this, to the working directory.

    An entry point that a quoted text gives as a number becomes one.
    """

    def resolve(file: str, *path: str | int) -> str:
        if "\0" in file:
            raise ConfigError(f"{source.where(*path)}: NUL in the name of a file")
        if not is_path(file):
            return file
        node, _ = source.node(*path)
        return os.path.join(source.directories.get(node.file, ""), os.path.expanduser(file))

    def linux(linux: Linux | None, index: int) -> Linux | None:
        if linux is None:
            return None
        files = {key: getattr(linux, key) for key in LINUX_FILES}
        files = {key: resolve(file, "realms", index, "linux", key) for key, file in files.items() if file is not None}
        return msgspec.structs.replace(linux, **files)

    loads = {
        name: msgspec.structs.replace(load, file=resolve(load.file, "load", name, "file"))
        for name, load in machine.load.items()
    }
    realms = [
        msgspec.structs.replace(
            realm,
            image=resolve(realm.image, "realms", index, "image"),
            entry=_entry(realm.entry),
            linux=linux(realm.linux, index),
        )
        for index, realm in enumerate(machine.realms)
    ]
    devices = {}
    for name, device in machine.devices.items():
        changed: dict[str, str] = {}
        if isinstance(device, (Nvm, Flash)) and device.file is not None:
            changed["file"] = resolve(device.file, "devices", name, "file")
        for key in ("console", "input"):
            kind, path, option = with_path(getattr(device, key, ""))
            if path:
                changed[key] = kind + resolve(path, "devices", name, key) + option
        devices[name] = msgspec.structs.replace(device, **changed) if changed else device
    boot = msgspec.structs.replace(machine.boot, entry=_entry(machine.boot.entry))
    vmm = machine.vmm
    if vmm is not None:
        paths = {path: resolve(value, *path) for path, value in vmm_paths(vmm)}
        vmm = with_paths(vmm, paths)
    keys: dict[str, str] = {}
    for key in ("platform_key", "realm_key"):
        file = getattr(machine.platform, key)
        if file is not None:
            keys[key] = resolve(file, "platform", key)
    platform = msgspec.structs.replace(machine.platform, **keys) if keys else machine.platform
    return msgspec.structs.replace(
        machine, load=loads, realms=realms, devices=devices, boot=boot, vmm=vmm, platform=platform
    )


def _entry(entry: int | str | None) -> int | str | None:
    number = integer(entry) if isinstance(entry, str) else None
    return entry if number is None else number
