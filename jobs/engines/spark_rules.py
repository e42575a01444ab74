"""The rules of counting as DataFrame steps: rows -> distinct, ours -> votes -> consensus -> records (design, section 3).

One linear plan: a shuffle by (day, prediction id), in which windows sort label rows into their kinds and find the
consensus, and a second one that adds records. A record is a row of `RECORD`; records of all tables go through the same
columns, so one aggregation serves them all.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from contract.counts import BINS, CONFIDENCE_SCALE, MOST_SLICE_VALUES, ORIGINS, OTHER, SMALLEST_P, WEIGHT_SCALE
from contract.records import LABEL, PREDICTION
from jobs.engines.question import BANDS, Question, Slice

MS_PER_DAY, US_PER_DAY, US_PER_HOUR = 86_400_000, 86_400_000_000, 3_600_000_000
UUID7 = r"\\A[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}\\z"
KEYS = {"table": "string", "day": "int", "version": "string", "predicted": "string", "label": "string",
        "origin": "string", "name": "string", "value": "string", "number": "int", "rank": "int", "saw": "boolean",
        "split": "boolean"}
VALUES = {"n": "bigint", "m": "bigint", "sum_confidence": "bigint", "n_weighted": "bigint", "weight": "decimal(38,0)",
          "weight2": "decimal(38,0)", "known": "bigint", "late": "bigint"}
RECORD = KEYS | VALUES
PREDICTION_FIRST = ("predicted_at", "model_version", "predicted_label", "confidence")
LABEL_FIRST = ("labeled_at", "label_id", "label")


def record(table: str, n: str = "1", **columns: str) -> str:
    """SQL of one record: a struct with all columns of RECORD."""
    given = {"table": text(table), "day": "day", "n": n, **columns}
    unknown = set(given) - set(RECORD)
    assert not unknown, unknown
    return "named_struct(" + ", ".join(
        f"'{c}', cast({given.get(c, 'null')} as {type_})" for c, type_ in RECORD.items()) + ")"


def text(value: str) -> str:
    """A SQL literal of any text."""
    return "'" + "".join(c if c.isalnum() and c.isascii() or c in " _-." else _escaped(c) for c in value) + "'"


def _escaped(c: str) -> str:
    return "".join(f"\\u{unit:04x}" for unit in (int.from_bytes(pair, "big") for pair in _pairs(c.encode("utf-16-be"))))


def _pairs(data: bytes) -> list[bytes]:
    return [data[n:n + 2] for n in range(0, len(data), 2)]


def misfiled(days: Sequence[int]) -> str:
    """SQL: a UUIDv7 of another day. Most ids lie between their day's bounds, so the pattern is matched for few."""
    if not days:
        return "false"
    first, last = min(days), max(days)
    bounds = [f"{day * MS_PER_DAY:012x}" for day in range(first, last + 2)]
    texts = ", ".join(f"'{b[:8]}-{b[8:]}'" for b in bounds)
    low, high = (f"element_at(array({texts}), day - {first - n})" for n in (1, 2))
    return f"(not (lower(prediction_id) between {low} and {high}) and prediction_id rlike '{UUID7}')"


def prediction_status(have: Sequence[str], days: Sequence[int], question: Question, say: Callable = text) -> str:
    """SQL of rule 2 for one row: 'role' (another role), a kind, or 'ok'; `say` gives the SQL of each of these words."""
    role = "role" if "role" in have else "cast(null as string)"
    wanted = f"{role} = {text(question.role)}" + (f" or {role} is null" if question.role == "live" else "")
    empty = " or ".join(f"{c} is null or {c} = ''" for c in ("model", "model_version", "predicted_label"))
    return (f"case when not coalesce({wanted}, false) then {say('role')} "
            f"when prediction_id is null or predicted_at is null or {empty} then {say('invalid_predictions')} "
            f"when {misfiled(days)} then {say('misfiled_predictions')} when {known('predicted_at', have)} > {question.as_of} "
            f"then {say('future_predictions')} else {say('ok')} end")


def label_status(have: Sequence[str], days: Sequence[int], question: Question, say: Callable = text) -> str:
    """SQL of rule 3 for one row, before its prediction is looked at; `say` as above."""
    withdraws = "coalesce(withdraws, false)" if "withdraws" in have else "false"
    return (f"case when prediction_id is null or labeled_at is null "
            f"or ((label is null or label = '') and not {withdraws}) then {say('invalid')} when {misfiled(days)} "
            f"then {say('misfiled')} when {known('labeled_at', have)} > {question.as_of} then {say('future')} "
            f"else {say('ok')} end")


def known(event: str, have: Sequence[str]) -> str:
    """SQL of the time at which a row became known."""
    return f"greatest({event}, recorded_at)" if "recorded_at" in have else event


def known_and_late(status: str, known_at: str, question: Question) -> dict[str, str]:
    """The two columns of a record that find `known_through` and `next_future`; `status`: which rows count."""
    return {"known": f"case when {status} and {known_at} <= {question.as_of} then {known_at} end",
            "late": f"case when {status} and {known_at} > {question.as_of} then {known_at} end"}


def distinct_predictions(rows: Any, have: Sequence[str], question: Question) -> Any:
    """One row `p` for each (day, prediction_id) of the rows that are ok, and how many rows of ours it had."""
    order = [*PREDICTION_FIRST, *(n for n in have if n not in (*PREDICTION_FIRST, "prediction_id"))]
    slices = [f"{slice_value(s, have)} slice_{n}" for n, s in enumerate(question.slices)]
    whole = f"struct({', '.join([*order, *slices])}) p"
    return rows.where("status = 'ok'").selectExpr("day", "prediction_id", whole).groupBy("day", "prediction_id").agg(
        *_exprs("min(p) p", f"count_if(p.model = {text(question.model)}) ours"))


def _exprs(*sql: str) -> list[Any]:
    from pyspark.sql import functions as F

    return [F.expr(s) for s in sql]


def slice_value(declared: Slice, have: Sequence[str]) -> str:
    """SQL of the value of a declared slice; null when its columns are in no file."""
    def column(name: str) -> str:
        return name if name in have else "null"

    expression = declared.expression
    if expression.startswith("attributes."):
        key = text(expression.removeprefix("attributes."))
        return f"filter(attributes, e -> e.key = {key})[0].value" if "attributes" in have else "cast(null as string)"
    if expression == "hour":
        return f"lpad(pmod(predicted_at, {US_PER_DAY}) div {US_PER_HOUR}, 2, '0')"
    if expression == "image_size":
        return band(expression, f"greatest(cast({column('width')} as int), cast({column('height')} as int))")
    if expression == "latency":
        return band(expression, f"cast({column('latency_ms')} as float)")
    return f"cast({column(expression)} as string)"


def band(name: str, value: str) -> str:
    """SQL of the text of a band (jobs/engines/question.py)."""
    edges = BANDS[name]
    cases = [f"when {value} is null or isnan({value}) then null", f"when {value} < {edges[0]} then '<{edges[0]}'"]
    cases += [f"when {value} < {high} then '{low}-{high}'" for low, high in zip(edges, edges[1:], strict=False)]
    return f"case {' '.join(cases)} else '>={edges[-1]}' end"


def joined(predictions: Any, labels: Any, label_have: Sequence[str], question: Question) -> Any:
    """Every distinct prediction with each of its label rows `l` (or none), and label rows without a prediction."""
    order = [*LABEL_FIRST, *(n for n in label_have if n not in (*LABEL_FIRST, "prediction_id"))]
    rows = labels.selectExpr("day", "prediction_id", f"struct({', '.join(order)}) l", f"{origin_class(label_have)} class",
                             "status own", f"{known('labeled_at', label_have)} known")
    # The outer join forgets how it is partitioned; said once, no window below shuffles again.
    both = predictions.join(rows, ["day", "prediction_id"], "full_outer").repartition("day", "prediction_id")
    own = (f"case when l is null then null when p.model <> {text(question.model)} then 'other_model' else own end")
    return both.selectExpr("*", f"{own} status0")


def origin_class(have: Sequence[str]) -> str:
    """SQL of rule 4: the place of a label row's origin class in ORIGINS."""
    origin = "origin" if "origin" in have else "cast(null as string)"
    blind = "saw_prediction <=> false" if "saw_prediction" in have else "false"
    place = {name: n for n, name in enumerate(ORIGINS)}
    return (f"case when {origin} is null then {place['import']} when {origin} = 'audit' and {blind} then {place['audit']} "
            f"when {origin} in ('audit', 'review') then {place['review']} when {origin} = 'import' then {place['import']} "
            f"else {place['feedback']} end")


def votes(rows: Any, label_have: Sequence[str]) -> Any:
    """Adds `status`: what each label row ended as (rule 3)."""
    # Without a label_id only rows that are equal in every column are one, so the whole row takes the id's place.
    same = "case when status0 = 'ok' then struct(l.label_id, case when l.label_id is null then l end) end"
    first = f"row_number() over (partition by day, prediction_id, status0, {same} order by l)"
    rows = rows.selectExpr("*", f"case when status0 = 'ok' then case when {first} > 1 then 'duplicate' "
                           "when p is null then 'orphan' else 'candidate' end else status0 end status1")
    person = "case when status1 = 'candidate' then struct(class, l.labeler) end"
    newest = f"lead(1) over (partition by day, prediction_id, status1, {person} order by l) is null"
    withdraws = "coalesce(l.withdraws, false)" if "withdraws" in label_have else "false"
    return rows.selectExpr("*", f"case when status1 = 'candidate' then case when not {newest} then 'superseded' "
                           f"when {withdraws} then 'withdrawn' else 'vote' end else status1 end status")


def consensus(rows: Any, label_have: Sequence[str], question: Question) -> Any:
    """Adds what rule 4 says of each prediction: `decided`, `votes`, `split`, `origin`, `saw`, `first`, `tally`."""
    each = "over (partition by day, prediction_id)"
    rows = rows.selectExpr("*", f"min(case when status = 'vote' then class end) {each} highest")
    rows = rows.selectExpr("*", "coalesce(status = 'vote' and class = highest, false) deciding")
    weight = WEIGHT_SCALE
    if question.labeler_weights:
        cases = " ".join(f"when {text(who)} then {w}L" for who, w in question.labeler_weights.items())
        weight = f"case l.labeler {cases} else {WEIGHT_SCALE}L end"
    of_label = "over (partition by day, prediction_id, deciding, l.label)"
    rows = rows.selectExpr("*", f"sum(bigint({weight})) {of_label} weight", f"max(l.labeled_at) {of_label} newest",
                           f"count(1) {of_label} alike")
    saw = "l.saw_prediction" if "saw_prediction" in label_have else "cast(null as boolean)"
    d = "case when deciding then"
    return rows.selectExpr(
        "*", f"min({d} struct(-weight, -newest, l.label) end) {each}.label decided", f"sum({d} 1 else 0 end) {each} votes",
        f"min({d} l.label end) {each} <> max({d} l.label end) {each} split", f"min({d} l end) {each} first",
        f"case when max({d} {saw} end) {each} then true when max({d} {saw} is null end) {each} then null "
        f"else max({d} {saw} end) {each} end saw",
        f"collect_set({d} struct(l.label a, alike n) end) {each} tally",
        "row_number() over (partition by day, prediction_id order by deciding desc, l) = 1 speaks")


def records(rows: Any, label_have: Sequence[str], question: Question) -> Any:
    """Every record that the joined rows say."""
    ours = f"p.model = {text(question.model)}"
    spoken = f"speaks and {ours}"
    notes = known_and_late("status not in ('other_model', 'invalid', 'misfiled')", "known", question)
    made = [f"case when l is not null then {record('rows', name='status', **notes)} end",
            f"case when speaks and ours > int({ours}) then "
            f"{record('rows', f'ours - int({ours})', name=text('duplicate_predictions'))} end",
            f"case when {spoken} then {_cell(label_have)} end",
            f"case when status = 'vote' then {record('people', name='l.labeler', m='int(l.label = decided)')} end",
            f"case when status = 'vote' then {_delay()} end"]
    made += [f"case when {spoken} then {_slice(n, s)} end" for n, s in enumerate(question.slices)]
    pairs = record("coincidences", "case when x.a = y.a then x.n * (x.n - 1) else x.n * y.n end", label="x.a",
                   value="y.a", number="votes")
    lists = f"case when {spoken} and votes > 1 then flatten(transform(tally, x -> transform(tally, y -> {pairs}))) end"
    every = rows.selectExpr(f"explode(concat(array({', '.join(made)}), coalesce({lists}, array()))) r")
    return every.where("r is not null and r.n > 0").select("r.*")


def _cell(label_have: Sequence[str]) -> str:
    p = "first.selection_probability" if "selection_probability" in label_have else "cast(null as double)"
    w = f"case when {p} >= {SMALLEST_P!r}D and {p} <= 1 then floor({WEIGHT_SCALE}D / {p}) end"
    bin_ = f"case when p.confidence >= 0 and p.confidence <= 1 then {_bin()} end"
    position = "array_position(p.top_labels, decided)"
    rank = (f"case when decided is null or p.top_labels is null or size(p.top_labels) = 0 then null "
            f"when {position} > 0 then {position} else -size(p.top_labels) end")
    return record("cells", version="p.model_version", predicted="p.predicted_label", label="decided", origin=_origin(),
                  number=bin_, saw="case when votes > 0 then saw end", rank=rank, split="split",
                  sum_confidence=f"case when p.confidence >= 0 and p.confidence <= 1 "
                  f"then floor(p.confidence * {CONFIDENCE_SCALE}D) else 0 end",
                  n_weighted=f"int({w} is not null)", weight=f"coalesce({w}, 0)",
                  weight2=f"coalesce(cast({w} as decimal(18,0)) * cast({w} as decimal(18,0)), 0)")


def _bin() -> str:
    """SQL of rule 5: comparisons with the doubles k/20, because a product is wrong just below some edges."""
    edges = " ".join(f"when p.confidence >= {k / BINS!r}D then {k}" for k in range(BINS - 1, 0, -1))
    return f"case {edges} else 0 end"


def _origin(place: str = "highest") -> str:
    return f"case {place} {' '.join(f'when {n} then {text(name)}' for n, name in enumerate(ORIGINS))} end"


def _delay() -> str:
    late = "l.labeled_at - p.predicted_at"
    return record("delays", number=f"({late} - pmod({late}, {US_PER_DAY})) div {US_PER_DAY}", origin=_origin("class"))


def _slice(n: int, declared: Slice) -> str:
    return record("slices", version="p.model_version", predicted="p.predicted_label", label="decided", origin=_origin(),
                  name=text(declared.name), value=f"p.slice_{n}")


def added(rows: Any) -> Any:
    """The records of one key added up."""
    sums = [f"{'max' if c == 'known' else 'min' if c == 'late' else 'sum'}({c})" for c in VALUES]
    return rows.groupBy(*KEYS).agg(*_exprs(*(
        f"cast({how} as {type_}) {c}" for how, (c, type_) in zip(sums, VALUES.items(), strict=True))))


def with_top_values(sums: Any) -> Any:
    """Slices keep their 200 most frequent values of a day (ties: smaller bytes), the rest becomes 'other'."""
    slices = sums.where("table = 'slices'")
    totals = slices.where("value is not null").groupBy("day", "name", "value").agg(*_exprs("sum(n) total"))
    places = totals.selectExpr("day", "name", "value", "row_number() over (partition by day, name order by total desc, "
                               "value) place").where(f"place <= {MOST_SLICE_VALUES}")
    kept = slices.join(places, ["day", "name", "value"], "left").selectExpr(*(
        f"case when value is null or place is not null then value else '{OTHER}' end value" if c == "value" else c
        for c in RECORD))
    return sums.where("table <> 'slices'").unionByName(kept)


def all_records(tables: dict[str, tuple[Any, list[str]]], days: Sequence[int], question: Question,
                only: tuple[Any, Sequence[str]] | None = None) -> Any:
    """The sums of all records of these days: rows of RECORD. `only`: (ids as day, h1, h2; SQL of h1 and h2 of a row):
    of the rows that rule 2 or 3 brings together by their prediction ids, those with these ids, and no others."""
    raw_predictions, p_have = tables[PREDICTION.name]
    raw_labels, l_have = tables[LABEL.name]
    predictions = raw_predictions.selectExpr("*", f"{prediction_status(p_have, days, question)} status")
    labels = raw_labels.selectExpr("*", f"{label_status(l_have, days, question)} status")
    parts = [_prediction_rows(predictions, p_have, question), _lonely_labels(labels)]
    with_ids = labels.where("prediction_id is not null and status <> 'misfiled'")
    if only is not None:  # the other rows are counted where the ids come from
        predictions, with_ids = (_of(rows, *only) for rows in (predictions.where("status = 'ok'"), with_ids))
        parts = [_prediction_rows(predictions, p_have, question)]
    both = joined(distinct_predictions(predictions, p_have, question), with_ids, l_have, question)
    parts.append(records(consensus(votes(both, l_have), l_have, question), l_have, question))
    return added(reduce(lambda a, b: a.unionByName(b), parts))


def _of(rows: Any, ids: Any, hashes: Sequence[str]) -> Any:
    """The rows whose ids are among `ids`."""
    same = rows.selectExpr("*", *(f"{sql} h{n}" for n, sql in enumerate(hashes, 1)))
    return same.join(ids, ["day", "h1", "h2"], "left_semi").drop("h1", "h2")


def _prediction_rows(predictions: Any, have: Sequence[str], question: Question) -> Any:
    """How many prediction rows are of each kind; `value` tells ours from those of other models."""
    notes = known_and_late("status in ('ok', 'future_predictions')", known("predicted_at", have), question)
    ours = f"if(coalesce(model = {text(question.model)}, false), 'ours', 'others')"
    return predictions.selectExpr(f"{record('predictions', name='status', value=ours, **notes)} r").select("r.*")


def _lonely_labels(labels: Any) -> Any:
    """Label rows that need no look at a prediction: they cannot have one."""
    alone = labels.where("prediction_id is null or status = 'misfiled'")
    return alone.selectExpr(f"{record('rows', name='status')} r").select("r.*")
