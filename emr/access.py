"""Who may read and write which keys under a root: the least that each role needs, as data.

`*` stands for anything, slashes too, as in IAM. Only the driver publishes, so only it may write a model's history and its
live.json; raw predictions and images are written by scoring and the service alone, rows of replays by replay, labels by the
service alone, people's keys and packages by none. tests/emr/test_access.py runs the stages, records their requests, and holds
this table against them; tests/emr/test_access_service.py does so with the service.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contract import layout
from contract.settings import EmrSettings
from emr.linked_roles import CLEANUP, SPOT, WORKERS
from emr.needs import NOT_ON_SERVERLESS
from emr.template import parts

MODEL = "*"
STEPS = f"runs/{MODEL}/steps/*"
VERSIONS = f"models/{MODEL}/versions/*"
HISTORY = f"models/{MODEL}/history/*"
LIVE = f"models/{MODEL}/live.json"  # where a reader of the history begins to look
CANARIES = f"models/{MODEL}/canaries/*"  # what replicas count; the driver decides by it, and writes the history
SCORING = f"scoring/{MODEL}/*"
PREDICTIONS, LABELS = f"{layout.PREDICTIONS}/*", f"{layout.LABELS}/*"


@dataclass(frozen=True)
class Access:
    """Keys that a role reads, writes and deletes, relative to the root."""

    read: tuple[str, ...]
    write: tuple[str, ...]
    delete: tuple[str, ...] = ()


OF_RUNS = f"runs/{MODEL}/*.json"  # what stages answered; and the documents of steps, so STEPS need not stand beside it
# What nodes do before and beside our code: bootstrap.sh, EMR's upload of logs, the step's request and answer.
UNPACKS = (layout.MARKER, layout.package("*"))
NODE_READS = (*UNPACKS, STEPS)
NODE_WRITES = (f"{layout.logs()}*", f"{STEPS}/answer.json")
COUNTS, EVALUATIONS, DATASETS = f"counts/{MODEL}/*", f"evaluations/{MODEL}/*", "datasets/*"
IMAGES, GOLD, ITEMS = "images/*", f"samples/{MODEL}/gold/known/*", f"{layout.all_items()}*"
LISTED = f"samples/{MODEL}/picked/*.json"  # predictions that people are asked about beside a sample
FITS = f"fits/{MODEL}/*"  # where evaluate.labeler_fit names one
REPLAYS = f"{layout.all_replays()}{MODEL}/*"
REPLAY_WRITES = (f"scoring/{MODEL}/replayed/*", f"{layout.PREDICTIONS}/dt=*/replay*", ITEMS, REPLAYS)
REPEATS = f"samples/{MODEL}/repeats/*"  # contract.documents.repeat
EVALUATE_READS = (PREDICTIONS, LABELS, COUNTS, f"samples/{MODEL}/sample.json", f"models/{MODEL}/versions/*/card.json",
                  HISTORY, LIVE, "datasets/*/manifest.json", FITS, ITEMS)  # items: the report's examples
CLAIMS = f"models/{MODEL}/versions/*/claim.json"
# Beside the items, which evidence has made where there are none; runs: assessments of versions that nobody labelled yet.
EVIDENCE_READS = (REPEATS, GOLD, OF_RUNS, CLAIMS)  # claims: which run made a version
# Where pictures are measured: the pictures themselves, and which of them a dataset trained on. Only on a cluster
# (pipeline/running/emr.py), so that the driver needs no right to look at pictures.
MEASURES, ERASURES = f"{layout.all_measures()}*", f"{layout.erasures()}*"
MEASURE_READS = (IMAGES, MEASURES, ERASURES, "datasets/*/rows.parquet")

# Of a run, of a version that no run asked for, of a search.
CHECKPOINTS = ("runs/*/checkpoints/*", f"models/{MODEL}/checkpoints/*")
TUNINGS = f"models/{MODEL}/tunings/*"

SERVICE, REPLAY = "serve", "replay"
ENDED = layout.api_key("ended-*")
ACCESS = {
    "evaluate": Access((*UNPACKS, *EVALUATE_READS, *EVIDENCE_READS, *MEASURE_READS, EVALUATIONS),
                       (*NODE_WRITES, COUNTS, EVALUATIONS, ITEMS, MEASURES)),
    # Labels that are likely wrong are left out, or people are asked about them (`dataset.suspects`).
    "dataset": Access((*NODE_READS, PREDICTIONS, LABELS, IMAGES, DATASETS, VERSIONS, HISTORY, LIVE, FITS, LISTED,
                       f"samples/{MODEL}/suspects/*"), (*NODE_WRITES, DATASETS, LISTED)),
    # A search for settings runs with it, too, and then reads as an assessment does: with --train it assesses what it trained.
    "train": Access((*UNPACKS, DATASETS, VERSIONS, HISTORY, LIVE, "runs/*/checkpoints/*", TUNINGS, OF_RUNS),
                    (*NODE_WRITES, VERSIONS, "runs/*/checkpoints/*", TUNINGS), CHECKPOINTS),
    # Runs: what earlier assessments found on the first dataset.
    "assess": Access((*UNPACKS, DATASETS, VERSIONS, HISTORY, LIVE, OF_RUNS), NODE_WRITES),
    # Its predictions are rows of role batch, with the pictures that they are of; erased pictures stay away.
    "score": Access((*NODE_READS, VERSIONS, HISTORY, LIVE, SCORING, PREDICTIONS, IMAGES, ERASURES),
                    (*NODE_WRITES, SCORING, PREDICTIONS, IMAGES)),
    # It joins labels with predictions where nobody has, and its rows have names of their own.
    REPLAY: Access((*NODE_READS, VERSIONS, HISTORY, LIVE, *REPLAY_WRITES, PREDICTIONS, LABELS, IMAGES, ERASURES, FITS),
                   (*NODE_WRITES, *REPLAY_WRITES)),
    # The inference service behind a load balancer. Keys are made by people; it makes what signs sessions, and ends those.
    SERVICE: Access((layout.MARKER, "keys/*", VERSIONS, HISTORY, LIVE, PREDICTIONS, LABELS, IMAGES, ERASURES,
                     f"samples/{MODEL}", EVALUATIONS, OF_RUNS, f"models/{MODEL}/proposals/*",
                     "datasets/*/manifest.json", ITEMS, REPLAYS, CANARIES),
                    (PREDICTIONS, LABELS, IMAGES, CANARIES, f"samples/{MODEL}/batch-*.json", f"samples/{MODEL}/answer-*.json",
                     LISTED, ITEMS, f"samples/{MODEL}/gold/judged/*", REPEATS,
                     layout.api_key("session-secret"), ENDED), (ENDED,)),
    "driver": Access((layout.MARKER, layout.package("*.json"), "runs/*", *EVALUATE_READS, REPEATS, GOLD, EVALUATIONS,
                      CLAIMS, f"models/{MODEL}/probe.json", f"{layout.logs()}*", CANARIES),
                     ("runs/*", COUNTS, EVALUATIONS, ITEMS, HISTORY, LIVE, f"models/{MODEL}/probe.json")),
}
STAGES = ("evaluate", "dataset", "train", "assess", "score")


def list_stages(settings: EmrSettings) -> tuple[str, ...]:
    """Lists the stages whose nodes have a role of the stack; that of replays only where it is asked for."""
    return (*STAGES, REPLAY) if settings.replay else STAGES


def split_root(root: str) -> tuple[str, str]:
    """Returns the bucket, and the prefix with its slash (empty for a root that is a whole bucket)."""
    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    return bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""


def make_statements(of: str, root: str, partition: str = "aws") -> list[dict[str, Any]]:
    """Makes the IAM statements of a role on the bucket."""
    access, (bucket, prefix) = ACCESS[of], split_root(root)
    base = f"arn:{partition}:s3:::{bucket}"

    def on(keys: Sequence[str]) -> list[str]:
        return [f"{base}/{prefix}{key}" for key in dict.fromkeys(keys)]

    statements = [_allow("Read", ["s3:GetObject"], on(access.read)), _allow("Write", ["s3:PutObject"], on(access.write)),
                  # Names, not contents. Without it S3 says 403 where it should say 404, and that question has no prefix.
                  _allow("List", ["s3:ListBucket"], [base], {"StringLikeIfExists": {"s3:prefix": [f"{prefix}*"]}})]
    return [*statements, _allow("Delete", ["s3:DeleteObject"], on(access.delete))] if access.delete else statements


def _allow(sid: str, actions: list[str], resources: list[str], condition: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"Sid": sid, **parts.allow(actions, resources, condition)}


def make_picture_statements(places: Sequence[str], partition: str = "aws") -> list[dict[str, Any]]:
    """Allows scoring to read pictures outside the root, under each s3://bucket/prefix."""
    statements = []
    for n, place in enumerate(places, 1):
        bucket, prefix = split_root(place)
        statements += [_allow(f"Pictures{n}", ["s3:GetObject"], [f"arn:{partition}:s3:::{bucket}/{prefix}*"]),
                       _allow(f"ListPictures{n}", ["s3:ListBucket"], [f"arn:{partition}:s3:::{bucket}"],
                              {"StringLike": {"s3:prefix": [f"{prefix}*"]}})]
    return statements


def list_picture_places(settings: EmrSettings) -> list[str]:
    """Lists the places outside the root whose pictures are scored: those of emr.score_from, and that of emr.score_on."""
    return [*settings.score_from, *([settings.score_on] if settings.score_on else [])]


def make_serverless_statements(stack: str, account: str, image: str | None, partition: str = "aws",
                               path: str = "/") -> list[dict[str, Any]]:
    """Allows the driver to make EMR Serverless applications with the stack's tag, and to look at or end those (roles: `path`)."""
    base = f"arn:{partition}:emr-serverless:*:{account}:/applications/*"
    ours = {"StringEquals": {"aws:ResourceTag/trueup:stack": stack}}
    roles = [f"arn:{partition}:iam::{account}:role{path}{stack}-{name}" for name in STAGES if name not in NOT_ON_SERVERLESS]
    statements = [
        _allow("Applications", ["emr-serverless:ListApplications"], ["*"]),
        _allow("MakeApplications", ["emr-serverless:CreateApplication", "emr-serverless:TagResource"], ["*"],
               {"StringEquals": {"aws:RequestTag/trueup:stack": stack}}),
        _allow("FollowApplications", [f"emr-serverless:{verb}" for verb in (
            "GetApplication", "StopApplication", "DeleteApplication", "StartJobRun", "ListJobRuns", "GetJobRun",
            "CancelJobRun")], [base], ours),
        _allow_linked_roles("LinkedServerless", (WORKERS,), account, partition),
        _allow("PassServerless", ["iam:PassRole"], roles,
               {"StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}})]
    if image is None:
        return statements
    # Whoever makes an application with an image of ours is asked whether it may read that image.
    host, _, name = image.partition("/")
    owner, region = host.split(".")[0], (host.split(".") + ["", "", "*"])[3]
    repository = f"arn:{partition}:ecr:{region}:{owner}:repository/{name.partition('@')[0].rpartition(':')[0] or name}"
    reads = ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"]
    return [*statements, _allow("Image", reads, [repository])]


def make_emr_statements(stack: str, account: str, partition: str = "aws", path: str = "/") -> list[dict[str, Any]]:
    """Allows the driver to make clusters with the stages' roles (under `path`), and to look at or end those of its own stack."""
    cluster = f"arn:{partition}:elasticmapreduce:*:{account}:cluster/*"
    roles = [f"arn:{partition}:iam::{account}:role{path}{stack}-{name}" for name in STAGES]
    return [
        _allow("Clusters", ["elasticmapreduce:ListClusters"], ["*"]),
        _allow("Make", ["elasticmapreduce:RunJobFlow", "elasticmapreduce:AddTags"], ["*"],
               {"StringEquals": {"elasticmapreduce:RequestTag/trueup:stack": stack}}),
        _allow("Follow", ["elasticmapreduce:DescribeCluster", "elasticmapreduce:ListSteps", "elasticmapreduce:CancelSteps",
                          "elasticmapreduce:TerminateJobFlows"], [cluster],
               {"StringEquals": {"elasticmapreduce:ResourceTag/trueup:stack": stack}}),
        _allow("PassNodes", ["iam:PassRole"], roles, {"StringLike": {"iam:PassedToService": "ec2.amazonaws.com*"}}),
        _allow("PassService", ["iam:PassRole"], [f"arn:{partition}:iam::{account}:role{path}{stack}-service"],
               {"StringLike": {"iam:PassedToService": "elasticmapreduce.amazonaws.com*"}}),
        # EMR makes its role for cleaning up when somebody has deleted it, by the rights of whoever asks for a cluster.
        _allow_linked_roles("LinkedRoles", (CLEANUP, SPOT), account, partition),
    ]


def _allow_linked_roles(sid: str, services: Sequence[str], account: str, partition: str) -> dict[str, Any]:
    return _allow(sid, ["iam:CreateServiceLinkedRole"], [f"arn:{partition}:iam::{account}:role/aws-service-role/*"],
                  {"StringEquals": {"iam:AWSServiceName": list(services)}})
