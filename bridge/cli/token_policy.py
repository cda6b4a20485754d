# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy file of `ccabridge token verify`: what a relying party expects of a token (docs/attestation.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bridge.errors import UserError
from rmm.attestation.claims import DIGESTS, LIFECYCLES, RIM_SIZES
from rmm.attestation.verify import Expected

if TYPE_CHECKING:
    from collections.abc import Mapping

    import yaml

_MAX_FILE = 1 << 16
_MAX_DEPTH = 8
_CHALLENGE = 64  # bytes


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
        _check_shape(path, text)
        _check_nodes(path, yaml.compose(text, yaml.BaseLoader))
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
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {error}") from None
    return _expected(path, policy)


def _check_shape(path: str, text: str) -> None:
    """Refuses, token by token, what would cost the parser time or memory beyond all bounds."""
    import yaml

    opening = (
        yaml.BlockMappingStartToken,
        yaml.BlockSequenceStartToken,
        yaml.FlowMappingStartToken,
        yaml.FlowSequenceStartToken,
    )
    closing = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
    depth = 0
    for token in yaml.scan(text):
        if isinstance(token, yaml.AliasToken):
            raise UserError(f"{path}: a policy has no aliases")
        depth += isinstance(token, opening) - isinstance(token, closing)
        if depth > _MAX_DEPTH:
            raise UserError(f"{path}: nested too deep")


def _check_nodes(path: str, root: yaml.Node | None) -> None:
    """Refuses what would accept by mistake: a key of which only the last counts, a list that names nothing."""
    import yaml

    nodes = [] if root is None else [root]
    while nodes:
        node = nodes.pop()
        place = f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
        if isinstance(node, yaml.MappingNode):
            keys: set[object] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in keys:
                    raise UserError(f"{path}:{key.start_mark.line + 1}: key `{key.value[:60]}` stands here twice")
                keys.add(key.value if isinstance(key, yaml.ScalarNode) else key)
                nodes.append(value)
        elif isinstance(node, yaml.SequenceNode):
            if not node.value:
                raise UserError(f"{place}: an empty list accepts nothing: leave the key out if anything is accepted")
            nodes += node.value


# Values, of the command line too


def unhex(what: str, text: str, *sizes: int) -> bytes:
    """UserError for what is not hexadecimal, or not of one of these sizes."""
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise UserError(f"{what}: expected pairs of hexadecimal digits, found {text[:40]!r}") from None
    if sizes and len(data) not in sizes:
        raise UserError(f"{what}: {len(data)} bytes, expected {' or '.join(map(str, sizes))}")
    return data


def challenge(what: str, text: str) -> bytes:
    """64 bytes, as a realm gets one that is shorter."""
    data = unhex(what, text)
    if len(data) > _CHALLENGE:
        raise UserError(f"{what}: {len(data)} bytes, a challenge has at most {_CHALLENGE}")
    return data.ljust(_CHALLENGE, b"\0")


def rim(what: str, text: str) -> bytes:
    """A measurement of a realm."""
    return unhex(what, text, *RIM_SIZES.values())


def rpv(what: str, text: str) -> bytes:
    """A personalization value: text, or hex:BYTES."""
    from machine.config.types import personalization

    try:
        return personalization(text)
    except ValueError as error:
        raise UserError(f"{what}: {error}") from None


def _expected(path: str, policy: Policy) -> Expected:
    names = [name for _, name in LIFECYCLES]
    for name in policy.lifecycle:
        if name not in names:
            raise UserError(f"{path}: lifecycle: {name[:60]!r}: expected one of {', '.join(names)}")
    for number in policy.rem:
        if not 1 <= number <= 4:
            raise UserError(f"{path}: rem: {number}: expected 1 to 4")

    components: Mapping[str, list[bytes]] = {
        name: [unhex(f"{path}: components.{name}", text, *DIGESTS) for text in texts]
        for name, texts in policy.components.items()
    }
    return Expected(
        challenge=None if policy.challenge is None else challenge(f"{path}: challenge", policy.challenge),
        rims=[rim(f"{path}: rim", text) for text in policy.rim],
        rems={number: rim(f"{path}: rem.{number}", text) for number, text in policy.rem.items()},
        rpv=None if policy.personalization is None else rpv(f"{path}: personalization", policy.personalization),
        lifecycles=policy.lifecycle,
        implementation_ids=[unhex(f"{path}: implementation-id", text, 32) for text in policy.implementation_id],
        instance_ids=[unhex(f"{path}: instance-id", text, 33) for text in policy.instance_id],
        components=components,
    )
