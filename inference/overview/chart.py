"""Geometry of the overview's drawing: accuracy by day, a span of colour for each version, events upon it. Pixels, y downwards.

Colours are classes of the style sheet (`series-0` …), so that the drawing follows light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from contract.documents.evaluation import TrendPoint
from contract.texts.figures import write_bound, write_figure, write_percent

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 220, 44, 24, 16, 26
PHONE_WIDTH = 330  # at its real size, so that texts are as large as elsewhere
SERIES = 6  # colours; more versions take them anew
DATE_WIDTH = 80  # pixels of the axis for each date that is written
MOST_MARKS = 70  # days whose marks fit beside each other, each with its text; of more the line is drawn alone


def draw(points: Sequence[TrendPoint], bound: float | None, events: Sequence[tuple[str, str]],
         width: int = WIDTH) -> dict[str, Any] | None:
    """Returns what the template places; None when no day has a label that accuracy can rest on.

    `events` are (day, text); those outside the days are left out, several of one day share a mark. `width`: pixels.
    """
    known = [p for p in points if None not in (p["estimate"]["value"], p["estimate"]["low"], p["estimate"]["high"])]
    if not known:
        return None
    first, last = date.fromisoformat(known[0]["day"]), date.fromisoformat(max(p["day"] for p in known))
    length = (last - first).days
    lows = [p["estimate"]["low"] or 0.0 for p in known] + ([bound] if bound is not None else [])
    floor = max(0.0, int(min(lows) * 10) / 10)

    def x(day: str) -> float:
        place = (date.fromisoformat(day) - first).days / length if length else 0.5
        return round(LEFT + (width - LEFT - RIGHT) * place, 1)

    def y(value: float | None) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value or 0.0)) / (1 - floor if floor < 1 else 1), 1)

    versions = list(dict.fromkeys(p["version"] for p in known))
    lines = [_draw_line(version, i % SERIES, [p for p in known if p["version"] == version], x, y)
             for i, version in enumerate(versions)]
    days = sorted({p["day"] for p in known})
    return {"width": width, "height": HEIGHT, "left": LEFT, "right": width - RIGHT, "top": TOP, "base": HEIGHT - BOTTOM,
            "lines": lines, "bound": None if bound is None else {"y": y(bound), "text": write_bound(bound)},
            "grid": [(y(value), write_percent(value)) for value in _list_grid(floor)],
            "days": [(x(d), d[5:]) for d in days[::max(1, -(-len(days) * DATE_WIDTH // width))]],
            "events": _place_events(events, days[0], days[-1], x), "first": days[0], "last": days[-1]}


def _list_grid(floor: float) -> list[float]:
    step = 0.2 if floor < 0.4 else 0.1 if floor < 0.8 else 0.05
    return [round(1 - i * step, 2) for i in range(int(round(1 - floor, 2) / step + 1e-9) + 1)]


def _draw_line(version: str, series: int, points: Sequence[TrendPoint], x: Any, y: Any) -> dict[str, Any]:
    at = [(x(p["day"]), y(p["estimate"]["value"]), y(p["estimate"]["low"]), y(p["estimate"]["high"])) for p in points]
    band = [f"{px},{high}" for px, _, _, high in at] + [f"{px},{low}" for px, _, low, _ in reversed(at)]
    shows_marks = len(points) <= MOST_MARKS
    marks = [{"x": px, "y": py, "low": low, "high": high, "provisional": p["provisional"],
              "text": f"{p['day']}, version {version}: {write_figure(p['estimate'])}" if shows_marks else ""}
             for (px, py, low, high), p in zip(at, points, strict=True)]
    return {"version": version, "series": series, "path": " ".join(f"{px},{py}" for px, py, _, _ in at),
            "band": " ".join(band), "marks": marks, "shows_marks": shows_marks, "from": at[0][0], "to": at[-1][0]}


def _place_events(events: Sequence[tuple[str, str]], first: str, last: str, x: Any) -> list[dict[str, Any]]:
    texts: dict[str, list[str]] = {}
    for day, text in events:
        if first <= day <= last:
            texts.setdefault(day, []).append(text)
    return [{"x": x(day), "text": f"{day}: {'; '.join(said)}"} for day, said in sorted(texts.items())]
