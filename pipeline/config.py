"""Prints every setting, its value, and where it came from: default, file, environment or option.

    trueup config [--json]      (python -m pipeline.config)
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from command.command import Outcome, run, stage_command
from command.load_settings import ENV_PREFIX
from command.terminal import aligned
from contract.settings import Settings


@stage_command("config")
def command(settings: Settings) -> Outcome:
    """Print every setting and where its value came from."""
    rows = list(entries(settings))
    table = aligned(("setting", "value", "from", "meaning"),
                    [(r["setting"], str(r["value"]), r["from"], r["meaning"]) for r in rows])
    said = (f"{table}\n\ntrain.epochs is `train: {{epochs: 3}}` in trueup.yaml, {ENV_PREFIX}TRAIN_EPOCHS=3, "
            f"or --set train.epochs=3.")
    return Outcome(document={"settings": rows}, text=said)


def entries(settings: BaseModel, prefix: str = "", origins: dict[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """One entry a setting, in the order in which they are defined."""
    origins = settings.origins if origins is None else origins
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from entries(value, f"{prefix}{name}.", origins)
        elif not field.exclude:
            yield {"setting": prefix + name, "value": value, "from": origins.get(prefix + name, "default"),
                   "meaning": field.description or ""}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv, prog_name="trueup config")


if __name__ == "__main__":
    sys.exit(main())
