"""What is said to MLflow, and the only file that imports it.

Everything can be said again: a run is found by its key, and what it has already is not logged twice. So a command that was
killed, or could not reach the server, leaves nothing that the next one does not put right. Methods raise whatever MLflow,
`requests` or a database raise; command/tracking/tracking.py makes a warning of it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract import clock

if TYPE_CHECKING:
    from mlflow.entities import Experiment
    from mlflow.entities.model_registry import ModelVersion

KEY = "trueup.key"  # tag of a run: which training of which root it is
VERSION = "trueup.version"  # tag of a model version: our number
ROOT = "trueup.root"  # tag of a registered model: which root it is of
RUNNING, FINISHED, FAILED = "RUNNING", "FINISHED", "FAILED"  # MLflow's words
PARAMETER_LENGTH = 500  # older servers refuse longer ones
# Unless the user says otherwise: MLflow tells its makers nothing of us, and gives up long before a command would.
ENVIRONMENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
               "GIT_PYTHON_REFRESH": "quiet"}
SQLITE = "sqlite:///"


class MlflowStore:
    """One MLflow, and one experiment in it."""

    def __init__(self, address: str, experiment: str) -> None:
        """`address`: of a server or a database. ImportError where the package is missing."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        for chatty in ("mlflow", "alembic"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        self._client, self._address, self._experiment = MlflowClient(address, address), address, experiment

    # -- runs -------------------------------------------------------------------------------------------------------

    def find_run(self, key: str) -> str | None:
        """Finds the id of the oldest run of that key; None where there is none."""
        found = self._client.search_runs([self._need_experiment()], f"tags.`{KEY}` = '{key}'", max_results=1,
                                         order_by=["attributes.start_time ASC"])
        return found[0].info.run_id if found else None

    def need_run(self, key: str, name: str, tags: Mapping[str, str]) -> str:
        """Finds the run of that key or makes it; returns its id."""
        return self.find_run(key) or str(self._client.create_run(
            self._need_experiment(), run_name=name, tags={**tags, KEY: key}).info.run_id)

    def log_parameters(self, run: str, parameters: Mapping[str, Any]) -> None:
        """Logs those that the run has not: MLflow never changes one."""
        from mlflow.entities import Param

        there = self._client.get_run(run).data.params
        new = [Param(k, str(v)[:PARAMETER_LENGTH]) for k, v in parameters.items() if k not in there]
        if new:
            self._client.log_batch(run, params=new)

    def log_epochs(self, run: str, epochs: Sequence[Mapping[str, Any]]) -> None:
        """Logs the epochs that the run has not; `epochs`: entries of a card's history, each with `epoch` and `loss`.

        One with another loss is logged, too, and is then the newest of its epoch: other ranks went on from an older checkpoint.
        """
        there = {(metric.step, metric.value) for metric in self._client.get_metric_history(run, "loss")} if epochs else set()
        for entry in epochs:
            if (entry["epoch"], entry["loss"]) not in there:
                self._log_figures(run, flatten_epoch(entry), entry["epoch"])

    def log_figures(self, run: str, figures: Mapping[str, float]) -> None:
        """Logs figures of the run as a whole, but for those that it has."""
        there = self._client.get_run(run).data.metrics
        if new := {k: v for k, v in figures.items() if there.get(k) != v}:
            self._log_figures(run, new, 0)

    def log_texts(self, run: str, texts: Mapping[str, str]) -> None:
        """Logs texts as artifacts, file name -> text; the same again replaces it."""
        for name, text in texts.items():
            self._client.log_text(run, text, name)

    def get_status(self, run: str) -> str:
        """Reads the status: RUNNING, FINISHED or FAILED (or what people set in MLflow)."""
        return str(self._client.get_run(run).info.status)

    def set_status(self, run: str, status: str) -> None:
        """Sets the status; with FINISHED and FAILED also when the run ended."""
        if self.get_status(run) == status:
            return
        if status == RUNNING:
            self._client.update_run(run, status)
        else:
            self._client.set_terminated(run, status)

    def _log_figures(self, run: str, figures: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        at = int(clock.now().timestamp() * 1000)
        self._client.log_batch(run, metrics=[Metric(k, float(v), at, step) for k, v in figures.items()])

    def _need_experiment(self) -> str:
        found: Experiment | None = self._client.get_experiment_by_name(self._experiment)
        if found is None:
            try:
                return str(self._client.create_experiment(self._experiment, artifact_location=_place_artifacts(self._address)))
            except Exception:  # another command may have made it meanwhile
                found = self._client.get_experiment_by_name(self._experiment)
                if found is None:
                    raise
        return str(found.experiment_id)

    # -- registered models ------------------------------------------------------------------------------------------

    def need_model(self, name: str, root: str) -> None:
        """Makes the registered model where there is none. ValueError: it is another root's."""
        found = self._client.search_registered_models(f"name = '{name}'", max_results=1)
        model = found[0] if found else self._client.create_registered_model(name, tags={ROOT: root})
        if model.tags.get(ROOT) != root:
            raise ValueError(f"the registered model {name!r} is not of this root, so it is left alone: rename it there, or name "
                             f"another MLflow in track.mlflow")

    def need_version(self, name: str, version: str, run: str, tags: Mapping[str, str]) -> str:
        """Finds MLflow's number of our version, or registers it from the run."""
        if (found := self._find_version(name, version)) is not None:
            return found
        made: ModelVersion = self._client.create_model_version(
            name, str(self._client.get_run(run).info.artifact_uri), run, tags={**tags, VERSION: version}, await_creation_for=0)
        return str(made.version)

    def set_aliases(self, name: str, wanted: Mapping[str, str | None]) -> None:
        """Sets each alias to MLflow's number of a version, or removes it (None), where it is not so already."""
        there = dict(self._client.get_registered_model(name).aliases)
        for alias, version in wanted.items():
            if there.get(alias) == version:
                continue
            if version is None:
                self._client.delete_registered_model_alias(name, alias)
            else:
                self._client.set_registered_model_alias(name, alias, version)

    def _find_version(self, name: str, version: str) -> str | None:
        found = self._client.search_model_versions(f"name = '{name}' and tags.`{VERSION}` = '{version}'")
        return min((str(one.version) for one in found), key=int, default=None)


def flatten_epoch(entry: Mapping[str, Any]) -> dict[str, float]:
    """Returns the figures of an epoch by name: those of the training rows, and `validation_…`."""
    validation = {f"validation_{k}": v for k, v in (entry.get("validation") or {}).items()}
    return {k: v for k, v in entry.items() if k not in ("epoch", "validation")} | validation


def _place_artifacts(address: str) -> str | None:
    """Returns the address of artifacts beside an SQLite file: MLflow would take the folder that the command was started in."""
    return Path(address.removeprefix(SQLITE)).absolute().with_name("artifacts").as_uri() if address.startswith(SQLITE) else None
