# SPDX-License-Identifier: GPL-2.0-or-later
"""The page: one file, no scripts, nothing from elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import NamedTuple

from machine.reports.charts import gpt_map, steps, timeline
from machine.reports.collect import MOST_EVENTS, MOST_FAILED, Collector
from machine.reports.text import escaped, plural, size_text, time_text

START = "<!doctype html><!-- ccabridge report -->"
# Whatever should slip through: no script runs, nothing is fetched, no form is sent.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
SHOWN = 60  # rows of a table before it is folded
SECTIONS = (
    ("failed", "Failed calls"),
    ("time", "Timeline"),
    ("gpt", "Granule protection table"),
    ("rtt", "Realm translation tables"),
    ("exits", "Exits"),
    ("calls", "Calls"),
    ("consoles", "Consoles"),
    ("events", "Last events"),
)


class About(NamedTuple):
    """name: of the machine.  source: what was read or run.  end: how the machine ended, where that is known."""

    name: str
    source: str
    end: str = ""
    good: bool = True


def page(run: Collector, about: About) -> str:
    """The whole report."""
    bodies = {
        "failed": _failed(run),
        "time": _timeline(run),
        "gpt": _gpt(run),
        "rtt": _rtt(run),
        "exits": _exits(run),
        "calls": _calls(run),
        "consoles": _consoles(run),
        "events": _events(run),
    }
    style = files("machine.reports").joinpath("style.css").read_text(encoding="utf-8")
    lines = [
        START,
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escaped(about.name)} - ccabridge report</title>",
        f"<style>\n{style}</style></head><body>",
        *_header(run, about),
        "<nav>" + "".join(f'<a href="#{key}">{title}</a>' for key, title in SECTIONS) + "</nav><main>",
    ]
    for key, title in SECTIONS:
        lines += [f'<section id="{key}"><h2>{title}</h2>', *bodies[key], "</section>"]
    return "\n".join([*lines, "</main></body></html>"]) + "\n"


def _header(run: Collector, about: About) -> Iterator[str]:
    yield f"<header><h1>{escaped(about.name)}</h1>"
    end = f' <span class="{"" if about.good else "bad"}">{escaped(about.end)}.</span>' if about.end else ""
    yield f'<p class="faint">{escaped(about.source)}.{end} Times are virtual: retired instructions.</p>'
    calls = sum(sum(sums.values) for sums in run.calls.values())
    tiles = [
        (time_text(run.ns(run.last)), "virtual time", ""),
        (f"{run.last:,}", "instructions", ""),
        (f"{run.stats.count:,}", "events", ""),
        (f"{calls:,}", "calls", ""),
        (f"{run.failures:,}", "failed calls and faults", "bad" if run.failures else ""),
        (size_text(run.pas["realm"].most), "Realm memory, at most", ""),
    ]
    shown = "".join(f'<div class="tile {kind}"><b>{value}</b>{name}</div>' for value, name, kind in tiles)
    yield f'<div class="tiles">{shown}</div></header>'


def _none(text: str) -> Iterator[str]:
    yield f'<p class="none">{text}</p>'


def _table(head: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """head: (title, class of the column).  rows: HTML.  What is beyond SHOWN rows can be unfolded."""
    if not rows:
        return
    heads = "".join(f'<th class="{kind}">{title}</th>' for title, kind in head)
    for part, folded in ((rows[:SHOWN], False), (rows[SHOWN:], True)):
        if not part:
            continue
        if folded:
            yield f"<details><summary>{len(part):,} more</summary>"
        yield f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>'
        for row in part:
            cells = "".join(f'<td class="{kind}">{cell}</td>' for (_, kind), cell in zip(head, row, strict=True))
            yield f"<tr>{cells}</tr>"
        yield "</tbody></table></div>"
        if folded:
            yield "</details>"


def _code(text: str) -> str:
    return f"<code>{escaped(text)}</code>"


def _legend(rows: Sequence[tuple[str, str]]) -> str:
    """rows: (class, title)."""
    drawn = []
    for kind, title in rows:
        if kind.startswith("line"):
            shape = f'<line class="{kind}" x1="0" y1="5" x2="26" y2="5"/>'
        else:
            shape = f'<rect class="{kind}" width="26" height="10"/>'
        drawn.append(f'<li><svg viewBox="0 0 26 10" aria-hidden="true">{shape}</svg>{title}</li>')
    return f'<ul class="legend">{"".join(drawn)}</ul>'


def _figure(svg: str, legend: Sequence[tuple[str, str]], caption: str) -> str:
    return f'<figure>{_legend(legend)}<div class="scroll">{svg}</div><figcaption>{caption}</figcaption></figure>'


def _failed(run: Collector) -> Iterator[str]:
    if not run.failures:
        yield from _none("Every call succeeded, and no fault was met.")
        return
    yield (
        "<p>By kind, most frequent first. A host that asks for a table which is not there yet, and then makes it, "
        "is told so by <code>ERROR_RTT</code>.</p>"
    )
    groups = sorted(run.groups.values(), key=lambda group: (-group.times, group.first, group.title))
    rows = [
        (
            f"{group.times:,}",
            f'<b class="bad">{escaped(group.title)}</b>'
            + (f"<br>{escaped(group.meaning)}" if group.meaning else "")
            + f"<br>{_code(group.line)}",
            time_text(run.ns(group.first)),
        )
        for group in groups
    ]
    yield from _table((("times", "n"), ("what, why, and the first one", ""), ("first at", "n")), rows)
    if run.more_groups:
        yield f'<p class="faint">{run.more_groups:,} failures of other kinds are not listed.</p>'
    first = f"the first {MOST_FAILED}" if run.failures > len(run.examples) else "one by one"
    yield f"<details><summary>{first}</summary><pre>"
    yield from (f"<i>{time_text(run.ns(at)):>12}</i>  {escaped(line)}" for at, line in run.examples)
    yield "</pre></details>"


def _timeline(run: Collector) -> Iterator[str]:
    if not run.stats.count:
        yield from _none("There are no events.")
        return
    worlds = sorted({world for world, _, _ in run.lane_titles()})
    legend = [("normal", "Normal world")] if worlds else []
    legend += [(world, {"realm": "Realm world", "secure": "Secure world"}[world]) for world in worlds]
    legend += [("calls", "calls"), ("failed", "failed calls and faults")]
    caption = "The height of a lane is the share of the time that was spent there; of a row of calls, their number."
    if run.more_lanes:
        caption += f" {plural(run.more_lanes, 'run')} of further RECs are not shown."
    if not worlds:
        caption += " The trace has no REC entries, so that it is not known which world ran."
    yield _figure(timeline(run), legend, caption)


def _gpt(run: Collector) -> Iterator[str]:
    if not run.moves:
        yield from _none("No granule changed hands in what was recorded.")
        return
    kinds = [name for name, one in run.pas.items() if one.most]
    names = {"realm": "Realm", "secure": "Secure", "root": "Root", "other": "none, or any"}
    legend = [("cells normal", "Normal world")] + [(f"cells {kind} s4", names[kind]) for kind in kinds]
    caption = (
        "The granules that were delegated or shared, by physical address from top to bottom; a row stands for several "
        "where there are many, darker where more of them are the other world's."
    )
    if run.more_moves:
        caption += f" {run.more_moves:,} later changes are left out of the map."
    yield _figure(gpt_map(run), legend, caption)
    series = [(names[kind], kind, run.pas[kind]) for kind in kinds]
    title = "Granules by physical address space, beside the Normal world's"
    yield f"<h3>{title}</h3>"
    yield _figure(steps(run, title, series, "granules"), [(f"line {k}", names[k]) for k in kinds], "4 KiB each.")


def _rtt(run: Collector) -> Iterator[str]:
    if not run.realms:
        yield from _none("No table of a realm was made in what was recorded.")
        return
    styles = {0: "other", 1: "root", 2: "secure", 3: "realm"}
    for rd, realm in run.realms.items():
        yield f"<h3>Realm {rd:#x}</h3>"
        levels = [(f"level {level}", styles[level], one) for level, one in realm.tables.items() if one.most]
        if levels:
            legend = [(f"line {kind}", f"tables of {name}") for name, kind, _ in levels]
            title = f"Translation tables of realm {rd:#x}, by level, without the root tables"
            yield _figure(steps(run, title, levels, "tables"), legend, "Tables by level, without the root tables.")
        pages = [("protected", "realm", realm.pages["data"]), ("shared", "normal", realm.pages["shared"])]
        pages = [row for row in pages if row[2].most]
        if pages:
            legend = [(f"line {kind}", f"{name} mappings") for name, kind, _ in pages]
            title = f"Mappings of realm {rd:#x}"
            caption = (
                "Protected: DATA granules. Shared: mappings of the host's memory. 4 KiB each, larger ones count once."
            )
            yield _figure(steps(run, title, pages, "pages"), legend, caption)


def _shares(title: str, counts: Counter[str]) -> Iterator[str]:
    most = max(counts.values())
    rows = [
        (escaped(name), f"{count:,}", f'<div class="share" style="width:{100 * count / most:.1f}%"></div>')
        for name, count in sorted(counts.items(), key=lambda row: (-row[1], row[0]))[:SHOWN]
    ]
    yield from _table(((title, ""), ("times", "n"), ("", "sharebox")), rows)


def _exits(run: Collector) -> Iterator[str]:
    if not run.exits:
        yield from _none("No REC left to its host in what was recorded.")
        return
    total: Counter[str] = sum(run.exits.values(), Counter())
    yield from _shares("why RECs left to the host", total)
    if len(run.exits) > 1:
        for name, counts in run.exits.items():
            yield f"<h3>{escaped(name)}</h3>"
            yield from _shares("reason", counts)


def _calls(run: Collector) -> Iterator[str]:
    stats = run.stats
    rows = []
    for name, count in sorted(stats.events.items(), key=lambda row: (-row[1], row[0])):
        statuses = stats.statuses.get(name)
        if statuses is None and name not in stats.times:
            continue
        good = 0 if statuses is None else statuses["SUCCESS"]
        others = {} if statuses is None else {key: n for key, n in statuses.items() if key != "SUCCESS"}
        times = stats.times.get(name)
        shown = sorted(others.items(), key=lambda row: (-row[1], row[0]))[:8]
        rows.append(
            (
                _code(name),
                f"{count:,}",
                f"{good:,}",
                escaped(", ".join(f"{n:,} {key}" for key, n in shown)),
                "" if times is None else time_text(run.ns(times[1]) // times[0]),
                "" if times is None else time_text(run.ns(times[2])),
            )
        )
    if not rows:
        yield from _none("No call was made in what was recorded.")
        return
    yield (
        "<p>The time of RMI_REC_ENTER is how long its REC ran; that of a realm's call which makes it leave, how long "
        "the host took until it let the REC run again. Other calls are answered in no virtual time.</p>"
    )
    head = (("call", ""), ("number", "n"), ("SUCCESS", "n"), ("others", ""), ("mean time", "n"), ("longest", "n"))
    yield from _table(head, rows)


def _consoles(run: Collector) -> Iterator[str]:
    if not run.consoles:
        yield from _none("No console printed a line in what was recorded.")
        return
    for label, lines in run.consoles.items():
        total = run.console_lines[label]
        more = f", the last {len(lines):,} of {total:,} lines" if total > len(lines) else ""
        yield f"<h3>{escaped(label)}{more}</h3><pre>"
        yield from (f"<i>{time_text(run.ns(at)):>12}</i>  {escaped(text)}" for at, text in lines)
        yield "</pre>"


def _events(run: Collector) -> Iterator[str]:
    if not run.tail:
        yield from _none("There are no events.")
        return
    which = f"the last {MOST_EVENTS}" if run.stats.count > len(run.tail) else "all of them"
    yield f"<details><summary>{which}</summary><pre>"
    for at, world, line in run.tail:
        indent = "" if world == "normal" else "    "
        yield f"<i>{time_text(run.ns(at)):>12}</i>  {indent}{escaped(line)}"
    yield "</pre></details>"
