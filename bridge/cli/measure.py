# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge measure`: the initial measurement of a machine's realms, without running it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from machine.config.loader import MachineConfig
    from machine.measure import Prediction, Step

HELP = "compute the initial measurement (RIM) of realms without running them, or say why two differ"
_MAX_FILE = 256 << 20
_PRINTED = b'{"realm":'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from bridge.cli import realm

    parser.add_argument(
        "machine",
        nargs="*",
        metavar="FILE|NAME|ELF",
        help="machine file, shipped name or realm payload; or `diff A B`, where A and B may also be what "
        "`measure --steps --json` printed",
    )
    parser.add_argument(
        "-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="override a key (of B, under diff)"
    )
    parser.add_argument("--steps", action="store_true", help="each call that is measured, and the RIM after it")
    parser.add_argument("--rim", action="store_true", help="nothing but the RIM, a line each")
    parser.add_argument("--json", action="store_true", help="one JSON object a realm")
    realm.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    from bridge.errors import UserError

    if args.machine[:1] == ["diff"]:
        if len(args.machine) != 3:
            raise UserError("measure diff: expected two: machine files, shipped names, or output of --steps --json")
        return _diff(args.machine[1], args.machine[2], args)
    if len(args.machine) > 1:
        raise UserError("measure: expected one machine (or `diff A B`)")
    found = _predict(_configure(args, args.machine[0] if args.machine else None, args.set))
    if not found:
        raise UserError(f"{args.machine[0]}: the machine has no realm")
    for prediction in found:
        if args.rim:
            print(prediction.rim)
        elif args.json:
            _print_json(prediction, steps=args.steps)
        else:
            _print(prediction, steps=args.steps)
    return 0


def _predict(config: MachineConfig) -> list[Prediction]:
    from machine.measure import foreign_host, predict

    foreign = foreign_host(config)
    if foreign is not None:
        print(
            f"ccabridge: note: {foreign} may build realms otherwise than firmware:host, as is assumed", file=sys.stderr
        )
    return predict(config)


def _configure(args: argparse.Namespace, name: str | None, overrides: list[str]) -> MachineConfig:
    """As `run` takes it."""
    from bridge.cli import run
    from bridge.errors import UserError

    words = argparse.Namespace(**{**vars(args), "machine": name, "set": overrides, "load": [], "entry": None})
    try:
        return run._configure(words)
    except UserError as error:
        if not str(error).startswith("run: "):
            raise
        text = str(error).removeprefix("run").replace("`ccabridge run ", "`ccabridge measure ")
        raise UserError(f"measure{text}") from None


def _print_json(prediction: Prediction, *, steps: bool) -> None:
    import msgspec

    value = msgspec.to_builtins(prediction)
    if not steps:
        value = {key: value[key] for key in ("realm", "hash", "rim")}
    print(msgspec.json.encode(value).decode())


def _print(prediction: Prediction, *, steps: bool) -> None:
    if steps:
        for step in prediction.steps:
            print(f"{_text(step)}: {step.rim}")
        extra = prediction.unmeasured["RECs that are not runnable"]
        if extra != "0":
            print(f"RMI_REC_CREATE of {extra} more, not runnable: not measured")
    print(f"realm {prediction.realm}: {prediction.hash} {prediction.rim}")


def _text(step: Step) -> str:
    if step.values:
        return f"{step.call} {' '.join(f'{name}={value:#x}' for name, value in step.values.items())}"
    what = f"{step.what} " if step.what else ""
    return f"{step.call} {what}{step.base:#x} to {step.top - 1:#x}"


def _printed(name: str) -> bytes | None:
    """What a file holds that this command has printed; None for everything else."""
    try:
        with open(name, "rb") as file:
            start = file.read(len(_PRINTED))
            return start + file.read(_MAX_FILE + 1 - len(start)) if start == _PRINTED else None
    except (OSError, ValueError):  # a shipped name, or what `load` has words for
        return None


def _load(name: str, args: argparse.Namespace, overrides: list[str]) -> list[Prediction]:
    """The realms of a machine, or those that a file of JSON lines holds."""
    import msgspec

    from bridge.errors import UserError
    from machine.measure import Prediction

    data = _printed(name)
    if data is not None:
        if len(data) > _MAX_FILE:
            raise UserError(f"{name}: more than {_MAX_FILE} bytes")
        try:
            found = msgspec.json.Decoder(Prediction).decode_lines(data)
        except msgspec.MsgspecError as error:
            raise UserError(f"{name}: not the output of `measure --steps --json`: {error}") from None
        if any(not one.steps for one in found):
            raise UserError(f"{name}: it has no steps: `measure --steps --json` prints them")
        return found
    return _predict(_configure(args, name, overrides))


def _diff(first: str, second: str, args: argparse.Namespace) -> int:
    """Exit code 1 when a RIM differs."""
    from bridge.errors import UserError, one_line
    from machine.measure import differences, unmeasured

    a, b = _load(first, args, []), _load(second, args, args.set)
    if len(a) != len(b) or not a:
        raise UserError(f"measure diff: {first} has {len(a)} realms, {second} has {len(b)}")
    for left, right in zip(a, b, strict=True):
        names = list(dict.fromkeys((left.realm, right.realm)))
        counts = [one_line(line) for line in differences(left, right)]
        others = [one_line(line) for line in unmeasured(left, right)]
        if args.json:
            found = {"realms": names, "rims": [left.rim, right.rim], "differences": counts, "not measured": others}
            print(json.dumps(found))
            continue
        print(one_line(f"realm {' / '.join(names)}: the RIMs {'are equal' if left.rim == right.rim else 'differ'}"))
        for line in counts:
            print(f"  {line}")
        for line in others:
            print(f"  not measured: {line}")
    return 0 if all(left.rim == right.rim for left, right in zip(a, b, strict=True)) else 1
