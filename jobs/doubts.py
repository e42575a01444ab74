"""What an evaluation doubts: rows that were counted by the rules, and whose figures may say nothing of the model all the same.

Counting takes rows of other programs as they are. What looks like a mistake in them is logged as a warning and stands in the
document (`doubts`): labels that name no class, labels under the wrong day, versions whose rows are all duplicates of
another's, impossible values.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence

from contract.documents.evaluation import Doubt
from contract.stores.store import Storage
from contract.texts.figures import write_count
from jobs.doubtful_rows import describe_impossible, describe_orphans, describe_replayed, list_lost_versions
from jobs.engines.question import Question
from metrics.label_names import Strangers, find_missing_words, find_strangers
from metrics.window import WindowCounts

log = logging.getLogger(__name__)
ONE_IN_LOST = 100  # a day with fewer duplicates is not looked through for a version that lost all its rows


def find_doubts(storage: Storage, question: Question, counted: WindowCounts, classes: Mapping[str, Sequence[str]],
                beyond: Sequence[str] = ()) -> list[Doubt]:
    """Finds the doubts about counted days. Reads rows only for examples.

    `classes` is version -> its card's class list, `beyond` the days after the window that have labels alone.
    """
    strangers = find_strangers(counted.total("pairs"), classes)
    found = [_doubt("no class named", _describe_strangers(strange), strange.version) for strange in strangers]
    found += [_doubt("missing values", _describe_missing(word, n))
              for word, n in find_missing_words(counted.total("pairs"), classes).items()]
    if question.role == "live":
        found += [_doubt("without prediction", sentence) for sentence in _doubt_places(storage, counted, beyond)]
    crowded = {d.day: d.origins for d in counted.days
               if 0 < d.rows["predictions"] <= ONE_IN_LOST * d.rows["duplicate_predictions"]}
    if question.role == "replay":
        shared = [d.day for d in counted.days if d.rows["duplicate_predictions"]] if question.version is None else []
        found += [_doubt("versions share ids", sentence) for sentence in describe_replayed(storage, question, shared)]
        crowded = {}
    found += [_doubt("version lost", sentence, version) for version, sentence in list_lost_versions(storage, question, crowded)]
    if odd := [day for day in counted.days if day.rows["impossible_predictions"] or day.rows["impossible_labels"]]:
        rows = {table: sum(day.rows[f"impossible_{table}"] for day in odd) for table in ("predictions", "labels")}
        named = " and ".join(f"{write_count(n, 'row')} of {table}" for table, n in rows.items() if n)
        found.append(_doubt("impossible values", f"{named} with a value that cannot be, counted all the same. "
                            f"{describe_impossible(storage, question, odd[-1].day)} Correct them where they are written."))
    return found


def _describe_missing(word: str, n: int) -> str:
    return (f"{write_count(n, 'label')} {'is' if n == 1 else 'are'} {word!r}, no class that the model knows, and what programs "
            f"write where a value is missing. Counted as wrong: leave such rows out, or write a null.")


def _doubt_places(storage: Storage, counted: WindowCounts, beyond: Sequence[str]) -> Iterator[str]:
    """Yields a sentence for labels under days without their predictions, in the window and after it; the largest such day."""
    late = [day for day in counted.days if 2 * day.rows["orphan"] > day.rows["labels"]]
    if late:
        worst = max(late, key=lambda day: day.rows["orphan"])
        more = f" (and under {write_count(len(late) - 1, 'day')} more)" if late[1:] else ""
        yield (f"{worst.rows['orphan']:,} of {worst.rows['labels']:,} labels under labels/dt={worst.day}{more} are orphans: "
               f"{describe_orphans(storage, worst.day)}")
    if beyond:
        more = f" (and {write_count(len(beyond) - 1, 'day')} more)" if beyond[1:] else ""
        yield (f"not counted: labels/dt={beyond[0]}{more}, after the newest predictions: {describe_orphans(storage, beyond[0])}")


def tell(doubts: Sequence[Doubt]) -> None:
    """Logs each doubt as a warning."""
    for doubt in doubts:
        log.warning("%s", doubt["sentence"])


def _doubt(kind: str, sentence: str, version: str | None = None) -> Doubt:
    return {"kind": kind, "version": version, "sentence": sentence}  # type: ignore[typeddict-item]


def _describe_strangers(found: Strangers) -> str:
    pairs = ", ".join(f"{label!r} (nearest: {name!r})" for label, name in found.nearest)
    return (f"version {found.version}: not one of its {found.rows:,} labels names a class that it knows: {pairs}. They count as "
            f"wrong. Expected labels written as the model writes its classes; until then its accuracy says nothing of it.")
