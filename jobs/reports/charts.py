"""Geometry of the report's charts; the template writes the SVG. Coordinates are pixels, y downwards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from contract.texts.figures import write_bound, write_percent

COLOURS = 6  # of versions, as classes s0 to s5 of report.css: Okabe and Ito's, which colour-blind people can tell apart
LEFT, TOP, BOTTOM = 48, 14, 40
LINE = 100
SPARK_PERIODS = 8


@dataclass(frozen=True)
class Size:
    """How large a chart is; a narrow one has the text of its bound inside, not beside it."""

    width: int
    height: int
    right: int  # the margin at the right end
    day_texts: int  # days that have their text below the axis, at most


WIDE, PHONE = Size(760, 260, 92, 10), Size(350, 230, 12, 4)


def draw_trend(points: Sequence[Mapping[str, Any]], bound: float | None, size: Size = WIDE) -> dict[str, Any] | None:
    """The estimated accuracy by day, a colour for each version, with intervals; None when no day has a label."""
    known = [p for p in points if p["estimate"]["value"] is not None]
    if not known:
        return None
    days = _list_days({p["day"] for p in points})
    bottom = min([p["estimate"]["low"] for p in known] + ([bound] if bound is not None else []))
    floor = max(0.0, int(bottom * 10) / 10)

    place = {day: i for i, day in enumerate(days)}

    def x(day: str) -> float:
        inner = size.width - LEFT - size.right
        return round(LEFT + inner * (place[day] + 0.5) / len(days), 1)

    def y(value: float) -> float:
        return round(TOP + (size.height - TOP - BOTTOM) * (1 - value) / (1 - floor), 1)

    every = max(1, -(-len(days) // size.day_texts))
    versions = sorted({p["version"] for p in points})
    return {
        "width": size.width, "height": size.height, "left": LEFT, "right": size.width - size.right,
        "base": size.height - BOTTOM, "narrow": size is PHONE,
        "days": [(x(d), d[5:]) for d in days[::every]], "bound": None if bound is None else (y(bound), write_bound(bound)),
        "grid": [(y(v), write_percent(v)) for v in _grid(floor)],
        "lines": [_line(v, i, len(versions), [p for p in known if p["version"] == v], x, y)
                  for i, v in enumerate(versions)],
    }


def _list_days(days: set[str]) -> list[str]:
    """All days from the first to the last, so that a gap is as wide as it was long."""
    first, last = (date.fromisoformat(end) for end in (min(days), max(days)))
    return [(first + timedelta(days=i)).isoformat() for i in range((last - first).days + 1)]


def _grid(floor: float) -> list[float]:
    step = 0.1 if floor < 0.65 else 0.05
    count = round((1 - floor) / step)
    return [round(floor + i * step, 2) for i in range(count + 1)]


def _line(version: str, i: int, versions: int, points: Sequence[Mapping[str, Any]], x: Callable[[str], float],
          y: Callable[[float], float]) -> dict[str, Any]:
    shift = (i - (versions - 1) / 2) * 7  # versions of one day stand side by side
    made = [{"x": round(x(p["day"]) + shift, 1), "y": y(p["estimate"]["value"]), "low": y(p["estimate"]["low"]),
             "high": y(p["estimate"]["high"]), "provisional": p["provisional"], "point": p} for p in points]
    return {"version": version, "colour": f"s{i % COLOURS}", "points": made,
            "path": " ".join(f"{m['x']},{m['y']}" for m in made)}


def draw_reliability(bins: Sequence[Mapping[str, Any]], side: int = 260) -> dict[str, Any] | None:
    """The reliability diagram: share right against confidence, one mark for each bin; None without rows."""
    if not bins:
        return None
    room, left, top = side - 72, 48, 12
    most = max(b["count"] for b in bins)

    def at(value: float) -> float:
        return round(top + room * (1 - value), 1)

    marks = [{"x": round(left + room * b["confidence"], 1), "y": at(b["accuracy"]["value"]),
              "low": at(b["accuracy"]["low"]), "high": at(b["accuracy"]["high"]),
              "r": round(2 + 4 * (b["count"] / most) ** 0.5, 1), "bin": b} for b in bins]
    return {"side": side, "left": left, "top": top, "room": room, "marks": marks,
            "grid": [(round(left + room * v, 1), at(v), write_percent(v)) for v in (0, 0.25, 0.5, 0.75, 1)]}


def draw_sparks(classes: Mapping[str, Sequence[tuple[str, int, int]]], width: int = 64, height: int = 20) -> dict[str, Any]:
    """A small line for each class: its recall over up to 8 periods of equal length, all on the same axes (0 to 100%).

    {"width", "height", "classes": label -> {"path", "last": (x, y), "text"}}; a class without labels is not in it, and
    one day makes no line.
    """
    days = sorted({day for points in classes.values() for day, _, _ in points})
    if len(days) < 2:
        return {"width": width, "height": height, "classes": {}}
    periods = min(len(days), SPARK_PERIODS)
    place = {day: i * periods // len(days) for i, day in enumerate(days)}
    made = {}
    for label, points in classes.items():
        sums = [[0, 0] for _ in range(periods)]
        for day, right, n in points:
            sums[place[day]][0] += right
            sums[place[day]][1] += n
        at = [(round(3 + (width - 6) * i / (periods - 1), 1), round(2 + (height - 4) * (1 - right / n), 1))
              for i, (right, n) in enumerate(sums) if n]
        if at:
            shares = [right / n for right, n in sums if n]
            made[label] = {"path": " ".join(f"{x},{y}" for x, y in at), "last": at[-1],
                           "text": f"recall from {write_percent(shares[0])} to {write_percent(shares[-1])}"}
    return {"width": width, "height": height, "classes": made}


def draw_bar(figure: Mapping[str, Any]) -> dict[str, float] | None:
    """A share with its interval on a line of 100 pixels; None without an interval. The interval is at least 0.8 wide."""
    if figure["value"] is None or figure["low"] is None:
        return None
    left, right, at = (round(figure[name] * LINE, 1) for name in ("low", "high", "value"))
    return {"left": left, "width": max(round(right - left, 1), 0.8), "at": at}
