"""Whether the stack's roles may do what the stages need, and nothing that they must not: IAM's own simulation of them.

Nobody can take these roles to try (only EC2, ECS and EMR may), so IAM is asked: SimulatePrincipalPolicy evaluates all of a
role's policies and its boundary. Bucket policies are not in it; the root's own checks are those of whoever asks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from contract import layout
from contract.settings import EmrSettings
from emr import account
from emr.access import ACCESS, REPLAY, SERVICE, split_root
from emr.account import AccountError, Caller
from emr.cluster import locate_role
from emr.security.key import find_region, make_data_statements
from emr.serverless.account import find_role_arn

SOMETHING = "doctor"  # stands for `*` in a key
LABELLED = f"{layout.day_folder(layout.LABELS, '2026-11-20')}x.parquet"  # labels come from people, by the service
FORBIDDEN = (layout.package("train-0.tar.gz"), layout.api_key("x"))


@dataclass(frozen=True)
class Finding:
    """One role: what it is refused although its stage needs it, and what it may do although it must not."""

    role: str
    refused: tuple[str, ...] = ()
    too_much: tuple[str, ...] = ()
    error: str = ""
    denied: bool = False  # the error is that the caller may not ask

    @property
    def good(self) -> bool:
        return not (self.refused or self.too_much or self.error)

    def __str__(self) -> str:
        if self.error:
            return self.error
        complaints = [f"refused: {', '.join(self.refused)}"] if self.refused else []
        complaints += [f"allowed, and should not be: {', '.join(self.too_much)}"] if self.too_much else []
        return "; ".join(complaints) or "may do what its stage needs, and moves no pointer that it should not"


def check_roles(root: str, settings: EmrSettings) -> Iterator[Finding]:
    """Yields one finding for each role of the stack."""
    iam = Caller(account.connect("iam"), service="IAM")
    for of in (name for name in ACCESS if name != REPLAY or settings.replay):
        try:
            yield _check_role(iam, of, root, settings)
        except AccountError as error:
            yield Finding(of, error=str(error), denied=error.denied)


def _check_role(iam: Caller, of: str, root: str, settings: EmrSettings) -> Finding:
    access, arn = ACCESS[of], find_role_arn(locate_role(settings, of))
    wanted = {"s3:GetObject": access.read, "s3:PutObject": access.write, "s3:DeleteObject": access.delete}
    refused = [f"{action} {key}" for action, keys in wanted.items() if keys
               for key, allowed in _simulate(iam, arn, root, action, keys).items() if not allowed]
    refused += _list_refused_by_key(iam, arn, of, settings)
    never = [*FORBIDDEN, *([] if of == SERVICE else [LABELLED]),
             *([] if of == "driver" else [layout.live(SOMETHING), layout.history(SOMETHING).format(1)])]
    too_much = [f"s3:PutObject {key}" for key, allowed in _simulate(iam, arn, root, "s3:PutObject", never).items() if allowed]
    return Finding(of, tuple(refused), tuple(too_much))


def _list_refused_by_key(iam: Caller, arn: str, of: str, settings: EmrSettings) -> list[str]:
    """Lists what a role may not do with the key of the bucket, by S3; nothing without one, or where only its alias is known."""
    if settings.kms_key is None or ":alias/" in settings.kms_key:
        return []
    service = {"ContextKeyName": "kms:ViaService", "ContextKeyType": "string",
               "ContextKeyValues": [f"s3.{find_region(settings.kms_key)}.amazonaws.com"]}
    actions = [action for statement in make_data_statements(of, settings) for action in statement["Action"]]
    page = iam.call("simulate_principal_policy", PolicySourceArn=arn, ActionNames=actions, ResourceArns=[settings.kms_key],
                    ContextEntries=[service])
    return [f"{result['EvalActionName']} of emr.kms_key" for result in page["EvaluationResults"]
            if "allowed" not in {decision for _, decision in _read_decisions(result)}]


def _simulate(iam: Caller, arn: str, root: str, action: str, keys: Sequence[str]) -> dict[str, bool]:
    """Asks IAM; returns key (as the table has it) -> whether the role may do that to such an object."""
    bucket, prefix = split_root(root)
    partition = arn.split(":")[1]
    of = {f"arn:{partition}:s3:::{bucket}/{prefix}{key.replace('*', SOMETHING)}": key for key in keys}
    decisions: dict[str, bool] = {}
    arguments: dict[str, Any] = {"PolicySourceArn": arn, "ActionNames": [action], "ResourceArns": list(of)}
    while True:
        page = iam.call("simulate_principal_policy", **arguments)
        for result in page["EvaluationResults"]:
            for name, decision in _read_decisions(result):
                decisions[of.get(name, name)] = decision == "allowed"
        if not page.get("IsTruncated"):
            return decisions
        arguments["Marker"] = page["Marker"]


def _read_decisions(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields each resource's decision, which IAM tells beside or below the action's."""
    below = result.get("ResourceSpecificResults")
    if below:
        yield from ((r["EvalResourceName"], r["EvalResourceDecision"]) for r in below)
    else:
        yield result["EvalResourceName"], result["EvalDecision"]
