"""Prints every setting, its value, and where it came from: default, file, environment or option.

    trueup config [--json]      (python -m pipeline.config)
"""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from command.command import Outcome, run, stage_command
from command.load_settings import ENV_PREFIX
from command.process import end_with
from command.terminal import align
from contract.settings import Settings


@stage_command("config")
def command(settings: Settings) -> Outcome:
    """Print every setting and where its value came from."""
    rows = list(list_entries(settings))
    table = align(("setting", "value", "from", "meaning"),
                  [(r["setting"], str(r["value"]), r["from"], r["meaning"]) for r in rows])
    text = (f"{table}\n\ntrain.epochs is `train: {{epochs: 3}}` in trueup.yaml, {ENV_PREFIX}TRAIN_EPOCHS=3, "
            f"or --set train.epochs=3.")
    return Outcome(document={"settings": rows}, text=text)


def list_entries(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yields one entry a setting, in the order in which they are defined."""
    return _list_entries(settings, "", settings.origins)


def _list_entries(settings: BaseModel, prefix: str, origins: dict[str, str]) -> Iterator[dict[str, Any]]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _list_entries(value, f"{prefix}{name}.", origins)
        elif not field.exclude:
            plain = settings.model_dump(include={name})[name]  # a list of targets is one of documents
            yield {"setting": prefix + name, "value": plain, "from": origins.get(prefix + name, "default"),
                   "meaning": field.description or ""}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv, prog_name="trueup config")


if __name__ == "__main__":
    end_with(main)
