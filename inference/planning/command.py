"""Plans the audit that decides a gate's open question with few labels, and draws it.

    trueup review plan --model M --budget 200 [--towards overall|class:NAME|slice:NAME=VALUE] [--day D] [--dry-run] [--json]
"""

import secrets
from typing import Any
from urllib.parse import quote

import click

from command.command import Outcome, stage_command
from command.options import MOST, FiniteRange
from command.terminal import align
from contract import samples
from contract.confidence import EDGES
from contract.days import prediction_days
from contract.deciding.formats import list_answering
from contract.errors import UsageError, log
from contract.evaluations import find_verdict
from contract.registry import Registry
from contract.rows.models import require_model
from contract.samples import Design
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from contract.texts.figures import NOTHING, write_bound, write_count, write_percent
from inference.labelling.choose_days import (
    WORDS,
    choose_window,
    count_window,
    describe_days,
    find_role,
    require_labelable,
)
from inference.labelling.items import DrawnItems
from inference.planning.plan import Plan, make_plan, read_history, require_unaudited
from inference.planning.questions import Open, choose_question, parse_towards

SHOWN, LISTED = 8, 200  # cells, for a person and in the document
ENOUGH_GAIN = 0.98  # of the labels: what needs more is no gain that anybody would see
BY = {"hajek": "the weighted share of the audit (Hajek's)", "combined": "the combined estimate"}


@stage_command("plan")
@click.option("--model", help="The model's name. [default: `model:` of the settings]")
@click.option("--budget", type=click.IntRange(1, MOST), required=True, help="Expected number of predictions to ask about.")
@click.option("--towards", metavar="FIGURE", help="overall, class:NAME, precision:NAME, recall:NAME or slice:NAME=VALUE. "
              "[default: what the newest decision cannot tell, else what is nearest to its bound]")
@click.option("--day", help="The predictions' UTC day, YYYY-MM-DD. [default: yesterday; of imported models every day]")
@click.option("--from", "first", metavar="DAY", help="First of several days, which share their probabilities.")
@click.option("--to", "last", metavar="DAY", help="Last of several days.")
@click.option("--role", type=click.Choice(WORDS, case_sensitive=False), default="live", show_default=True,
              help="Of which predictions; import: of another system's, whatever their role is.")
@click.option("--floor", type=FiniteRange(0, 1, min_open=True),
              help="Least probability of any cell. [default: a fifth of the mean, or what the gate needs]")
@click.option("--salt", help="Text that fixes the draw. [default: random]")
@click.option("--judges", type=click.IntRange(1, 9), default=1, show_default=True,
              help="People who judge each item of the second share.")
@click.option("--second-share", type=FiniteRange(0, 1), default=0.0, show_default=True,
              help="Share of the items that --judges people judge.")
@click.option("--dry-run", is_flag=True, help="Print the plan, draw nothing.")
def command(settings: Settings, model: str | None, budget: int, towards: str | None, day: str | None, first: str | None,
            last: str | None, role: str, floor: float | None, salt: str | None, judges: int, second_share: float,
            dry_run: bool) -> Outcome:
    """Draws an audit that asks most where labels decide what a gate cannot tell, with known probabilities."""
    storage = open_root(settings.need_root())
    name = model or settings.need_model()
    require_model(storage, name)
    asked = parse_towards(towards) if towards else None
    days = choose_window(storage, name, day, first, last)
    role = find_role(storage, name, role, days)
    require_unaudited(storage, name, days, role, free=prediction_days(storage))
    require_labelable(days, settings.serve.label_days)
    by_day = count_window(storage, name, days, role)
    if not by_day:
        raise UsageError(f"model {name!r} has no predictions of role {role} in the bucket on {describe_days(days)}: "
                         f"nothing to plan. Wait until the service has shipped them, or name another --day or --role.")
    design = Design(samples.PLANNED, salt or secrets.token_hex(16), None, budget, floor, judges, second_share, role)
    plan = _plan(storage, settings, name, by_day, asked, design)
    if not dry_run:
        for sample in plan.samples:
            samples.write(storage, sample)
    actual = None if dry_run else sum(len(DrawnItems(storage, sample).read_all()) for sample in plan.samples)
    return Outcome(document=make_document(plan, actual), text=describe(plan, actual))


def _plan(storage: Storage, settings: Settings, model: str, by_day: dict[str, dict[samples.Cell, int]], asked: Open | None,
          design: Design) -> Plan:
    """Plans by the newest decision on the live version and the counts of the newest evaluation."""
    newest = Registry(storage, model).newest()
    live = newest.state.live if newest else None
    damaged: list[str] = []
    decision = find_verdict(storage, model, list_answering(newest.state if newest else None), damaged)
    for text in damaged:
        log.warning("passed over: %s", text)
    version = decision["version"] if decision else live
    history = read_history(storage, model, design.role)
    return make_plan(by_day, history, version, asked or choose_question(decision), settings.gates, design, model)


def make_document(plan: Plan, actual: int | None) -> dict[str, Any]:
    """Makes the document of `--json`; `actual` is null of a plan that was not drawn."""
    newest = plan.samples[-1]
    rows = _list_cells(plan)
    return {"model": newest.model, "days": [sample.day for sample in plan.samples], "role": newest.role,
            "strategy": newest.strategy, "towards": plan.question.towards.text, "gate": plan.question.gate,
            "why": plan.question.why, "estimate": plan.estimate, "salt": newest.salt, "budget": plan.design.items,
            "predictions": sum(plan.cells.values()), "expected": plan.expected, "actual": actual, "floor": newest.floor,
            "earlier_labels": plan.rates.labels, "kish": plan.kish, "labels_per_label_of_a_random_audit": dict(plan.relative),
            "cells": rows[:LISTED], "cells_omitted": max(len(rows) - LISTED, 0)}


def _list_cells(plan: Plan) -> list[dict[str, Any]]:
    """Lists the cells, those first that most is asked of."""
    table = plan.samples[-1].table()
    rows = [{"predicted": cell.predicted, "bin": cell.bin, "predictions": n, "p": table[cell],
             "expected": n * table[cell], "assumed_right": right}
            for cell, n, right in zip(plan.rates.cells, map(int, plan.rates.n), plan.rates.right.tolist(), strict=True)]
    return sorted(rows, key=lambda row: (-row["expected"], row["predicted"], -1 if row["bin"] is None else row["bin"]))


def describe(plan: Plan, actual: int | None) -> str:
    """Describes the plan for a person: what it is for, how many are asked, what it gains, and the cells that most is asked of."""
    newest, days = plan.samples[-1], [sample.day for sample in plan.samples]
    drawn = "drawn nothing" if actual is None else f"drawn {write_count(actual, 'item')}"
    rows = [(row["predicted"], _name_bin(row["bin"]), f"{row['predictions']:,}", write_percent(row["p"], 1),
             f"{row['expected']:.1f}", write_percent(row["assumed_right"], 1)) for row in _list_cells(plan)[:SHOWN]]
    more = len(plan.cells) - SHOWN
    lines = [f"Planned audit of {newest.model} on {days[0]}{f' to {days[-1]}' if len(days) > 1 else ''}, toward "
             f"{plan.question.towards.text} (gate {plan.question.gate.replace('_', ' ')}; {plan.question.why}).",
             f"Expected {plan.expected:.0f} of {write_count(sum(plan.cells.values()), 'prediction')}, {drawn}; every cell has "
             f"a probability of at least {newest.floor:g}. It rests on {write_count(plan.rates.labels, 'earlier label')}.",
             *_describe_gain(plan), "",
             align(("predicted", "confidence", "predictions", "p", "asked", "assumed right"), rows)]
    lines += [f"and {write_count(more, 'cell')} more"] if more > 0 else []
    if actual is not None:
        of = "" if newest.population == "live" else f"&of={newest.population}"
        lines += ["", f"People answer it at /audit?model={quote(newest.model, safe='')}&day={newest.day}{of}."]
    return "\n".join(lines)


def _describe_gain(plan: Plan) -> list[str]:
    """Says what the plan saves with each estimate; the first line is of the one that gates use."""
    order = sorted(plan.relative, key=lambda kind: kind != plan.estimate)
    lines = []
    for kind in order:
        share = plan.relative[kind]
        if share is None or (kind == "combined" and plan.question.towards.kind not in ("overall", "precision")):
            continue
        gain = f"needs {write_percent(share)} of a random audit's labels"
        by = f"what the gate uses, {BY[kind]}," if kind == plan.estimate else BY[kind]
        lines.append(f"With {by} it {gain if share < ENOUGH_GAIN else 'gains nothing over a random audit'}.")
    return lines


def _name_bin(k: int | None) -> str:
    return NOTHING if k is None else f"{write_bound(EDGES[k])} to {write_bound(EDGES[k + 1])}"
