# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy file of `ccabridge token verify`: what a relying party expects of a token (docs/attestation.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bridge.errors import UserError
from rmm.attestation.claims import LIFECYCLES
from rmm.attestation.verify import Expected

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_FILE = 1 << 20


class Policy(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    """Hexadecimal throughout, but for `personalization`, `lifecycle` and the components' types."""

    challenge: str | None = None
    rim: list[str] = []
    rem: dict[int, str] = {}
    personalization: str | None = None
    lifecycle: list[str] = []
    implementation_id: list[str] = []
    instance_id: list[str] = []
    components: dict[str, list[str]] = {}


def read(path: str) -> Expected:
    """UserError for what is no policy."""
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_MAX_FILE + 1)
        if len(text) > _MAX_FILE:
            raise UserError(f"{path}: more than {_MAX_FILE} bytes")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise UserError(f"{path}: a policy has no aliases")
        # BaseLoader makes text, lists and mappings only: 00112233 stays hexadecimal.
        value = yaml.load(text, yaml.BaseLoader)
        policy = msgspec.convert({} if value in (None, "") else value, Policy, strict=False)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise UserError(f"{path}{place}: {getattr(error, 'problem', None) or 'not YAML'}") from None
    except RecursionError:
        raise UserError(f"{path}: nested too deep") from None
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {error}") from None
    return _expected(path, policy)


def _expected(path: str, policy: Policy) -> Expected:
    names = [name for _, name in LIFECYCLES]
    for name in policy.lifecycle:
        if name not in names:
            raise UserError(f"{path}: lifecycle: {name[:60]!r}: expected one of {', '.join(names)}")
    for number in policy.rem:
        if not 1 <= number <= 4:
            raise UserError(f"{path}: rem: {number}: expected 1 to 4")

    def unhex(key: str, text: str) -> bytes:
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise UserError(f"{path}: {key}: expected pairs of hexadecimal digits, found {text[:40]!r}") from None

    def each(key: str, texts: list[str]) -> list[bytes]:
        return [unhex(key, text) for text in texts]

    challenge = None if policy.challenge is None else unhex("challenge", policy.challenge)
    components: Mapping[str, list[bytes]] = {
        name: each(f"components.{name}", texts) for name, texts in policy.components.items()
    }
    return Expected(
        challenge=None if challenge is None else challenge.ljust(64, b"\0"),
        rims=each("rim", policy.rim),
        rems={number: unhex("rem", text) for number, text in policy.rem.items()},
        rpv=None if policy.personalization is None else _rpv(path, policy.personalization),
        lifecycles=policy.lifecycle,
        implementation_ids=each("implementation-id", policy.implementation_id),
        instance_ids=each("instance-id", policy.instance_id),
        components=components,
    )


def _rpv(path: str, text: str) -> bytes:
    from machine.config.types import personalization

    try:
        return personalization(text)
    except ValueError as error:
        raise UserError(f"{path}: personalization: {error}") from None
