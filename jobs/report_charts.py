"""Geometry of the report's two drawings; the template writes the SVG. Pixels, y downwards."""

from collections.abc import Mapping, Sequence
from typing import Any

# Okabe and Ito's colours, told apart by colour-blind people; dark enough for text on white.
COLOURS = ("#0072b2", "#d55e00", "#007a5a", "#9b4f86", "#6b5b00", "#333333")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 260, 48, 76, 14, 40
MOST_DAY_TEXTS = 10


def trend(points: Sequence[Mapping[str, Any]], bound: float | None) -> dict[str, Any] | None:
    """Accuracy to believe by day, a colour for each version, with intervals; None when no day has a label."""
    known = [p for p in points if p["estimate"]["value"] is not None]
    if not known:
        return None
    days = sorted({p["day"] for p in points})
    bottom = min([p["estimate"]["low"] for p in known] + ([bound] if bound is not None else []))
    floor = max(0.0, int(bottom * 10) / 10)

    def x(day: str) -> float:
        room = WIDTH - LEFT - RIGHT
        return round(LEFT + room * (days.index(day) + 0.5) / len(days), 1)

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value) / (1 - floor), 1)

    every = max(1, -(-len(days) // MOST_DAY_TEXTS))
    versions = sorted({p["version"] for p in points})
    return {
        "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT, "base": HEIGHT - BOTTOM,
        "days": [(x(d), d[5:]) for d in days[::every]], "bound": None if bound is None else (y(bound), bound),
        "grid": [(y(v), f"{100 * v:.0f}%") for v in _grid(floor)],
        "lines": [_line(v, i, len(versions), [p for p in known if p["version"] == v], x, y)
                  for i, v in enumerate(versions)],
    }


def _grid(floor: float) -> list[float]:
    step = 0.1 if floor < 0.65 else 0.05
    count = round((1 - floor) / step)
    return [round(floor + i * step, 2) for i in range(count + 1)]


def _line(version: str, i: int, versions: int, points: Sequence[Mapping[str, Any]], x: Any, y: Any) -> dict[str, Any]:
    shift = (i - (versions - 1) / 2) * 7  # versions of one day stand side by side
    made = [{"x": round(x(p["day"]) + shift, 1), "y": y(p["estimate"]["value"]), "low": y(p["estimate"]["low"]),
             "high": y(p["estimate"]["high"]), "provisional": p["provisional"], "point": p} for p in points]
    return {"version": version, "colour": COLOURS[i % len(COLOURS)], "points": made,
            "path": " ".join(f"{m['x']},{m['y']}" for m in made)}


def reliability(bins: Sequence[Mapping[str, Any]], side: int = 260) -> dict[str, Any] | None:
    """What was said against what was right, one mark for each bin; None without rows."""
    if not bins:
        return None
    room, left, top = side - 60, 48, 12
    most = max(b["count"] for b in bins)

    def at(value: float) -> float:
        return round(top + room * (1 - value), 1)

    marks = [{"x": round(left + room * b["confidence"], 1), "y": at(b["accuracy"]["value"]),
              "low": at(b["accuracy"]["low"]), "high": at(b["accuracy"]["high"]),
              "r": round(2 + 4 * (b["count"] / most) ** 0.5, 1), "bin": b} for b in bins]
    return {"side": side, "left": left, "top": top, "room": room, "marks": marks,
            "grid": [(round(left + room * v, 1), at(v), f"{100 * v:.0f}%") for v in (0, 0.25, 0.5, 0.75, 1)]}
