"""The report in a real headless browser: it draws what it says in light and dark, wide and narrow, and runs nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.cli import main
from tests.machine.test_report import EVIL, HEADER, call, console, rec
from tests.system.browser import BROWSER, measured, opened

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no headless browser: apt install chromium")

LAYOUT = """
const box = e => e.getBoundingClientRect();
const figures = [...document.querySelectorAll("figure .scroll")];
const fonts = [...document.querySelectorAll("svg text")].map(e => box(e).height);
return {
  overflow: document.documentElement.scrollWidth - innerWidth,
  width: innerWidth,
  charts: figures.map(f => box(f.querySelector("svg")).height),
  scrolls: figures.some(f => f.scrollWidth > f.clientWidth),
  smallest: Math.min(...fonts),
  outside: [...document.querySelectorAll("figure svg")].flatMap(s => [...s.querySelectorAll("text, path, rect")]
    .filter(e => box(e).left < box(s).left - 2 || box(e).right > box(s).right + 2).map(e => e.textContent)),
  tooltips: document.querySelectorAll(".band > title").length,
  painted: [...document.querySelectorAll("path.realm")].filter(e => box(e).width > 1).length,
};
"""
COLOURS = """
const lum = c => { const v = c.match(/\\d+/g).slice(0, 3).map(x => x / 255)
    .map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
  return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
const ratio = (a, b) => { const [x, y] = [lum(a), lum(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
const style = e => getComputedStyle(e);
const paper = style(document.body).backgroundColor;
const out = {paper, text: {}, marks: {}};
for (const s of ["body", ".faint", "td .bad", "nav a", "summary", "th"])
  out.text[s] = ratio(style(document.querySelector(s)).color, paper);
for (const s of ["svg .label", "svg .tick"]) out.text[s] = ratio(style(document.querySelector(s)).fill, paper);
for (const s of ["path.normal", "path.realm", "path.calls", "path.failed"])
  out.marks[s] = ratio(style(document.querySelector(s)).fill, paper);
return out;
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "hello.html"
    assert main(["report", "hello-realm", "-o", str(out)]) == 0
    return out


@pytest.mark.parametrize("width", [1300, 500])
def test_layout__fits_and_can_be_read(page: Path, width: int) -> None:
    seen = measured(page, LAYOUT, width=width)
    assert seen["width"] == width
    assert seen["overflow"] <= 0
    assert len(seen["charts"]) == 5 and min(seen["charts"]) > 80
    assert seen["smallest"] >= 8  # a picture scrolls before its text gets too small
    assert seen["scrolls"] is (width == 500)
    assert seen["outside"] == []
    assert seen["tooltips"] >= 4 * 60
    assert seen["painted"] >= 4


@pytest.mark.parametrize("dark", [False, True])
def test_colours__have_contrast(page: Path, dark: bool) -> None:
    """WCAG 2.1, 1.4.3: text 4.5 to 1; 1.4.11: graphics 3 to 1."""
    seen = measured(page, COLOURS, dark=dark)
    assert seen["paper"] == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
    assert {name: ratio for name, ratio in seen["text"].items() if ratio < 4.5} == {}
    assert {name: ratio for name, ratio in seen["marks"].items() if ratio < 3} == {}


def test_hostile__a_guest_gets_no_element_and_no_script(tmp_path: Path) -> None:
    probe = f"<script>document.title='owned'</script><svg onload=\"document.title='owned'\"></svg>{EVIL}"
    events = [
        console(1, probe),
        console(2, probe, label=probe),
        rec(3, "rec_enter"),
        rec(4, "rec_exit", reason=probe),
        call(5, "rmi_granule_delegate", {"addr": "0x3"}, ["0x1"], cond=probe),
    ]
    run, out = tmp_path / "run.jsonl", tmp_path / "out.html"
    run.write_text("".join(json.dumps(line) + "\n" for line in ({**HEADER, "machine": probe}, *events)))
    assert main(["report", str(run), "-o", str(out)]) == 0
    title = measured(out, "return [document.title, document.scripts.length, document.images.length];")
    assert title[0].endswith("- ccabridge report") and title[1:] == [1, 0]  # the script is the test's own


def test_policy__a_script_in_the_page_would_not_run_nor_anything_be_fetched(page: Path) -> None:
    """What the page's own policy stops, should text ever become markup."""
    broken = page.with_name("broken.html")
    attack = "<script>document.title='owned'</script><img src='x' onerror=\"document.title='owned'\">"
    broken.write_text(page.read_text(encoding="utf-8").replace("</main>", f"{attack}</main>"), encoding="utf-8")
    document = opened(broken)
    assert "<title>hello-realm - ccabridge report</title>" in document
    assert "<title>owned" not in document
