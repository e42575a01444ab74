"""The plan for common ids: one shuffle, one hash aggregate of fixed width for each id, one of what the ids say.

A Spark hash aggregate holds whole numbers only; with texts or structs in its buffers it sorts instead, which costs
several times as much. So rows go in as numbers: ids as two 64-bit hashes under seeds drawn anew for each run (nobody can
make ids that collide), words as codes (`spark_codes`). One aggregate per id brings a prediction and its label rows
together; up to three label rows are told apart by their times (first, last, and the sum less these two). Ids that need
more - several prediction rows, more label rows, ties of time, a label_id said twice, long lists - are `rare`: they are left
to the general plan (`spark_rules`), which counts them exactly. Rule numbers are those of the design, section 3.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contract.counts import BINS, CONFIDENCE_SCALE, SMALLEST_P, WEIGHT_SCALE
from jobs.engines import spark_rules
from jobs.engines.question import Question
from jobs.engines.spark_codes import NOTHING, Codes
from jobs.engines.spark_rules import known, label_status, origin_class, prediction_status, text

MOST_TOP = 8  # labels of a top list that fit; rows with longer ones are rare
NO_BIN, NO_ORIGIN, NO_SPLIT = 31, 7, 2
LOW = 0xFFFFFFFF
# What a status record's k1 says. Prediction rows: twice the place of the kind, plus 1 when the row is of our model.
PREDICTION_KINDS = ("ok", "role", "invalid_predictions", "misfiled_predictions", "future_predictions")
LABEL_KINDS = ("ok", "invalid", "future", "misfiled")
INVALID, MISFILED, FUTURE, OTHER_MODEL, ORPHAN, SUPERSEDED, WITHDRAWN = range(16, 23)
STATUS = {INVALID: "invalid", MISFILED: "misfiled", FUTURE: "future", OTHER_MODEL: "other_model", ORPHAN: "orphan",
          SUPERSEDED: "superseded", WITHDRAWN: "withdrawn"}
CELL, VOTE, SAID, PAIR, RARE = range(5)
RECORD = ("r", "k1", "k2", "n", "m", "known", "late")
WEIGHTED = ("n_weighted", "weight", "high2", "cross", "low2")  # of cells, where labels have a selection_probability
WEIGHT_BITS = 18  # a weight is at most 2^36: its square is added as three sums of halves


@dataclass(frozen=True)
class Plan:
    """What the SQL depends on: the columns that the files have, the days, the codes of words, the seeds of ids."""

    question: Question
    codes: Codes
    days: Sequence[int]
    p_have: Sequence[str]
    l_have: Sequence[str]
    tops: bool  # some file has top_labels
    seeds: tuple[int, int]

    @classmethod
    def of(cls, question: Question, codes: Codes, days: Sequence[int], p_have: Sequence[str], l_have: Sequence[str],
           tops: bool) -> "Plan":
        """A plan with seeds of its own."""
        return cls(question, codes, days, p_have, l_have, tops, (secrets.randbits(62), secrets.randbits(62)))

    @property
    def recorded(self) -> bool:
        """Whether any row says when it was recorded."""
        return "recorded_at" in (*self.p_have, *self.l_have)

    @property
    def weighted(self) -> bool:
        """Whether any label row says with what probability it was asked for."""
        return "selection_probability" in self.l_have

    def extra(self) -> list[str]:
        """The columns of a row beside the ones that every log has."""
        tops = [f"top{n}" for n in range(MOST_TOP // 2)] if self.tops else []
        return [*(["k"] if self.recorded else []), *(["x"] if self.weighted else []), *tops]

    def hashes(self) -> tuple[str, str]:
        """SQL of the two hashes of an id."""
        return tuple(f"xxhash64({seed}L, prediction_id)" for seed in self.seeds)


def two(high: str, low: str) -> str:
    """SQL: two 32-bit numbers in one."""
    return f"(shiftleft(bigint({high}), 32) | (bigint({low}) & {LOW}L))"


def prediction_rows(rows: Any, plan: Plan) -> Any:
    """Prediction rows as numbers: kind 0; rows that are not ok: kind 2, with what they are in place of the second hash."""
    status = prediction_status(plan.p_have, plan.days, plan.question, lambda kind: str(PREDICTION_KINDS.index(kind)))
    ours = f"int(coalesce(model = {text(plan.question.model)}, false))"
    at, first, second = known("predicted_at", plan.p_have), *plan.hashes()
    bin_ = f"if(confidence >= 0 and confidence <= 1, {_bin()}, {NO_BIN})"
    size = "greatest(coalesce(size(top_labels), 0), 0)" if plan.tops else "0"
    scaled = f"if(confidence >= 0 and confidence <= 1, floor(confidence * {CONFIDENCE_SCALE}D), 0L)"
    packed = f"{scaled} | shiftleft(bigint({bin_}), 31) | shiftleft(bigint({ours}), 36) | shiftleft(bigint({size}), 37)"
    extra = {"k": at, "x": "cast(null as bigint)"} | {
        f"top{n}": two(*(plan.codes.sql(f"top_labels[{2 * n + i}]") for i in (0, 1))) for n in range(MOST_TOP // 2)}
    return rows.selectExpr("*", f"{status} status").selectExpr(
        "day", f"{first} h1", f"if(status = 0, {second}, bigint(2 * status + {ours})) h2", "if(status = 0, 0, 2) kind",
        f"if(status = 0, predicted_at, {at}) c1",
        f"{two(plan.codes.sql('model_version'), plan.codes.sql('predicted_label'))} c2", f"{packed} c3",
        *(f"{extra[name]} {name}" for name in plan.extra()))


def _bin() -> str:
    """SQL of rule 5: a product finds the bin but for one place, comparing with the doubles k/20 finds the place."""
    k = f"int(confidence * {BINS}D)"
    return f"least({BINS - 1}, {k} + int(confidence >= ({k} + 1) / {BINS}D) - int(confidence < {k} / {BINS}D))"


def label_rows(rows: Any, plan: Plan) -> Any:
    """Label rows as numbers: kind 1; rows that can have no prediction: kind 2."""
    status = label_status(plan.l_have, plan.days, plan.question, lambda kind: str(LABEL_KINDS.index(kind)))
    first, second = plan.hashes()
    saw = "case saw_prediction when true then 2 when false then 1 else 0 end" if "saw_prediction" in plan.l_have else "0"
    withdraws = "int(coalesce(withdraws, false))" if "withdraws" in plan.l_have else "0"
    # Two rows without a label_id are one only when they are equal, times too; so the time may stand for the id.
    same = f"xxhash64({plan.seeds[0]}L, if(label_id is null, string(labeled_at), label_id))"
    flags = (f"bigint(status | shiftleft({origin_class(plan.l_have)}, 2) | shiftleft({saw}, 4) | "
             f"shiftleft({withdraws}, 6)) | shiftleft({same}, 7)")
    p = "selection_probability"
    extra = {"k": known("labeled_at", plan.l_have),
             "x": f"if({p} >= {SMALLEST_P!r}D and {p} <= 1, floor({WEIGHT_SCALE}D / {p}), 0L)"}
    alone = f"(prediction_id is null or status = {LABEL_KINDS.index('misfiled')})"
    return rows.selectExpr("*", f"{status} status").selectExpr(
        "day", f"{first} h1", f"if({alone}, if(status = 1, {INVALID}L, {MISFILED}L), {second}) h2", f"if({alone}, 2, 1) kind",
        "labeled_at c1", f"{two(plan.codes.sql('label'), plan.codes.sql('labeler'))} c2", f"{flags} c3",
        *(f"{extra.get(name, 'cast(null as bigint)')} {name}" for name in plan.extra()))


def by_id(rows: Any, plan: Plan, partitions: int) -> Any:
    """One row for each id: its prediction's numbers, and of its label rows the first, the last and the sum."""
    sums = ["sum(if(kind = 0, 1L, 0L)) pn", "count(1) n", "max(kind) kind", "max(if(kind = 0, c1, null)) at",
            "max(if(kind = 0, c2, null)) pc", "max(if(kind = 0, c3, null)) pf",
            "min(if(kind <> 0, c1, null)) ta", "max(if(kind = 1, c1, null)) tz", "sum(if(kind = 1, c1, null)) ts"]
    for given, name in [("c2", "w"), ("c3", "f"), *([("x", "x")] if plan.weighted else [])]:
        sums += [f"min_by({given}, if(kind = 1, c1, null)) {name}a", f"max_by({given}, if(kind = 1, c1, null)) {name}z",
                 f"sum(if(kind = 1, {given}, null)) {name}s"]
    if plan.recorded:
        sums += ["max(if(kind = 0, k, null)) pk", "max(if(kind = 1, k, null)) lk"]
    sums += [f"max(if(kind = 0, {t}, null)) {t}" for t in plan.extra() if t.startswith("top")]
    # The shuffle comes first: before it there is nothing to add, since few rows of an id lie in one file.
    return rows.repartition(partitions, "h1").groupBy("day", "h1", "h2").agg(*spark_rules._exprs(*sums))


def slots(ids: Any, plan: Plan) -> Any:
    """Adds the label rows of each id as slots in the order of time, 1, 2 and 3 for the last: tn, wn, fn, xn; and `rare`."""
    ids = ids.selectExpr("*", "int(if(kind < 2, n - pn, 0)) ln", "coalesce(pn = 1 and (shiftright(pf, 36) & 1) = 1, false) ours",
                         "coalesce(shiftright(pf, 37), 0L) size")
    made = ["ta t1", "ts - ta - tz t2", "tz t3"]
    for c in ["w", "f", *(["x"] if plan.weighted else [])]:
        made += [f"if(ln = 1, {c}s, {c}a) {c}1", f"{c}s - {c}a - {c}z {c}2", f"{c}z {c}3"]
    kept = ["day", "kind", "h2", "pn", "n", "ln", "ours", "at", "pc", "pf", "size",
            *(["pk", "lk"] if plan.recorded else []), *(t for t in plan.extra() if t.startswith("top"))]
    ids = ids.selectExpr("h1", *kept, *made)
    apart = [f"shiftrightunsigned(f{i} ^ f{j}, 7) <> 0" for i, j in ((1, 3), (1, 2), (2, 3))]
    # Rows without a time are invalid and break the order of the three times, or their own status shows.
    clear = (f"case when ln < 2 then true when ln = 2 then t1 < t3 and ((f1 | f3) & 3) = 0 and {apart[0]} "
             f"when ln = 3 then t1 < t2 and t2 < t3 and ((f1 | f2 | f3) & 3) = 0 and {' and '.join(apart)} else false end")
    return ids.selectExpr("*", f"kind < 2 and (pn > 1 or (ln > 0 and size > {MOST_TOP}) or not coalesce({clear}, false)) rare")


def decided(ids: Any, plan: Plan) -> Any:
    """Adds what rules 3 and 4 say: sn, what each slot ended as (1: vote; 0: no row), dn, whether it decides, and the rest."""
    def person(i: int, j: int) -> str:
        return f"(((f{i} ^ f{j}) & 12) = 0 and int(w{i}) = int(w{j}))"

    def status(i: int, exists: str, later: str) -> str:
        return (f"case when rare or not ({exists}) then 0 when pn = 1 and not ours then {OTHER_MODEL} "
                f"when (f{i} & 3) = 1 then {INVALID} when (f{i} & 3) = 2 then {FUTURE} when pn = 0 then {ORPHAN} "
                f"when {later} then {SUPERSEDED} when (f{i} & 64) <> 0 then {WITHDRAWN} else 1 end s{i}")

    ids = ids.selectExpr("*", status(1, "ln >= 1", f"(ln >= 2 and {person(1, 3)}) or (ln = 3 and {person(1, 2)})"),
                         status(2, "ln = 3", person(2, 3)), status(3, "ln >= 2", "false"),
                         *(f"int(shiftright(f{i}, 2) & 3) o{i}" for i in (1, 2, 3)),
                         *(f"int(shiftright(w{i}, 32)) l{i}" for i in (1, 2, 3)))
    ids = ids.selectExpr("*", "least(" + ", ".join(f"if(s{i} = 1, o{i}, {NO_ORIGIN})" for i in (1, 2, 3)) + ") origin")
    ids = ids.selectExpr("*", *(f"coalesce(s{i} = 1 and o{i} = origin, false) d{i}" for i in (1, 2, 3)))
    saws = [f"if(d{i}, int(shiftright(f{i}, 4) & 3), -1)" for i in (1, 2, 3)]
    return ids.selectExpr(
        "*", "int(d1) + int(d2) + int(d3) votes",
        # Of three votes two may agree; otherwise the newest says it.
        f"case when d1 and d2 and d3 and l1 = l2 then l1 when d3 then l3 when d2 then l2 when d1 then l1 "
        f"else {NOTHING} end label",
        "int((d1 and d2 and l1 <> l2) or (d1 and d3 and l1 <> l3) or (d2 and d3 and l2 <> l3)) split",
        f"case when greatest({', '.join(saws)}) = 2 then 2 when {' or '.join(f'{s} = 0' for s in saws)} then 0 "
        f"else 1 end saw",
        *(["case when d1 then x1 when d2 then x2 when d3 then x3 else 0L end x"] if plan.weighted else []))


def said(ids: Any, plan: Plan) -> Any:
    """What each id says, one record a row: a cell or a status, a vote or a status of each label row, pairs of votes."""
    groups = [_main(plan), *(_slot(i, plan) for i in (1, 2, 3)), *(_pair(i, j) for i, j in ((1, 2), (1, 3), (2, 3)))]
    if plan.weighted:
        groups = [_weights() | g if g is groups[0] else dict.fromkeys(WEIGHTED, "null") | g for g in groups]
    names = [*RECORD, *(WEIGHTED if plan.weighted else ())]
    wide = ids.selectExpr("day", *(f"bigint({g[name]}) {name}_{n}" for n, g in enumerate(groups) for name in names))
    each = ", ".join("(" + ", ".join(f"{name}_{n}" for name in names) + f") as g{n}" for n in range(len(groups)))
    long = wide.sparkSession.sql(f"select day, {', '.join(names)} from {{wide}} unpivot include nulls "
                                 f"(({', '.join(names)}) for g in ({each}))", wide=wide)
    return long.where("r is not null")


def _main(plan: Plan) -> dict[str, str]:
    position = " ".join(f"when label = int({_top(n)}) then {n + 1}" for n in range(MOST_TOP)) if plan.tops else ""
    rank = f"case when votes = 0 or size = 0 then 0 {position} else -size end"
    low = (f"(shiftright(pf, 31) & 31) | shiftleft(origin, 5) | shiftleft(if(votes = 0, 0, saw), 8) | "
           f"shiftleft(if(votes = 0, {NO_SPLIT}, split), 10)")
    k2 = f"{two('label', f'shiftleft(int({rank}) + 16, 16) | int({low})')}"
    at = "pk" if plan.recorded else "at"
    future = 2 * PREDICTION_KINDS.index("future_predictions")
    return {"r": f"case when rare then {RARE} when kind = 2 then {SAID} when ours then {CELL} when pn = 1 then {SAID} end",
            "k1": "case when rare then 0L when kind = 2 then h2 when ours then pc else 0L end",
            "k2": f"if(ours and not rare, {k2}, 0L)", "n": "if(kind = 2, n, 1L)",
            "m": f"if(ours and not rare, pf & {2**31 - 1}L, 0L)", "known": f"if(rare, null, {at})",
            "late": f"if(kind = 2 and h2 in ({future}, {future + 1}), t1, null)"}


def _top(n: int) -> str:
    return f"shiftright(top{n // 2}, 32)" if n % 2 == 0 else f"top{n // 2}"


def _weights() -> dict[str, str]:
    high, low = f"shiftright(x, {WEIGHT_BITS})", f"(x & {2**WEIGHT_BITS - 1}L)"
    return {"n_weighted": "int(x > 0)", "weight": "x", "high2": f"{high} * {high}", "cross": f"{high} * {low}",
            "low2": f"{low} * {low}"}


def _slot(i: int, plan: Plan) -> dict[str, str]:
    late = f"(t{i} - at)"
    days = f"({late} - pmod({late}, {spark_rules.US_PER_DAY})) div {spark_rules.US_PER_DAY}"
    at = "lk" if plan.recorded else f"t{i}"
    return {"r": f"case when s{i} = 1 then {VOTE} when s{i} > 1 then {SAID} end",
            "k1": f"if(s{i} = 1, {two(f'o{i}', f'int(w{i})')}, s{i})", "k2": f"if(s{i} = 1, {days}, 0L)", "n": "1L",
            "m": f"int(s{i} = 1 and l{i} = label)", "known": f"if(s{i} in ({INVALID}, {OTHER_MODEL}, {FUTURE}), null, {at})",
            "late": f"if(s{i} = {FUTURE}, {at}, null)"}


def _pair(i: int, j: int) -> dict[str, str]:
    return {"r": f"if(d{i} and d{j}, {PAIR}, null)", "k1": two(f"least(l{i}, l{j})", f"greatest(l{i}, l{j})"),
            "k2": "votes", "n": "1L", "m": "0L", "known": "null", "late": "null"}


def all_ids(predictions: Any, labels: Any, plan: Plan, partitions: int) -> Any:
    """Every id with its slots."""
    rows = prediction_rows(predictions, plan).unionAll(label_rows(labels, plan))
    return slots(by_id(rows, plan, partitions), plan)


def all_records(predictions: Any, labels: Any, plan: Plan, partitions: int) -> Any:
    """The sums of what all common ids say; (day, RARE, 0, 0) has the number of rare ids."""
    records = said(decided(all_ids(predictions, labels, plan, partitions), plan), plan)
    how = {"known": "max", "late": "min"}
    names = [*RECORD[3:], *(WEIGHTED if plan.weighted else ())]
    return records.groupBy("day", "r", "k1", "k2").agg(*spark_rules._exprs(*(f"{how.get(c, 'sum')}({c}) {c}" for c in names)))
