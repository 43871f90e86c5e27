"""Dollars a month over requests a day, both by powers of ten, as SVG by hand: equal numbers give equal bytes. Pure."""

import math
from collections.abc import Sequence
from dataclasses import replace
from html import escape

from cost.comparison import Comparison, Workload

_WIDTH, _HEIGHT = 860, 420  # pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 220, 70, 50
_FEWEST, _MOST = 1, 6  # powers of ten: requests a day
_STEPS = 100  # points of a line
_OURS, _SERVERS, _APIS = "#1d4ed8", ("#374151", "#6b7280", "#9ca3af"), ("#b45309", "#d97706", "#f59e0b")
_TEXT, _PALE, _GRID = "#111827", "#6b7280", "#e5e7eb"
_LINE = 14  # pixels between two names


def picture(comparison: Comparison, work: Workload, title: str, note: str) -> str:
    """A line for each way, named at its right end, and a mark at the workload's own requests."""
    points = [10 ** (_FEWEST + (_MOST - _FEWEST) * step / _STEPS) for step in range(_STEPS + 1)]
    lines = [(name, [monthly(replace(work, requests=x)) for x in points]) for name, monthly in comparison.ways()]
    paid = [value for _, values in lines for value in values if value > 0]
    low, high = math.floor(math.log10(min(paid))), math.ceil(math.log10(max(paid)))

    def x(requests: float) -> float:
        return _LEFT + (math.log10(requests) - _FEWEST) / (_MOST - _FEWEST) * (_WIDTH - _LEFT - _RIGHT)

    def y(dollars: float) -> float:
        share = (math.log10(max(dollars, 10**low)) - low) / (high - low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        ' font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#ffffff"/>',
        _text(16, 28, title, size=16, weight=600),
        _text(16, 48, note, color=_PALE, size=11),
    ]
    for power in range(low, high + 1):
        parts += [_rule(_LEFT, y(10**power), _WIDTH - _RIGHT, y(10**power)), _text(16, y(10**power) + 4, _usd(power))]
    for power in range(_FEWEST, _MOST + 1):
        at = x(10**power)
        parts += [_rule(at, _TOP, at, _HEIGHT - _BOTTOM), _text(at - 14, _HEIGHT - _BOTTOM + 18, f"{10**power:,}")]
    parts.append(_text(_LEFT, _HEIGHT - 12, "requests a day", color=_PALE))
    if 10**_FEWEST <= work.requests <= 10**_MOST:
        at = x(work.requests)
        parts.append(_rule(at, _TOP, at, _HEIGHT - _BOTTOM, color=_OURS, dashes=True))
    colors = [_OURS, *_cycled(_SERVERS, len(comparison.servers)), *_cycled(_APIS, len(comparison.apis))]
    places = _apart([y(values[-1]) for _, values in lines])
    for (name, values), color, place in zip(lines, colors, places, strict=True):
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in zip(points, values, strict=True))
        width = 3 if color == _OURS else 1.5
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}"/>')
        weight = 600 if color == _OURS else 400
        parts.append(_text(_WIDTH - _RIGHT + 8, place + 4, name, color=color, weight=weight))
    return "\n".join([*parts, "</svg>", ""])


def _cycled(colors: Sequence[str], count: int) -> list[str]:
    return [colors[index % len(colors)] for index in range(count)]


def _apart(heights: Sequence[float]) -> list[float]:
    """The same heights, moved down where two names would lie on each other."""
    places = list(heights)
    last = -math.inf
    for index in sorted(range(len(heights)), key=lambda index: heights[index]):
        places[index] = last = max(heights[index], last + _LINE)
    return places


def _usd(power: int) -> str:
    return f"${10**power:,}" if power >= 0 else f"${10**power:.{-power}f}"


def _rule(x1: float, y1: float, x2: float, y2: float, *, color: str = _GRID, dashes: bool = False) -> str:
    dashed = ' stroke-dasharray="4 4"' if dashes else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"{dashed}/>'


def _text(x: float, y: float, text: str, *, color: str = _TEXT, size: int = 12, weight: int = 400) -> str:
    emphasis = f' font-weight="{weight}"' if weight != 400 else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" font-size="{size}"{emphasis}>{escape(text)}</text>'
