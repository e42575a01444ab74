"""What goes by age, at the end of a turn: where `retention:` is set, `trueup expire` runs as the last stage."""

from typing import Any

from contract.settings import Settings
from contract.stores.store import Storage
from pipeline.running.local import Runner, StageFailed, StageKilled
from pipeline.running.stages import EXPIRE


def is_set(settings: Settings) -> bool:
    """Whether anything goes by age."""
    return settings.retention.pictures_days is not None or settings.retention.rows_days is not None


def expire(storage: Storage, settings: Settings, runner: Runner) -> tuple[dict[str, Any], str | None]:
    """Runs the stage, here whatever the turn ran on; returns its document, and what went wrong (None: nothing).

    The turn is over, and its end stands: what is old waits for the next one.
    """
    here: Runner = getattr(runner, "here", runner)
    made = settings.dump_for_stages()
    try:
        document = here.run(EXPIRE, EXPIRE.fill_arguments({"root": storage.root}), made).document
    except (StageFailed, StageKilled) as error:
        return {"error": str(error)}, str(error)
    stays = "; ".join(f"{day}: {why}" for day, why in document.get("stays", {}).items())
    return document, document.get("error", {}).get("message") or stays or None
