# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine files that come with the project, by name: `hello-realm`, `boards/mini`."""

from __future__ import annotations

from pathlib import Path


def directory() -> Path:
    """`machine/configs` of an installed package, `configs` of a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def find(name: str) -> Path | None:
    """The shipped file of that name (with or without `.yaml`), or None."""
    stem = name.removesuffix(".yaml")
    parts = stem.split("/")
    if len(name) > 200 or "\0" in name or any(part in ("", ".", "..") for part in parts):
        return None
    path = directory().joinpath(*parts[:-1], f"{parts[-1]}.yaml")
    return path if path.is_file() else None


def names(*, boards: bool = False) -> list[str]:
    """Shipped names in alphabetical order; with `boards` those of the boards, `boards/NAME`, as well."""
    root = directory()
    found = sorted(path.stem for path in root.glob("*.yaml"))
    if boards:
        found += sorted(f"boards/{path.stem}" for path in (root / "boards").glob("*.yaml"))
    return found


def first_comment(path: Path) -> str:
    """What the file shows: its first comment that is not the editor's schema line, or an empty string."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            text = line.strip()
            if text and not text.startswith("#"):
                break
            comment = text.lstrip("# ").rstrip()
            if comment and not comment.startswith(("yaml-language-server:", "SPDX-")):
                return comment
    return ""
