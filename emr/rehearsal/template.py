"""The template of a rehearsal: that of an installation, and in it what removes it when its time is over.

The remover's role, machine and schedule are made before anything else and deleted after it, because everything else depends
on the schedule: from the first resource that costs money on, the time runs. The role stays when the stack is deleted: a role
by whose rights a stack is deleted cannot lose them before the end. It costs nothing, and only this machine can take it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from contract.settings import Settings
from emr.access import split_root
from emr.rehearsal.removal_machine import define_machine
from emr.rehearsal.rights import make_statements
from emr.template.parts import ACCOUNT, Resource, allow, arn, make_role, ref, sub
from emr.template.rules import keep_rules
from emr.template.whole import make_template

ROLE, MACHINE, START, SCHEDULE = "RemoverRole", "Remover", "RemoverStart", "RemoverSchedule"
KINDS = ("AWS::IAM::Role", "AWS::StepFunctions::StateMachine", "AWS::Scheduler::Schedule")
BUCKET = "Bucket"  # the output that names it
DESCRIPTION = "Trueup, a rehearsal"


@dataclass(frozen=True)
class Removal:
    """What is removed, when: the stack of these settings with its bucket, and clusters whose names begin so."""

    root: str
    settings: Settings
    at: datetime

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.settings.emr.stack

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return split_root(self.root)[0]

    @property
    def clusters(self) -> str:
        """How the names of its clusters begin (emr/requests.py): by the model, which nothing else has."""
        return name_clusters(self.settings.need_model())


def name_role(stack: str) -> str:
    """Names the role that stays behind when nobody but the machine removes a rehearsal."""
    return f"{stack}-remover"


def name_clusters(model: str) -> str:
    """Writes how the names of a model's clusters begin."""
    return f"trueup {model} "


def make_rehearsal_template(removal: Removal) -> dict[str, Any]:
    """Makes the template. UsageError for settings whose stack could not be deleted by its remover."""
    document = make_template(removal.root, removal.settings)
    resources = {name: _make_removable(resource) for name, resource in document["Resources"].items()}
    kinds = [resource["Type"] for resource in resources.values()]
    remover = keep_rules(_make_remover(removal, [*kinds, *KINDS]), removal.settings.emr)
    resources |= {name: made.to_dict() for name, made in remover.items()}
    outputs = document["Outputs"] | {BUCKET: {"Value": removal.bucket}}
    return document | {"Description": f"{DESCRIPTION} that removes itself at {removal.at:%Y-%m-%dT%H:%M:%SZ}",
                       "Resources": {name: resources[name] for name in sorted(resources)}, "Outputs": outputs}


def _make_removable(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource that goes with the stack, and is made after the time began."""
    kept = {name: value for name, value in resource.items() if name not in ("DeletionPolicy", "UpdateReplacePolicy")}
    return kept | {"DependsOn": [*resource.get("DependsOn", ()), SCHEDULE]}


def _make_remover(removal: Removal, kinds: list[str]) -> dict[str, Resource]:
    stack = removal.stack
    machine = sub(f"arn:${{AWS::Partition}}:states:${{AWS::Region}}:${{AWS::AccountId}}:stateMachine:{stack}-remover")
    statements = make_statements(stack, removal.bucket, kinds, removal.settings.emr.role_path)
    only = {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn": machine}}
    role = make_role(name_role(stack), "states.amazonaws.com", statements, condition=only)
    start = make_role(f"{stack}-remover-start", "scheduler.amazonaws.com", [allow(["states:StartExecution"], [ref(MACHINE)])],
                      condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}})
    definition = define_machine(removal.bucket, removal.clusters, removal.settings.emr.create_network)
    return {
        ROLE: replace(role, keep=True), START: start,
        MACHINE: Resource("AWS::StepFunctions::StateMachine", {
            "StateMachineName": f"{stack}-remover", "RoleArn": arn(ROLE), "Definition": definition,
            "DefinitionSubstitutions": {"Stack": ref("AWS::StackId")}}),
        SCHEDULE: Resource("AWS::Scheduler::Schedule", {
            "Name": f"{stack}-remover", "ScheduleExpression": f"at({removal.at:%Y-%m-%dT%H:%M:%S})",
            "ScheduleExpressionTimezone": "UTC", "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {"Arn": ref(MACHINE), "RoleArn": arn(START), "Input": "{}",
                       "RetryPolicy": {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86400}}})}
