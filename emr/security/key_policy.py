"""What the key's own policy must say: services that no role of the stack stands for use the key in their own name.

    trueup emr template --key-policy

The stack does not change the policy of a key that was brought. Each statement is that of the service's own guide:
CloudWatch Logs ("Encrypt log data using KMS"), SNS ("Enable compatibility between event sources and encrypted topics"),
EC2 Auto Scaling ("Required KMS key policy for use with encrypted volumes"), EC2 ("Service-linked role for Spot Instance
requests"). EventBridge and CloudWatch evaluate no condition there, so those have none.
"""

from collections.abc import Mapping
from typing import Any

from contract.settings import EmrSettings
from emr.linked_roles import NAMES, SPOT
from emr.security.key import FOR_AWS, GRANTS, KEY_USER, READ, find_region

MAILERS = ("cloudwatch.amazonaws.com", "events.amazonaws.com")
SCALING = "autoscaling.amazonaws.com"


def make_policy(settings: EmrSettings) -> list[dict[str, Any]]:
    """Makes the statements to add to the policy of `emr.kms_key`; none without a key."""
    if settings.kms_key is None:
        return []
    partition, region, account = settings.kms_key.split(":")[1], find_region(settings.kms_key), settings.kms_key.split(":")[4]
    statements = [_allow("Mails", {"Service": list(MAILERS)}, [READ, "kms:GenerateDataKey*"])]
    if settings.driver_image or settings.service_image:
        groups = f"arn:{partition}:logs:{region}:{account}:log-group:/trueup/{settings.stack}*"
        statements.append(_allow("Logs", {"Service": [f"logs.{region}.amazonaws.com"]}, KEY_USER,
                                 {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}}))
    linked = [service for service, used in ((SCALING, settings.service_image), (SPOT, settings.spot_nodes)) if used]
    roles = {"AWS": [f"arn:{partition}:iam::{account}:role/aws-service-role/{name}/{NAMES[name]}" for name in linked]}
    volumes = [_allow("Volumes", roles, KEY_USER), _allow("VolumeGrants", roles, GRANTS[:1], FOR_AWS)]
    return statements + (volumes if linked else [])


def list_missing(settings: EmrSettings, policy: Mapping[str, Any]) -> list[str]:
    """Lists the services and service-linked roles of `make_policy` that a key's policy does not name."""
    named = {name for s in policy.get("Statement", ()) if s.get("Effect") == "Allow" for name in _list_principals(s)}
    wanted = {name: None for s in make_policy(settings) for name in _list_principals(s)}
    return [name for name in wanted if name not in named]


def _allow(sid: str, principal: dict[str, list[str]], actions: list[str],
           condition: dict[str, Any] | None = None) -> dict[str, Any]:
    statement = {"Sid": f"Trueup{sid}", "Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": "*"}
    return statement | ({"Condition": condition} if condition else {})


def _list_principals(statement: Mapping[str, Any]) -> list[str]:
    principals = statement.get("Principal", {})
    found = principals.values() if isinstance(principals, Mapping) else ()
    return [name for names in found for name in ([names] if isinstance(names, str) else names)]
