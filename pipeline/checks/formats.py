"""What `trueup doctor` says of versions that are not computed in plain float32: whether this machine is slower with them."""

from importlib.util import find_spec

from contract.deciding.formats import list_formats
from contract.documents.card import Card
from contract.registry import Registry, models
from contract.settings import Settings
from pipeline.checks.machine import ABSENT, OK, find_root
from pipeline.running import stages
from pipeline.running.local import ProcessRunner

SLOW = "slow"  # it works, and something else would be faster
PLAIN = ("torch", "float32")


def check_formats(settings: Settings) -> tuple[str, str]:
    """Times the live version of each model in a process of its own, and the formats that may answer in its place.

    Nothing is loaded where all are float32 as torch runs it.
    """
    storage = find_root(settings)
    if storage is None:
        return ABSENT, "no root that can be read"
    to_time = {name: found for name in models(storage) if (found := _list_versions(Registry(storage, name), settings))}
    if not to_time:
        return OK, "all that is live is computed in float32 by torch"
    if find_spec("torch") is None:
        return ABSENT, "torch is not installed: this machine serves nothing"
    rows = [row | {"model": name} for name, versions in to_time.items() for row in _time(settings, storage.root, name, versions)]
    said = "; ".join(_write(row) for row in rows)
    return (SLOW if any(row["slower_than_float32"] for row in rows) else OK), said


def _list_versions(registry: Registry, settings: Settings) -> list[str]:
    newest, _ = registry.newest_known()
    if newest is None or newest.state.live is None:
        return []
    others = list_formats(newest.state) if settings.serve.formats == "fastest" else []
    return [version for version in (newest.state.live, *others) if _is_other(registry.card(version))]


def _is_other(card: Card) -> bool:
    return (card.runtime, card.number_format) != PLAIN


def _time(settings: Settings, root: str, model: str, versions: list[str]) -> list[dict]:
    argv = ["--root", root, *stages.SPEED.fill_arguments({"model": model})]
    argv += [part for version in versions for part in ("--version", version)]
    answer = ProcessRunner().run(stages.SPEED, argv, settings.dump_for_stages())
    return answer.document["versions"]


def _write(row: dict) -> str:
    slower = ", slower than float32: " if row["slower_than_float32"] else ": "
    return (f"{row['model']} version {row['version']} ({row['number_format']}, {row['runtime']}){slower}{row['batch']} pictures "
            f"in {row['ms']} ms, in float32 {row['float32_ms']} ms")
