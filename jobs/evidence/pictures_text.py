"""What the section `pictures` says in a sentence."""

from contract.evidence.pictures import OfMeasure, PictureDay, Pictures
from contract.measured.measures import EMBEDDING, NAMED
from contract.texts.figures import write_count, write_number
from contract.texts.measures import write_value

MOST_NAMED = 3


def say(section: Pictures) -> str:
    """Says which days differ, the newest with its measures, or that none does, or why nothing can be told."""
    reference = section["reference"]
    against = (f"the {write_number(reference['pictures'])} pictures that version {section['version']} was trained on"
               if reference["kind"] == "dataset" else "those of the days before")
    compared = [day for day in section["days"] if any(figure["js"] is not None for figure in day["figures"])]
    if not compared:
        why = "no day has 30 pictures or more that could be measured" if reference["kind"] == "dataset" else (
            f"{reference['reason']}, and no two days have 30 pictures or more that could be measured")
        return f"Whether the pictures changed is not known: {why}."
    changed = [day for day in compared if _list_changed(day)]
    if not changed:
        return (f"The pictures of {write_count(len(compared), 'day')} are like {against}: no measure differs by more than "
                f"chance shows.")
    newest, medians = changed[-1], {of["measure"]: of["median"] for of in reference["figures"]}
    named = [say_change(figure, medians.get(figure["measure"])) for figure in _list_changed(newest)[:MOST_NAMED]]
    more = len(_list_changed(newest)) - len(named)
    tail = f", and {more} more" if more else ""
    return (f"The pictures of {len(changed)} of {write_count(len(compared), 'day')} differ from {against} by more than chance "
            f"shows; those of {newest['day']} are {', '.join(named)}{tail}.")


def _list_changed(day: PictureDay) -> list[OfMeasure]:
    """The measures that differ, the farthest beyond chance first."""
    changed = [figure for figure in day["figures"] if figure["changed"]]
    return sorted(changed, key=lambda figure: -(figure["js"] or 0.0) + (figure["chance"] or 0.0))


def say_change(figure: OfMeasure, median: float | None) -> str:
    """Says how a measure changed: "darker (median brightness 0.31, before 0.52)"."""
    measure, now = NAMED[figure["measure"]], figure["median"]
    if measure is EMBEDDING:
        return measure.low
    if now is None or median is None:
        return f"other in {measure.title.lower()}"
    written = write_value(measure.name, now), write_value(measure.name, median)
    word = f"spread otherwise in {measure.title.lower()}" if written[0] == written[1] else (
        measure.low if now < median else measure.high)
    return f"{word} (median {measure.title.lower()} {written[0]}, there {written[1]})"
