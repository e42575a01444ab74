"""`trueup gate --what-if POLICY.yaml`: reads the policy, makes the calendar, and shows it."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from command.command import Outcome
from command.load_settings import with_options
from command.settings_file import parse_settings
from command.terminal import align, escape
from contract import clock
from contract.days import prediction_days
from contract.errors import UsageError
from contract.policy import GatePolicy
from contract.registry import Registry
from contract.rows.models import require_model
from contract.settings import Settings
from contract.stores.store import Storage
from contract.texts.figures import write_count
from metrics.judging.verdicts import UNDECIDED
from pipeline.running.local import ProcessRunner
from pipeline.running.stages import COUNT_THEN
from pipeline.whatif.calendar import Judge, Tallies, choose_counts, sum_up
from pipeline.whatif.past import Past, list_days, look_back
from pipeline.whatif.stored import StoredCounts

DAYS_BACK = 90
Row = dict[str, Any]


def show_calendar(storage: Storage, settings: Settings, policy_file: str, first: str | None, last: str | None) -> Outcome:
    """Makes the calendar of a range of days; exit code 0 whatever it says."""
    other = read_policy(settings, policy_file)
    model = settings.need_model()
    require_model(storage, model)
    last = last or clock.day_of(clock.now() - timedelta(days=1))
    first = first or clock.day_of(clock.parse_moment(last) - timedelta(days=DAYS_BACK - 1))
    rows, left_out = make_calendar(storage, settings, other, list_days(first, last))
    differ = [row["day"] for row in rows if row["differs"]]
    document = {"schema": "1", "model": model, "from": first, "to": last, "changed": _find_changes(settings.gates, other),
                "policy": other.model_dump(mode="json"), "days": rows, "differ": differ, "summary": sum_up(rows),
                "left_out": left_out}
    return Outcome(document=document, text=write_text(document))


def read_policy(settings: Settings, path: str) -> GatePolicy:
    """Reads a policy: the section `gates:` of a YAML file, or its fields alone; what it does not name is as it is set."""
    try:
        content = parse_settings(Path(path).read_bytes(), f"policy {path!r}")
    except OSError as error:
        raise UsageError(f"policy {path!r} cannot be read: {error.strerror or error}.") from None
    given = content.get("gates", content)
    if not isinstance(given, dict) or ("gates" in content and len(content) > 1):
        raise UsageError(f"policy {path!r}: expected the section gates: alone, or its fields (docs/gates.yaml).")
    return with_options(settings, **{f"gates__{name}": value for name, value in given.items() if value is not None},
                        ).gates.model_copy(update=_take_nulls(given))


def _take_nulls(given: Mapping[str, Any]) -> dict[str, None]:
    """The fields that are set to null; UsageError for one that has to have a value."""
    nulls = [name for name, value in given.items() if value is None]
    for name in nulls:
        field = GatePolicy.model_fields.get(name)
        if field is None or "None" not in str(field.annotation):
            raise UsageError(f"policy: gates.{name}: expected a value, got null.")
    return dict.fromkeys(nulls)


def make_calendar(storage: Storage, settings: Settings, other: GatePolicy,
                  days: list[str]) -> tuple[list[Row], dict[str, list[str]]]:
    """A row for each day, and the prediction days whose counts were not to be had.

    A row: day, as_of, version, judged (whether there is a decision), said and would (verdict, reasons), gates, differs. What
    was said on a day without a decision is what the policy of the settings says of it now.
    """
    model, predicted = settings.need_model(), prediction_days(storage)
    pasts = look_back(storage, model, days, predicted, settings.evaluate.days)
    stored = StoredCounts(storage, model)

    def count(wanted: Mapping[str, Sequence[str]]) -> None:
        _count_then(storage, settings, wanted)

    chosen, left_out = choose_counts(stored, pasts, predicted, count)
    newest = Registry(storage, model).newest()
    overrides = newest.state.overrides if newest else []
    tallies = Tallies(storage, stored)
    theirs, ours = (Judge(storage, model, policy, tallies, overrides) for policy in (other, settings.gates))
    rows = []
    for past, counts in zip(pasts, chosen, strict=True):
        tallies.move(counts)
        rows.append(_make_row(past, theirs.judge(past), past.decision or ours.judge(past)))
    return rows, left_out


def _make_row(past: Past, would: Mapping[str, Any], said: Mapping[str, Any]) -> Row:
    return {"day": past.day, "as_of": past.as_of, "version": would["version"], "judged": past.decision is not None,
            "evaluation": past.evaluation_id, "said": {name: said[name] for name in ("verdict", "reasons")},
            "would": {name: would[name] for name in ("verdict", "reasons")}, "gates": would["gates"],
            "differs": said["verdict"] != would["verdict"]}


def _count_then(storage: Storage, settings: Settings, wanted: Mapping[str, Sequence[str]]) -> None:
    with tempfile.TemporaryDirectory(prefix="trueup-") as folder:
        path = Path(folder, "wanted.json")
        path.write_text(json.dumps({moment: list(days) for moment, days in wanted.items()}))
        argv = ["--root", storage.root, *COUNT_THEN.fill_arguments({"model": settings.need_model(), "wanted": str(path)})]
        ProcessRunner().run(COUNT_THEN, argv, settings.dump_for_stages())


def _find_changes(ours: GatePolicy, other: GatePolicy) -> dict[str, list[Any]]:
    """What the policy sets otherwise: field -> [as it is set, as it would be]."""
    before, after = ours.model_dump(mode="json"), other.model_dump(mode="json")
    return {name: [before[name], after[name]] for name in before if before[name] != after[name]}


def write_text(document: Mapping[str, Any]) -> str:
    """A line for each run of days on which both say the same, then the days that differ."""
    rows = document["days"]
    changes = "; ".join(f"{name} {_show(a)} -> {_show(b)}" for name, (a, b) in document["changed"].items()) or "the same policy"
    table = align(("days", "", "said", "would say", "why", ""), list(map(_write_run, _find_runs(rows))))
    differ, unjudged = document["differ"], sum(not row["judged"] for row in rows)
    said = (f"On {len(differ)} of {write_count(len(rows), 'day')} it would have said something else: {_name_days(differ)}."
            if differ else f"On none of {write_count(len(rows), 'day')} it would have said anything else.")
    notes = [f"{write_count(unjudged, 'day')} had no decision: what stands as said is what the policy of the settings says of "
             f"{'them' if unjudged != 1 else 'it'} now."] if unjudged else []
    notes += [f"Of {write_count(len(document['left_out']), 'day')} some counts are gone with their rows (see --json)."] if (
        document["left_out"]) else []
    return "\n".join([escape(f"{document['model']}: {changes}"), "", table, "", said, *notes])


def _write_run(run: Sequence[Row]) -> tuple[str, ...]:
    said, would = run[0]["said"]["verdict"], run[0]["would"]
    why = ", ".join(would["reasons"]) if would["verdict"] == UNDECIDED else ""
    return _name_span(run), write_count(len(run), "day"), said, would["verdict"], why, "differs" if run[0]["differs"] else ""


def _show(value: Any) -> str:
    return json.dumps(value)


def _find_runs(rows: Sequence[Row]) -> list[list[Row]]:
    """Groups days in a row with the same verdict on both sides, and the same reasons of the other policy."""
    runs: list[list[Row]] = []
    for row in rows:
        first = runs[-1][0] if runs else None
        if first and first["would"] == row["would"] and first["said"]["verdict"] == row["said"]["verdict"]:
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs


def _name_span(run: Sequence[Row]) -> str:
    return run[0]["day"] if len(run) == 1 else f"{run[0]['day']} to {run[-1]['day']}"


def _name_days(days: Sequence[str]) -> str:
    """Days as spans: 2026-11-01 to 2026-11-05, 2026-11-09."""
    spans: list[list[str]] = []
    for day in days:
        if spans and clock.day_of(clock.parse_moment(spans[-1][-1]) + timedelta(days=1)) == day:
            spans[-1].append(day)
        else:
            spans.append([day])
    return ", ".join(span[0] if len(span) == 1 else f"{span[0]} to {span[-1]}" for span in spans)
