# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge explain`: what a call, a number or a name of the architecture means, out of the declarations."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Decoder = Callable[[int], Iterable[str]]

HELP = "explain a call, a function id, a status, a syndrome, a structure or a register"
_EXAMPLES = """\
examples:
  ccabridge explain RMI_RTT_CREATE          its registers, and the conditions under which it fails, in order
  ccabridge explain 0xC400015D              the call with that function id
  ccabridge explain esr 0x96000010          a syndrome
  ccabridge explain rmi-status 0x204        a status; likewise rsi-status, psci-status, el3-status, ffa-status
  ccabridge explain rmi-features 0x3000     a register's value; likewise spsr, gpi, fsc, any register of the RMM's
  ccabridge explain RmiRealmParams          a structure; likewise RMI_EXIT_IRQ, SCTLR_EL1, S3_0_C12_C12_5
  ccabridge explain rtt_walk                which calls fail under that condition
  ccabridge explain --list                  everything that can be asked for
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    parser.add_argument("what", nargs="?", metavar="WHAT", help="a name, a function id, or the kind of VALUE")
    parser.add_argument("value", nargs="?", metavar="VALUE", help="a number to decode as WHAT")
    parser.add_argument("--list", action="store_true", help="list the names and the kinds of value")


def rewrite(words: list[str]) -> list[str]:
    """`psci-status -2` is no option."""
    negative = [word for word in words if word[:1] == "-" and word[1:2].isdigit()]
    return [word for word in words if word not in negative] + (["--", *negative] if negative else [])


def main(args: argparse.Namespace) -> int:
    from bridge.errors import UserError

    if args.list:
        for line in _everything():
            print(line)
        return 0
    if args.what is None:
        raise UserError("explain: what? (see `ccabridge explain --help`)")
    lines = _name(args.what) if args.value is None else _value(args.what, args.value)
    for line in lines:
        print(line)
    return 0


def _decoders() -> dict[str, Decoder]:
    from bridge.cli import explain_abi, explain_arch, explain_ffa

    return {**explain_abi.decoders(), **explain_ffa.decoders(), **explain_arch.decoders()}


def _names() -> list[str]:
    from bridge.cli import explain_abi, explain_arch, explain_ffa

    return [*explain_abi.names(), *explain_ffa.names(), *explain_arch.names()]


def _name(what: str) -> Iterable[str]:
    from bridge.cli import explain_abi, explain_arch, explain_ffa
    from bridge.errors import UserError, did_you_mean

    number = _integer(what)
    if number is not None:
        if not 0x8000_0000 <= number <= 0xFFFF_FFFF:
            raise UserError(f"explain {what}: this is no function id; say what it is: `ccabridge explain esr {what}`")
        return explain_ffa.function_id(number) or explain_abi.function_id(number)
    found = [*explain_abi.by_name(what), *explain_ffa.by_name(what), *explain_arch.by_name(what)]
    if not found:
        known = {word.lower(): word for word in (*_names(), *_decoders())}
        hint = did_you_mean(what.lower(), list(known))
        for low, word in known.items():
            hint = hint.replace(f"`{low}`", f"`{word}`")
        raise UserError(f"explain: nothing is called `{what[:100]}`{hint}")
    return _separated(found)


def _separated(explanations: Iterable[Iterable[str]]) -> Iterable[str]:
    """All the things that have one name, one after the other."""
    for number, lines in enumerate(explanations):
        if number:
            yield ""
        yield from lines


def _value(what: str, text: str) -> Iterable[str]:
    from bridge.errors import UserError, did_you_mean

    decoders = _decoders()
    decode = decoders.get(what.lower())
    if decode is None:
        hint = did_you_mean(what.lower(), list(decoders)) or " (`ccabridge explain --list` lists what can be decoded)"
        raise UserError(f"explain: `{what[:100]}` is no kind of value{hint}")
    number = _integer(text)
    if number is None:
        raise UserError(f"explain {what}: expected a 64-bit number such as 0x96000010, got `{text[:100]}`")
    return decode(number)


def _integer(text: str) -> int | None:
    """A number of at most 64 bits, signed or not; None for anything else."""
    try:
        number = int(text, 0)
    except ValueError:
        return None
    return number if -(1 << 63) <= number < 1 << 64 else None


def _everything() -> Iterable[str]:

    yield "kinds of value:"
    yield from (f"  {kind} VALUE" for kind in sorted(_decoders()))
    yield "names:"
    yield from (f"  {name}" for name in _names())
