"""The settings of a rehearsal: the installation's own, under a name of its own, with everything as small as it goes.

Every stage runs on a cluster, counting too; spot nodes, the schedule, the service and mail are left out.
"""

import secrets
from typing import Any

from command.load_settings import with_options
from contract.errors import UsageError
from contract.policy import GatePolicy
from contract.settings import Settings
from emr.needs import CLUSTERS, TURN

SUFFIX, PREFIX = "-rehearsal", "rehearsal"
MINUTES = 30  # of each stage, where emr.stage_minutes does not say
BESIDE_MINUTES = 60  # for the stack, the packages, the digits, and taking everything down
LATE_MINUTES = 15  # from the moment at which it removes itself until the last machine is no longer paid for
# What makes it small; `--set` does not change these.
SMALL: dict[str, Any] = {
    "emr__spot_nodes": 0, "emr__core_nodes": 1, "emr__here_bytes": 0, "emr__create_bucket": True, "emr__start": "task",
    "emr__start_on": "schedule", "cycle__approval": "auto"}
UNSET = ("driver_image", "service_image", "notify", "score_on")
# Gates of its own: with those of an installation 250 labels may be too few to say anything, and nothing would be trained.
# Of 250 digits a dataset holds out 78.
GATES = GatePolicy(min_held_out=50)
DEFAULTS: dict[str, Any] = {"train__epochs": 1}  # unless settings say otherwise


def name_stack(settings: Settings) -> str:
    """Names the rehearsal's stack, and its model: one of a kind in an account and region."""
    return f"{settings.emr.stack}{SUFFIX}"


def name_root(settings: Settings) -> str:
    """Names a root in a bucket of its own; names of buckets are shared by everybody, and a new one is never taken."""
    return f"s3://{name_stack(settings)}-{secrets.token_hex(4)}/{PREFIX}"


def make_settings(settings: Settings, root: str) -> Settings:
    """Makes the rehearsal's settings. UsageError for what cannot be rehearsed."""
    if settings.emr.compute != CLUSTERS:
        raise UsageError(f"emr.compute: {settings.emr.compute}: expected clusters, whose rehearsal removes itself. Rehearse with "
                         f"`--set emr.compute=clusters`; jobs of EMR Serverless end by emr.serverless_minutes.")
    minutes = {stage: settings.emr.stage_minutes.get(stage, MINUTES) for stage in TURN}
    chosen = {name: value for name, value in DEFAULTS.items() if name.replace("__", ".") not in settings.origins}
    small = with_options(settings, root=root, model=name_stack(settings), emr__stack=name_stack(settings),
                         emr__stage_minutes=minutes, **SMALL, **chosen)
    return small.model_copy(update={"emr": small.emr.model_copy(update=dict.fromkeys(UNSET)), "gates": GATES})


def count_minutes(settings: Settings) -> int:
    """Counts the minutes after which a rehearsal removes itself: its stages' limits, and what is beside them."""
    return sum(settings.emr.stage_minutes[stage] for stage in TURN) + BESIDE_MINUTES
