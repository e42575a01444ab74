"""The section `pictures` as the report shows it: a chart of each measure by day, the newest day as a table, unusual pictures.

Coordinates are pixels, y downwards. The y axis is logarithmic where the measure's bins are octaves.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from math import log2
from typing import Any

from contract.evidence.pictures import BandAccuracy, OfMeasure, PictureDay, Pictures, Unusual
from contract.measured.measures import BY_NAME, EMBEDDING, NAMED, Measure
from contract.texts.measures import write_value

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 330, 130, 52, 10, 20
LOGARITHMIC = ("sharpness", "pixels", "bytes")
NONE: Mapping[str, Any] = {"measure": EMBEDDING.name, "low_value": None, "median": None, "high_value": None}
LIKE, CHANGED = "no sign of change", "spread otherwise"


def show_pictures(section: Pictures | None, thumbnails: Mapping[str, str],
                  erased: Collection[str] = ()) -> dict[str, Any] | None:
    """The values of the template; None without the section.

    `thumbnails`: hash of a picture -> a small JPEG as a data URI; `erased`: hashes of pictures that are not shown any more.
    """
    if section is None:
        return None
    unusual = [one for one in section["unusual"] if one["image_sha256"] not in erased]
    compared = [day for day in section["days"] if any(figure["js"] is not None for figure in day["figures"])]
    newest = compared[-1] if compared else None
    return {"section": section, "newest": newest, "rows": _list_rows(section, newest) if newest else [],
            "drawings": [drawing for name in BY_NAME if (drawing := _draw(section, compared, BY_NAME[name]))],
            "changed_days": [(day["day"], _name_changed(day)) for day in compared if _name_changed(day)],
            "missing": [(day["day"], day["missing"]) for day in section["days"] if day["missing"]],
            "shown": [_show(one) | {"data": thumbnails[one["image_sha256"]]} for one in unusual
                      if one["image_sha256"] in thumbnails],
            "unusual": [_show(one) for one in reversed(_group_by_day(unusual))],
            "bands": _list_bands(section["bands"])}


def _list_rows(section: Pictures, newest: PictureDay) -> list[dict[str, Any]]:
    """A row for each measure: the reference's spread, the newest day's, the distance and how to read it."""
    theirs = {of["measure"]: of for of in section["reference"]["figures"]}
    pairs = [(f, theirs.get(f["measure"], NONE)) for f in newest["figures"]]
    return [{"title": NAMED[f["measure"]].title, "unit": NAMED[f["measure"]].unit, "theirs": _spread(of), "ours": _spread(f),
             "figure": f, "reading": _read(f, of["median"])} for f, of in pairs]


def _spread(of: Mapping[str, Any]) -> tuple[str, str]:
    """The median, and between what four in five lie."""
    name = of["measure"]
    between = f"{write_value(name, of['low_value'])} to {write_value(name, of['high_value'])}" if of["median"] is not None else ""
    return write_value(name, of["median"]), "" if of["low_value"] == of["high_value"] else between


def _read(figure: OfMeasure, median: float | None) -> str:
    if figure["js"] is None:
        return figure.get("reason") or ""
    if not figure["changed"]:
        return LIKE
    now, measure = figure["median"], NAMED[figure["measure"]]
    if measure is EMBEDDING:
        return measure.low
    if now is None or median is None or write_value(measure.name, now) == write_value(measure.name, median):
        return CHANGED
    return measure.low if now < median else measure.high


def _name_changed(day: PictureDay) -> str:
    return ", ".join(NAMED[f["measure"]].title.lower() for f in day["figures"] if f["changed"])


def _group_by_day(unusual: Sequence[Unusual]) -> list[Unusual]:
    """Days oldest first, and within a day the most unusual last: reversed, the newest day begins with its most unusual."""
    days = sorted({one["day"] for one in unusual})
    return [one for day in days for one in reversed([u for u in unusual if u["day"] == day])]


def _show(one: Unusual) -> dict[str, Any]:
    measure = BY_NAME[one["measure"]]
    return {**one, "value_text": write_value(measure.name, one["value"]), "title": measure.title,
            "word": measure.low if one["side"] == "low" else measure.high}


def _list_bands(bands: Sequence[BandAccuracy]) -> list[dict[str, Any]]:
    """A row for each measure with its four quarters."""
    return [{"title": BY_NAME[name].title,
             "quarters": [{**band, "from_text": write_value(name, band["at_least"]), "to_text": write_value(name, band["below"])}
                          for band in bands if band["measure"] == name]}
            for name in dict.fromkeys(band["measure"] for band in bands)]


def _draw(section: Pictures, days: Sequence[PictureDay], measure: Measure) -> dict[str, Any] | None:
    """One measure by day: medians, four in five of the pictures, and the same of the reference behind them."""
    of = next(f for f in section["reference"]["figures"] if f["measure"] == measure.name)
    points = [(day["day"], f) for day in days for f in day["figures"] if f["measure"] == measure.name and f["median"] is not None]
    ends = [v for f in (of, *(f for _, f in points)) for v in (f["low_value"], f["high_value"]) if v is not None]
    if not points or not ends:
        return None
    y = _scale(min(ends), max(ends), measure.name in LOGARITHMIC)
    step = (WIDTH - LEFT - 8) / len(points)
    drawn = [{"x": round(LEFT + step * (k + 0.5), 1), "y": y(f["median"]), "low": y(f["low_value"]), "high": y(f["high_value"]),
              "changed": f["changed"], "text": _tell(day, f)} for k, (day, f) in enumerate(points)]
    band = None if of["median"] is None else {"top": y(of["high_value"]), "height": y(of["low_value"]) - y(of["high_value"]),
                                              "middle": y(of["median"])}
    return {"title": measure.title, "unit": measure.unit, "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - 8,
            "base": HEIGHT - BOTTOM, "points": drawn, "band": band, "path": " ".join(f"{p['x']},{p['y']}" for p in drawn),
            "ends": [(y(v) + 4, write_value(measure.name, v)) for v in (max(ends), min(ends))],
            "days": [(drawn[0]["x"], points[0][0][5:])] + ([(drawn[-1]["x"], points[-1][0][5:])] if len(points) > 1 else []),
            "changed": sum(p["changed"] for p in drawn)}


def _tell(day: str, figure: OfMeasure) -> str:
    middle, between = _spread(figure)
    return f"{day}: median {middle}, four in five {between}" + ("; more than chance" if figure["changed"] else "")


def _scale(low: float, high: float, logarithmic: bool) -> Callable[[float | None], float]:
    """Returns the function from a value to its y; callers pass no null."""
    def place(value: float) -> float:
        return log2(max(value, 1e-9)) if logarithmic else value

    bottom, top = place(low), place(high)
    room = HEIGHT - TOP - BOTTOM

    def y(value: float | None) -> float:
        part = 0.5 if top <= bottom else (place(value or 0.0) - bottom) / (top - bottom)
        return round(TOP + room * (1 - part), 1)

    return y
