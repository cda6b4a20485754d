# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of `ccabridge run --realm`: kvmtool's by their names, and some of our own, as keys of the machine file.

Declared once: the parser, its help, docs/vmm.md and the layer that they lay over a machine file derive from this.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from bridge.errors import UserError

MACHINE = "linux-realm"
HASHES = {"sha256": "sha256", "sha-256": "sha256", "sha512": "sha512", "sha-512": "sha512"}
CONSOLES = ("serial", "virtio", "pl011")


class Option(NamedTuple):
    """flags: as they are typed.  key: of the machine file, or nothing.  value: its name in help; None for a switch.

    parse: the key's value from the option's text, or from its place in a list (`many`); ValueError says what was
    expected.  own: not an option of kvmtool's.
    """

    flags: tuple[str, ...]
    key: str
    value: str | None
    doc: str
    parse: Callable[[str], Any]
    many: bool = False
    own: bool = False

    @property
    def name(self) -> str:
        """Its long form, as errors and the parsed arguments name it."""
        return self.flags[-1]

    @property
    def dest(self) -> str:
        return f"realm_{self.name.lstrip('-').replace('-', '_')}"


class Known(NamedTuple):
    """An option of kvmtool's that does nothing here.  value: whether one follows it.  why: for people."""

    name: str
    value: bool
    why: str


# Values


def _text(text: str) -> str:
    return text


def _file(text: str) -> str:
    """Paths of the command line are those of the shell, which has seen to `~` already."""
    import os

    if not text:
        raise ValueError("expected the name of a file")
    return os.path.abspath(text) if text.startswith("~") else text


def _number(text: str) -> int | str:
    """The machine file's own check says what is wrong with the rest."""
    from machine.config.scalars import integer

    value = integer(text)
    return text if value is None else value


def _memory(text: str) -> str:
    """kvmtool: a number without a unit is mebibytes."""
    text = text.upper()
    return f"{text}M" if text.isascii() and text.isdigit() else text


def _one_of(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"{' or '.join(names)} is served")
        return text

    return parse


def _hash(text: str) -> str:
    if text not in HASHES:
        raise ValueError("sha256 or sha512 is served")
    return HASHES[text]


def _disk(text: str) -> dict[str, str]:
    file, comma, mode = text.rpartition(",")
    if not comma:
        return {"file": _file(text)}
    if mode not in ("ro", "rw"):
        raise ValueError(f"expected FILE, FILE,ro or FILE,rw, got the mode `{mode}`")
    return {"file": _file(file), "mode": mode}


def _share(text: str) -> dict[str, Any]:
    words = text.split(",")
    writable = words[-1] == "rw" if len(words) > 2 and words[-1] in ("ro", "rw") else None
    if writable is not None:
        words.pop()
    if len(words) < 2 or not words[0] or not words[-1]:
        raise ValueError("expected FOLDER,TAG or FOLDER,TAG,rw")
    return {"folder": _file(",".join(words[:-1])), "tag": words[-1], "writable": bool(writable)}


def _network(text: str) -> dict[str, Any] | None:
    mode = text.removeprefix("mode=")
    if mode not in ("user", "none"):
        raise ValueError("user or none is served: a network that needs no privileges of the host's")
    return {} if mode == "user" else None


def _switch(value: Any) -> Callable[[str], Any]:
    return lambda _text: value


OPTIONS = (
    Option(("-k", "--kernel"), "vmm.kernel", "FILE", "kernel; by default the newest that was fetched", _file),
    Option(("-i", "--initrd"), "vmm.initrd", "FILE", "initrd; by default the project's initramfs", _file),
    Option(("-p", "--params"), "vmm.cmdline", "TEXT", "kernel command line, after the defaults", _text),
    Option(("-c", "--cpus"), "vmm.vcpus", "N", "vCPUs, 1 to 8", _number),
    Option(("-m", "--mem"), "vmm.memory", "SIZE", "RAM: 256M, 1G; a number alone is mebibytes", _memory),
    Option(
        ("-d", "--disk"),
        "vmm.disks",
        "FILE[,ro|,rw]",
        "virtio disk from a raw image: writes are kept in memory, refused (ro), or made to the file (rw)",
        _disk,
        many=True,
    ),
    Option(("-n", "--network"), "vmm.net", "MODE", "virtio network: user, or none (the default)", _network),
    Option(
        ("--9p",),
        "vmm.shares",
        "FOLDER,TAG[,rw]",
        "folder of the host's, by 9p; read-only unless rw is given; the initramfs mounts it at /mnt/TAG",
        _share,
        many=True,
    ),
    Option(("--rng",), "vmm.rng", None, "virtio entropy, from the machine's seed (the default)", _switch(True)),
    Option(("--console",), "vmm.console", "|".join(CONSOLES), "the console", _one_of(*CONSOLES)),
    Option(("--irqchip",), "", "gicv3", "interrupt controller", _one_of("gicv3")),
    Option(("--virtio-transport",), "", "mmio", "how virtio devices are reached", _one_of("mmio")),
    Option(("--measurement-algo",), "vmm.hash", "sha256|sha512", "hash algorithm of the measurements", _hash),
    Option(
        ("--realm-pv",),
        "vmm.personalization",
        "TEXT",
        "realm personalization value: text, or hex:BYTES; up to 64 bytes, padded with zeros",
        _text,
    ),
    Option(("--sve-vl",), "vmm.sve", "BITS", "SVE vector length, a multiple of 128", _number),
    Option(("--disable-sve",), "vmm.sve", None, "no SVE (the default)", _switch(0)),
    Option(("--pmu",), "vmm.pmu", None, "a PMU, with as many counters as the RMM offers", _switch("all")),
    Option(("--pmu-counters",), "vmm.pmu", "N", "a PMU with N event counters", _number),
    Option(("--dump-dtb",), "vmm.dump_dtb", "FILE", "write the realm's device tree to a file", _file),
    Option(("--debug",), "", None, "the same as --verbose", _switch(True)),
    Option(("--exec",), "vmm.script", "SCRIPT", "run this instead of a shell; its status is the exit code", _text,
           own=True),
    Option(("--busybox",), "vmm.busybox", None, "the initramfs has the busybox that was fetched", _switch(True),
           own=True),
    Option(("--module",), "vmm.modules", "NAME", "kernel module that the initramfs loads", _text, many=True, own=True),
    Option(("--dtb",), "vmm.dtb", "FILE", "device tree, instead of one that is made", _file, own=True),
    Option(("--symbols",), "vmm.symbols", "FILE", "System.map or vmlinux: names where a realm is stuck", _file,
           own=True),
    Option(("--net-capture",), "vmm.net.capture", "FILE", "a network, and its packets to a file (pcap)", _file,
           own=True),
)  # fmt: skip

MEANINGLESS = (
    Known("--nocompat", False, "kvmtool's hints on how to build a kernel: there are none here"),
    Known("--no-pvtime", False, "there is no stolen time: virtual time is the realm's own instructions"),
    Known("--restricted_mem", False, "the realm's memory is out of the host's reach, always"),
)

REFUSED = (
    Known("--firmware", True, "a realm starts at its kernel: give that with -k"),
    Known("--firmware-address", True, "a realm starts at its kernel: give that with -k"),
    Known("--flash", True, "a realm starts at its kernel, without flash"),
    Known("--aarch32", False, "realms are AArch64 (DEN0137)"),
    Known("--force-pci", False, "there is no PCI: virtio devices are virtio-mmio"),
    Known("--vfio-pci", True, "there is no PCI, and no device of the host's to give away"),
    Known("--balloon", False, "a realm gives memory back by RIPAS changes"),
    Known("--vsock", True, "there is no such device"),
    Known("--hugetlbfs", True, "the realm's memory is the emulated machine's DRAM"),
    Known("--shmem", True, "what a realm shares is the upper half of its IPA space"),
    Known("--vcpu-affinity", True, "all vCPUs run in one thread"),
    Known("--tty", True, "the terminal that it is started from is the console"),
    Known("--gtk", False, "there is no display"),
    Known("--sdl", False, "there is no display"),
    Known("--vnc", False, "there is no display"),
)

_EXCLUSIVE = (("--sve-vl", "--disable-sve"), ("--pmu", "--pmu-counters"))


class _Refuse(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        why = next(known.why for known in REFUSED if known.name == option_string)
        raise UserError(f"run: {option_string} is not served: {why}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--realm`, and the options that need it."""
    parser.add_argument("--realm", action="store_true", help=f"Linux as a realm; FILE is then `{MACHINE}` by default")
    group = parser.add_argument_group("with --realm", "kvmtool's options by their names, and some more (docs/vmm.md)")
    for option in OPTIONS:
        how: dict[str, Any] = {"dest": option.dest, "default": None, "help": option.doc.replace("%", "%%")}
        if option.value is None:
            how |= {"action": "store_const", "const": ""}
        else:
            how |= {"metavar": option.value, "action": "append" if option.many else "store"}
        group.add_argument(*option.flags, **how)
    for known in MEANINGLESS:
        group.add_argument(known.name, dest=_known_dest(known), action="store_true", help=argparse.SUPPRESS)
    for known in REFUSED:
        count: Any = "?" if known.value else 0
        group.add_argument(known.name, action=_Refuse, nargs=count, dest=_known_dest(known), help=argparse.SUPPRESS)


def _known_dest(known: Known) -> str:
    return f"known_{known.name.lstrip('-').replace('-', '_')}"


def given(args: argparse.Namespace) -> Iterator[tuple[Option, Any]]:
    """The options on the command line, with their text or the list of their texts."""
    for option in OPTIONS:
        value = getattr(args, option.dest)
        if value is not None:
            yield option, value


def layers(args: argparse.Namespace) -> list[tuple[str, dict[str, Any]]]:
    """(option, layer over the machine file), in the order of their declaration; UserError at the one that is wrong."""
    options = list(given(args))
    names = [option.name for option, _ in options]
    if not args.realm:
        names += [known.name for known in MEANINGLESS if getattr(args, _known_dest(known))]
        if names:
            raise UserError(f"run: {names[0]} needs --realm")
        return []
    for pair in _EXCLUSIVE:
        if all(name in names for name in pair):
            raise UserError(f"run: {pair[0]} and {pair[1]} exclude each other")
    if args.realm_network is not None and args.realm_net_capture is not None and "none" in args.realm_network:
        raise UserError("run: --net-capture needs a network, which -n none takes away")
    found: list[tuple[str, dict[str, Any]]] = [("--realm", {"vmm": {}})]
    for option, text in options:
        value = [_parsed(option, one) for one in text] if option.many else _parsed(option, text)
        if option.key:
            found.append((option.name, _nested(option.key.split("."), value)))
    return found


def _parsed(option: Option, text: str) -> Any:
    try:
        return option.parse(text)
    except ValueError as error:
        raise UserError(f"run: {option.name} {text}: {error}") from None


def _nested(keys: Sequence[str], value: Any) -> dict[str, Any]:
    return {keys[0]: _nested(keys[1:], value) if len(keys) > 1 else value}
