"""The rules of counting (docs/design.md#the-rules-of-counting) as DuckDB statements over one day.

day.py runs them; the declared slices are in slices.py.

Statements here read the rows with their state, and hold the full rules for the ids that are irregular: those with a
withdrawal, several rows by one person, anything invalid, misfiled or future. What most ids need is counted from numpy
columns (votes.py, cells.py). Rows meet by `h`, the 64-bit hash of the prediction id, because numbers meet many times
faster than texts; two ids with one hash are detected, and the day is then counted again with numbers that are given to
the ids one by one.

Times are microseconds since 1970 as BIGINT, named `t`. Column names: p_* of the prediction, the others of the label.
"""

from collections.abc import Sequence
from datetime import date
from string import ascii_lowercase, ascii_uppercase

from contract import clock
from contract.counts import EARLIEST, ORIGINS, ROLES, ROUNDING, UNNAMED, WEIGHT_SCALE
from jobs.engines.question import Question

# Labels and labelers are few; as numbers in the order of their bytes they are several times cheaper to group than as
# texts. With more than this many they stay texts.
MOST_WORDS = 50_000
OK, INVALID, MISFILED, FUTURE, OTHER_ROLE, UNKNOWN_ROLE = range(6)
HEX = "[0-9a-fA-F]"
UUID7 = f"{HEX}{{8}}-{HEX}{{4}}-7{HEX}{{3}}-[89abAB]{HEX}{{3}}-{HEX}{{12}}"
# A label's columns but its id, in the order of docs/design.md#label-rows.
LABEL_COLUMNS = ("label_id", "label", "labeler", "t", "recorded", "origin", "saw", "shown", "withdraws", "probability",
                 "strategy", "actor")
WORDS = ("label", "labeler")
LABEL_TIES = "labeler, recorded, origin, saw, shown, withdraws, probability, strategy, actor"


def literal(value: str) -> str:
    """Quotes a string as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def floor_div(value: str, by: int) -> str:
    """Divides whole numbers, rounding down also below zero (`//` truncates)."""
    return f"(({value}) - ((({value}) % {by}) + {by}) % {by}) // {by}"


def is_misfiled(column: str, day: str) -> str:
    """Says whether a text is a UUIDv7 of another day.

    A text that lies between the day's bounds by its bytes is of the day, or no UUIDv7: comparisons, which the file's
    statistics often answer for all rows. The pattern is matched for the others only. Capitals can deceive only where
    the upper bound has a letter ('B' < 'a' by bytes, but not as digits), so those ranges are left to the pattern.
    """
    low, high, letters, below = _day_bounds(day)
    last = " AND ".join([f"{column} < '{high}'", *(f"NOT ({column} >= '{c}A' AND {column} < '{c}G')" for c in letters)])
    millisecond = f"CAST('0x' || substr({column}, 1, 8) || substr({column}, 10, 4) AS BIGINT)"
    number = (date.fromisoformat(day) - date(1970, 1, 1)).days
    return (f"CASE WHEN {column} >= '{low}' AND {column} < '{below}' THEN false WHEN {column} >= '{low}' AND {last} "
            f"THEN false WHEN regexp_full_match({column}, '{UUID7}') "
            f"THEN {millisecond} // {clock.MS_PER_DAY} <> {number} ELSE false END")


def _day_bounds(day: str) -> tuple[str, str, list[str], str]:
    """Returns the bounds of a day's ids, and where capitals deceive.

    They are (the day's first text, the first after it, the texts below that where capitals deceive, the first such
    place or the end).
    """
    first = clock.to_us(clock.parse_moment(f"{day}T00:00:00")) // 1000
    low, high = _uuid_head(first), _uuid_head(first + clock.MS_PER_DAY)
    letters = [high[:i] for i, c in enumerate(high) if c.isalpha() and high[:i + 1] > low[:i + 1]]
    return low, high, letters, f"{letters[0]}A" if letters else high


def _make_surely_ok(day: str, as_of: int, time: str, recorded: str, texts: Sequence[str]) -> str:
    """Returns a condition that most rows meet and that makes a row OK: of the day, known in time, with all its texts.

    Far cheaper than the rules one by one; a null makes it null, which is not true.
    """
    low, _, _, below = _day_bounds(day)  # most ids of a day lie between these two
    return " AND ".join([f"id >= '{low}' AND id < '{below}'", f"{time} <= {as_of}",
                         f"({recorded} IS NULL OR {recorded} <= {as_of})", *(f"{t} <> ''" for t in texts)])


def _uuid_head(ms: int) -> str:
    digits = f"{max(ms, 0):012x}"
    return f"{digits[:8]}-{digits[8:]}"


WORD_AS_TEXT = "CREATE TEMP TYPE word AS VARCHAR"
WORD_AS_NUMBER = "CREATE TEMP TYPE word AS ENUM (SELECT word FROM words WHERE word IS NOT NULL ORDER BY word)"


def prediction_state(question: Question, day: str) -> str:
    """Applies rule 2, all but duplicates: one of OK, INVALID, MISFILED, FUTURE, OTHER_ROLE, UNKNOWN_ROLE."""
    role = f"role = {literal(question.role)}" + (" OR role IS NULL" if question.role == "live" else "")
    texts = ("model", "version", "predicted")
    missing = " OR ".join([*(f"coalesce({c}, '') = ''" for c in ("id", *texts)), f"predicted = '{UNNAMED}'"])
    surely_ok = _make_surely_ok(day, question.as_of, "p_t", "p_recorded", texts)
    role = f"({role})" + (f" AND version = {literal(question.version)}" if question.version is not None else "")
    return (f"CASE WHEN {role} AND predicted <> '{UNNAMED}' AND {surely_ok} THEN {OK} {_judge_role(question)} "
            f"WHEN p_t IS NULL OR {missing} THEN {INVALID} WHEN {is_misfiled('id', day)} THEN {MISFILED} "
            f"WHEN greatest(p_t, p_recorded) > {question.as_of} THEN {FUTURE} ELSE {OK} END")


def _judge_role(question: Question) -> str:
    """Returns the branches for rows of another role than is counted, or of none, and for those of another version."""
    word = f"coalesce(translate(role, '{ascii_uppercase}', '{ascii_lowercase}'), 'live')"
    words = {role: role for role in ROLES} | {w: role for w, role in question.roles.items() if w not in ROLES}
    lists = [", ".join(literal(w) for w, role in words.items() if (role == question.role) == ours) for ours in (True, False)]
    ours, others = (f"{word} IN ({some})" for some in lists)
    other_version = f"WHEN version IS DISTINCT FROM {literal(question.version)} THEN {OTHER_ROLE} " if question.version else ""
    return f"WHEN {others} THEN {OTHER_ROLE} WHEN NOT {ours} THEN {UNKNOWN_ROLE} {other_version}"


def label_state(question: Question, day: str) -> str:
    """Applies rule 3 up to `future`: one of OK, INVALID, MISFILED, FUTURE."""
    no_label = "(coalesce(label, '') = '' AND NOT coalesce(withdraws, false))"
    surely_ok = _make_surely_ok(day, question.as_of, "t", "recorded", ("label",))
    return (f"CASE WHEN {surely_ok} THEN {OK} WHEN id IS NULL OR t IS NULL OR {no_label} THEN {INVALID} "
            f"WHEN {is_misfiled('id', day)} THEN {MISFILED} "
            f"WHEN greatest(t, recorded) > {question.as_of} THEN {FUTURE} ELSE {OK} END")


# Rule 4: the class of a row, 0 the highest (contract.counts.ORIGINS). That of an audit's `≠` is put right where it counts.
ORIGIN_CLASS = """CASE origin WHEN 'audit' THEN CASE WHEN saw = false THEN 0 ELSE 1 END WHEN 'review' THEN 1
    WHEN 'import' THEN 2 ELSE CASE WHEN origin IS NULL THEN 2 ELSE 3 END END"""
IS_UNNAMED = f"coalesce(label = '{UNNAMED}', false)"  # of a label as text (rule 4a)


def origin_word(column: str) -> str:
    """Returns the word of an origin class."""
    return f"[{', '.join(literal(o) for o in ORIGINS)}][{column} + 1]"


def create_repeated(rows: str, order: Sequence[str]) -> str:
    """Creates table `repeated`: the rows of the ids in `twice`, each with its place; the first is the one that counts."""
    ties = ", ".join(f"{c} NULLS FIRST" for c in order)
    return (f"CREATE TEMP TABLE repeated AS SELECT *, row_number() OVER (PARTITION BY id ORDER BY {ties}) AS place "
            f"FROM ({rows}) WHERE state = {OK} AND h IN (SELECT h FROM twice)")


def select_label_rows(source: str, question: Question, day: str, key: str, present: Sequence[str], texts: bool) -> str:
    """Selects every label row with its hash and state, in the columns that any file has and that regular ids need.

    Words only with `texts`.
    """
    columns = ["id", f"{key} AS h", *(WORDS if texts else ()), "t"]
    columns += ["greatest(t, recorded) AS known"] if "recorded" in present else []
    columns += [f"({ORIGIN_CLASS})::TINYINT AS class"] if "origin" in present else []
    columns += [c for c in ("saw", "withdraws", "probability") if c in present]
    columns.append(f"{'CASE WHEN label_id IS NULL THEN hash(t) ELSE hash(label_id) END' if 'label_id' in present else 'hash(t)'}"
                   " AS mark")
    return f"SELECT {', '.join(columns)}, ({label_state(question, day)})::TINYINT AS state FROM ({source})"


def create_irregular(source: str, question: Question, day: str, key: str) -> str:
    """Creates table `irregular`: all that the label rows of `irregular_hashes` hold."""
    columns = ", ".join(f"{c}::word AS {c}" if c in WORDS else c for c in LABEL_COLUMNS)
    origin = f"CASE WHEN unnamed AND origin = 'audit' THEN 1 ELSE {ORIGIN_CLASS} END"  # nobody rejects an answer unseen
    return (f"CREATE TEMP TABLE irregular AS SELECT *, ({origin})::TINYINT AS class, false AS duplicate, "
            f"false AS other_answer, false AS superseded FROM (SELECT id, {key} AS h, {columns}, {IS_UNNAMED} AS unnamed, "
            f"({label_state(question, day)})::TINYINT AS state FROM ({source})) "
            f"LEFT JOIN judged USING (h) WHERE h IN (SELECT h FROM irregular_hashes)")


def create_judged(rows: str, order: Sequence[str]) -> str:
    """Creates table `judged`: the predicted label of each prediction that a `≠` of `unnamed_hashes` judges."""
    ties = ", ".join(f"{c} NULLS FIRST" for c in order)
    return (f"CREATE TEMP TABLE judged AS SELECT h, predicted FROM ({rows}) WHERE state = {OK} "
            f"AND h IN (SELECT h FROM unnamed_hashes) QUALIFY row_number() OVER (PARTITION BY h ORDER BY {ties}) = 1")


NOTHING_JUDGED = "CREATE TEMP TABLE judged (h UBIGINT, predicted VARCHAR)"


NUMBER_OF_ID = "enum_code(id::numbered_id)::UBIGINT"


def create_numbered_id(predictions: str, labels: str) -> str:
    """Creates type `numbered_id`: the ids numbered, for rows to meet by where two ids have one hash."""
    return (f"CREATE TEMP TYPE numbered_id AS ENUM (SELECT DISTINCT id FROM (SELECT id FROM ({predictions}) UNION ALL "
            f"SELECT id FROM ({labels})) WHERE id IS NOT NULL)")


# Rule 3, duplicates: with a label_id the first by (labeled_at, label); without, one of those equal in every column.
DUPLICATES = f"""UPDATE irregular SET duplicate = true WHERE rowid IN (
    SELECT r FROM (SELECT rowid AS r, row_number() OVER (PARTITION BY h, label_id ORDER BY t, label NULLS FIRST,
            {LABEL_TIES.replace(",", " NULLS FIRST,")} NULLS FIRST) AS place
        FROM irregular SEMI JOIN (SELECT h, label_id FROM irregular WHERE state = {OK} AND label_id IS NOT NULL
            GROUP BY ALL HAVING count(*) > 1) USING (h, label_id) WHERE state = {OK})
    WHERE place > 1
    UNION ALL
    SELECT r FROM (SELECT rowid AS r, row_number() OVER (PARTITION BY h, t, label, {LABEL_TIES}) AS place
        FROM irregular WHERE state = {OK} AND label_id IS NULL AND h IN (SELECT h FROM irregular
            WHERE state = {OK} AND label_id IS NULL GROUP BY h, t HAVING count(*) > 1))
    WHERE place > 1)"""
IS_ANSWER = f"state = {OK} AND NOT duplicate AND NOT other_answer"


def mark_other_answers(role: str) -> str:
    """Marks each `≠` that rejects another answer than the prediction's (rule 4a); null means the live row's."""
    other = "shown <> predicted" if role == "live" else "(shown IS NULL OR shown <> predicted)"
    return (f"UPDATE irregular SET other_answer = true WHERE state = {OK} AND NOT duplicate AND unnamed "
            f"AND predicted IS NOT NULL AND {other}")


# Rule 3, superseded: a person's later row on the same prediction in the same class takes its place.
SUPERSEDED = f"""UPDATE irregular SET superseded = true WHERE rowid IN (
    SELECT r FROM (SELECT rowid AS r, row_number() OVER (PARTITION BY h, class, labeler ORDER BY t DESC,
            label_id DESC NULLS LAST, label DESC NULLS LAST, {LABEL_TIES.replace(",", " DESC NULLS LAST,")}
            DESC NULLS LAST) AS place
        FROM irregular WHERE {IS_ANSWER} AND h IN (SELECT h FROM irregular WHERE {IS_ANSWER}
            GROUP BY h, class, labeler HAVING count(*) > 1))
    WHERE place > 1)"""
IS_VOTE = f"{IS_ANSWER} AND NOT superseded AND withdraws IS DISTINCT FROM true"


def create_votes(one_class: bool) -> str:
    """Creates table `votes`: what is left of the irregular ids' rows, and which of them decide."""
    deciding = "true" if one_class else "min(class) OVER (PARTITION BY h) = class"
    return (f"CREATE TEMP TABLE votes AS SELECT h, t, label_id, label, {LABEL_TIES}, unnamed, predicted, class, "
            f"{deciding} AS deciding FROM irregular WHERE {IS_VOTE}")


# Rule 4: the votes for each label among the deciding ones, as they were given.
TALLY = f"""CREATE TEMP TABLE tally AS SELECT h, label, unnamed, any_value(predicted) AS predicted, count(*) AS n,
    sum(coalesce(w, {WEIGHT_SCALE})) AS weight, max(t) AS newest
    FROM votes LEFT JOIN weights ON votes.labeler::VARCHAR = weights.who WHERE deciding GROUP BY h, label, unnamed"""
# Rule 4a: those of a `≠` count for the leading label other than the predicted one, if one is named.
COUNTED_FOR = """CREATE TEMP TABLE counted_for AS
    WITH leaders AS (SELECT h, arg_min(label, (-weight, -newest, label)) AS leader FROM tally
        WHERE NOT unnamed AND (predicted IS NULL OR label::VARCHAR <> predicted) GROUP BY h)
    SELECT h, CASE WHEN unnamed THEN coalesce(leader, label) ELSE label END AS label, sum(weight) AS weight,
        max(newest) AS newest FROM tally LEFT JOIN leaders USING (h) GROUP BY ALL"""


def create_resolved(has_probability: bool) -> str:
    """Creates table `resolved`: one line for each irregular id, with its consensus, null without votes."""
    first = f"""(SELECT h, probability FROM votes WHERE deciding QUALIFY row_number() OVER (PARTITION BY h ORDER BY t,
        label_id NULLS FIRST, label NULLS FIRST, {LABEL_TIES.replace(",", " NULLS FIRST,")} NULLS FIRST) = 1)"""
    probability = first if has_probability else "(SELECT NULL AS h, NULL::DOUBLE AS probability WHERE false)"
    return f"""CREATE TEMP TABLE resolved AS
    WITH best AS (SELECT h, count(*) > 1 AS split, arg_min(label, (-weight, -newest, label)) AS label
        FROM counted_for GROUP BY h),
    said AS (SELECT h, any_value(class) AS class, bool_or(saw) AS any_saw, bool_or(saw IS NULL) AS unknown
        FROM votes WHERE deciding GROUP BY h),
    found AS (SELECT DISTINCT h FROM irregular)
    SELECT found.h, best.label, best.split, said.class,
        CASE WHEN any_saw THEN true WHEN class IS NULL OR unknown THEN NULL ELSE false END AS saw, f.probability
    FROM found LEFT JOIN best USING (h) LEFT JOIN said USING (h) LEFT JOIN {probability} f USING (h)"""


def select_with_state(source: str, question: Question, day: str, key: str) -> str:
    """Selects every prediction row with its hash, its state (rule 2, all but duplicates) and whether it is this model's."""
    return (f"SELECT *, {key} AS h, ({prediction_state(question, day)})::TINYINT AS state, "
            f"coalesce(model = {literal(question.model)}, false) AS ours FROM ({source})")


def select_prediction_rows(rows: str, extra: Sequence[str], has_recorded: bool, ranked: bool, texts: bool) -> str:
    """Selects what is counted of prediction rows (of `select_with_state`); words only with `texts`.

    With `ranked` also the place of the consensus, beside `consensus`, in any order; without `texts` then `row`, too, each
    row's number among `rows`.
    """
    columns = ["id", "h", "state", "ours", *(("version", "predicted") if texts else ()), "confidence", "p_t",
               f"({is_impossible(ranked)}) AS impossible",
               *(["greatest(p_t, p_recorded) AS known"] if has_recorded else []), *extra]
    if not ranked:
        return f"SELECT {', '.join(columns)} FROM ({rows})"
    if not texts:
        columns.append("row")
        rows = f"SELECT *, row_number() OVER () - 1 AS row FROM ({rows})"
    return (f"SELECT {', '.join(f'p.{c}' if '(' not in c else c for c in columns)}, {rank('p.top', 'c.label')} AS rank "
            f"FROM ({rows}) p LEFT JOIN consensus c ON p.h = c.h")


def is_impossible(ranked: bool) -> str:
    """Says whether a prediction row holds a value that cannot be."""
    low, high = (f"'{edge!r}'::DOUBLE" for edge in (-ROUNDING, 1 + ROUNDING))
    # NaN is above every number here, but a file's statistics leave it out, and DuckDB decides whole files by these.
    kinds = [f"p_t < {EARLIEST}", f"confidence < {low}", f"confidence > {high}", "isnan(confidence)"]
    kinds += ["(len(top) > 0 AND top[1] IS DISTINCT FROM predicted)"] if ranked else []
    return f"coalesce({' OR '.join(kinds)}, false)"


def rank(top: str, label: str) -> str:
    """Applies rule 6: the place of the label among the top labels, minus the list's length when it is not in it; -1 of a `≠`."""
    place = f"coalesce(nullif(list_position({top}, {label}), 0), -len({top}))"
    return (f"CASE WHEN {label} IS NULL OR {top} IS NULL OR len({top}) = 0 THEN NULL WHEN {label} = '{UNNAMED}' THEN -1 "
            f"ELSE {place} END")


WEIGHTS = """SELECT cell, count(*) AS n_weighted, sum(w)::DECIMAL(38, 0) AS sum_weight,
    sum(w::HUGEINT * w)::DECIMAL(38, 0) AS sum_weight_squared,
    sum(w::HUGEINT * c)::DECIMAL(38, 0) AS sum_weight_confidence FROM weights_of_cells GROUP BY cell"""
# Every vote on an irregular prediction of ours, with what became the consensus.
OUR_VOTES = """CREATE TEMP TABLE our_irregular_votes AS SELECT v.h, v.labeler, v.class, v.label, v.unnamed, v.predicted,
        CASE WHEN v.unnamed THEN r.label::VARCHAR <> v.predicted ELSE v.label = r.label END AS agrees, v.t, j.p_t
    FROM votes v JOIN our_irregular j ON v.h = j.h JOIN resolved r ON v.h = r.h"""
# Each of these votes as it was given, in the order of rule 3.
OUR_VOTES_IN_ORDER = f"""SELECT h, labeler::VARCHAR AS labeler, label::VARCHAR AS label, t, class, saw, probability,
        row_number() OVER (PARTITION BY h ORDER BY t, label_id NULLS FIRST, label NULLS FIRST,
        {LABEL_TIES.replace(",", " NULLS FIRST,")} NULLS FIRST) AS place FROM votes WHERE h IN (SELECT h FROM our_irregular)"""
PEOPLE = """WITH pairs AS (SELECT a.labeler, count(*) AS pairs, count(*) FILTER (CASE WHEN a.unnamed AND b.unnamed THEN true
            WHEN a.unnamed THEN b.label::VARCHAR <> b.predicted WHEN b.unnamed THEN a.label::VARCHAR <> a.predicted
            ELSE a.label = b.label END) AS agreeing_pairs
        FROM our_irregular_votes a JOIN our_irregular_votes b ON a.h = b.h AND a.labeler IS DISTINCT FROM b.labeler
        GROUP BY a.labeler),
    people AS (SELECT labeler, count(*) AS votes, count(*) FILTER (agrees) AS agreements FROM our_irregular_votes
        GROUP BY labeler)
    SELECT people.labeler, votes, agreements, coalesce(pairs, 0) AS pairs, coalesce(agreeing_pairs, 0) AS agreeing_pairs
    FROM people LEFT JOIN pairs ON people.labeler IS NOT DISTINCT FROM pairs.labeler"""
DELAYS = f"""SELECT ({floor_div('t::HUGEINT - p_t', clock.US_PER_DAY)})::INTEGER AS days, {origin_word("class")} AS origin,
    count(*) AS n FROM our_irregular_votes GROUP BY ALL"""
COINCIDENCES = """WITH ours AS (SELECT tally.h, tally.label, n, sum(n) OVER (PARTITION BY tally.h) AS votes FROM tally
        WHERE h IN (SELECT h FROM our_irregular))
    SELECT a.label, b.label AS other_label, a.votes::INTEGER AS votes,
        sum(CASE WHEN a.label = b.label THEN a.n * (a.n - 1) ELSE a.n * b.n END)::BIGINT AS n
    FROM ours a JOIN ours b ON a.h = b.h WHERE a.votes >= 2
        AND (a.label <> b.label OR a.n > 1) GROUP BY a.label, b.label, a.votes"""
ENDINGS = {"invalid": f"state = {INVALID}", "misfiled": f"state = {MISFILED}",
           "future": f"state = {FUTURE}", "duplicate": "duplicate", "other_answer": "other_answer",
           "superseded": "superseded", "vote": IS_VOTE, "withdrawn": f"{IS_ANSWER} AND NOT superseded AND withdraws"}


def count_endings(which: str) -> str:
    """Counts how the label rows of irregular ids ended, of those that `which` (a condition on h) selects."""
    counts = ", ".join(f"count(*) FILTER ({condition})" for condition in ENDINGS.values())
    return f"SELECT {counts} FROM irregular WHERE {which}"
