# SPDX-License-Identifier: GPL-2.0-or-later
"""The platform's side of attestation: its identity and keys, and RMM_ATTEST_* (rmm-abi.md §10.4, §13.1).

Nothing of `cryptography` or `cbor2` is imported before a token is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge.errors import ConfigError
from machine.gpt import GRANULE
from rmm.abi import el3
from rmm.abi.values import El3Status

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from machine.config.loader import MachineConfig
    from machine.config.types import SoftwareComponent
    from machine.machine import Machine
    from rmm.abi.call import Call
    from rmm.attestation.attester import RealmAttester
    from rmm.protocols import Memory

KEY_SIZE = 48  # bytes of a P-384 scalar
DEFAULT_SEED = 1
_MAX_PEM = 1 << 16
_CHALLENGES = (32, 48, 64)
_HASH_OF_SIZE = {32: "sha-256", 48: "sha-384", 64: "sha-512"}
ROOT = Path(__file__).resolve().parent.parent
# What a software component's measurement covers, below the root of the sources.
OWN: Mapping[str, tuple[str, ...]] = {
    "monitor": ("machine/monitor.py", "machine/gpt.py", "machine/psci.py", "machine/attestation.py"),
    "rmm": ("rmm/*.py", "rmm/abi/*.py", "rmm/attestation/*.py"),
}


# Keys


def derive(purpose: str, seed: int) -> bytes:
    """A P-384 scalar from a seed, the same in every run."""
    import hashlib

    from rmm.attestation.cose import P384_ORDER

    digest = hashlib.sha512(f"ccabridge {purpose} key ".encode() + seed.to_bytes(8, "little")).digest()
    return (int.from_bytes(digest, "big") % (P384_ORDER - 1) + 1).to_bytes(KEY_SIZE, "big")


def read_public_key(pem: bytes) -> EllipticCurvePublicKey:
    """ValueError for what is no P-384 key; of a private key the public half."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    if b"PRIVATE KEY" in pem:
        pem = (
            _private_key(pem)
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError:
        raise ValueError("not a PEM file with a public key") from None
    except Exception as error:
        raise ValueError(f"{error}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise ValueError("the key is not on P-384")
    return key


def _private_key(pem: bytes) -> Any:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise ValueError("the private key is encrypted") from None
    except ValueError:
        raise ValueError("not a PEM file with a private key") from None
    except Exception as error:
        raise ValueError(f"{error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise ValueError("the key is not on P-384")
    return key


def _scalar_of(file: str, where: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            key = _private_key(opened.read(_MAX_PEM))
    except OSError as error:
        raise ConfigError(f"{where}: {file}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{where}: {file}: {error}") from None
    return int(key.private_numbers().private_value).to_bytes(KEY_SIZE, "big")


class PublishedKeys(NamedTuple):
    """Public halves of the keys of the default seed.  realm: COSE_Key; platform: x and y."""

    realm: bytes
    platform: tuple[bytes, bytes]


def published_keys() -> PublishedKeys:
    from rmm.attestation.cose import Es384, encode_key

    public = Es384().public
    return PublishedKeys(encode_key(*public(derive("realm", DEFAULT_SEED))), public(derive("platform", DEFAULT_SEED)))


# Identity


def measure_own(what: str) -> bytes:
    """SHA-256 over names and contents of the sources that make up the `monitor` or the `rmm`."""
    import hashlib

    total = hashlib.sha256()
    for path in sorted(path for pattern in OWN[what] for path in ROOT.glob(pattern)):
        content = path.read_bytes()
        total.update(f"{path.relative_to(ROOT).as_posix()} {len(content)}\n".encode() + content)
    return total.digest()


def check_keys(config: MachineConfig) -> None:
    """ConfigError for key files that cannot be used."""
    for name in ("platform_key", "realm_key"):
        file = getattr(config.platform, name)
        if file is not None:
            _scalar_of(file, f"{config.source.where('platform', name)}: platform.{name}")


class Identity:
    """What the machine file says of the platform, with the keys.  ConfigError for key files that cannot be used."""

    def __init__(self, config: MachineConfig) -> None:
        self._platform = config.platform
        self._seed = config.cpu.seed if config.platform.seed is None else config.platform.seed
        self._where = config.source.where

    def __repr__(self) -> str:
        return "Identity()"

    def _key(self, purpose: str) -> bytes:
        file = getattr(self._platform, f"{purpose}_key")
        if file is None:
            return derive(purpose, self._seed)
        return _scalar_of(file, f"{self._where('platform', f'{purpose}_key')}: platform.{purpose}_key")

    def realm_key(self) -> bytes:
        """The realm attestation key: a scalar of 48 bytes."""
        return self._key("realm")

    def public_pem(self) -> str:
        """The platform's public key."""
        from cryptography.hazmat.primitives import serialization

        from rmm.attestation.cose import Es384, public_key

        key = public_key(*Es384().public(self._key("platform")))
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return key.public_bytes(serialization.Encoding.PEM, form).decode()

    def platform_token(self, challenge: bytes) -> bytes:
        """A signed platform token."""
        import hashlib

        from rmm.attestation import claims as c
        from rmm.attestation import cose
        from rmm.attestation.cbor import encode

        platform, signer = self._platform, cose.Es384()
        key = self._key("platform")
        public = b"".join(signer.public(key))
        implementation = platform.implementation_id
        instance = platform.instance_id
        ueid = bytes([c.UEID_RANDOM]) + hashlib.sha256(public).digest()
        claims: dict[int, object] = {
            c.PROFILE: platform.profile,
            c.CHALLENGE: challenge,
            c.IMPLEMENTATION_ID: _digest("implementation") if implementation is None else bytes.fromhex(implementation),
            c.INSTANCE_ID: ueid if instance is None else bytes.fromhex(instance),
            c.CONFIG: bytes.fromhex(platform.config),
            c.LIFECYCLE: platform.lifecycle,
            c.PLATFORM_HASH_ALGORITHM: "sha-256",
            c.COMPONENTS: [_component(one) for one in platform.components] or _own_components(),
        }
        if platform.verification_service is not None:
            claims[c.VERIFICATION_SERVICE] = platform.verification_service
        payload = encode(claims)
        return cose.assemble(payload, signer.sign(key, cose.sig_structure(cose.PROTECTED, payload)))


def _digest(what: str) -> bytes:
    import hashlib

    return hashlib.sha256(f"ccabridge {what}".encode()).digest()


def _claims_of(type_: str, measurement: bytes, version: str | None, signer: bytes) -> dict[int, object]:
    from bridge.cli import version as own_version
    from rmm.attestation import claims as c

    return {
        c.TYPE: type_,
        c.MEASUREMENT: measurement,
        c.VERSION: own_version() if version is None else version,
        c.SIGNER_ID: signer,
        c.COMPONENT_HASH: _HASH_OF_SIZE[len(measurement)],
    }


def _component(one: SoftwareComponent) -> dict[int, object]:
    own = one.measurement in OWN
    measurement = measure_own(one.measurement) if own else bytes.fromhex(one.measurement)
    signer = _digest("signer") if one.signer is None else bytes.fromhex(one.signer)
    return _claims_of(one.type, measurement, one.version, signer)


def _own_components() -> list[dict[int, object]]:
    return [_claims_of(name.upper(), measure_own(name), None, _digest("signer")) for name in OWN]


# RMM_ATTEST_*

_Check = Callable[[Sequence[int]], bool]


class AttestationService:
    """RMM_ATTEST_GET_REALM_KEY and RMM_ATTEST_GET_PLAT_TOKEN over a shared buffer of 4 KiB: a `AttestationRoot`.

    log: told of each call, never of what is in the buffer.
    """

    def __init__(
        self,
        identity: Identity,
        memory: Memory,
        shared_buffer: int,
        log: Callable[[Call, tuple[int, ...], tuple[int, ...], str | None], None],
    ) -> None:
        self.shared_buffer = shared_buffer
        self.identity = identity
        self._memory = memory
        self._log = log
        self.rest = b""  # of a platform token that is being handed out
        buffer: dict[str, _Check] = {
            "buf_bound": lambda a: a[0] & -GRANULE != shared_buffer,
            "size_bound": lambda a: not 0 < a[1] <= GRANULE - a[0] % GRANULE,
        }
        self._key_checks: dict[str, _Check] = {
            **buffer,
            "curve": lambda a: a[2] != 0,
            "key_bound": lambda a: a[1] < KEY_SIZE,
        }
        self._token_checks: dict[str, _Check] = {
            **buffer,
            "challenge_size": lambda a: a[2] not in (0, *_CHALLENGES),
            "challenge_bound": lambda a: a[2] > a[1],
            "token_state": lambda a: a[2] == 0 and not self.rest,
        }

    def get_realm_key(self, buf: int, size: int, curve: int) -> tuple[int, int]:
        failed = self._refused(el3.ATTEST_GET_REALM_KEY, self._key_checks, (buf, size, curve))
        if failed is not None:
            return failed, 0
        key = self.identity.realm_key()
        self._memory.write(buf, key)
        self._log(el3.ATTEST_GET_REALM_KEY, (buf, size, curve), (0, len(key)), None)
        return El3Status.OK, len(key)

    def get_plat_token(self, buf: int, size: int, challenge_size: int) -> tuple[int, int, int]:
        arguments = (buf, size, challenge_size)
        failed = self._refused(el3.ATTEST_GET_PLAT_TOKEN, self._token_checks, arguments)
        if failed is not None:
            return failed, 0, 0
        if challenge_size:
            self.rest = self.identity.platform_token(self._memory.read(buf, challenge_size))
        part, self.rest = self.rest[:size], self.rest[size:]
        self._memory.write(buf, part)
        self._log(el3.ATTEST_GET_PLAT_TOKEN, arguments, (0, len(part), len(self.rest)), None)
        return El3Status.OK, len(part), len(self.rest)

    def _refused(self, decl: Call, checks: Mapping[str, _Check], arguments: tuple[int, ...]) -> int | None:
        for condition in decl.conditions:
            if checks[condition.name](arguments):
                assert condition.status is not None
                status = int(condition.status)
                self._log(decl, arguments, (status & (1 << 64) - 1,), condition.name)
                return status
        return None


class LazyAttester:
    """The RMM's attester, made when the first token is asked for: a `rmm.protocols.Attester`."""

    max_size = 4096

    def __init__(self, machine: Machine, memory: Memory, shared_buffer: int) -> None:
        self._machine = machine
        self._memory = memory
        self._shared_buffer = shared_buffer
        self.made: RealmAttester | None = None
        self.root: AttestationService | None = None

    def forget(self) -> None:
        """As before the first token."""
        self.made = self.root = None

    def remake(self, platform: bytes, rest: bytes, public: bytes, ready: bool) -> bool:
        """As after the first token, with what was fetched then; False where the key is another one."""
        attester = self._attester
        assert self.root is not None
        self.root.rest = rest
        return attester.refill(self.root.identity.realm_key() if ready else None, platform, public)

    @property
    def _attester(self) -> RealmAttester:
        if self.made is None:
            from rmm.attestation.attester import RealmAttester

            machine = self._machine

            def log(decl: Call, arguments: tuple[int, ...], result: tuple[int, ...], condition: str | None) -> None:
                machine.calls.call(decl, arguments, result, condition, None)

            self.root = AttestationService(Identity(machine.config), self._memory, self._shared_buffer, log)
            self.made = RealmAttester(self._memory, self.root)
        return self.made

    def ready(self) -> bool:
        return self._attester.ready()

    def claims(self, challenge: bytes, rpv: bytes, algorithm: int, rim: bytes, rems: Sequence[bytes]) -> bytes:
        return self._attester.claims(challenge, rpv, algorithm, rim, rems)

    def sign(self, claims: bytes) -> bytes | None:
        return self._attester.sign(claims)

    def token(self, realm: bytes) -> bytes | None:
        return self._attester.token(realm)
