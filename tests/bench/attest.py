# SPDX-License-Identifier: GPL-2.0-or-later
"""Attestation: tokens made, tokens verified, a RIM computed beforehand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from machine.attestation import AttestationService, Identity
from machine.config import load
from machine.measure import predict
from machine.vmm.linux.cache import cached_kernel
from rmm.attestation import cose
from rmm.attestation.attester import RealmAttester
from rmm.attestation.token import parse
from rmm.attestation.verify import checks
from rmm.bare import BareMemory

BASE = 0x1000
TOKENS = 300


def _rate(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(TOKENS):
        run()
    return TOKENS / (time.perf_counter() - start)


def _predicting(name: str) -> float:
    start = time.perf_counter()
    predict(load(name))
    return time.perf_counter() - start


def rows() -> Iterator[tuple[str, str, str, str]]:
    """(what, measured, result, at most or at least)."""
    memory = BareMemory(BASE, 4096)
    root = AttestationService(Identity(load("token", ["platform.seed=1"])), memory, BASE, lambda *_: None)
    attester = RealmAttester(memory, root)
    assert attester.ready()

    def make() -> bytes:
        claims = attester.claims(bytes(64), bytes(64), 0, bytes(32), [bytes(32)] * 4)
        realm = attester.sign(claims)
        token = None if realm is None else attester.token(realm)
        assert token is not None
        return token

    data = make()
    key = cose.public_key(*cose.decode_key(parse(data).realm.claims[44237]))
    yield "attestation tokens", "claims, ES384, CBOR", f"{_rate(make):,.0f}/s", "500/s"
    rate = _rate(lambda: list(checks(parse(data), key)))
    yield "attestation tokens verified", "both signatures", f"{rate:,.0f}/s", "200/s"
    if cached_kernel() is None:
        yield "RIM of Linux beforehand", "no kernel cached", "skipped", "1.00 s"
    else:
        yield "RIM of Linux beforehand", "linux-realm", f"{_predicting('linux-realm'):.2f} s", "1.00 s"
