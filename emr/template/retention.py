"""What the driver may besides where `retention:` is set: `trueup expire` at the end of a turn reads what is needed, and erases.

There is no rule of the bucket's lifecycle for it: rows may go only when they are counted, and a picture's age is that of the
last row that names it, not of its upload (docs/decisions/0017-what-goes-by-age.md).
"""

from dataclasses import replace
from typing import Any

from contract import layout
from contract.settings import RetentionSettings
from emr.access import DATASETS, GOLD, IMAGES, ITEMS, LABELS, MEASURES, PREDICTIONS, split_root
from emr.template import parts
from emr.template.parts import Resource, sub

READ = (PREDICTIONS, LABELS, IMAGES, DATASETS, GOLD)
WRITE = (f"{layout.PREDICTIONS}/*/_expired/*",)


def extend(driver: Resource, root: str, retention: RetentionSettings) -> Resource:
    """Returns the driver's role with these rights, or as it is when nothing goes by age."""
    gone = [LABELS, PREDICTIONS, ITEMS, MEASURES] if retention.rows_days is not None else []
    gone += [IMAGES] if retention.pictures_days is not None else []
    if not gone:
        return driver
    policy = {"PolicyName": "expire", "PolicyDocument": {"Version": "2012-10-17", "Statement": make_statements(root, gone)}}
    return replace(driver, properties={**driver.properties, "Policies": [*driver.properties["Policies"], policy]})


def make_statements(root: str, gone: list[str]) -> list[dict[str, Any]]:
    """Makes the statements: reading, the records, and removal of what goes, in all its versions."""
    bucket, prefix = split_root(root)
    base = f"arn:${{AWS::Partition}}:s3:::{bucket}"

    def allow(sid: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
        return {"Sid": sid, **parts.allow(actions, [sub(resource) for resource in resources])}

    def on(keys: tuple[str, ...] | list[str]) -> list[str]:
        return [f"{base}/{prefix}{key}" for key in keys]

    erase = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload"]
    return [allow("ExpireRead", ["s3:GetObject"], on(READ)), allow("ExpireRecord", ["s3:PutObject"], on(WRITE)),
            allow("ExpireErase", erase, on(gone)),
            allow("ExpireList", ["s3:ListBucketVersions", "s3:ListBucketMultipartUploads"], [base])]
