# SPDX-License-Identifier: GPL-2.0-or-later
"""The pictures of a report, as SVG: colours by class, so that light and dark are the style sheet's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from machine.reports.collect import OTHER, Collector
from machine.reports.columns import COLUMNS, Steps, Sums
from machine.reports.text import escaped, plural, size_text, ticks, time_text

WIDTH, LEFT, RIGHT = 960, 170, 16
PLOT = WIDTH - LEFT - RIGHT
BANDS = 60
LANE, BAR, GAP = 18, 26, 8
ROWS, ROW = 56, 6
SHADES = 4
LABEL_EVERY = 8
_GRANULE = 4096


class _Frame:
    """The time axis that all pictures of one report share."""

    def __init__(self, run: Collector) -> None:
        self.run = run
        self.insns = max(run.last, 1)
        self.ns = max(run.ns(self.insns), 1)
        self.used = min(self.insns // run.columns.width + 1, COLUMNS)

    def x(self, column: int) -> float:
        """The left edge of a column."""
        return LEFT + PLOT * min(column * self.run.columns.width / self.insns, 1.0)

    def svg(self, title: str, height: int, parts: Sequence[str]) -> str:
        axis = height - 20
        lines = [
            f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escaped(title)}">',
            f"<title>{escaped(title)}</title>",
        ]
        for ns, label in ticks(self.ns):
            x = LEFT + PLOT * ns / self.ns
            anchor = "end" if x > WIDTH - 60 else "middle"
            lines.append(f'<line class="grid" x1="{x:.1f}" y1="4" x2="{x:.1f}" y2="{axis}"/>')
            lines.append(f'<text class="tick" x="{x:.1f}" y="{height - 5}" text-anchor="{anchor}">{label}</text>')
        return "\n".join([*lines, *parts, "</svg>"])

    def bands(self, height: int, text: Sequence[str]) -> Iterator[str]:
        """Stretches of time that say what happened in them when pointed at."""
        each = PLOT / len(text)
        for at, said in enumerate(text):
            yield (
                f'<rect class="band" x="{LEFT + at * each:.1f}" y="2" width="{each:.1f}" height="{height - 22}">'
                f"<title>{escaped(said)}</title></rect>"
            )


def _label(y: float, text: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{LEFT - 8}" y="{y:.1f}" text-anchor="end">{escaped(text)}</text>'


def _bars(frame: _Frame, y: int, height: int, shares: Sequence[float], kind: str) -> str:
    """One path of all columns; shares: 0 to 1."""
    path = []
    for at in range(frame.used):
        if shares[at] <= 0:
            continue
        tall = max(height * min(shares[at], 1.0), 1.0)
        x, right = frame.x(at), frame.x(at + 1)
        path.append(f"M{x:.1f} {y + height - tall:.1f}H{max(right, x + 0.8):.1f}V{y + height}H{x:.1f}z")
    return f'<path class="{kind}" d="{"".join(path)}"/>'


def _spent(frame: _Frame, spent: Sums) -> list[float]:
    width = frame.run.columns.width
    room = [min(width, max(frame.insns - at * width, 1)) for at in range(COLUMNS)]
    return [min(value / room[at], 1.0) for at, value in enumerate(spent.values)]


def timeline(run: Collector) -> str:
    """Who ran when, and the calls that were made."""
    frame = _Frame(run)
    parts: list[str] = []
    said: list[tuple[str, list[float]]] = []
    y = 6
    known = bool(run.lanes)
    if known:
        for pe, busy in sorted(run.busy.items()):
            shares = [1.0 - share for share in _spent(frame, busy)]
            name = "Normal world" if len(run.busy) == 1 else f"Normal world, PE {pe}"
            parts += _lane(frame, y, name, shares, "normal")
            said.append((name, shares))
            y += LANE + GAP
    for world, name, spent in run.lane_titles():
        shares = _spent(frame, spent)
        parts += _lane(frame, y, name, shares, world)
        said.append((name, shares))
        y += LANE + GAP
    counted = [(f"{name} calls", sums, "calls") for name, sums in run.calls.items() if any(sums.values)]
    if any(run.failed.values):
        counted.append(("failed", run.failed, "failed"))
    for name, sums, kind in counted:
        most = max(sums.values)
        parts.append(_label(y + 12, name))
        parts.append(_label(y + 24, f"{sum(sums.values):,} in all", "tick"))
        parts.append(f'<line class="base" x1="{LEFT}" y1="{y + BAR}" x2="{WIDTH - RIGHT}" y2="{y + BAR}"/>')
        parts.append(_bars(frame, y, BAR, [value / most for value in sums.values], kind))
        y += BAR + GAP
    height = y + 20
    texts = [_band_text(frame, at, said, counted) for at in range(BANDS)]
    return frame.svg("Worlds and calls over virtual time", height, [*parts, *frame.bands(height, texts)])


def _lane(frame: _Frame, y: int, name: str, shares: Sequence[float], kind: str) -> list[str]:
    return [
        _label(y + 13, name),
        f'<rect class="track" x="{LEFT}" y="{y}" width="{PLOT}" height="{LANE}"/>',
        _bars(frame, y, LANE, shares, kind),
    ]


def _band_text(
    frame: _Frame, band: int, lanes: Sequence[tuple[str, list[float]]], counted: Sequence[tuple[str, Sums, str]]
) -> str:
    first, last = band * frame.used // BANDS, max((band + 1) * frame.used // BANDS, band * frame.used // BANDS + 1)
    start, end = frame.ns * band // BANDS, frame.ns * (band + 1) // BANDS
    parts = [f"{name} {100 * sum(shares[first:last]) / (last - first):.0f} %" for name, shares in lanes]
    parts += [f"{n:,} {name}" for name, sums, _ in counted if (n := sum(sums.values[first:last]))]
    return f"{time_text(start)} to {time_text(end)}: " + ", ".join(parts)


def steps(run: Collector, title: str, series: Sequence[tuple[str, str, Steps]], unit: str) -> str:
    """Numbers over time, each as a line.  series: (title, class, values); unit: of the axis."""
    frame = _Frame(run)
    height, top = 150, 14
    base = height - 24
    most = max(1, *(one.most for _, _, one in series))
    parts = [
        f'<line class="base" x1="{LEFT}" y1="{base}" x2="{WIDTH - RIGHT}" y2="{base}"/>',
        f'<line class="grid" x1="{LEFT}" y1="{top}" x2="{WIDTH - RIGHT}" y2="{top}"/>',
        _label(top + 4, f"{most:,} {unit}"),
        _label(base + 4, "0"),
    ]
    for _, kind, one in series:
        path = [f"M{LEFT} {base:.1f}"]
        for column, last, highest in one.values():
            for value in dict.fromkeys((highest, last)):
                path.append(f"H{frame.x(column):.1f}V{base - (base - top) * max(value, 0) / most:.1f}")
        parts.append(f'<path class="line {kind}" d="{"".join(path)}H{WIDTH - RIGHT}"/>')
    texts = [_steps_text(frame, at, series) for at in range(BANDS)]
    return frame.svg(title, height, [*parts, *frame.bands(height, texts)])


def _steps_text(frame: _Frame, band: int, series: Sequence[tuple[str, str, Steps]]) -> str:
    end = max((band + 1) * frame.used // BANDS, 1)
    values = []
    for name, _, one in series:
        before = [last for column, last, _ in one.values() if column < end]
        values.append(f"{name} {before[-1] if before else 0:,}")
    return f"at {time_text(frame.ns * (band + 1) // BANDS)}: " + ", ".join(values)


def gpt_map(run: Collector) -> str:
    """Whose each granule was when: addresses from top to bottom, the granules alone that ever changed hands."""
    frame = _Frame(run)
    granules = sorted({granule for _, granule, _ in run.moves})
    each = -(-len(granules) // ROWS)
    row_of = {granule: at // each for at, granule in enumerate(granules)}
    rows = -(-len(granules) // each)
    sizes = [len(granules[at * each : (at + 1) * each]) for at in range(rows)]
    owner: dict[int, str] = {}
    counts: list[dict[str, int]] = [{} for _ in range(rows)]
    changes: list[dict[int, str]] = [{} for _ in range(rows)]
    most = [0] * rows
    for insns, granule, new in run.moves:
        row = row_of[granule]
        old, owner[granule] = owner.get(granule), new
        if old is not None:
            counts[row][old] -= 1
        counts[row][new] = counts[row].get(new, 0) + 1
        most[row] = max(most[row], counts[row].get("realm", 0))
        changes[row][insns // run.columns.width] = _shade(counts[row], sizes[row])
    parts = [f'<rect class="cells normal" x="{LEFT}" y="6" width="{PLOT}" height="{rows * ROW}"/>']
    paths: dict[str, list[str]] = {}
    for row, known in enumerate(changes):
        y = 6 + row * ROW
        edges = [*sorted(known), frame.used]
        for at, column in enumerate(edges[:-1]):
            if known[column]:
                path = paths.setdefault(known[column], [])
                right = max(frame.x(edges[at + 1]), frame.x(column) + 0.8)
                path.append(f"M{frame.x(column):.1f} {y}H{right:.1f}v{ROW}H{frame.x(column):.1f}z")
    parts += [f'<path class="cells {kind}" d="{"".join(path)}"/>' for kind, path in sorted(paths.items())]
    for row in range(rows):
        mine = granules[row * each : (row + 1) * each]
        if row % LABEL_EVERY == 0:
            parts.append(_label(6 + row * ROW + ROW, f"{mine[0] * _GRANULE:#x}"))
        said = (
            f"{mine[0] * _GRANULE:#x} to {mine[-1] * _GRANULE + _GRANULE - 1:#x}: {plural(len(mine), 'granule')} "
            f"({size_text(len(mine))}) that changed hands, at most {most[row]:,} of them Realm at a time"
        )
        parts.append(
            f'<rect class="band" x="{LEFT}" y="{6 + row * ROW}" width="{PLOT}" height="{ROW}">'
            f"<title>{escaped(said)}</title></rect>"
        )
    return frame.svg("Physical address spaces of granules over virtual time", 6 + rows * ROW + 24, parts)


def _shade(counts: dict[str, int], size: int) -> str:
    """`realm3`: the PAS that most of a row's granules have, in quarters; empty for the Normal world's alone."""
    kind, share = "", 0
    for name in ("realm", "secure", "root", OTHER):
        if counts.get(name, 0) > share:
            kind, share = name, counts[name]
    return f"{kind} s{-(-share * SHADES // size)}" if kind else ""
