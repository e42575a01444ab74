"""What is live, the verdict on it, and who is at work.

    trueup status [--model digits] [--json]      (python -m pipeline.status)
"""

from collections.abc import Sequence
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from command.terminal import align, escape
from contract.canary.changes import get_running
from contract.days import prediction_days
from contract.deciding.formats import list_answering
from contract.errors import DamagedDocument
from contract.evaluations import find_other_rules, find_verdict, is_stale, list_known_models, say_stale
from contract.registry import Registry
from contract.rows.models import require_model
from contract.runs import Run, Runs
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from contract.texts.figures import write_count
from metrics.judging.verdicts import STALE, UNDECIDED


@stage_command("status")
@click.option("--model", help="Only this model. [default: all]")
def command(settings: Settings, model: str | None) -> Outcome:
    """Show what is live, the verdict on it, and who is at work."""
    settings = with_options(settings, model=model)
    storage = open_root(settings.need_root())
    there = list_known_models(storage)
    if settings.model and settings.model not in there:
        require_model(storage, settings.model)
    names = [settings.model] if settings.model else there
    days = prediction_days(storage)
    document = {"root": storage.root, "prediction_days": len(days), "newest_prediction_day": days[-1] if days else None,
                "models": [describe_model(storage, name, settings.gates.max_age_days) for name in names]}
    return Outcome(document=document, text=write_text(document))


def describe_model(storage: Storage, model: str, max_age_days: float | None = None) -> dict[str, Any]:
    """Describes one model; null where there is nothing yet. A verdict older than `max_age_days` says nothing of today.

    Documents that cannot be read are passed over and named in `damaged`.
    """
    newest, wrong = Registry(storage, model).newest_known()
    damaged = [wrong] if wrong else []
    live = newest.state.live if newest else None
    decision = find_verdict(storage, model, list_answering(newest.state if newest else None), damaged)
    try:
        run_ = _describe_run(Runs(storage, model).newest())
    except DamagedDocument as error:
        run_ = None
        damaged.append(str(error))
    canary = get_running(newest.state) if newest else None
    return {"model": model, "live": live, "changed": newest.at if newest else None,
            "canary": canary and {"version": canary.version, "share": canary.share, "since": canary.started_at,
                                  "sentence": f"{canary.describe()}, since {canary.started_at[:19]}Z"},
            "decision": decision and describe_verdict(decision, max_age_days), "run": run_, "damaged": damaged,
            "other_rules": None if decision else find_other_rules(storage, model)}


def _describe_run(last: Run | None) -> dict[str, Any] | None:
    if last is None:
        return None
    end = last.end()
    held = None if end else last.holder()
    return {"run": last.key, "window": last.plan.window, "status": end.status if end else "open",
            "holder": held and held[1].to_dict()}


def describe_verdict(decision: dict[str, Any], max_age_days: float | None = None) -> dict[str, Any]:
    """Describes a decision: of which version, evaluation and window it is, and what it rests on."""
    accuracy: dict[str, Any] = next((gate for gate in decision["gates"] if gate["gate"] == "accuracy"), {})
    found = {name: decision.get(name) for name in ("evaluation", "version", "window", "as_of", "verdict", "reasons", "sentence")}
    found |= {"origin": accuracy.get("origin"), "labels": accuracy.get("n")}
    if not is_stale(decision, max_age_days):
        return found
    return found | {"verdict": UNDECIDED, "reasons": [STALE], "sentence": say_stale(decision)}


def write_text(document: dict[str, Any]) -> str:
    """Writes one line a model, then the verdicts in words."""
    rows = [(m["model"], m["live"] or "-", (m["decision"] or {}).get("verdict", "-"),
             f"{m['run']['run']} {m['run']['status']}" if m["run"] else "-", _describe_holder(m["run"]))
            for m in document["models"]]
    sentences = [f"{m['model']}: {m['decision']['sentence']}" for m in document["models"] if m["decision"]]
    sentences += [f"{m['model']}: canary: {m['canary']['sentence']}" for m in document["models"] if m["canary"]]
    sentences += [f"{m['model']}: no verdict by today's rules: {m['other_rules']}" for m in document["models"]
                  if m["other_rules"]]
    damaged = [f"{m['model']}: cannot be read: {text}" for m in document["models"] for text in m["damaged"]]
    days = write_count(document["prediction_days"], "prediction day")
    head = f"{document['root']}: {days}, newest {document['newest_prediction_day'] or '-'}"
    return "\n".join([escape(head), "", align(("model", "live", "verdict", "run", "held by"), rows),
                      *([""] if sentences or damaged else []), *map(escape, sentences + damaged)])


def _describe_holder(run_: dict[str, Any] | None) -> str:
    holder = run_ and run_["holder"]
    return f"{holder['host']} process {holder['pid']} since {holder['since'][:19]}Z" if holder else "-"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv, prog_name="trueup status")


if __name__ == "__main__":
    end_with(main)
