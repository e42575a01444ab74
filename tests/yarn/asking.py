"""What RunJobFlow is asked for one stage, by the smallest settings that use two nodes."""

from command.load_settings import load
from contract.storage import open_root
from emr import job, package
from emr.needs import find_need
from emr.requests import add_attempt
from tests import tiny_root

SETTINGS = {"emr.subnets": '["subnet-1"]', "emr.here_bytes": 0, "emr.gpu_types": "[]", "emr.executor_cores": 2,
            "emr.executor_gib": 2, "train.epochs": 6, "train.batch": 4, "train.checkpoint_steps": 2, "train.threads": 1,
            "train.ranks": 2, "dataset.files": 2, "gates.max_drop": 0.99, "gates.max_class_drop": 0.99,
            "gates.min_held_out": 1}
WINDOW = ["--model", tiny_root.MODEL, "--from", tiny_root.DAY, "--to", tiny_root.DAY, "--as-of", "2026-11-22T00:00:00Z"]


def settings_of(root, **more):
    sets = [f"{name}={value}" for name, value in (SETTINGS | more).items()]
    return load(root=root, model=tiny_root.MODEL, env={}, overrides=sets)


def ask(root, stage, *argv, **more):
    """The request for a cluster, as the runner writes it: (its attempt, RunJobFlow's arguments)."""
    storage = open_root(root)
    settings = settings_of(root, **more)
    asked = job.make_request(stage, argv, settings.model_dump(mode="json", exclude={"root"}))
    attempt = add_attempt(storage, tiny_root.MODEL, asked)
    environment = find_need(stage, settings.emr).environment
    cluster = job.make_cluster(storage, asked, attempt, package.publish_package(storage, environment))
    return attempt, cluster.to_request()


def words(settings):
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
