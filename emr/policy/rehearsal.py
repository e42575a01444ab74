"""The rights of whoever rehearses: those of a deployment under the rehearsal's name, and of taking all of it down."""

from typing import Any

from contract import clock
from contract.settings import Settings
from emr.access import split_root
from emr.cluster import STACK_TAG
from emr.policy.deployer import make_policy
from emr.policy.own_calls import Statement, allow
from emr.rehearsal.small import PREFIX, make_settings, name_stack
from emr.rehearsal.template import Removal, make_rehearsal_template


def make_rehearsal_policy(settings: Settings, partition: str = "aws") -> dict[str, Any]:
    """Makes the policy of `trueup emr rehearse` with these settings. UsageError for what cannot be rehearsed."""
    root = f"s3://{name_stack(settings)}-*/{PREFIX}"  # each rehearsal's bucket has a name of its own, which begins so
    small = make_settings(settings, root)
    resources = make_rehearsal_template(Removal(root, small, clock.now()))["Resources"]  # the moment is of no matter here
    return make_policy(root, small, partition, resources, _take_down(root, small, partition))


def _take_down(root: str, settings: Settings, partition: str) -> list[Statement]:
    """Lists what no deployment asks: a bucket is emptied of every version, the machines of clusters are counted."""
    bucket = f"arn:{partition}:s3:::{split_root(root)[0]}"
    return [allow("Bucket", ["s3:ListBucketVersions"], [bucket]),
            allow("EmptyBucket", ["s3:DeleteObject", "s3:DeleteObjectVersion"], [f"{bucket}/*"]),
            allow("Follow", ["elasticmapreduce:ListInstances"], [f"arn:{partition}:elasticmapreduce:*:*:cluster/*"],
                  {"StringEquals": {f"elasticmapreduce:ResourceTag/{STACK_TAG}": settings.emr.stack}})]
