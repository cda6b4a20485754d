"""The documentation says what is so."""

from __future__ import annotations

import re

import pytest

from tests.system.transcripts import MARK, PAGES, ROOT, renewed


def _numbers_out(text: str) -> list[str]:
    return [re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{32,}\b|\d[\d,.]*", "#", line) for line in text.splitlines()]


@pytest.mark.parametrize("page", PAGES)
def test_transcripts__are_what_the_command_prints(page: str) -> None:
    """Numbers aside: instruction counts, addresses and times depend on the compiler that built the firmware."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert _numbers_out(renewed(text)) == _numbers_out(text), "run python -m tests.system.transcripts"


def test_readme__has_a_transcript() -> None:
    assert len(MARK.findall((ROOT / "README.md").read_text(encoding="utf-8"))) >= 2


@pytest.mark.parametrize("page", sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("docs/*.md")) + ["README.md"])
def test_links__lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{page} names {target}"


def test_secure_world_page__is_what_the_declarations_say() -> None:
    from machine.ffa.docs import renewed as with_tables

    page = (ROOT / "docs/secure-world.md").read_text(encoding="utf-8")
    assert page == with_tables(page), "run make docs"


def test_abi_page__is_what_the_declarations_say() -> None:
    from rmm.abi.docs import markdown

    assert (ROOT / "docs/abi.md").read_text(encoding="utf-8") == markdown(), "run make docs"


def test_trace_page__is_what_the_declarations_say() -> None:
    from machine.traces.docs import renewed as with_tables

    page = (ROOT / "docs/trace.md").read_text(encoding="utf-8")
    assert page == with_tables(page), "run make docs"
