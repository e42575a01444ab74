"""Counts of a model as a MapReduce job (mrjob): splits of Parquet files in, one readable JSON line per count out.

    python -m jobs.engines.mapreduce.engine --root ROOT --model M --from 2026-11-01 --to 2026-11-20 --splits splits/
    python jobs/evaluate_mapreduce.py -r local --model M --as-of 2026-11-21T00:00:00Z splits/*.jsonl

The first command lists the files of the days and writes `splits/*.jsonl`, at least two, balanced by bytes. Each line is
JSON {root, table, day, key, columns, row_groups}, which a mapper opens through storage and reads in batches.
Runners: -r inline, local, spark, hadoop, emr. Every output line is an object with `table` (rows, known, or one of
contract.counts.TABLES) and `day`; lines never repeat a key.

Step 1 shuffles by (day, prediction id) and applies jobs/engines/rules.py; step 2 adds; slices take a third step that
keeps the most frequent values. With --items the lines of table `items` are the labelled predictions themselves
(contract/rows/items.py), in no order.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
if not __package__ and (HERE.parents[1] / "contract").is_dir():  # started as a file: find our packages beside it
    sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != HERE.parent]  # top-level modules do not lie in jobs/
    sys.path.insert(0, str(HERE.parents[1]))

from mrjob.job import MRJob  # noqa: E402
from mrjob.protocol import StandardJSONProtocol, StandardJSONValueProtocol  # noqa: E402
from mrjob.step import MRStep  # noqa: E402

from command.process import end_with  # noqa: E402
from contract import clock  # noqa: E402
from contract.counts import MOST_SLICE_VALUES, OTHER, TABLES, keys_of  # noqa: E402
from jobs.engines import rules  # noqa: E402
from jobs.engines.question import Question, Slice  # noqa: E402
from jobs.engines.scores import LabelerScores  # noqa: E402

FLUSH_AT = 50_000  # distinct keys that a reducer adds up in memory before it hands them on
ROWS_COUNTED, KNOWN, NEXT, ITEMS = "rows", "known", "next", "items"
READ = "read"  # counts every row of both tables, so that a lost split shows


class MREvaluate(MRJob):
    """Splits -> rows by prediction id -> records of the rules -> sums."""

    INPUT_PROTOCOL = StandardJSONValueProtocol
    INTERNAL_PROTOCOL = StandardJSONProtocol  # sums of squares outgrow what faster JSON libraries can write
    OUTPUT_PROTOCOL = StandardJSONValueProtocol

    def configure_args(self) -> None:
        """The question, as options that every task gets."""
        super().configure_args()
        self.add_passthru_arg("--model", required=True, help="name of the model to count")
        self.add_passthru_arg("--as-of", required=True, help="ISO 8601 moment: only rows known then count")
        self.add_passthru_arg("--role", default="live", help="role of the predictions to count. [default: live]")
        self.add_passthru_arg("--role-word", action="append", default=[], metavar="WORD=ROLE", dest="role_words",
                              help="another word for a role, e.g. production=live; repeatable")
        self.add_passthru_arg("--model-version", help="count the rows of this version alone")
        self.add_passthru_arg("--slice", action="append", default=[], metavar="NAME=EXPRESSION", dest="slices",
                              help="a declared slice, e.g. camera=attributes.camera; repeatable")
        self.add_passthru_arg("--items", action="store_true", help="list the labelled predictions instead of counting them")
        self.add_file_arg("--labeler-weights", help="JSON file {labeler: floor(weight * 2^16)}")
        self.add_file_arg("--labeler-scores", help="JSON file of jobs.engines.scores.LabelerScores")

    @property
    def question(self) -> Question:
        """The question, read from the options."""
        if not hasattr(self, "_question"):
            weights = json.loads(Path(self.options.labeler_weights).read_text()) if self.options.labeler_weights else {}
            scores = json.loads(Path(self.options.labeler_scores).read_text()) if self.options.labeler_scores else None
            slices = tuple(Slice(*text.split("=", 1)) for text in self.options.slices)
            self._question = Question(self.options.model, clock.to_us(clock.parse_moment(self.options.as_of)),
                                      self.options.role, slices=slices, labeler_weights=weights,
                                      scores=LabelerScores.from_json(scores) if scores else None,
                                      roles=dict(text.rsplit("=", 1) for text in self.options.role_words),
                                      version=self.options.model_version)
        return self._question

    def steps(self) -> list[MRStep]:
        """Count, add, and with slices keep their most frequent values."""
        steps = [MRStep(mapper=self.read_rows, reducer_init=self.start_adding, reducer=self.apply_rules,
                        reducer_final=self.flush),
                 MRStep(combiner=self.add_up, reducer=self.add_values if self.options.slices else self.write_sums)]
        return [*steps, MRStep(reducer=self.keep_top_values)] if self.options.slices else steps

    # Step 1: rows by prediction id

    def read_rows(self, _: None, split: dict) -> Iterator[tuple[Any, Any]]:
        """Yields the rows of one split by (day, prediction id); counts at once those that need no other row."""
        from jobs.engines.mapreduce.splits import read

        number = day_number(split["day"])
        by_table = self._prediction if split["table"] == "predictions" else self._label
        alone: dict[str, int] = defaultdict(int)
        for row in read(split):
            alone[READ] += 1
            yield from by_table(row, split["day"], number, alone)
        yield from ((encode_key(split["day"], None), [name, n]) for name, n in alone.items())

    def _prediction(self, row: dict, day: str, day_number: int, alone: dict[str, int]) -> Iterator[tuple[Any, Any]]:
        status = rules.prediction_status(row, day_number, self.question)
        ours = status is not None and row["model"] == self.question.model
        alone["predictions"] += ours and status != "unknown_role"
        if status in ("ok", "future_predictions"):
            self._note(rules.find_known_time(row["predicted_at"], row.get("recorded_at")), alone)
        if status == "ok":
            alone["impossible_predictions"] += ours and rules.is_impossible_prediction(row)
            yield encode_key(day, row["prediction_id"]), ["p", _encode(row)]
        elif ours and status:
            alone[status] += 1

    def _label(self, row: dict, day: str, day_number: int, alone: dict[str, int]) -> Iterator[tuple[Any, Any]]:
        status = rules.label_status(row, day_number, self.question)
        if not row["prediction_id"]:
            alone["invalid"] += 1
            alone["labels"] += 1
        else:
            yield encode_key(day, row["prediction_id"]), [status, _encode(row)]

    def _note(self, known: int, alone: dict[str, int]) -> None:
        """Keeps the largest known time and the smallest that was too late."""
        if known <= self.question.as_of:
            alone[KNOWN] = max(alone.get(KNOWN, known), known)
        else:
            alone[NEXT] = min(alone.get(NEXT, known), known)

    def start_adding(self) -> None:
        """Starts this reducer's sums, which are handed on when they grow."""
        self.sums: dict[tuple, list[Any]] = {}

    def apply_rules(self, key: str, values: Iterable[list]) -> Iterator[tuple[Any, Any]]:
        """Applies the rules to one prediction id; holds the rows of that id only."""
        day, prediction_id = json.loads(key)
        if prediction_id is None:
            for name, n in values:
                self._add(day, (name, (), (n,)) if name in (KNOWN, NEXT) else (ROWS_COUNTED, (name,), (n,)))
            return
        rows = [(kind, _decode(row, prediction_id)) for kind, row in values]
        predictions = [row for kind, row in rows if kind == "p"]
        apply = rules.list_prediction_id if self.options.items else rules.count_prediction_id
        for record in apply(predictions, [r for r in rows if r[0] != "p"], self.question):
            self._add(day, record)
        if len(self.sums) > FLUSH_AT:
            yield from self.flush()

    def _add(self, day: str, record: rules.Record) -> None:
        table, key, values = record
        if table == KNOWN and values[0] > self.question.as_of:
            table = NEXT
        key = (table, day, *key)
        self.sums[key] = list(combine(table, (self.sums[key], values))) if key in self.sums else list(values)

    def flush(self) -> Iterator[tuple[Any, Any]]:
        """Hands the sums so far to step 2."""
        yield from ((encode_key(*key), values) for key, values in self.sums.items())
        self.sums = {}

    # Step 2: sums

    def add_up(self, key: str, values: Iterable[list]) -> Iterator[tuple[Any, Any]]:
        """Adds what one key has so far."""
        yield key, combine(json.loads(key)[0], values)

    def write_sums(self, key: str, values: Iterable[list]) -> Iterator[tuple[None, dict]]:
        """Adds what one key has, as a readable line."""
        parts = json.loads(key)
        yield None, make_line(parts, combine(parts[0], values))

    def add_values(self, key: str, values: Iterable[list]) -> Iterator[tuple[Any, Any]]:
        """Adds what one key has; a slice's records go to one reducer for that slice and day."""
        parts = json.loads(key)
        yield encode_key(*(parts[:3] if parts[0] == "slices" else parts)), [parts, combine(parts[0], values)]

    # Step 3: the most frequent values of each slice

    def keep_top_values(self, _: str, values: Iterable[list]) -> Iterator[tuple[None, dict]]:
        """Keeps at most 200 values of a slice on a day; the others become 'other'."""
        sums = [(key, value) for key, value in values]
        kept = find_top_values(sums) if sums[0][0][0] == "slices" else None
        added: dict[tuple, list[int]] = {}
        for key, value in sums:
            if kept is not None and key[3] is not None and key[3] not in kept:
                key[3] = OTHER
            before = added.get(tuple(key))
            added[tuple(key)] = combine(key[0], (before, value)) if before else value
        yield from ((None, make_line(list(key), value)) for key, value in added.items())


def encode_key(*parts: Any) -> str:
    """Joins key parts into one text: equal parts give equal bytes, and every runner can hash and sort it."""
    return json.dumps(parts)


def day_number(day: str) -> int:
    """Counts the days from 1970 to a partition's day."""
    return clock.to_us(clock.parse_moment(day)) // clock.US_PER_DAY


def combine(table: str, values: Iterable[Iterable[Any]]) -> list[Any]:
    """Combines the values of one key: sums, but of times the largest known and the smallest that was too late.

    An item's key is its own.
    """
    if table == ITEMS:
        return list(next(iter(values)))
    how = {KNOWN: max, NEXT: min}.get(table, sum)
    return [how(column) for column in zip(*values, strict=True)]


def find_top_values(sums: list[tuple[list, list[int]]]) -> set[str]:
    """Finds the 200 values of a slice with most predictions; ties go to the smaller bytes. Null is none of them."""
    totals: dict[str, int] = defaultdict(int)
    for key, (n, *_) in sums:
        if key[3] is not None:
            totals[key[3]] += n
    return set(sorted(totals, key=lambda value: (-totals[value], value))[:MOST_SLICE_VALUES])


def make_line(key: list, values: list[Any]) -> dict[str, Any]:
    """Makes an output line: the table, the day, the key's columns and the sums, all by name."""
    table, day, *rest = key
    if table in (KNOWN, NEXT):
        return {"table": "known", "day": day, {KNOWN: "known_through", NEXT: "next_future"}[table]: values[0]}
    if table == ITEMS:
        return {"table": table, "day": day, **values[0]}
    if table == ROWS_COUNTED:
        return {"table": table, "day": day, "name": rest[0], "n": values[0]}
    keys = keys_of(table)
    sums = [n for n in TABLES[table].names if n not in keys]
    return {"table": table, "day": day, **dict(zip(keys, rest, strict=True)), **dict(zip(sums, values, strict=True))}


def _encode(row: dict) -> dict:
    """Makes a row fit for JSON: leaves nulls out, writes NaN and infinities as texts."""
    return {k: _encode_value(v) for k, v in row.items() if v is not None and k != "prediction_id"}


def _encode_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {"map": list(value.items())}
    return {"float": str(value)} if isinstance(value, float) and value - value != 0 else value


def _decode(row: dict, prediction_id: str) -> dict:
    """Restores a row from `_encode`; the columns that every rule looks at are there, null or not."""
    found = {k: _decode_value(v) for k, v in row.items()}
    return dict.fromkeys(("model", "confidence", "label", "label_id", "labeler", "labeled_at")) | found | {
        "prediction_id": prediction_id}


def _decode_value(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(value["map"]) if "map" in value else float(value["float"])
    return value


def _run_job() -> int:
    MREvaluate.run()
    return 0


if __name__ == "__main__":
    end_with(_run_job)
