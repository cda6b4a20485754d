# SPDX-License-Identifier: GPL-2.0-or-later
"""Where UARTs lead: what `console` and `input` of a machine file say."""

from __future__ import annotations

from dataclasses import dataclass

MAX_LABEL = 32


@dataclass(frozen=True, slots=True)
class Label:
    """Lines on standard output, with this label."""

    text: str


@dataclass(frozen=True, slots=True)
class File:
    path: str


@dataclass(frozen=True, slots=True)
class Tcp:
    """A listening socket; host is a numeric address."""

    host: str
    port: int
    wait: bool


@dataclass(frozen=True, slots=True)
class Unix:
    path: str
    wait: bool


@dataclass(frozen=True, slots=True)
class Stdin:
    pass


@dataclass(frozen=True, slots=True)
class Nothing:
    pass


Output = Label | File | Tcp | Unix | Nothing
Input = Stdin | File | Nothing


def parse_output(text: str) -> Output:
    """What `console: text` says; ValueError with the reason when it says nothing sensible."""
    kind, colon, rest = text.partition(":")
    if text == "none":
        return Nothing()
    if not colon or kind not in ("file", "tcp", "unix"):
        if len(text) > MAX_LABEL:
            raise ValueError(f"expected a label of at most {MAX_LABEL} characters, `file:`, `tcp:` or `unix:`")
        if not text.isprintable():
            raise ValueError("expected printable text")
        return Label(text)
    if kind == "file":
        return File(_path(rest, "file:PATH"))
    address, comma, option = rest.rpartition(",") if rest.endswith(",wait") else (rest, "", "")
    if kind == "unix":
        path = _path(address, "unix:PATH")
        if len(path.encode()) > 100:
            raise ValueError("the path of a socket has at most 100 bytes")
        return Unix(path, bool(comma))
    host, _, port = address.rpartition(":")
    import ipaddress  # 3 ms

    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
    except ValueError:
        number = 0
    if not 1 <= number <= 0xFFFF:
        raise ValueError("expected tcp:ADDRESS:PORT such as tcp:127.0.0.1:5000")
    return Tcp(host.removeprefix("[").removesuffix("]"), number, option == "wait")


def parse_input(text: str) -> Input:
    """What `input: text` says; ValueError with the reason."""
    if text == "none":
        return Nothing()
    if text == "stdin":
        return Stdin()
    kind, _, rest = text.partition(":")
    if kind != "file":
        raise ValueError("expected `none`, `stdin` or `file:PATH`")
    return File(_path(rest, "file:PATH"))


def _path(text: str, form: str) -> str:
    if not text or "\0" in text:
        raise ValueError(f"expected {form}")
    return text


def with_path(text: str) -> tuple[str, str, str]:
    """`text` as kind, path and option, where it names a path (`file:`, `unix:`); else the path is empty."""
    kind, _, rest = text.partition(":")
    if kind not in ("file", "unix"):
        return text, "", ""
    option = ",wait" if kind == "unix" and rest.endswith(",wait") else ""
    return f"{kind}:", rest.removesuffix(option), option
