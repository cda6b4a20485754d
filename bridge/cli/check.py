# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge check`: says what is wrong with a machine file, or what the machine is."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from machine.config import MachineConfig


HELP = "check machine files, their layers and the files they load; exit code 2 when one is wrong"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("machine", nargs="+", metavar="FILE|NAME", help="a machine file or a shipped machine")
    parser.add_argument(
        "-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="override a key: memory.dram.size=1G"
    )
    parser.add_argument("--resolved", action="store_true", help="print it with layers merged and defaults written out")
    parser.add_argument("--json", action="store_true", help="print one JSON object per machine")


def main(args: argparse.Namespace) -> int:
    from bridge.errors import UserError

    worst = 0
    for name in args.machine:
        try:
            print(_report(name, args), end="")
        except UserError as error:
            worst = error.exit_code
            if args.json:
                import json

                print(json.dumps({"machine": name, "ok": False, "error": str(error)}))
            else:
                print(error, file=sys.stderr)
    return worst


def _report(name: str, args: argparse.Namespace) -> str:
    from machine.config import load
    from machine.config.images import Images, read_images
    from machine.config.supported import refuse_unsupported

    config = load(name, args.set)
    refuse_unsupported(config)
    images: Images = read_images(config)
    if args.json:
        import json

        summary = {
            "machine": name,
            "ok": True,
            "file": config.source.path,
            "description": config.description,
            "cpus": config.cpu.count,
            "memory": {n: {"base": int(r.base), "size": int(r.size), "pas": r.pas} for n, r in config.memory.items()},
            "devices": {n: {"base": int(d.base), "size": int(d.size)} for n, d in config.devices.items()},
            "loads": {
                n: {"kind": i.kind, "base": i.base, "end": i.end, "entry": i.entry} for n, i in images.loads.items()
            },
            "realms": [{"name": r.realm.name, "base": r.base, "size": r.size} for r in images.realms],
            "entry": images.entry,
        }
        if args.resolved:
            from machine.config.dump import resolved

            summary["resolved"] = resolved(config)
        return json.dumps(summary) + "\n"
    if args.resolved:
        from machine.config.dump import resolved

        return f"# {name}\n{resolved(config)}"
    return f"{name}: ok\n{_summary(config, images)}"


def _summary(config: MachineConfig, images: Any) -> str:
    from machine.config.scalars import address_text, size_text
    from machine.config.windows import windows

    lines: list[str] = []
    if config.description:
        lines.append(config.description)
    lines.append(f"{config.cpu.count} PE{'s' if config.cpu.count > 1 else ''}, {config.cpu.pa_bits}-bit PA")
    rows: list[tuple[int, int, str, str]] = [(int(r.base), int(r.size), n, r.pas) for n, r in config.memory.items()]
    for window in windows(config):
        what = str(config.devices[window.device].__struct_config__.tag)
        rows.append((window.base, window.size, window.device, f"{what}, {window.part}" if window.part else what))
    for base, size, label, what in sorted(rows):
        lines.append(f"{address_text(base):>16} {size_text(size):>6}  {label} ({what})")
    for name, image in images.loads.items():
        span = f"{address_text(image.base)} to {address_text(image.end - 1)}"
        lines.append(f"load {name}: {image.kind}, {span}, {config.load[name].world} world")
    for realm in images.realms:
        ram, recs = size_text(realm.realm.ram.size), realm.realm.recs
        lines.append(
            f"realm {realm.realm.name}: {size_text(realm.size)} image at IPA {address_text(realm.base)}, "
            f"{ram} RAM, {recs} REC{'s' if recs > 1 else ''}"
        )
    if images.secure is not None:
        lines.append(f"service starts at {address_text(images.secure)}, EL1, secure world")
    lines.append(f"starts at {address_text(images.entry)}, EL{config.boot.el}, {config.boot.world} world")
    return "".join(f"  {line}\n" for line in lines)
