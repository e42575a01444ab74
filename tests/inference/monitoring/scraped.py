"""What a small service exposes at /metrics: one that answered a prediction, over a root with evaluations."""

from collections import defaultdict

from prometheus_client.parser import text_string_to_metric_families

from contract import clock
from contract.policy import GatePolicy
from contract.settings import Settings
from contract.storage import open_root
from inference.app import create_app
from inference.auth import NoAuth
from inference.outbox.outbox import Outbox
from inference.service import Service
from tests.inference.overview.years import write_history
from tests.inference.small_service import CLASSES, MODEL, publish


def make_app(folder, **history):
    """The application of such a service; nothing of it runs but what a request starts."""
    storage = open_root(str(folder / "root"), create=True)
    publish(storage, folder)
    write_history(storage, 7, **history)
    settings = Settings(gates=GatePolicy(max_age_days=36_500))  # the history ends on a day of its own, whenever this runs
    service = Service(storage, settings, Outbox(folder / "outbox", storage.root, 1 << 30), [MODEL])
    answer = {"prediction_id": "x", "model": MODEL, "model_version": "1",
              "predictions": [{"label": CLASSES[0], "probability": 0.9}]}
    service._count_answer(answer, clock.monotonic(), CLASSES)
    metrics = service.metrics
    for stage in ("decode", "wait", "compute", "outbox"):
        metrics.seconds.labels(stage).observe(0.01)
    for outcome in ("taken", "refused"):
        metrics.swaps.labels(MODEL, outcome)
    metrics.canary_share.labels(MODEL).set(0.05)
    for outcome in ("answered", "error"):
        metrics.canary_answers.labels(MODEL, "2", outcome).inc()
    metrics.labels.labels("audit").inc()
    metrics.shipped.labels("predictions").inc()
    metrics.version.labels(MODEL).set(1)
    metrics.beside.labels(MODEL, "2", "shadow").inc()
    metrics.shadow_shed.labels(MODEL, "queue").inc()
    metrics.batch.observe(1)
    service.watch.look()
    return create_app(service, NoAuth())


def read_series(text: str) -> dict[str, dict[str, set[str]]]:
    """Name of each series -> its labels, each with its values."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name]  # also one without labels
            for label, value in sample.labels.items():
                found[sample.name][label].add(value)
    return found
