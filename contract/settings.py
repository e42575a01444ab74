"""The settings there are, each with its range and its default. Frozen once read, and saved with each run.

`command/load_settings.py` reads them from trueup.yaml, the environment and options.
"""

import ipaddress
import os
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from contract.counts import BINS, ROLES
from contract.errors import UsageError
from contract.policy import GatePolicy, Limited
from contract.sections.canary import CanaryFields
from contract.sections.convert import ConvertSettings
from contract.sections.dataset import DatasetFields
from contract.sections.demands import DemandSettings
from contract.sections.modules import NAME
from contract.sections.notify import NotifyFields
from contract.sections.pictures import PictureFields
from contract.sections.serving import ServeFields
from contract.sections.tracking import TrackFields
from contract.sections.training import TrainFields
from contract.sections.tune import TuneFields


class Section(Limited):
    """A group of settings; unknown names are errors, so that a typing mistake is not silently ignored."""


class EvaluateSettings(Section):
    """How predictions and labels are counted."""

    engine: str = Field("embedded", description="embedded, spark or mapreduce")
    days: int = Field(30, ge=1, description="prediction days of the default window")
    slices: dict[str, str] = Field({}, description="slice name -> column, attributes.NAME, hour, image_size or latency")
    bucket_edges: list[float] = Field([], description="lower edges of coarser confidence buckets, multiples of 0.05")
    accepted_ratio: float = Field(0.1, gt=0, description="wrong / right that a confidence bucket may have")
    labeler_weights: dict[str, float] = Field({}, description="labeler -> weight of each of their votes in the consensus, "
                                              "0 to 1000; everybody else has 1")
    labeler_fit: str | None = Field(None, description="a fit by which votes are weighed (`trueup labelers fit`), or newest; "
                                    "beside labeler_weights the name of the fit that these are from")

    roles: dict[str, str] = Field({}, description="another word for a role -> live, shadow, canary, batch or replay, "
                                  "e.g. {production: live}")
    picture_embeddings: int | None = Field(None, ge=30, description="so many pictures of each day that the section pictures has "
                                           "the live version's network look at, too (docs/picture-drift.md); empty: none")
    accept_targets: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.95, 0.98, 0.99], max_length=20, description="accuracies of which an evaluation says what share of the answers they "
        "would automate (docs/accept.md)")
    evidence: list[str] = Field([], description="sections that need the labelled rows and are worked out beside the figures "
                                "(`evaluate --evidence`)")

    @model_validator(mode="after")
    def _roles_are_known(self) -> Self:
        for word, role in self.roles.items():
            if role not in ROLES or word.lower() in ROLES:
                raise ValueError(f"roles: {word} = {role!r}: expected another word, and one of {', '.join(ROLES)} for it")
        return self

    @model_validator(mode="after")
    def _weights_have_a_fit(self) -> Self:
        if bad := [who for who, weight in self.labeler_weights.items() if not 0 <= weight <= 1000]:
            raise ValueError(f"labeler_weights of {bad[0]!r}: expected a number from 0 to 1000")
        if self.labeler_weights and not self.labeler_fit:
            raise ValueError("expected labeler_weights together with labeler_fit, the name of the fit they are from")
        return self


class DatasetSettings(Section, DatasetFields):
    """How a training set is made from labelled predictions."""


class TrainSettings(Section, TrainFields):
    """The fine-tuning loop."""


class TuneSettings(Section, TuneFields):
    """The search for settings of training."""


class ServeSettings(Section, ServeFields):
    """The inference service."""


class ReviewSettings(Section):
    """What people are asked beside the items of a sample."""

    gold_share: float = Field(0.05, ge=0, le=0.5, description="of the items on /audit and /review, that are gold items "
                              "(`trueup review gold`), while there are some that the person has not judged; 0: none")
    blind_share: float = Field(0.05, ge=0, le=0.5, description="of a labeler's own answers on /review, that come to the same "
                               "labeler again on /audit, without the model's answer (docs/labelers-anchoring.md); 0: none")
    blind_after_days: float = Field(1.0, ge=0, le=365, description="how long after the first answer at the earliest")


class ReportSettings(Section):
    """What a report shows beside the figures."""

    examples: int = Field(4, ge=0, le=12, description="stored pictures (thumbnails) of each of the worst cells; 0: none")
    cells: int = Field(4, ge=1, le=20, description="how many of the most frequent mistakes get pictures")
    days: int = Field(7, ge=1, description="newest prediction days that are searched for them")
    buckets: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.5, 0.8, 0.9, 0.95], description="edges between the confidence buckets of the table by class, multiples of 0.05")
    split_wrong: bool = Field(False, description="count predictions whose deciding labels differ as incorrect in that table")
    automatic: bool = Field(True, description="`evaluate` and `gate` write the report; false: only `trueup report` and "
                            "the service, when somebody opens one, do")

    @model_validator(mode="after")
    def _buckets_are_edges_of_bins(self) -> Self:
        places = [edge * BINS for edge in self.buckets]
        if any(abs(place - round(place)) > 1e-6 for place in places) or places != sorted(set(places)):
            raise ValueError(f"buckets: {self.buckets}: expected rising multiples of 0.05; counts know no finer "
                             "ones")
        return self


class PromotionSettings(Section):
    """What a candidate must hold by itself, beside not being worse than the live version (`gates:`)."""

    min_accuracy: float | None = Field(None, gt=0, lt=1, description="accuracy of the candidate on the held-out rows that "
                                       "decide must be at least this; null: no floor")
    max_ece: float | None = Field(None, gt=0, lt=1, description="expected calibration error of the candidate on all held-out "
                                  "rows of the origin that decides may be this at most; null: not asked (docs/calibration.md)")
    how: str = Field("at-once", pattern="^(at-once|canary)$", description="at-once, or canary: a candidate that the promotion "
                     "gate passes first answers a share of the predictions (docs/canary.md)")


class PictureSettings(Section, PictureFields):
    """Formats of the user's own."""


class CanarySettings(Section, CanaryFields):
    """How a version comes to be live step by step."""


class CycleSettings(Section):
    """The order of stages and who may run them."""

    takeover_seconds: float = Field(60.0, ge=0, description="a run whose owner's beat stands still so long is taken over")
    beat_seconds: float = Field(5.0, gt=0, description="how often a driver says that it is at work")
    approval: str = Field("automatic", description="automatic, or manual: a person moves the pointer")


class CompactSettings(Section):
    """How `trueup compact` puts a day's files into few."""

    files: int = Field(4, ge=2, description="fewest small files of a day and table that are put together")
    part_mib: int = Field(128, ge=1, le=1024, description="size of a packed file; files of more than half of it stay")
    after_days: int = Field(2, ge=0, description="days are left alone until they are so old, unless they are named")
    grace_hours: float = Field(24.0, ge=0, description="how long files stay that a reader may have listed; only then do "
                               "other programs see the packed one instead")


class RetentionSettings(Section):
    """What goes by age (`trueup expire`, and at the end of each cycle); null: kept for ever."""

    pictures_days: int | None = Field(None, ge=1, description="pictures of predictions that are older go; null: never")
    rows_days: int | None = Field(None, ge=1, description="rows of predictions and labels that are older go, once they are "
                                  "counted; null: never")

    @model_validator(mode="after")
    def _pictures_go_first(self) -> Self:
        if self.rows_days is not None and (self.pictures_days is None or self.pictures_days > self.rows_days):
            raise ValueError(f"pictures_days: {self.pictures_days}: expected at most rows_days, {self.rows_days}: pictures are "
                             f"found by their rows, and would stay for ever")
        return self


class NotifySettings(Section, NotifyFields):
    """Who is told of what happens to a model (docs/monitoring.md)."""


class TrackSettings(Section, TrackFields):
    """An MLflow that is told of trainings and versions."""


class SparkSettings(Section):
    """Spark, wherever a stage uses it; `--spark-conf` goes before."""

    conf: dict[str, str | int | float | bool] = Field({}, description="Spark settings passed through, e.g. spark.master")
    jars: str | None = Field(None, description="folder with hadoop-aws and the AWS bundle, for Spark on an s3:// root; "
                             "default: where `make jars` puts them")


ON_EMR = ("evaluate", "dataset", "train", "assess", "score", "replay", "tune")  # on a cluster or on EMR Serverless


class EmrSettings(Section, DemandSettings):
    """Stages on transient EMR clusters (`trueup cycle --runner emr`, `trueup emr …`)."""

    stack: str = Field("trueup", pattern="^[a-z][a-z0-9-]{0,30}$", description="CloudFormation stack; roles are named by it")
    release: str = Field("emr-7.12.0", pattern=r"^emr-7\.", description="EMR release with Spark 3.5 and Python 3.11")
    compute: str = Field("clusters", pattern="^(clusters|serverless)$", description="clusters on EC2, or EMR Serverless for "
                         "evaluation, dataset, scoring and replay; training and searches always get a cluster")
    serverless_image: str | None = Field(None, description="image of EMR Serverless workers, made from emr/serverless.Dockerfile")
    serverless_workers: int = Field(4, ge=1, description="most executors of a job on EMR Serverless, of 4 vCPUs and 16 GB")
    serverless_minutes: int = Field(360, ge=5, description="time after which a job on EMR Serverless is ended")
    score_from: list[str] = Field([], description="s3://bucket/prefix outside the root whose pictures the scoring role reads")
    replay: bool = Field(False, description="the stack makes the role of `trueup emr run --stage replay`")
    subnets: list[str] = Field([], description="subnets that clusters and the driver may start in")
    security_groups: list[str] = Field([], description="of the driver's task; none: the default one of its network")
    create_network: bool = Field(False, description="the stack makes a network: private subnets in two zones, an S3 endpoint, "
                                 "and interface endpoints (or a NAT gateway) for what else is called")
    nat: bool = Field(False, description="with create_network: a NAT gateway instead of interface endpoints")
    network_cidr: str = Field("10.77.0.0/16", description="addresses of create_network, /16 to /20")
    zones: list[str] = Field([], description="the two zones of create_network; default: the region's first two")
    security_configuration: str | None = Field(None, description="name of an EMR security configuration")
    engine: str = Field("spark", pattern="^(spark|mapreduce)$", description="engine of evaluations that run on a cluster")
    here_bytes: int = Field(4 << 30, ge=0, description="evaluate in the driver when no more bytes than this are to be counted")
    primary_types: list[str] = Field(["m5.xlarge"], min_length=1, description="instance types of the primary node")
    core_types: list[str] = Field(["m5.2xlarge", "m5a.2xlarge"], min_length=1, description="instance types of core nodes")
    gpu_types: list[str] = Field(["g5.xlarge"], description="core nodes of training; empty: train on core_types")
    gpu_ami: str | None = Field(None, pattern=r"^ami-[0-9a-f]{8,17}$", description="image of the clusters with GPUs, made of "
                                "Amazon Linux 2023, for a newer NVIDIA driver than the release's")
    core_nodes: int = Field(2, ge=1, description="on-demand nodes of counting and of making a dataset")
    spot_nodes: int = Field(0, ge=0, description="most spot task nodes beside them; never for training")
    executor_cores: int = Field(3, ge=1, description="cores of a training rank; one less than a node has")
    executor_gib: int | None = Field(None, ge=2, description="memory of a training rank, Java and Python, in GiB; default: 9/16 "
                                     "of its node's, so that two never share one")
    stage_minutes: dict[str, int] = Field({}, description="stage: minutes after which its cluster or job is ended; default: "
                                          "emr/limits.py, and emr.serverless_minutes")
    idle_seconds: int = Field(600, ge=60, le=604800, description="idle time after which a cluster ends itself")
    poll_seconds: float = Field(20.0, gt=0, description="how often a cluster is asked for its state")
    schedule: str = Field("rate(6 hours)", description="when the cycle is started (EventBridge Scheduler)")
    start: str = Field("task", pattern="^(task|machine)$", description="what the schedule starts: the driver's task, or "
                       "the Step Functions machine around it")
    start_on: str = Field("schedule", pattern="^(schedule|labels)$", description="labels: besides the schedule, labels that "
                          "arrive start the machine")
    start_hours: int = Field(1, ge=1, le=24, description="labels start it at most once in so many hours, at their end")
    score_on: str | None = Field(None, pattern="^s3://[^/]+(/.*)?$", description="s3://bucket/prefix outside the root; pictures "
                                 "that are put there are scored, at most once in start_hours")
    driver_image: str | None = Field(None, description="image of the driver's container, made from the Dockerfile")
    notify: str | None = Field(None, description="e-mail address that alarms are sent to")
    create_bucket: bool = Field(True, description="the stack makes the root's bucket")
    service_image: str | None = Field(None, description="image of the inference service (Dockerfile with EXTRA=serve); the stack "
                                      "then runs it on ECS behind a load balancer")
    service_type: str = Field("m5.large", description="machine type of the service's instances")
    service_memory: int = Field(4096, ge=256, description="MiB that the service's container may use; an instance has more")
    service_min: int = Field(2, ge=0, description="fewest instances of the service")
    service_max: int = Field(4, ge=0, description="most instances of the service; 0: all are drained, and ship their outboxes")
    service_requests: int = Field(600, ge=1, description="requests a minute and instance, above which another one is started")
    service_certificate: str | None = Field(None, description="ARN of the load balancer's certificate (ACM); without "
                                            "one it speaks http")
    service_public: bool = Field(False, description="the load balancer answers the internet; needs service_certificate")
    service_from: str = Field("0.0.0.0/0", description="addresses that the load balancer lets in")
    service_vpc: str | None = Field(None, description="network (vpc-…) of subnets, where create_network does not make it")
    service_balancer_subnets: list[str] = Field([], description="two or more subnets of the load balancer, likewise")

    @model_validator(mode="after")
    def _limits_are_of_stages(self) -> Self:
        if bad := [(stage, n) for stage, n in self.stage_minutes.items() if stage not in ON_EMR or n < 1]:
            raise ValueError(f"stage_minutes: {bad[0]}: expected one of {', '.join(ON_EMR)}, and a minute or more")
        return self

    @model_validator(mode="after")
    def _service_has_a_range(self) -> Self:
        if self.service_min > self.service_max:
            raise ValueError(f"service_min: {self.service_min}: expected at most service_max, which is {self.service_max}")
        return self

    @model_validator(mode="after")
    def _encryption_is_of_one_hand(self) -> Self:
        if self.certificates and self.security_configuration:
            raise ValueError("certificates: expected no security_configuration beside it, which then names its own")
        if self.kms_key and ":alias/" in self.kms_key and self.compute == "serverless":
            raise ValueError("kms_key: expected the ARN of a key, not of an alias: EMR Serverless takes no alias")
        return self

    @model_validator(mode="after")
    def _network_can_be_made(self) -> Self:
        try:
            network = ipaddress.IPv4Network(self.network_cidr)
        except ValueError as error:
            raise ValueError(f"network_cidr: {self.network_cidr!r}: expected a network such as 10.77.0.0/16: {error}") from None
        if not 16 <= network.prefixlen <= 20:
            raise ValueError(f"network_cidr: {self.network_cidr!r}: expected a network from /16 to /20")
        if self.zones and len(set(self.zones)) != 2:
            raise ValueError(f"zones: {self.zones}: expected two zones, e.g. [eu-central-1a, eu-central-1b], or none")
        return self


def is_submitted() -> bool:
    """Whether spark-submit started this process: then it brought the master, the static settings and the jars."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


class Settings(Section):
    """All settings. `origins` says where each value that is no default came from."""

    root: str | None = Field(None, description="folder or s3://bucket/prefix that holds everything")
    model: str | None = Field(None, description="the model that commands are about when they name none")
    allow_modules: list[str] = Field([], description="modules and packages of your own whose code may run when a version's "
                                     "card (--network package.module:build), serve.redact or pictures.decoder names it; never "
                                     "taken from a bucket")
    evaluate: EvaluateSettings = EvaluateSettings()
    gates: GatePolicy = GatePolicy()
    dataset: DatasetSettings = DatasetSettings()
    train: TrainSettings = TrainSettings()
    tune: TuneSettings = TuneSettings()
    serve: ServeSettings = ServeSettings()
    pictures: PictureSettings = PictureSettings()
    review: ReviewSettings = ReviewSettings()
    report: ReportSettings = ReportSettings()
    promotion: PromotionSettings = PromotionSettings()
    canary: CanarySettings = CanarySettings()
    cycle: CycleSettings = CycleSettings()
    compact: CompactSettings = CompactSettings()
    retention: RetentionSettings = RetentionSettings()
    notify: NotifySettings = NotifySettings()
    track: TrackSettings = TrackSettings()
    convert: ConvertSettings = ConvertSettings()
    spark: SparkSettings = SparkSettings()
    emr: EmrSettings = EmrSettings()
    origins: dict[str, str] = Field({}, exclude=True)

    @field_validator("allow_modules")
    @classmethod
    def _modules_are_names(cls, value: list[str]) -> list[str]:
        if bad := [name for name in value if not NAME.fullmatch(name)]:
            raise ValueError(f"{bad[0]!r}: expected the name of a module or package, such as my_networks")
        return value

    @model_validator(mode="after")
    def _labels_come_before_rows_go(self) -> Self:
        rows = self.retention.rows_days
        if rows is not None and rows <= self.serve.label_days:
            raise ValueError(f"retention.rows_days: {rows}: expected more than serve.label_days, {self.serve.label_days}: labels "
                             f"would come for rows that went")
        return self

    def dump_for_stages(self) -> dict[str, Any]:
        """Returns all settings as plain JSON but root and model, which a stage is given as options (command/child.py)."""
        return self.model_dump(mode="json", exclude={"root", "model"})

    def need_root(self) -> str:
        """The root, or a UsageError that says how to name it."""
        if not self.root:
            raise UsageError("expected a root, got none. Name one with --root or TRUEUP_ROOT (a folder or s3://…).")
        return self.root

    def need_no_redaction(self) -> None:
        """UsageError where pictures are redacted, for commands that keep pictures as they are."""
        if self.serve.redact:
            raise UsageError(f"serve.redact is {self.serve.redact}, but pictures that are imported are kept as they are: "
                             f"expected no hook. Redact the files first, and import them with --set serve.redact=null.")

    def need_model(self) -> str:
        """The model's name, or a UsageError that says how to name it."""
        if not self.model:
            raise UsageError("expected a model, got none. Name one with --model, or `model:` in trueup.yaml.")
        return self.model
