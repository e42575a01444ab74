"""A hyperparameter search as one page: its trials in order, their learning curves, and each setting against the objective.

The command writes it at its end, beside the search's document. Coordinates are pixels, y downwards; better is up. Axes of a
setting are logarithmic where its range is.
"""

from collections.abc import Callable, Sequence
from math import log
from typing import Any

from contract import layout
from contract.stores.store import Storage
from contract.texts.figures import NOTHING, write_number, write_percent, write_setting
from contract.tuning.documents import Search, TunedTrial, Tuning
from jobs.reports.page import render_template

WIDE, NARROW, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 330, 200, 60, 12, 12, 24
TEMPLATE = "search.html"


def write_tuning_page(storage: Storage, tuning: Tuning) -> str:
    """Renders the page of a search, again when there is one, and returns its key."""
    key = layout.tuning_page(tuning.search.model, tuning.study)
    storage.put(key, render(tuning).encode())
    return key


def render(tuning: Tuning) -> str:
    """Renders the page. Everything that people wrote is escaped."""
    names, search = sorted(tuning.search.space), tuning.search
    best = None if tuning.best is None else tuning.find(tuning.best)
    rows = [{"trial": one, "config": [write_setting(one.config[name]) for name in names],
             "loss": write_number(one.epochs[-1].loss, 4) if one.epochs else NOTHING,
             "accuracy": write_percent(one.epochs[-1].accuracy, 1) if one.epochs else NOTHING} for one in tuning.trials]
    importance = sorted((tuning.importance or {}).items(), key=lambda pair: -pair[1])
    return render_template(TEMPLATE, {"t": tuning, "s": search, "names": names, "rows": rows, "best": best,
                               "importance": importance,
                               "best_rows": [(name, write_setting(best.config[name])) for name in names] if best else [],
                               "value": None if best is None else _write(search, best.value),
                               "order": draw_order(tuning), "curves": draw_curves(tuning),
                               "settings": [drawn for name in names if (drawn := draw_setting(tuning, name))]})


def draw_order(tuning: Tuning) -> dict[str, Any] | None:
    """Each trial's value in the order of the trials, with the best completed one so far as a line; None without values."""
    judged = [one for one in tuning.trials if one.value is not None]
    if not judged:
        return None
    y = _scale_objective(tuning.search, judged)
    x = _scale(1, max(one.trial for one in judged), WIDE, False)
    steps, best = [], None
    for one in judged:
        if one.state == "completed" and (best is None or _is_better(tuning.search, one, best)):
            best = one
        if best is not None:
            steps.append((x(one.trial), y(best.value)))
    return _frame(tuning.search, judged, WIDE) | {
        "points": [_mark(tuning, one, x(one.trial), y(one.value)) for one in judged],
        "path": " ".join(f"{a},{b}" for a, b in steps),
        "texts": [(x(n), str(n)) for n in sorted({1, max(one.trial for one in judged)})]}


def draw_curves(tuning: Tuning) -> dict[str, Any] | None:
    """The objective of each trial after each epoch; None where no trial has ended an epoch."""
    ran = [one for one in tuning.trials if one.epochs]
    if not ran:
        return None
    values = [_figure(tuning.search, epoch) for one in ran for epoch in one.epochs]
    x, y = _scale(1, tuning.search.epochs, WIDE, False), _scale_values(tuning.search, values)
    lines = [{"trial": one.trial, "state": one.state, "best": one.trial == tuning.best,
              "path": " ".join(f"{x(e.epoch)},{y(_figure(tuning.search, e))}" for e in one.epochs),
              "end": (x(one.epochs[-1].epoch), y(_figure(tuning.search, one.epochs[-1])))} for one in ran]
    return _frame_of(tuning.search, values, WIDE) | {"lines": sorted(lines, key=lambda line: line["best"]),
                                                     "texts": [(x(n), str(n)) for n in sorted({1, tuning.search.epochs})]}


def draw_setting(tuning: Tuning, name: str) -> dict[str, Any] | None:
    """A setting's values against the objective, of trials that have a value; None when there are none."""
    judged = [one for one in tuning.trials if one.value is not None]
    if not judged:
        return None
    space, y = tuning.search.space[name], _scale_objective(tuning.search, judged)
    if isinstance(space, dict):
        x = _scale(space["low"], space["high"], NARROW, space["log"])
        texts = [(x(space[end]), write_setting(space[end])) for end in ("low", "high")]
        places = [x(one.config[name]) for one in judged]
    else:
        at = _scale(0, len(space), NARROW, False)
        texts = [(at(n + 0.5), write_setting(value)) for n, value in enumerate(space)]
        places = [at(space.index(one.config[name]) + 0.5) for one in judged]
    return _frame(tuning.search, judged, NARROW) | {
        "name": name, "texts": texts,
        "points": [_mark(tuning, one, place, y(one.value)) for one, place in zip(judged, places, strict=True)]}


def _mark(tuning: Tuning, one: TunedTrial, x: float, y: float) -> dict[str, Any]:
    text = f"trial {one.trial}: {_write(tuning.search, one.value)}, {one.state}"
    return {"x": x, "y": y, "state": one.state, "best": one.trial == tuning.best, "text": text}


def _frame(search: Search, judged: Sequence[TunedTrial], width: int) -> dict[str, Any]:
    return _frame_of(search, [one.value for one in judged if one.value is not None], width)


def _frame_of(search: Search, values: Sequence[float], width: int) -> dict[str, Any]:
    y = _scale_values(search, values)
    return {"width": width, "height": HEIGHT, "left": LEFT, "right": width - RIGHT, "base": HEIGHT - BOTTOM,
            "ends": [(y(value), _write(search, value)) for value in sorted({min(values), max(values)})]}


def _scale_objective(search: Search, judged: Sequence[TunedTrial]) -> Callable[[float | None], float]:
    return _scale_values(search, [one.value for one in judged if one.value is not None])


def _scale_values(search: Search, values: Sequence[float]) -> Callable[[float | None], float]:
    """Returns the function from a value of the objective to its y: the better, the higher; losses by their logarithm."""
    logarithmic = search.objective == "loss" and min(values) > 0
    place = _scale(min(values), max(values), HEIGHT, logarithmic, TOP, BOTTOM)

    def y(value: float | None) -> float:
        at = place(value or 0.0)
        return at if search.objective == "loss" else round(HEIGHT - BOTTOM + TOP - at, 1)

    return y


def _scale(low: float, high: float, room: int, logarithmic: bool, before: int = LEFT, after: int = RIGHT
           ) -> Callable[[float], float]:
    """Returns the function from a value in [low, high] to a pixel between `before` and `room` less `after`."""
    def bend(value: float) -> float:
        return log(value) if logarithmic else value

    bottom, top = bend(low), bend(high)

    def place(value: float) -> float:
        part = 0.5 if top <= bottom else (bend(value) - bottom) / (top - bottom)
        return round(before + (room - before - after) * part, 1)

    return place


def _figure(search: Search, epoch: Any) -> float:
    return float(epoch.loss if search.objective == "loss" else epoch.accuracy)


def _is_better(search: Search, one: TunedTrial, other: TunedTrial) -> bool:
    value, best = one.value or 0.0, other.value or 0.0
    return value < best if search.objective == "loss" else value > best


def _write(search: Search, value: float | None) -> str:
    return write_number(value, 4) if search.objective == "loss" else write_percent(value, 1)
