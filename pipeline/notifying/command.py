"""Sends the messages that are owed: what happened to models, to the targets of the setting `notify:`.

    trueup notify [--model digits] [--dry-run | --test] [--json]      (python -m pipeline.notifying.command)

`cycle` and `gate` send at their end; a schedule that runs this sends what they could not, and tells of a log or a verdict
that is stale because no cycle runs any more. Exit codes: 0 nothing is owed any more, 1 a message was not accepted.
"""

from collections.abc import Sequence
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from command.terminal import escape
from contract import clock
from contract.errors import DONE, ERROR, UsageError
from contract.evaluations import list_known_models
from contract.rows.models import require_model
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from pipeline.notifying.events import Event
from pipeline.notifying.owed import Post, write_failures


@stage_command("notify")
@click.option("--model", help="Only of this model. [default: all]")
@click.option("--dry-run", is_flag=True, help="Print what is owed to whom, send nothing.")
@click.option("--test", "as_test", is_flag=True, help="Send a test message to each target; it is not kept.")
def command(settings: Settings, model: str | None, dry_run: bool, as_test: bool) -> Outcome:
    """Send the messages that are owed to the targets of `notify:`."""
    if dry_run and as_test:
        raise UsageError("--dry-run and --test: expected one of them, got both.")
    settings = with_options(settings, model=model)
    if not settings.notify.targets:
        raise UsageError("expected targets in the setting notify.targets, got none. docs/monitoring.md has an example.")
    storage = open_root(settings.need_root())
    post, models = Post(storage, settings), list_models(storage, settings)
    if dry_run:
        return _describe_owed(post, models)
    if as_test:
        for target in settings.notify.targets:
            post.send(_make_test(), target, note=False)
    else:
        post.send_owed(models)
    document = {"root": storage.root, "sent": post.sent, "failed": post.failed}
    return Outcome(ERROR if post.failed else DONE, document, _write_text(post))


def list_models(storage: Storage, settings: Settings) -> list[str]:
    """Lists the models that are asked about; NoSuchModel when there is none of that name."""
    there = list_known_models(storage)
    if settings.model and settings.model not in there:
        require_model(storage, settings.model)
    return [settings.model] if settings.model else there


def _make_test() -> Event:
    now = clock.iso(clock.now())
    return Event("", "test", now, now, "This is a test message of Trueup: messages arrive here.", {})


def _describe_owed(post: Post, models: list[str]) -> Outcome:
    owed: list[dict[str, Any]] = [{"target": target.name, "event": event.kind, "model": event.model, "at": event.at,
                                   "key": event.make_key(post.storage), "sentence": event.sentence}
                                  for event, target in post.list_owed(models)]
    lines = [f"{o['target']}: {o['event']}: {escape(o['sentence'])}" for o in owed]
    return Outcome(DONE, {"root": post.storage.root, "owed": owed}, "\n".join(lines or ["Nothing is owed."]))


def _write_text(post: Post) -> str:
    lines = [f"sent to {s['target']}: {s['event']}: {escape(s['sentence'])}" for s in post.sent]
    lines += [escape(line) for line in write_failures(post)]
    return "\n".join(lines or ["Nothing is owed."])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv, prog_name="trueup notify")


if __name__ == "__main__":
    end_with(main)
