# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that a run writes must not be files that it reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from bridge.errors import ConfigError

from .consoles import File, parse_input, parse_output
from .files import is_path
from .types import Flash, MachineFile, Ns16550, Nvm, Pl011
from .vmm_files import vmm_inputs, vmm_outputs

# Keys of realms[].linux that name files.
LINUX_FILES = ("kernel", "initrd", "dtb")


def check_outputs(machine: MachineFile, where: Callable[..., str], files: Iterable[str]) -> None:
    """ConfigError for a file that would be written and is something else's; `files` are the machine files."""
    outputs = list(_outputs(machine))
    if not outputs:
        return
    taken = {os.path.realpath(file): "the machine file" for file in files}
    taken |= {os.path.realpath(path): key for path, key in _inputs(machine)}
    for path, keys in outputs:
        label = ".".join(keys)
        at = f"{where(*keys)}: {label}"
        other = taken.setdefault(os.path.realpath(path), label)
        if other != label:
            raise ConfigError(f"{at}: {path} would be overwritten: it is {other}")
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise ConfigError(f"{at}: {folder}: no such directory")
        if os.path.isdir(path):
            raise ConfigError(f"{at}: {path}: a directory, expected a file")


def _outputs(machine: MachineFile) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(path, key)"""
    for name, device in machine.devices.items():
        if isinstance(device, (Pl011, Ns16550)):
            target = parse_output(device.console)
            if isinstance(target, File):
                yield target.path, ("devices", name, "console")
        elif isinstance(device, (Nvm, Flash)) and device.save and device.file is not None:
            yield device.file, ("devices", name, "file")
    if machine.vmm is not None:
        for keys, path in vmm_outputs(machine.vmm):
            yield path, tuple(map(str, keys))
        for index, disk in enumerate(machine.vmm.disks):
            if disk.mode == "rw":
                yield disk.file, ("vmm", "disks", str(index), "file")


def _inputs(machine: MachineFile) -> Iterator[tuple[str, str]]:
    for name, load in machine.load.items():
        if is_path(load.file):
            yield load.file, f"load.{name}.file"
    for index, realm in enumerate(machine.realms):
        if is_path(realm.image):
            yield realm.image, f"realms[{index}].image"
        for key in LINUX_FILES:
            file = getattr(realm.linux, key, None)
            if file is not None and is_path(file):
                yield file, f"realms[{index}].linux.{key}"
    for name, device in machine.devices.items():
        if isinstance(device, (Nvm, Flash)) and device.file is not None and not device.save:
            yield device.file, f"devices.{name}.file"
        elif isinstance(device, (Pl011, Ns16550)):
            source = parse_input(device.input)
            if isinstance(source, File):
                yield source.path, f"devices.{name}.input"
    if machine.vmm is not None:
        rewritten = {("vmm", "disks", i, "file") for i, disk in enumerate(machine.vmm.disks) if disk.mode == "rw"}
        for keys, path in vmm_inputs(machine.vmm):
            if keys not in rewritten:
                yield path, ".".join(map(str, keys))
