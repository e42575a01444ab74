"""Section `recounts`: the counts without each of the 20 largest labelers and clients of every version.

Without a labeler their votes are left out, and the remaining votes on an item decide by the same rules
(jobs/engines/rules.py): the highest origin class, the weighted majority with its ties, and the selection probability of the
earliest vote that remains. Without a client, the predictions that its key sent are left out, and the votes under that key: a
labeler `KEY/anna` belongs to the key KEY (docs/design.md#interfaces).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from contract.evidence.recounts import CHANGES, CLIENT, LABELER, TABLE, Kind, Recounts, Without
from contract.texts.figures import write_count, write_share
from jobs.engines.rules import weight_of
from jobs.evidence.collect import Material
from jobs.evidence.left_out import Cell, DayVotes
from metrics.selection.origin_sums import Sums, sums_by_origin
from metrics.selection.without import estimate_without, share_of

MOST = 20  # of labelers, and of clients, of each version: the largest
Person = tuple[Kind, str | None, str]  # kind, name, version


def make(material: Material) -> Recounts:
    """Makes the section, and puts the table `recounts` beside the evaluation."""
    days = {day: DayVotes(items, material.request.question) for day, items in material.items.items() if items.num_rows}
    sizes, of_all = _count_sizes(days.values())
    chosen = _choose(sizes)
    changes = {(*person, day): found for person in chosen for day, votes in days.items()
               if (found := votes.find_changes(*person))}
    table = _make_table(changes)
    sums = _add_up(table)
    people = [_describe(person, sizes[person], of_all, sums.get(person, {}), material) for person in chosen]
    if people:
        material.tables[TABLE] = table
    left_out = sorted(set(material.document["counts"]) - set(material.items))
    return {"people": people, "most": MOST, "days_left_out": left_out, "sentence": _say(people, left_out)}


def _count_sizes(days: Iterable[DayVotes]) -> tuple[Counter[Person], dict[Kind, Counter[str]]]:
    """Counts the votes of each labeler and the labelled predictions of each client, and those of each version."""
    sizes: Counter[Person] = Counter()
    of_all: dict[Kind, Counter[str]] = {LABELER: Counter(), CLIENT: Counter()}
    for day in days:
        for kind, found in ((LABELER, day.count_labelers()), (CLIENT, day.count_clients())):
            for (name, version), n in found.items():
                sizes[kind, name, version] += n
        of_all[LABELER].update(day.versions_of_votes)
        of_all[CLIENT].update(day.versions)
    return sizes, of_all


def _choose(sizes: Mapping[Person, int]) -> list[Person]:
    """Chooses the largest of each kind and version, these in their order; ties by name."""
    order = sorted(sizes, key=lambda p: (p[2], p[0] == CLIENT, -sizes[p], p[1] or ""))
    seen: Counter[tuple[str, str]] = Counter()
    chosen = []
    for person in order:
        seen[person[0], person[2]] += 1
        if seen[person[0], person[2]] <= MOST:
            chosen.append(person)
    return chosen


def _add_up(table: pa.Table) -> dict[Person, dict[str, Sums]]:
    """Adds up the changes of each person by origin class."""
    rows: dict[Person, list[int]] = {}
    for place, person in enumerate(zip(*(table[name].to_pylist() for name in ("kind", "name", "model_version")), strict=True)):
        rows.setdefault(person, []).append(place)
    return {person: sums_by_origin(table.take(places))[person[2]] for person, places in rows.items()}


def _describe(person: Person, votes: int, of_all: Mapping[Kind, Counter[str]], changes: Mapping[str, Sums],
              material: Material) -> Without:
    kind, name, version = person
    origin = material.document["versions"][version]["estimate"]["origin"]
    sums = material.counts.origins[version].get(origin or "", Sums())
    figure = estimate_without(sums, changes.get(origin or "", Sums()), material.request.rules.confidence)
    return {"kind": kind, "name": name, "version": version, "votes": votes, "share": share_of(votes, of_all[kind], version),
            "accuracy": figure}


def _make_table(changes: Mapping[Any, Mapping[Cell, int]]) -> pa.Table:
    """Makes the table of all changes, in the schema of CHANGES."""
    rows = []
    for (kind, name, version, day), of_day in changes.items():
        for (predicted, label, origin, p), n in of_day.items():
            weight = weight_of(p) or 0
            rows.append((kind, name, day, version, predicted, label, origin, n, n * bool(weight), n * weight, n * weight**2))
    schema = CHANGES.arrow()
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(map(_exact(f.type), values), f.type) for f, values in zip(schema, columns, strict=True)],
                    schema=schema)


def _exact(type_: pa.DataType) -> Any:
    """Returns the conversion of an integer to a value of that type: exact for decimals."""
    from decimal import Decimal

    return Decimal if pa.types.is_decimal(type_) else lambda value: value


def _say(people: list[Without], left_out: list[str]) -> str:
    if not people:
        return "Nobody's votes can be left out: there are none."
    told = [_say_version(version, [p for p in people if p["version"] == version])
            for version in dict.fromkeys(p["version"] for p in people)]
    kept = f" {write_count(len(left_out), 'day')} without labelled rows any more count in full." if left_out else ""
    return " ".join(told) + kept


def _say_version(version: str, people: Sequence[Without]) -> str:
    n = {kind: sum(p["kind"] == kind for p in people) for kind in (LABELER, CLIENT)}
    who = write_count(n[LABELER], "labeler") + (f" and {write_count(n[CLIENT], 'client')}" if n[CLIENT] else "")
    said = f"Version {version}: recounted without each of {who}"
    known = [p for p in people if p["accuracy"]["value"] is not None]
    if known:
        least, most = (f(known, key=lambda p: p["accuracy"]["value"] or 0.0) for f in (min, max))
        said += (f", accuracy is at least {write_share(least['accuracy'])} (without {name_person(least)}) and at most "
                 f"{write_share(most['accuracy'])} (without {name_person(most)})")
    return said + "."


def name_person(person: Mapping[str, Any]) -> str:
    """Names somebody as a sentence does: "labeler anna"."""
    return f"{person['kind']} {person['name']}" if person["name"] is not None else "the votes that name nobody"
