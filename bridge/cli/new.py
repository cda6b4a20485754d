# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge new`: a folder with a realm payload or a host firmware that builds, runs and is tested as it is."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

HELP = "start a realm payload or a host firmware in a folder of its own"
KINDS = ("payload", "host")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,47}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=KINDS, help="payload: runs in a realm at R-EL1; host: runs at NS-EL2")
    parser.add_argument("directory", metavar="DIR", help="folder to make; its last part is the firmware's name")


def main(args: argparse.Namespace) -> int:
    from bridge.errors import UserError
    from firmware import templates_dir

    directory = Path(args.directory)
    name = directory.resolve().name
    if "\0" in args.directory or not _NAME.fullmatch(name):
        raise UserError(f"new: `{name[:100]}` is no name for firmware: a letter, then letters, digits, - and _")
    try:
        made = write(templates_dir() / args.kind, directory, name)
    except OSError as error:
        raise UserError(f"new: {error.filename or args.directory}: {error.strerror}") from None
    for path in made:
        print(path)
    print(f"next: cd {args.directory} && make run")
    return 0


def write(template: Path, directory: Path, name: str) -> list[Path]:
    """Copies a template into a new or empty folder, with the name filled in; the paths, in order.

    UserError, with nothing written, when there is something in the folder already.
    """
    import sys

    from bridge.errors import UserError

    words = {"@NAME@": name, "@PYTHON@": sys.executable}
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(template.iterdir()) if path.is_file()}
    if directory.is_symlink() and not directory.exists():
        raise UserError(f"new: {directory} is a link to nothing")
    if directory.exists() and not directory.is_dir():
        raise UserError(f"new: {directory} exists and is no folder; nothing was written")
    if directory.is_dir() and any(directory.iterdir()):
        raise UserError(f"new: {directory} is not empty; nothing was written")
    directory.mkdir(parents=True, exist_ok=True)
    made = []
    for file, text in texts.items():
        for word, value in words.items():
            text = text.replace(word, value)
        path = directory / file
        with path.open("x", encoding="utf-8") as out:
            out.write(text)
        made.append(path)
    return made
