"""What the service tells its operators: log lines on stderr, and Prometheus metrics at /metrics."""

import json
import logging
import sys
from contextvars import ContextVar
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from command.log_lines import HumanLines, wants_colours
from contract import clock
from inference.monitoring.predicted import PredictedMetrics

LOGGER = logging.getLogger("trueup")
# The prediction that the request under way is about: every line that is logged for it carries its id.
PREDICTION_ID: ContextVar[str | None] = ContextVar("prediction_id", default=None)
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class JsonLines(logging.Formatter):
    """One JSON object per line: at, level, event, the prediction that it is about, then the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"at": clock.iso(clock.now()), "level": record.levelname.lower(), "event": record.getMessage()}
        if (about := PREDICTION_ID.get()) is not None:
            line["prediction_id"] = about
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log_to_stderr(as_text: bool = False) -> None:
    """Turns everything that this process logs into lines on stderr: JSON, or `as_text` for a person."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(HumanLines(wants_colours(sys.stderr)) if as_text else JsonLines())
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING if as_text else logging.INFO)  # we say the same in words
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.captureWarnings(True)


def log_event(name: str, level: int = logging.INFO, **fields: Any) -> None:
    """Logs one event by its name, with `fields` that JSON can hold (others become text)."""
    LOGGER.log(level, name, extra={"fields": fields})


class Metrics:
    """The service's metrics, in a registry of their own, so that two services in one process do not share them."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("trueup_requests", "Answered requests.", ["path", "status"], registry=registry)
        self.seconds = Histogram("trueup_stage_seconds", "Time by stage: fetch, decode, wait, compute, outbox, total.",
                                 ["stage"], buckets=STAGE_BUCKETS, registry=registry)
        self.batch = Histogram("trueup_batch_size", "Images in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64, 128),
                               registry=registry)
        self.active = Gauge("trueup_predictions_active", "Predictions accepted and not yet answered.", registry=registry)
        self.fetches = Counter("trueup_fetches", "Pictures asked for by URL: taken or refused.", ["outcome"], registry=registry)
        for outcome in ("taken", "refused"):
            self.fetches.labels(outcome)  # 0 until the first
        self.redactions = Counter("trueup_redactions_failed", "Pictures refused because they could not be redacted.",
                                  registry=registry)
        self.predictions = Counter("trueup_predictions", "Predictions made durable.", ["model", "version"],
                                   registry=registry)
        self.predicted = PredictedMetrics(registry)
        self.beside = Counter("trueup_beside_rows", "Rows of a shadow made durable, beside those of the live version.",
                              ["model", "version", "role"], registry=registry)
        self.shadow_shed = Counter("trueup_shadow_shed", "Answers without a row of the shadow: too many waited (queue), the "
                                   "outbox had no room (outbox), it could not be computed (failed).", ["model", "why"],
                                   registry=registry)
        self.labels = Counter("trueup_labels", "Labels made durable.", ["origin"], registry=registry)
        self.version = Gauge("trueup_live_version", "The version that answers.", ["model"], registry=registry)
        self.swaps = Counter("trueup_swaps", "Versions taken over or refused.", ["model", "outcome"], registry=registry)
        self.canary_answers = Counter("trueup_canary_answers", "Predictions that were a canary's: answered, or error where the "
                                      "live version answered instead.", ["model", "version", "outcome"], registry=registry)
        self.canary_share = Gauge("trueup_canary_share", "Share of the predictions that a canary answers.", ["model"],
                                  registry=registry)
        self.outbox_rows = Gauge("trueup_outbox_rows", "Rows not yet in the bucket.", registry=registry)
        self.outbox_bytes = Gauge("trueup_outbox_bytes", "Bytes not yet in the bucket, with images.", registry=registry)
        self.outbox_age = Gauge("trueup_outbox_age_seconds", "Age of the oldest row not yet in the bucket.",
                                registry=registry)
        self.store_reachable = Gauge("trueup_store_reachable", "1 while the store answers as it should, else 0.",
                                     registry=registry)
        self.keys_age = Gauge("trueup_keys_age_seconds", "Time since the store last said which keys there are.",
                              registry=registry)
        self.shipped = Counter("trueup_shipped_rows", "Rows written to the bucket.", ["table"], registry=registry)
        self.failures = Counter("trueup_ship_failures", "Rounds of the shipper that failed.", registry=registry)
