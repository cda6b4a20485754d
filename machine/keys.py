# SPDX-License-Identifier: GPL-2.0-or-later
"""The platform's two keys on P-384, one for platform tokens and one for realm tokens: where they come from.

From PEM files; or from a small number, for tests; or generated once for each user and kept.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from bridge.errors import ConfigError, UserError
from machine.folders import user_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

    from machine.config.loader import MachineConfig

Purpose = Literal["platform", "realm"]
KEY_SIZE = 48  # bytes of a P-384 scalar
TEST_SEEDS = range(16)  # `platform.seed`: few enough for a verifier to know them all
_MAX_PEM = 1 << 16


class NotKept(UserError):
    """There is no place for a key that must be generated."""


def key_of_config(config: MachineConfig, purpose: Purpose) -> bytes:
    """The scalar of 48 bytes that a machine file asks for.  UserError for files that cannot be used, or NotKept."""
    file = getattr(config.platform, f"{purpose}_key")
    if file is not None:
        return _from_file(file, _where(config, purpose))
    if config.platform.seed is not None:
        return derive(purpose, config.platform.seed)
    return kept(purpose)


def check_keys(config: MachineConfig) -> None:
    """ConfigError for key files that cannot be used."""
    purposes: tuple[Purpose, ...] = ("platform", "realm")
    for purpose in purposes:
        file = getattr(config.platform, f"{purpose}_key")
        if file is not None:
            _from_file(file, _where(config, purpose))


def _where(config: MachineConfig, purpose: Purpose) -> str:
    return f"{config.source.where('platform', f'{purpose}_key')}: platform.{purpose}_key"


# PEM files


def read_public_key(pem: bytes) -> EllipticCurvePublicKey:
    """ValueError for what is no P-384 key; of a private key the public half."""
    if b"PRIVATE KEY" in pem:
        return _private_key(pem).public_key()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError:
        raise ValueError("not a PEM file with a public key") from None
    except UnsupportedAlgorithm:
        raise ValueError("the key is not on P-384") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise ValueError("the key is not on P-384")
    return key


def _private_key(pem: bytes) -> EllipticCurvePrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise ValueError("the private key is encrypted") from None
    except ValueError:
        raise ValueError("not a PEM file with a private key") from None
    except UnsupportedAlgorithm:
        raise ValueError("the key is not on P-384") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise ValueError("the key is not on P-384")
    return key


def _from_file(file: str | Path, where: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            key = _private_key(opened.read(_MAX_PEM))
    except OSError as error:
        raise ConfigError(f"{where}: {file}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{where}: {file}: {error}") from None
    return _scalar(key)


def _scalar(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes(KEY_SIZE, "big")


# Kept


def keys_dir() -> Path:
    """`$XDG_DATA_HOME/ccabridge/keys`, `~/.local/share/ccabridge/keys` by default."""
    return user_folder("XDG_DATA_HOME", ".local/share") / "keys"


def kept(purpose: Purpose) -> bytes:
    """The user's key, generated where there is none."""
    path = keys_dir() / f"{purpose}.pem"
    try:
        if not path.exists():
            _generate(path)
    except OSError as error:
        raise NotKept(f"{path}: the key that was generated cannot be kept: {error.strerror}") from None
    return _from_file(path, f"the {purpose} key")


def _new() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP384R1())


@cache
def temporary(purpose: Purpose) -> bytes:
    """A key that nobody has when this process has ended."""
    return _scalar(_new())


def _generate(path: Path) -> None:
    """There whole, for this user only, or not at all; of two processes the first one's stays."""
    import tempfile

    from cryptography.hazmat.primitives import serialization

    pem = _new().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent) as file:  # mode 0600
        file.write(pem)
        file.flush()
        try:
            os.link(file.name, path)
        except FileExistsError:
            return


# For tests


def derive(purpose: Purpose, seed: int) -> bytes:
    """A P-384 scalar from a seed, the same in every run."""
    import hashlib

    from rmm.attestation.cose import P384_ORDER

    digest = hashlib.sha512(f"ccabridge {purpose} key ".encode() + seed.to_bytes(8, "little")).digest()
    return (int.from_bytes(digest, "big") % (P384_ORDER - 1) + 1).to_bytes(KEY_SIZE, "big")


class PublishedKeys(NamedTuple):
    """Public halves of the keys of one seed.  realm: COSE_Key; platform: x and y."""

    seed: int
    realm: bytes
    platform: tuple[bytes, bytes]


@cache
def published_keys() -> tuple[PublishedKeys, ...]:
    """Those of every seed that a machine file may name."""
    from rmm.attestation.cose import Es384, encode_key

    public = Es384().public
    return tuple(
        PublishedKeys(seed, encode_key(*public(derive("realm", seed))), public(derive("platform", seed)))
        for seed in TEST_SEEDS
    )
