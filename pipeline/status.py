"""What is live, the newest decision, and who is at work.

    trueup status [--model digits] [--json]      (python -m pipeline.status)
"""

import sys
from collections.abc import Sequence
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.terminal import align, escape
from contract import layout
from contract.days import prediction_days
from contract.errors import NotFound
from contract.evaluations import newest
from contract.registry import Registry, models
from contract.runs import Runs
from contract.settings import Settings
from contract.storage import open_root, read_json
from contract.stores.store import Storage


@stage_command("status")
@click.option("--model", help="Only this model. [default: all]")
def command(settings: Settings, model: str | None) -> Outcome:
    """Show what is live, the newest decision, and who is at work."""
    settings = with_options(settings, model=model)
    storage = open_root(settings.need_root())
    names = [settings.model] if settings.model else list_models(storage)
    days = prediction_days(storage)
    document = {"root": storage.root, "prediction_days": len(days), "newest_prediction_day": days[-1] if days else None,
             "models": [describe_model(storage, name) for name in names]}
    return Outcome(document=document, text=write_text(document))


def list_models(storage: Storage) -> list[str]:
    """Lists models that were published or evaluated; foreign ones have evaluations only."""
    evaluated = [layout.decode_name(folder) for folder in storage.folders(layout.all_evaluations())]
    return sorted({*models(storage), *evaluated})


def describe_model(storage: Storage, model: str) -> dict[str, Any]:
    """Describes one model; null where there is nothing yet."""
    newest = Registry(storage, model).newest()
    decision = _read_decision(storage, model)
    last = Runs(storage, model).newest()
    end = last.end() if last else None
    held = last.holder() if last and not end else None
    return {"model": model, "live": newest.state.live if newest else None, "changed": newest.at if newest else None,
            "decision": decision and {k: decision.get(k) for k in ("evaluation", "verdict", "sentence")},
            "run": last and {"run": last.key, "window": last.plan.window, "status": end.status if end else "open",
                             "holder": held and held[1].to_dict()}}


def _read_decision(storage: Storage, model: str) -> dict[str, Any] | None:
    try:
        return read_json(storage, layout.decision(model, newest(storage, model)))
    except NotFound:
        return None


def write_text(document: dict[str, Any]) -> str:
    """Writes one line a model, then the newest decisions in words."""
    rows = [(m["model"], m["live"] or "-", (m["decision"] or {}).get("verdict", "-"),
             f"{m['run']['run']} {m['run']['status']}" if m["run"] else "-", _describe_holder(m["run"]))
            for m in document["models"]]
    sentences = [f"{m['model']}: {m['decision']['sentence']}" for m in document["models"] if m["decision"]]
    head = f"{document['root']}: {document['prediction_days']} prediction days, newest {document['newest_prediction_day'] or '-'}"
    return "\n".join([escape(head), "", align(("model", "live", "verdict", "run", "held by"), rows),
                      *([""] if sentences else []), *map(escape, sentences)])


def _describe_holder(run_: dict[str, Any] | None) -> str:
    holder = run_ and run_["holder"]
    return f"{holder['host']} process {holder['pid']} since {holder['since'][:19]}Z" if holder else "-"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv, prog_name="trueup status")


if __name__ == "__main__":
    sys.exit(main())
