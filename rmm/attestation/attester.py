# SPDX-License-Identifier: GPL-2.0-or-later
"""The RMM's part in attestation: key and platform token from the Root world, and the tokens of realms (§10.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from rmm.attestation import cose
from rmm.attestation.token import combine, realm_claims

if TYPE_CHECKING:
    from rmm.protocols import AttestationRoot, Memory, Signer

BUFFER = 4096  # bytes shared with EL3
MAX_TOKEN = 4096  # the RMM's buffers: CCA token, platform token
MAX_REALM_TOKEN = 1024
OK, AGAIN = 0, -6
P384 = 0
RETRIES = 8  # of a platform that answers AGAIN


class Unavailable(Exception):
    """The Root world gives no key or no platform token."""


class RealmAttester:
    """A `rmm.protocols.Attester`.  Nothing is fetched before the first token is asked for; a failure is final."""

    max_size = MAX_TOKEN

    def __init__(self, memory: Memory, root: AttestationRoot, signer: Signer | None = None) -> None:
        self._memory = memory
        self._root = root
        self._signer = cose.Es384() if signer is None else signer
        self._fetched = False
        self._key: bytes | None = None
        self._public = b""
        self._platform = b""

    def __repr__(self) -> str:
        return f"RealmAttester({'ready' if self._key is not None else 'no key'})"

    @property
    def fetched(self) -> tuple[bytes, bytes, bool] | None:
        """(platform token, public key, whether there is a key), once they have been asked for."""
        return (self._platform, self._public, self._key is not None) if self._fetched else None

    def refill(self, key: bytes | None, platform: bytes, public: bytes) -> bool:
        """As if they had been fetched; False, with nothing changed, where they do not belong together."""
        if key is not None and cose.encode_key(*self._signer.public(key)) != public:
            return False
        self._fetched, self._key, self._platform, self._public = True, key, platform, public
        return True

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys stay in their process")

    def ready(self) -> bool:
        if not self._fetched:
            self._fetched = True
            try:
                key = self._fetch_key()
                self._public = cose.encode_key(*self._signer.public(key))
                self._platform = self._fetch_platform_token(hashlib.sha256(self._public).digest())
                cose.parse(self._platform)
                self._key = key
            except (Unavailable, ValueError):
                # Malformed is a ValueError, as is what the signer says of a scalar that is no key.
                self._key = None
        return self._key is not None

    def _fetch_key(self) -> bytes:
        root, memory = self._root, self._memory
        status, size = root.get_realm_key(root.shared_buffer, BUFFER, P384)
        try:
            if status != OK or not 0 < size <= BUFFER:
                raise Unavailable
            return memory.read(root.shared_buffer, size)
        finally:
            memory.zero(root.shared_buffer, BUFFER)

    def _fetch_platform_token(self, challenge: bytes) -> bytes:
        root, memory = self._root, self._memory
        buffer = root.shared_buffer
        memory.write(buffer, challenge)
        token = b""
        asked, retries = len(challenge), 0
        while True:
            status, size, remaining = root.get_plat_token(buffer, BUFFER, asked)
            if status == AGAIN and retries < RETRIES:
                retries += 1
                continue
            if status != OK or not 0 < size <= BUFFER or len(token) + size > MAX_TOKEN:
                raise Unavailable
            token += memory.read(buffer, size)
            if not remaining:
                return token
            asked = 0

    def claims(self, challenge: bytes, rpv: bytes, algorithm: int, rim: bytes, rems: Sequence[bytes]) -> bytes:
        return realm_claims(challenge=challenge, rpv=rpv, key=self._public, algorithm=algorithm, rim=rim, rems=rems)

    def sign(self, claims: bytes) -> bytes | None:
        assert self._key is not None
        signature = self._signer.sign(self._key, cose.sig_structure(cose.PROTECTED, claims))
        token = cose.assemble(claims, signature)
        return token if len(token) <= MAX_REALM_TOKEN else None

    def token(self, realm: bytes) -> bytes | None:
        whole = combine(self._platform, realm)
        return whole if len(whole) <= MAX_TOKEN else None
