"""Where everything lies in the bucket: every key comes from here (docs/design.md#the-bucket)."""

from urllib.parse import quote, unquote

from contract.errors import UsageError

PREDICTIONS, LABELS = "predictions", "labels"


def name(text: str) -> str:
    """A model's name as one folder name: percent-encoded, so that '/' or a space in it cannot move anything."""
    if not text or text in (".", ".."):
        raise UsageError(f"expected the name of a model, got {text!r}.")
    return quote(text, safe="")


def unname(folder: str) -> str:
    """The inverse of `name`."""
    return unquote(folder)


def day_folder(table: str, day: str) -> str:
    """`predictions/dt=2026-11-20/`."""
    return f"{table}/dt={day}/"


def holds_rows(key: str) -> bool:
    """Whether an object below a day's folder is data: it lies in that folder itself, not deeper, and its name begins
    with neither `_` nor `.` (docs/design.md#prediction-rows)."""
    return key.count("/") == 2 and not key.rpartition("/")[2].startswith(("_", "."))


def row_file(table: str, day: str, writer: str, first: int, last: int) -> str:
    """A file of rows: named by who wrote it and the outbox sequence numbers it holds."""
    return f"{table}/dt={day}/{writer}-{first:012d}-{last:012d}.parquet"


def image(sha256: str, extension: str) -> str:
    """`images/ab/abcdef….jpg`."""
    return f"images/{sha256[:2]}/{sha256}.{extension}"


def samples(model: str) -> str:
    """The folder of a model's samples, one folder `dt=<day>` below it for each day that has any."""
    return f"samples/{name(model)}/"


def sample(model: str, day: str, kind: str) -> str:
    """The folder of a day's sample of one kind (audit or review)."""
    return f"samples/{name(model)}/dt={day}/{kind}/"


def scoring(model: str, version: str) -> str:
    """The folder of a version's batch scoring: `items-<hash>.parquet` beside the plans (contract.sequence)."""
    return f"scoring/{name(model)}/{version}/"


def counts(model: str, day: str, inputs: str = "") -> str:
    """The folder of a day's counts; with `inputs`, of those made from exactly these inputs."""
    folder = f"counts/{name(model)}/dt={day}/"
    return f"{folder}{inputs}/" if inputs else folder


def evaluations(model: str) -> str:
    """The folder of all evaluations of a model."""
    return f"evaluations/{name(model)}/"


def evaluation(model: str, evaluation_id: str) -> str:
    """The folder of one evaluation, `<as_of>-<8 hex>`."""
    return f"{evaluations(model)}{evaluation_id}/"


def report_index(model: str) -> str:
    """The page that lists all reports of a model."""
    return f"{evaluations(model)}index.html"


def sql_table(table: str, model: str, evaluation_id: str) -> str:
    """A table of one evaluation where SQL engines look for partitions."""
    return f"tables/{table}/model={name(model)}/evaluation={evaluation_id}/rows.parquet"


def dataset(dataset_id: str) -> str:
    """The folder of a dataset."""
    return f"datasets/{dataset_id}/"


def manifest(dataset_id: str) -> str:
    """The document that makes a dataset exist."""
    return f"{dataset(dataset_id)}manifest.json"


def versions(model: str) -> str:
    """The folder of a model's versions."""
    return f"models/{name(model)}/versions/"


def version(model: str, number: str) -> str:
    """The folder of one version."""
    return f"{versions(model)}{number}/"


def claim(model: str) -> str:
    """The pattern of the version claims (contract.sequence)."""
    return f"{versions(model)}{{}}/claim.json"


def history(model: str) -> str:
    """The pattern of the history records (contract.sequence)."""
    return f"models/{name(model)}/history/{{:08d}}.json"


def live(model: str) -> str:
    """A copy of the newest history record's state, for people and other programs."""
    return f"models/{name(model)}/live.json"


def probe(model: str) -> str:
    """Written twice before the first write of the registry: a store must refuse the second, exclusive one."""
    return f"models/{name(model)}/probe.json"


def runs(model: str) -> str:
    """The pattern of the runs (contract.sequence)."""
    return f"runs/{name(model)}/{{}}/run.json"


def run(model: str, n: int) -> str:
    """The folder of one run."""
    return f"runs/{name(model)}/{n}/"


def key(key_id: str) -> str:
    """The document of one API key."""
    return f"keys/{key_id}.json"


def erasure(sha256: str) -> str:
    """The document of one erased image."""
    return f"erasures/{sha256}.json"


def step(model: str, digest: str) -> str:
    """The pattern of the attempts at one stage on a cluster (contract.sequence); answers lie beside the requests."""
    return f"runs/{name(model)}/steps/{digest}/{{}}/request.json"


def package(file: str = "") -> str:
    """What clusters unpack: files named by their content."""
    return f"packages/{file}"


def logs() -> str:
    """The folder that EMR writes the logs of clusters to."""
    return "logs/emr/"
