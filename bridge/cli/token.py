# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge token`: shows and verifies attestation tokens."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from rmm.attestation.token import CcaToken, Half
    from rmm.attestation.verify import Expected

HELP = "show, verify: what an attestation token says and whether it holds; key: a machine's platform key"
MAX_FILE = 4 << 20  # a console's log may surround the token
BEGIN, END = "-----BEGIN CCA TOKEN-----", "-----END CCA TOKEN-----"
_FORM = (
    "FILE holds the token as it is, in hexadecimal, or in hexadecimal between the lines that the shipped payload "
    "prints; - is standard input."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="show|verify|key", required=True)
    show = actions.add_parser("show", help="every claim, decoded; nothing is verified", allow_abbrev=False)
    show.add_argument("file", metavar="FILE", help=_FORM)
    show.add_argument("--json", action="store_true", help="one JSON object")
    verify = actions.add_parser("verify", help="each check by name; exit code 1 when one fails", allow_abbrev=False)
    verify.add_argument("file", metavar="FILE", help=_FORM)
    verify.add_argument("--platform-key", metavar="PEM", help="the platform's public key (P-384)")
    verify.add_argument("--challenge", metavar="HEX", help="challenge that the realm was given, 64 bytes or fewer")
    verify.add_argument("--rim", metavar="HEX", action="append", default=[], help="RIM of a trusted realm; repeatable")
    verify.add_argument("--rem", metavar="N=HEX", action="append", default=[], help="value of REM N, 1 to 4")
    verify.add_argument("--rpv", metavar="TEXT|hex:…", help="personalization value")
    verify.add_argument("--policy", metavar="YAML", help="file with what is expected (docs/attestation.md)")
    verify.add_argument("--strict", action="store_true", help="a check that is not made counts as failed")
    verify.add_argument("--json", action="store_true", help="one JSON object")
    key = actions.add_parser("key", help="the public key of a machine's platform, as PEM", allow_abbrev=False)
    key.add_argument("machine", metavar="FILE|NAME", help="machine file or shipped name")
    key.add_argument(
        "-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="override a key: platform.seed=7"
    )


def main(args: argparse.Namespace) -> int:
    if args.action == "key":
        return _key(args)
    token = _read(args.file)
    for line in _warnings(token):
        print(f"ccabridge: warning: {line}", file=sys.stderr)
    return _show(token, as_json=args.json) if args.action == "show" else _verify(token, args)


# Input


def _read(path: str) -> CcaToken:
    from bridge.errors import UserError
    from rmm.attestation.cbor import Malformed
    from rmm.attestation.token import parse

    try:
        return parse(_bytes(path))
    except Malformed as error:
        raise UserError(f"{path}: not a CCA token: {error}") from None


def _bytes(path: str) -> bytes:
    """The token's bytes, of whatever form; UserError for files that cannot be read or are too large."""
    from bridge.cli.token_policy import unhex
    from bridge.errors import UserError

    try:
        if path == "-":
            data = sys.stdin.buffer.read(MAX_FILE + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"{path}: {reason}") from None
    if len(data) > MAX_FILE:
        raise UserError(f"{path}: not a CCA token: oversized: more than {MAX_FILE} bytes")
    if not data:
        raise UserError(f"{path}: not a CCA token: truncated: it is empty")
    if BEGIN.encode() in data:
        return _from_log(path, data)
    stripped = b"".join(data.split())
    if stripped and all(byte in b"0123456789abcdefABCDEF" for byte in stripped):
        return unhex(path, stripped.decode())
    if data.isascii() and not any(byte < 9 for byte in data):
        raise UserError(f"{path}: not a CCA token: text without a line {BEGIN}")
    return data


def _from_log(path: str, data: bytes) -> bytes:
    """The last token that was printed between BEGIN and END; each line may carry the console's name in front."""
    from bridge.cli.token_policy import unhex
    from bridge.errors import UserError

    _, _, rest = data.rpartition(BEGIN.encode())
    body, found, _ = rest.partition(END.encode())
    if not found:
        raise UserError(f"{path}: not a CCA token: truncated: no line {END}")
    lines = [line.split() for line in body.decode("ascii", "replace").splitlines()[1:]]
    words = [line[-1] for line in lines if line]
    if lines and words and not body.endswith(b"\n"):
        words.pop()  # the console's name in front of END
    return unhex(path, "".join(words))


# Show


def _warnings(token: CcaToken) -> Iterator[str]:
    """Keys that everybody has."""
    from machine.keys import published_keys
    from rmm.attestation import claims as c
    from rmm.attestation import cose

    for keys in published_keys():
        text = f"key is the test key of platform.seed {keys.seed}, which everybody has: this token proves nothing"
        if token.realm.claims.get(c.PUBLIC_KEY) == keys.realm:
            yield f"the realm {text}"
        if cose.verify(cose.public_key(*keys.platform), token.platform.signed):
            yield f"the platform {text}"


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex() if value else "(empty)"
    return str(value)[:400]


def _rows(half: Half, table: Sequence[Any]) -> list[tuple[str, int | str, object]]:
    """(name, key, value) of every claim, those that nothing declares last."""
    claims = half.claims
    rows: list[tuple[str, int | str, object]] = [
        (one.name, one.key, claims[one.key]) for one in table if one.key in claims
    ]
    known = {one.key for one in table}
    rows += [("(unknown)", key, value) for key, value in claims.items() if key not in known]
    return rows


def _show(token: CcaToken, *, as_json: bool) -> int:
    from rmm.attestation import claims as c

    halves = (("platform", token.platform, c.PLATFORM), ("realm", token.realm, c.REALM))
    if as_json:
        import json

        print(json.dumps({name: _plain(half, table) for name, half, table in halves} | {"size": token.size}))
        return 0
    from bridge.errors import one_line

    print(f"CCA token, {token.size} bytes, not verified")
    for name, half, table in halves:
        algorithm = _algorithm(half)
        print(f"{name} token: COSE_Sign1, {len(half.encoded)} bytes, algorithm {one_line(algorithm)}")
        for label, key, value in _rows(half, table):
            for line in _claim_lines(label, key, value):
                print("  " + one_line(line))
    return 0


def _algorithm(half: Half) -> str:
    from rmm.attestation.cose import ALGORITHMS

    found = half.signed.algorithm
    return ALGORITHMS.get(found, f"{found}") if type(found) is int else f"{found!r:.40}"


def _note(key: int | str, value: object) -> str:
    """What people read more easily than hexadecimal."""
    from rmm.attestation import claims as c
    from rmm.attestation import cose

    if key == c.PUBLIC_KEY and isinstance(value, bytes):
        try:
            cose.decode_key(value)
        except ValueError as error:  # Malformed and BadKey are some
            return f" ({error})"
        return " (COSE_Key: EC2, P-384)"
    if key == c.PERSONALIZATION and isinstance(value, bytes):
        text = value.rstrip(b"\0").decode("ascii", "replace")
        return f" ({text})" if text and text.isascii() and text.isprintable() else ""
    return ""


def _claim_lines(label: str, key: int | str, value: object) -> list[str]:
    from rmm.attestation import claims as c

    head = f"{label} [{str(key)[:40]}]"
    if key == c.LIFECYCLE and type(value) is int:
        return [f"{head}: {value:#06x} ({c.lifecycle_name(value)})"]
    if not isinstance(value, list):
        return [f"{head}: {_text(value)}{_note(key, value)}"]
    lines = [f"{head}:"]
    names = {one.key: one.name for one in c.COMPONENT}
    for index, item in enumerate(value, 1):
        if isinstance(item, dict):
            parts = [
                f"{names.get(k, str(k)[:40])} {_text(v)}" for k, v in sorted(item.items(), key=lambda i: str(i[0]))
            ]
            lines.append(f"  {index}: {', '.join(parts)}")
        else:
            lines.append(f"  {index}: {_text(item)}")
    return lines


def _jsonable(value: object) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    return value if isinstance(value, (int, str, type(None))) else str(value)[:400]


def _plain(half: Half, table: Sequence[Any]) -> dict[str, Any]:
    """Claims by name; numbers as text for keys that nothing declares."""
    from rmm.attestation import claims as c

    out = {name if name != "(unknown)" else str(key): _jsonable(value) for name, key, value in _rows(half, table)}
    components = half.claims.get(c.COMPONENTS)
    if isinstance(components, list) and table is c.PLATFORM:
        names = {one.key: one.name for one in c.COMPONENT}
        out["software components"] = [
            {names.get(k, str(k)): _jsonable(v) for k, v in item.items()} if isinstance(item, dict) else _jsonable(item)
            for item in components
        ]
    return {"algorithm": _algorithm(half), "claims": out}


# Verify


def _verify(token: CcaToken, args: argparse.Namespace) -> int:
    from bridge.errors import one_line
    from rmm.attestation.verify import checks

    expected = _expected(args)
    key = None if args.platform_key is None else _load_key(args.platform_key)
    made = list(checks(token, key, expected))
    failed = [check for check in made if check.passed is False or (args.strict and check.passed is None)]
    if args.json:
        import json

        rows = [{"check": one.name, "verdict": one.verdict, "detail": one.detail} for one in made]
        print(json.dumps({"ok": not failed, "checks": rows}))
    else:
        for check in made:
            print(one_line(str(check)))
        print(f"token: {'REFUSED' if failed else 'accepted'}")
    return 1 if failed else 0


def _load_key(path: str) -> EllipticCurvePublicKey:
    from bridge.errors import UserError
    from machine.keys import read_public_key

    try:
        with open(path, "rb") as file:
            return read_public_key(file.read(1 << 16))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def _expected(args: argparse.Namespace) -> Expected:
    from bridge.cli import token_policy as policy
    from bridge.errors import UserError
    from rmm.attestation.verify import Expected

    base = Expected() if args.policy is None else policy.read(args.policy)
    if args.challenge is not None:
        base.challenge = policy.challenge("--challenge", args.challenge)
    if args.rim:
        base.rims = [policy.rim("--rim", text) for text in args.rim]
    for text in args.rem:
        number, _, value = text.partition("=")
        if number not in ("1", "2", "3", "4"):
            raise UserError(f"--rem {text[:40]}: expected N=HEX with N from 1 to 4")
        base.rems = {**base.rems, int(number): policy.rim("--rem", value)}
    if args.rpv is not None:
        base.rpv = policy.rpv("--rpv", args.rpv)
    return base


# Key


def _key(args: argparse.Namespace) -> int:
    from machine.attestation import Identity
    from machine.config import load

    print(Identity(load(args.machine, args.set)).public_pem(), end="")
    return 0
