"""Bars as SVG, by hand: the same measurements give the same bytes, in a few kilobytes. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _LABELS, _NUMBERS, _MARGIN = 860, 270, 90, 16  # pixels
_BAR, _GAP, _HEAD = 14, 12, 64
_OURS, _OTHERS = ("#1d4ed8", "#93b4f5", "#c9d9fb"), ("#4b5563", "#a8b0bd", "#d6dae0")
_TEXT, _PALE = "#111827", "#6b7280"


@dataclass(frozen=True, slots=True)
class Row:
    """A label, a note under it, and a bar for each series; None where there is nothing to show."""

    label: str
    values: tuple[float | None, ...]
    note: str = ""
    ours: bool = True


def bars(title: str, unit: str, series: Sequence[str], rows: Sequence[Row]) -> str:
    """Groups of horizontal bars from zero, with their numbers. `series` names the bars of each group."""
    tall = _BAR * max(len(series), 2)
    height = _HEAD + len(rows) * (tall + _GAP) + _MARGIN
    most = max((value for row in rows for value in row.values if value is not None), default=1.0)
    scale = (_WIDTH - _LABELS - _NUMBERS - _MARGIN) / most
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
        ' font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
        _text(_MARGIN, 28, title, size=16, weight=600),
        *_legend(unit, series, peers=not all(row.ours for row in rows)),
    ]
    for index, row in enumerate(rows):
        parts += _group(row, _HEAD + index * (tall + _GAP), scale, len(series))
    return "\n".join([*parts, "</svg>", ""])


def _legend(unit: str, series: Sequence[str], *, peers: bool) -> list[str]:
    parts = [_text(_MARGIN, 48, unit, color=_PALE)]
    for index, name in enumerate(series if len(series) > 1 else ()):
        left = _LABELS + index * 170
        parts.append(f'<rect x="{left}" y="38" width="12" height="12" fill="{_OURS[index]}"/>')
        if peers:
            parts.append(f'<rect x="{left + 14}" y="38" width="12" height="12" fill="{_OTHERS[index]}"/>')
        parts.append(_text(left + 32, 48, name, color=_PALE))
    return parts


def _group(row: Row, top: int, scale: float, bars_each: int) -> list[str]:
    parts = [_text(_MARGIN, top + 12, row.label, weight=600 if row.ours else 400)]
    if row.note:
        parts.append(_text(_MARGIN, top + 26, row.note, color=_PALE, size=11))
    colors = _OURS if row.ours else _OTHERS
    for index, value in enumerate(row.values[:bars_each]):
        y = top + index * _BAR
        if value is None:
            parts.append(_text(_LABELS, y + 11, "missing", color=_PALE, size=11))
            continue
        wide = max(1.0, value * scale)
        parts.append(
            f'<rect x="{_LABELS}" y="{y}" width="{wide:.1f}" height="{_BAR - 2}" rx="2" fill="{colors[index]}"/>'
        )
        parts.append(_text(_LABELS + wide + 6, y + 11, number(value)))
    return parts


def _text(x: float, y: float, text: str, *, color: str = _TEXT, size: int = 12, weight: int = 400) -> str:
    emphasis = f' font-weight="{weight}"' if weight != 400 else ""
    return f'<text x="{x:.1f}" y="{y}" fill="{color}" font-size="{size}"{emphasis}>{escape(text)}</text>'


def number(value: float) -> str:
    """Three digits that count, thousands with a comma."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
