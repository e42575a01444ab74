"""What each stage needs of a cluster, as data: its environment, how it is started, its nodes.

Every stage that runs on a cluster has one of its own, which ends with the stage: its nodes then have that stage's role
and no other, and no GPU waits while Spark builds a dataset (docs/decisions/0008-emr.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from contract.errors import UsageError
from contract.settings import EmrSettings, TrainSettings, TuneSettings

# Environments: what is unpacked on every node. Only TRAIN has torch, which brings 2.5 GiB of CUDA.
COUNT, DATASET, TRAIN = ENVIRONMENTS = "count", "dataset", "train"
SPARK, MAPREDUCE = "spark", "mapreduce"


@dataclass(frozen=True)
class Need:
    """One stage on a cluster.

    `arguments` are added to the stage's own, `sets` are settings of its place that go before the run's. `barrier` means
    tasks that start together and cannot be replaced one by one: a fixed number of nodes, none of them spot. `workers` is
    False for a stage that is one process. `role`: the stage whose role its nodes have, where it has none of its own.
    """

    stage: str
    module: str
    environment: str
    arguments: tuple[str, ...] = ()
    sets: tuple[tuple[str, str, str], ...] = ()  # section, name, value
    engine: str = SPARK
    workers: bool = True
    barrier: bool = False
    role: str = ""


NEEDS = {
    "evaluate": Need("evaluate", "jobs.evaluate", COUNT),
    "dataset": Need("dataset", "jobs.dataset", DATASET),
    "train": Need("train", "training.train", TRAIN, sets=(("train", "launcher", "spark"),), barrier=True),
    "assess": Need("assess", "training.assess", TRAIN, workers=False),
    "score": Need("score", "jobs.score_images", TRAIN),
    "replay": Need("replay", "jobs.replaying.command", TRAIN, arguments=("--engine", SPARK)),
    # Trials need no barrier, but what is trained from the best of them does; each wants a node, and a GPU, for itself.
    "tune": Need("tune", "training.tune", TRAIN, arguments=("--launcher", SPARK), sets=(("train", "launcher", SPARK),),
                 barrier=True, role="train"),
}
TURN = ("evaluate", "dataset", "train", "assess")  # the stages of a cycle
BY_HAND = ("score", "replay", "tune")
ENGINES = {SPARK: ("--engine", "spark"), MAPREDUCE: ("--engine", "mapreduce", "--runner", "hadoop")}


def find_need(stage: str, settings: EmrSettings) -> Need:
    """Finds what a stage needs under these settings; UsageError when it has no place on a cluster."""
    if stage not in NEEDS:
        raise UsageError(f"stage {stage!r}: expected one that runs on a cluster: {', '.join(NEEDS)}.")
    need = NEEDS[stage]
    if stage == "replay" and not settings.replay:
        raise UsageError("stage replay: expected emr.replay: true, and a stack that was deployed with it, whose role its nodes "
                         "have; got false. Set it and run `trueup emr deploy`, or replay on this machine: trueup replay.")
    if stage != "evaluate":
        return need
    return replace(need, arguments=ENGINES[settings.engine], engine=settings.engine)


CLUSTERS, SERVERLESS = "clusters", "serverless"  # emr.compute
# Stages that stay on a cluster whatever emr.compute says.
NOT_ON_SERVERLESS = {
    "train": "EMR Serverless has no GPUs, and its workers come and go: ranks that train together get a cluster",
    "assess": "one process that starts a service and times its answers: it gets a node of the kind that trained",
    "tune": "its trials are trainings: each worker gets a node of the kind that trains",
}
NO_MAPREDUCE = "EMR Serverless runs Spark and no Hadoop streaming: counting as MapReduce gets a cluster"


def explain_cluster(need: Need) -> str | None:
    """Says why EMR Serverless cannot run the stage; None when it can."""
    return NO_MAPREDUCE if need.engine == MAPREDUCE else NOT_ON_SERVERLESS.get(need.stage)


def runs_on_serverless(need: Need, settings: EmrSettings) -> bool:
    """Tells whether the stage runs on EMR Serverless under these settings."""
    return settings.compute == SERVERLESS and explain_cluster(need) is None


@dataclass(frozen=True)
class Nodes:
    """The nodes of a cluster: instance types by role, how many on demand, how many spot at the most."""

    primary: tuple[str, ...]
    core: tuple[str, ...] = ()
    core_nodes: int = 0
    spot_nodes: int = 0
    gpu: bool = False


def choose_nodes(need: Need, settings: EmrSettings, ranks: int) -> Nodes:
    """Chooses a stage's nodes; one with a barrier has `ranks` core nodes, one for each rank (see count_ranks)."""
    primary = tuple(settings.primary_types)
    if not need.workers:
        return Nodes(tuple(settings.core_types))
    if need.barrier:
        return Nodes(primary, tuple(settings.gpu_types or settings.core_types), ranks, gpu=bool(settings.gpu_types))
    return Nodes(primary, tuple(settings.core_types), settings.core_nodes, settings.spot_nodes)


def count_ranks(stage: str, argv: Sequence[str], settings: Mapping[str, Any]) -> int:
    """Counts the nodes that a stage with a barrier wants: its ranks, of a search its workers side by side, of one that trains
    the best of its trials as many as the larger of both. Its own options (`argv`) go before the run's settings."""
    ranks = _read_count(argv, "--ranks", settings, "train", "ranks", TrainSettings().ranks)
    if stage != "tune":
        return ranks
    workers = _read_count(argv, "--parallel", settings, "tune", "parallel", TuneSettings().parallel)
    return max(ranks, workers) if "--train" in argv else workers


def _read_count(argv: Sequence[str], option: str, settings: Mapping[str, Any], section: str, name: str, default: int) -> int:
    """Reads a number from an option, `--name 3` or `--name=3`, the last one of several; else from `--set section.name=3` beside
    it; else from a section. What is no number is left for the stage to refuse."""
    words = [(word.partition("="), after) for word, after in pairwise([*argv, ""])]
    told = [(of, value if mark else after) for (of, mark, value), after in words]
    of_set = f"{section}.{name}="
    found = [str(settings.get(section, {}).get(name, default)),
             *(value.removeprefix(of_set) for of, value in told if of == "--set" and value.startswith(of_set)),
             *(value for of, value in told if of == option)]
    given = found[-1].strip()
    return int(given) if given.isascii() and given.isdecimal() and int(given) else default
