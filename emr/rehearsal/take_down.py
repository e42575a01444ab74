"""Takes a rehearsal down: its clusters, its bucket with all that is in it, its stack, the remover's role."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from contract import clock
from contract.errors import UsageError
from emr import account, stack
from emr.account import ALIVE, Account, AccountError, Caller
from emr.made_network import clear_groups, read_outputs
from emr.rehearsal.template import BUCKET, DESCRIPTION, name_clusters, name_role
from emr.stack import StackError

ENDING = (*ALIVE, "TERMINATING")
MINUTES, SECONDS = 20, 15.0  # until the nodes of ended clusters are gone, and between looks
GONE = ("NoSuchBucket", "NoSuchEntity")
OBJECTS = 1000


def take_down(name: str, say: Callable[[str], None]) -> list[str]:
    """Removes the rehearsal of that name; returns what was removed. What is gone already is no error.

    Raises AccountError, StackError: then the remover in the stack does it when its time comes.
    """
    _check_rehearsal(name)
    removed = end_clusters(name, say)
    clear_groups(name, say)
    for last in (False, False, True):
        removed += _empty_bucket_of(name, say)
        try:
            state = stack.remove(name, say)
            break
        except StackError:  # mostly a bucket into which EMR put a last log
            if last:
                raise
    return [*removed, f"stack {name}: {state}", *delete_role(name_role(name))]


def _check_rehearsal(name: str) -> None:
    """Refuses a stack that no rehearsal made: its bucket would be emptied."""
    cloudformation = Caller(account.connect("cloudformation"), service="CloudFormation")
    try:
        (found,) = cloudformation.call("describe_stacks", StackName=name)["Stacks"]
    except AccountError as error:
        if "does not exist" in str(error):
            return
        raise
    if not found.get("Description", "").startswith(DESCRIPTION):
        raise UsageError(f"stack {name}: expected one that a rehearsal made, got {found.get('Description')!r}. It is left alone; "
                         f"rehearse under another name: --set emr.stack=NAME.")


def _empty_bucket_of(name: str, say: Callable[[str], None]) -> list[str]:
    bucket = read_outputs(name).get(BUCKET)
    if bucket is None:  # the stack was not made whole, so nothing was put there
        return []
    found = empty_bucket(bucket)
    say(f"bucket {bucket}: {found} objects deleted")
    return [f"{found} objects of bucket {bucket}"]


def end_clusters(model: str, say: Callable[[str], None]) -> list[str]:
    """Ends the clusters of the rehearsal's model, and waits until their machines are gone: until then roles are needed."""
    emr = Account()
    until, ended = clock.now() + timedelta(minutes=MINUTES), []
    while living := _list_clusters(emr, model):
        for cluster in living:
            if cluster["Id"] not in ended and cluster["Status"]["State"] in ALIVE:
                say(f"cluster {cluster['Id']}: ending")
                emr.stop(cluster["Id"])
                ended.append(cluster["Id"])
        _check_time(until, living)
        emr.sleep(SECONDS)
        for cluster in living:
            emr.describe(cluster["Id"])
    return [f"cluster {cluster}" for cluster in ended]


def _list_clusters(emr: Account, model: str) -> list[dict[str, Any]]:
    return [c for c in emr.list_clusters(ENDING) if c["Name"].startswith(name_clusters(model))]


def _check_time(until: datetime, living: list[dict[str, Any]]) -> None:
    if clock.now() > until:
        raise AccountError(f"expected clusters {', '.join(c['Id'] for c in living)} to have ended within {MINUTES} minutes. "
                           f"Look at them in EMR's console; the rehearsal's remover comes by again.")


def empty_bucket(bucket: str) -> int:
    """Deletes every version of every object; returns how many. A bucket that is not there is empty."""
    s3, found = Caller(account.connect("s3"), service="S3"), 0
    while True:
        try:
            page = s3.call("list_object_versions", Bucket=bucket, MaxKeys=OBJECTS)
        except AccountError as error:
            if error.code in GONE:
                return found
            raise
        objects = [{"Key": o["Key"], "VersionId": o["VersionId"]} for o in (*page.get("Versions", ()),
                                                                           *page.get("DeleteMarkers", ()))]
        if not objects:
            return found
        answer = s3.call("delete_objects", Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if errors := answer.get("Errors"):
            raise AccountError(f"S3: expected to delete {len(objects)} objects of bucket {bucket}, was refused {len(errors)}: "
                               f"{errors[0].get('Key')}: {errors[0].get('Message')}.", errors[0].get("Code", ""))
        found += len(objects)


def delete_role(name: str) -> list[str]:
    """Deletes the role that the stack leaves behind; nothing happens when there is none."""
    iam = Caller(account.connect("iam"), service="IAM")
    try:
        for policy in iam.call("list_role_policies", RoleName=name)["PolicyNames"]:
            iam.call("delete_role_policy", RoleName=name, PolicyName=policy)
        iam.call("delete_role", RoleName=name)
    except AccountError as error:
        if error.code in GONE:
            return []
        raise
    return [f"role {name}"]
