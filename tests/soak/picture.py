"""Memory and file descriptors over the requests of a soak, as SVG by hand. Pure."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

from tests.soak.verdict import Sample

_WIDTH, _LEFT, _RIGHT, _TOP, _PANEL, _GAP = 860, 60, 24, 64, 150, 56  # pixels
_COLORS = ("#1d4ed8", "#0f766e", "#b45309")
_TEXT, _PALE = "#111827", "#6b7280"

Series = Mapping[str, Sequence[Sample]]


def picture(series: Series) -> str:
    """One line for each process: above the memory in MB, below the descriptors, both from zero."""
    height = _TOP + 2 * _PANEL + _GAP + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
        ' font-family="system-ui, sans-serif" font-size="12">',
        "<title>Soak: memory and file descriptors over requests</title>",
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
        _text(16, 28, "Soak: memory and file descriptors over requests", size=16),
    ]
    for index, name in enumerate(series):
        left = 16 + 260 * index
        parts.append(f'<rect x="{left}" y="40" width="12" height="12" fill="{_COLORS[index]}"/>')
        parts.append(_text(left + 18, 50, name, color=_PALE))
    parts += _panel(series, _TOP, "resident memory, MB", lambda sample: sample.resident / 2**20)
    parts += _panel(series, _TOP + _PANEL + _GAP, "file descriptors", lambda sample: sample.descriptors)
    return "\n".join([*parts, "</svg>", ""])


def _panel(series: Series, top: int, title: str, value: Callable[[Sample], float]) -> list[str]:
    samples = [sample for each in series.values() for sample in each]
    highest = max(value(sample) for sample in samples) * 1.15
    longest = max(sample.requests for sample in samples)
    wide = _WIDTH - _LEFT - _RIGHT
    bottom = top + _PANEL
    parts = [
        _text(16, top + 8, title, color=_PALE),
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{_WIDTH - _RIGHT}" y2="{bottom}" stroke="{_PALE}"/>',
        _text(_LEFT, bottom + 16, "0", color=_PALE),
        _text(_WIDTH - _RIGHT - 80, bottom + 16, f"{longest} requests", color=_PALE),
    ]
    for color, each in zip(_COLORS, series.values(), strict=False):
        points = [
            f"{_LEFT + wide * sample.requests / longest:.1f},{bottom - (_PANEL - 20) * value(sample) / highest:.1f}"
            for sample in each
        ]
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        last_x, last_y = points[-1].split(",")
        parts.append(_text(float(last_x) - 30, float(last_y) - 6, f"{value(each[-1]):.0f}"))
    return parts


def _text(x: float, y: float, text: str, *, color: str = _TEXT, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" font-size="{size}">{escape(text)}</text>'
