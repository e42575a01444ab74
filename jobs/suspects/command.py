"""Lists labels of a dataset that are likely wrong, likeliest first: `trueup labels suspects` (docs/suspects.md).

    trueup labels suspects --root ROOT --model M [--dataset ID] [--send N] [--json]
    python -m jobs.suspects.command …

Each picture is judged out of sample: by the logged answer of a version that did not train on it, else by a head fitted on
other pictures. What is found becomes samples/<model>/suspects/<n>.json. Needs the extra `suspects`. Exit code 0 done, also
when nothing is found; 1 error, 2 wrong usage.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract.documents import manifest
from contract.errors import UsageError
from contract.registry import Registry
from contract.review.send_suspects import send
from contract.review.suspects import list_open, read_said
from contract.rows.models import require_model
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from jobs.suspects.make import find_suspects
from jobs.suspects.text import make_document, write_text


@stage_command("labels suspects")
@click.option("--model", help="Name of the model. [env: TRUEUP_MODEL]")
@click.option("--dataset", help="Whose labels are looked at. [default: the live version's]")
@click.option("--send", "most", type=click.IntRange(0, 10_000), default=0, show_default=True,
              help="Ask people about so many of those that are open, blind, the likeliest mistakes first.")
def command(settings: Settings, model: str | None, dataset: str | None, most: int) -> Outcome:
    """List labels of a dataset that are likely wrong, by answers of versions that did not train on the picture."""
    settings = with_options(settings, model=model)
    storage, name = open_root(settings.need_root()), settings.need_model()
    require_model(storage, name)
    made = manifest.load(storage, dataset or find_dataset(storage, name))
    if made.model != name:
        raise UsageError(f"dataset {made.dataset} is of the model {made.model!r}, expected one of {name!r}.")
    found = find_suspects(storage, name, made)
    said = read_said(storage, found.suspects, settings.gates.trusted_origins)
    sent = send(storage, name, [one for one in list_open(found.suspects, said) if one.pair not in said],
                settings.serve.label_days, "labels suspects", most) if most else None
    return Outcome(document=make_document(found, said, sent), text=lambda: write_text(found, said, sent))


def find_dataset(storage: Storage, model: str) -> str:
    """The dataset of the live version. UsageError: it has none. NoSuchModel: nothing is live."""
    registry = Registry(storage, model)
    card = registry.card(registry.live())
    if card.dataset is None:
        raise UsageError(f"version {card.version} of {model!r} names no dataset. Name one with --dataset; make one: trueup "
                         f"dataset.")
    return card.dataset


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup labels suspects`."""
    return run(command, argv, prog_name="trueup labels suspects")


if __name__ == "__main__":
    end_with(main)
