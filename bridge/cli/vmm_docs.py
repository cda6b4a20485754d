# SPDX-License-Identifier: GPL-2.0-or-later
"""The generated parts of docs/vmm.md: tables between marks, from the declarations of verbs, errors and options.

`python -m bridge.cli.vmm_docs` writes them; a test checks that the stored ones are up to date.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bridge.cli.realm import MEANINGLESS, OPTIONS, REFUSED, Known
from machine.vmm.errors import REFUSALS, Refusal
from machine.vmm.realm import State
from machine.vmm.verbs import VERBS, Verb

PATH = Path(__file__).resolve().parents[2] / "docs" / "vmm.md"
_BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _names(refusals: Iterable[Refusal]) -> str:
    return ", ".join(f"`{refusal.name}`" for refusal in refusals)


def _state(verb: Verb) -> str:
    if verb.name == "destroy":
        return "created or active"
    return verb.state.value if verb.state is not State.CREATED else "created, not active"


def _verbs() -> str:
    rows = ((f"`{v.name}`", v.kvm, _state(v), v.needs, _names(dict.fromkeys((*_wrong(v), *v.refusals)))) for v in VERBS)
    return _table(("verb", "KVM's", "the realm is", "and there is", "else"), rows)


def _wrong(verb: Verb) -> tuple[Refusal, ...]:
    # A vCPU knows of itself only whether it is finalized; destroy takes two states.
    return () if verb.name.startswith("set_") or verb.name == "destroy" else verb.wrong_state


def _errors() -> str:
    rows = ((f"`{r.name}`", errno.errorcode[r.number], r.text) for r in REFUSALS)
    return _table(("name", "errno", "meaning"), rows)


def _options() -> str:
    rows = (
        (
            ", ".join(f"`{flag}{'' if o.value is None else f' {o.value}'}`".replace("|", "\\|") for flag in o.flags),
            f"`{o.key}`" if o.key else "",
            o.doc + ("; may stand several times" if o.many else "") + ("; ours" if o.own else ""),
        )
        for o in OPTIONS
    )
    return _table(("option", "key", "meaning"), rows)


def _known(options: Iterable[Known]) -> str:
    return _table(("option", "why"), ((f"`{known.name}`", known.why) for known in options))


def renewed(text: str) -> str:
    """The page with its generated parts as the declarations say now."""
    parts: dict[str, Callable[[], str]] = {
        "verbs": _verbs,
        "errors": _errors,
        "options": _options,
        "refused": lambda: _known(REFUSED),
        "meaningless": lambda: _known(MEANINGLESS),
    }
    return _BLOCK.sub(lambda match: f"{match[1]}{parts[match[2]]()}{match[3]}", text)


if __name__ == "__main__":
    PATH.write_text(renewed(PATH.read_text(encoding="utf-8")), encoding="utf-8")
