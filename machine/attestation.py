# SPDX-License-Identifier: GPL-2.0-or-later
"""The platform's side of attestation: its identity and keys, and RMM_ATTEST_* (rmm-abi.md §10.4, §13.1).

Nothing of `cryptography` or `cbor2` is imported before a token is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bridge.errors import ConfigError
from machine.gpt import GRANULE
from machine.keys import KEY_SIZE, NotKept, Purpose, check_keys, key_of_config, temporary
from rmm.abi import el3
from rmm.abi.values import El3Status

if TYPE_CHECKING:
    from machine.config.loader import MachineConfig
    from machine.config.types import Platform, SoftwareComponent
    from machine.machine import Machine
    from rmm.abi.call import Call
    from rmm.attestation.attester import RealmAttester
    from rmm.protocols import Memory

_CHALLENGES = (32, 48, 64)
_HASH_OF_SIZE = {32: "sha-256", 48: "sha-384", 64: "sha-512"}
ROOT = Path(__file__).resolve().parent.parent
# What a software component's measurement covers, below the root of the sources.
OWN: Mapping[str, tuple[str, ...]] = {
    "monitor": ("machine/monitor.py", "machine/gpt.py", "machine/psci.py", "machine/attestation.py"),
    "rmm": ("rmm/*.py", "rmm/abi/*.py", "rmm/attestation/*.py"),
}


# Identity


def measure_own(what: str) -> bytes:
    """SHA-256 over names and contents of the sources that make up the `monitor` or the `rmm`."""
    import hashlib

    total = hashlib.sha256()
    for path in sorted(path for pattern in OWN[what] for path in ROOT.glob(pattern)):
        content = path.read_bytes()
        total.update(f"{path.relative_to(ROOT).as_posix()} {len(content)}\n".encode() + content)
    return total.digest()


class Identity:
    """What the machine file says of the platform, with the keys.  UserError for keys that cannot be used.

    note: told that a key could not be kept and is this object's alone; where there is none, that is an error too.
    """

    def __init__(self, config: MachineConfig, note: Callable[[str], object] | None = None) -> None:
        self._config = config
        self._note = note
        self._platform = config.platform
        self._keys: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return "Identity()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys stay in their process")

    def _key(self, purpose: Purpose) -> bytes:
        if purpose not in self._keys:
            try:
                self._keys[purpose] = key_of_config(self._config, purpose)
            except NotKept as error:
                if self._note is None:
                    raise
                self._note(f"{error}: it is this run's only")
                self._keys[purpose] = temporary(purpose)
        return self._keys[purpose]

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

        from rmm.attestation import cose

        signer, key = cose.Es384(), self._key("platform")
        payload = platform_claims(self._platform, challenge, hashlib.sha256(b"".join(signer.public(key))).digest())
        return cose.assemble(payload, signer.sign(key, cose.sig_structure(cose.PROTECTED, payload)))


def platform_claims(platform: Platform, challenge: bytes, key_digest: bytes) -> bytes:
    """The payload of a platform token.  key_digest: SHA-256 of the platform's public key."""
    from rmm.attestation import claims as c
    from rmm.attestation.cbor import encode

    implementation, instance = platform.implementation_id, platform.instance_id
    ueid = bytes([c.UEID_RANDOM]) + key_digest
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
    return encode(claims)


def check_platform(config: MachineConfig) -> None:
    """ConfigError for key files that cannot be used, and for a platform that says more than a token can hold."""
    check_keys(config)
    if not config.platform.components:
        return
    from rmm.attestation import cose
    from rmm.attestation.attester import MAX_TOKEN
    from rmm.attestation.token import combine, realm_claims

    key, digest, signature = cose.encode_key(bytes(48), bytes(48)), bytes(64), bytes(cose.SIGNATURE)
    largest = realm_claims(challenge=digest, rpv=digest, key=key, algorithm=1, rim=digest, rems=[digest] * 4)
    platform = platform_claims(config.platform, bytes(32), bytes(32))
    size = len(combine(cose.assemble(platform, signature), cose.assemble(largest, signature)))
    if size > MAX_TOKEN:
        where = config.source.where("platform", "components")
        raise ConfigError(f"{where}: platform.components: the token would have {size} bytes, at most {MAX_TOKEN}")


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
            if checks[condition.name](arguments) != condition.negated:
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

            identity = Identity(machine.config, machine.say)
            self.root = AttestationService(identity, self._memory, self._shared_buffer, log)
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
