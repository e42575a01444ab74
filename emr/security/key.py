"""The key of `emr.kms_key`: who of the stack may use it, and by which service.

S3 asks for Decrypt when an object is read and for GenerateDataKey when one is written, in the name of whoever reads or
writes (S3 User Guide, "Using server-side encryption with AWS KMS keys"), so a role's rights follow from its own access.
EMR's guide asks that nodes and EMR itself are "key users" (EMR Management Guide, "Create keys and certificates"); those
are KEY_USER and GRANTS. Nobody has tried that on a real account.
"""

from collections.abc import Sequence
from typing import Any

from contract.errors import UsageError
from contract.settings import EmrSettings
from emr.access import ACCESS, split_root

READ, WRITE = "kms:Decrypt", "kms:GenerateDataKey"
KEY_USER = ["kms:Encrypt", READ, "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
GRANTS = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"]
FOR_AWS = {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def find_region(key: str) -> str:
    """Returns the region in the ARN of a key or an alias."""
    return key.split(":")[3]


def require_region(key: str | None, region: str) -> None:
    """Refuses a key of another region than the bucket's and the clusters': S3 and EMR take none."""
    if key is not None and find_region(key) != region:
        raise UsageError(f"emr.kms_key: expected a key of {region}, where the bucket is, got one of {find_region(key)}. Name a "
                         f"key of that region; a multi-region key has a replica there, with an ARN of its own.")


def make_data_statements(of: str, settings: EmrSettings) -> list[dict[str, Any]]:
    """Allows a role of emr/access.py what S3 asks of the key for what that role reads and writes."""
    access = ACCESS[of]
    actions = [action for action, keys in ((READ, access.read), (WRITE, access.write)) if keys]
    return make_statements("Key", settings, actions, "s3")


def make_node_statements(settings: EmrSettings) -> list[dict[str, Any]]:
    """Allows a stage's nodes the key: for their data, and for disks and EMR's logs, for which no service asks in their name."""
    return make_statements("Key", settings, KEY_USER)


def make_service_statements(settings: EmrSettings) -> list[dict[str, Any]]:
    """Allows EMR to start nodes with encrypted volumes: EC2 gets a grant on the key for each."""
    return [*make_statements("KeyOfVolumes", settings, KEY_USER),
            *make_statements("GrantsOfVolumes", settings, GRANTS, condition=FOR_AWS)]


def make_serverless_statements(settings: EmrSettings) -> list[dict[str, Any]]:
    """Allows the driver, by EMR Serverless alone, to make applications whose workers have encrypted disks."""
    return [*make_statements("KeyOfWorkers", settings, [READ, WRITE, "kms:DescribeKey"], "emr-serverless"),
            *make_statements("GrantsOfWorkers", settings, ["kms:CreateGrant"], "emr-serverless", FOR_AWS)]


def make_statements(sid: str, settings: EmrSettings, actions: Sequence[str], service: str | None = None,
                    condition: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Allows actions on the key, by one service where one is named; nothing without a key."""
    key = settings.kms_key
    if key is None:
        return []
    resource, conditions = key, dict(condition or {})
    if ":alias/" in key:  # IAM knows a key by its own ARN only; an alias is a condition
        base, _, alias = key.partition(":alias/")
        resource = f"{base}:key/*"
        conditions["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": f"alias/{alias}"}
    if service:  # in China the name goes on with .cn
        conditions["StringLike"] = {"kms:ViaService": f"{service}.{find_region(key)}.amazonaws.com*"}
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": [resource]}
    return [statement | ({"Condition": conditions} if conditions else {})]


def make_certificate_statements(settings: EmrSettings, partition: str = "aws") -> list[dict[str, Any]]:
    """Allows nodes to read the zip file of the certificates."""
    if not settings.certificates:
        return []
    bucket, key = split_root(settings.certificates)
    return [{"Sid": "Certificates", "Effect": "Allow", "Action": ["s3:GetObject"],
             "Resource": [f"arn:{partition}:s3:::{bucket}/{key.rstrip('/')}"]}]
