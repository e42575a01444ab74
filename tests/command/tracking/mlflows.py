"""An MLflow of a test's own: a database in a folder, as one that was made once (its tables take seconds)."""

import shutil

from command.tracking.mlflow_store import KEY, MlflowStore
from contract.sections.tracking import TrackFields

EXPERIMENT = "try"


def make_template(folder):
    """A database with tables and an experiment, to be copied."""
    path = folder / "mlflow.db"
    MlflowStore(f"sqlite:///{path}", "another").find_run("none")
    return path


class Mlflow:
    """What is in it, asked by MLflow's own client."""

    def __init__(self, template, folder):
        from mlflow import MlflowClient

        folder.mkdir(exist_ok=True)
        self.address = f"sqlite:///{shutil.copy(template, folder / 'mlflow.db')}"
        self.client = MlflowClient(self.address, self.address)
        self.track = TrackFields(mlflow=self.address, experiment=EXPERIMENT, seconds=300)

    def store(self):
        return MlflowStore(self.address, EXPERIMENT)

    def runs(self, key=None):
        found = self.client.get_experiment_by_name(EXPERIMENT)
        runs = self.client.search_runs([found.experiment_id]) if found else []
        return [run for run in runs if key is None or run.data.tags[KEY] == key]

    def points(self, run, name):
        """(step, value) of each point of a metric, in order."""
        return sorted((m.step, m.value) for m in self.client.get_metric_history(run.info.run_id, name))

    def artifacts(self, run):
        return sorted(one.path for one in self.client.list_artifacts(run.info.run_id))

    def aliases(self, model):
        """Alias -> our version that it names."""
        found = self.client.get_registered_model(model).aliases
        return {alias: self.client.get_model_version(model, n).tags["trueup.version"] for alias, n in found.items()}
