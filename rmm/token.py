# SPDX-License-Identifier: GPL-2.0-or-later
"""RSI_ATTESTATION_TOKEN_INIT and _CONTINUE: the token state machine of a REC (rmm-abi.md §4.5, §4.6, §10.5).

What a token consists of is the attester's business (`rmm.protocols.Attester`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmm.abi.values import ExitReason
from rmm.exits import Exit
from rmm.granule import GRANULE, align

if TYPE_CHECKING:
    from rmm.frame import Check, Frame

# A signature takes this many steps; between two of them a pending interrupt gets its turn.
SIGN_STEPS = 4


class Token:
    """A token in the making.  claims: unsigned; signed: the realm token; whole: the CCA token; at: bytes handed out."""

    __slots__ = ("at", "claims", "signed", "steps", "whole")

    def __init__(self, claims: bytes) -> None:
        self.claims = claims
        self.steps = 0
        self.signed: bytes | None = None
        self.whole: bytes | None = None
        self.at = 0

    def __repr__(self) -> str:
        state = "SIGN" if self.signed is None else "CREATE"
        return f"Token({state}, steps={self.steps}, at={self.at})"


# INIT


def _no_key(f: Frame) -> bool:
    attester = f.rmm.attester
    return attester is None or not attester.ready()


INIT_CHECKS: dict[str, Check] = {"no_platform_key": _no_key}


def init(f: Frame) -> tuple[int]:
    """RIM, REMs and personalization value are taken as they are now."""
    attester, realm = f.rmm.attester, f.realm
    assert attester is not None
    challenge = b"".join(word.to_bytes(8, "little") for word in f.x[1:9])
    claims = attester.claims(challenge, realm.params.rpv, realm.hash_algo, realm.rim, tuple(realm.rems))
    f.vcpu.token = Token(claims)
    return (attester.max_size,)


# CONTINUE


def _sign(f: Frame) -> bool:
    """Signs as far as interrupts allow; at least a step is made each time, so that no host can hold it up for good."""
    token, attester = f.vcpu.token, f.rmm.attester
    assert token is not None and attester is not None
    while token.signed is None:
        token.steps += 1
        if token.steps < SIGN_STEPS:
            if f.vcpu.context.irq_pending():
                f.exit = Exit(ExitReason.IRQ)
                return False
            continue
        token.signed = attester.sign(token.claims)
        if token.signed is None:
            token.steps -= 1
            return True
    return False


def _too_large(f: Frame) -> bool:
    token, attester = f.vcpu.token, f.rmm.attester
    assert token is not None and attester is not None and token.signed is not None
    if token.whole is None:
        token.whole = attester.token(token.signed)
    return token.whole is None


CONTINUE_CHECKS: dict[str, Check] = {
    "addr_align": align("addr"),
    "offset_bound": lambda f: f.offset >= GRANULE,
    "size_bound": lambda f: f.offset + f.size > GRANULE,
    "addr_bound": lambda f: f.addr >= f.realm.par_end,
    "token_state": lambda f: f.vcpu.token is None,
    "token_sign": _sign,
    "irq_pending": lambda f: f.exit is not None,
    "size_zero": lambda f: f.size == 0,
    "token_size": _too_large,
}


def continue_(f: Frame) -> tuple[int]:
    token = f.vcpu.token
    assert token is not None and token.whole is not None
    part = token.whole[token.at : token.at + f.size]
    f.rmm.memory.write(f.page + f.offset, part)
    token.at += len(part)
    f.len = len(part)
    if token.at < len(token.whole):
        f.late = "token_rest"
    else:
        f.vcpu.token = None
    return (f.len,)
