"""Which AWS region requests go to: the SDK's own chain, and never a guess.

AWS_REGION, AWS_DEFAULT_REGION, then `region` of the profile (AWS_PROFILE, else default) in ~/.aws/config (AWS_CONFIG_FILE).
botocore alone leaves AWS_REGION out, which the other SDKs and the containers of ECS and Lambda use.
"""

from __future__ import annotations

import functools
import os
import re
import threading
from typing import Any

from contract.errors import UsageError

VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
# What a store that is not AWS is signed for where nobody names a region: MinIO, Ceph and moto answer to this name, and
# AWS itself is never reached by it, since it needs an endpoint of its own.
SIGNING = "us-east-1"
CURE = ("set AWS_REGION, or give the profile a region (`aws configure set region eu-west-1`; AWS_PROFILE names another "
        "profile than default)")
_MAKING = threading.RLock()  # making a boto3 session is not thread-safe


def find_region() -> str | None:
    """Finds the region of the chain, or None. UsageError for a profile that is missing, or a name that can be no region."""
    named = next((os.environ[name] for name in VARIABLES if os.environ.get(name)), None)
    found = named or get_session().region_name
    if found and not re.fullmatch(r"[A-Za-z0-9-]{1,63}", found):
        raise UsageError(f"AWS region {found!r}: expected a name such as eu-west-1. Correct it: {CURE}.")
    return found or None


def need_region() -> str:
    """Returns the region of the chain; UsageError when there is none."""
    if (found := find_region()) is None:
        raise UsageError(f"no AWS region is known: expected one in {' or '.join(VARIABLES)} or in ~/.aws/config, got none: "
                         f"{CURE}.")
    return found


def need_s3_region() -> str:
    """Returns the region that S3 is asked in: the chain's; with an endpoint of its own and no region, SIGNING."""
    return find_region() or (SIGNING if endpoint() else need_region())


def find_partition(region: str) -> str:
    """Finds the partition of a region, the second word of its ARNs: aws, aws-cn, aws-us-gov, …"""
    return str(get_session().get_partition_for_region(region))


def endpoint() -> str | None:
    """The S3 endpoint by the standard variables, or None for AWS itself."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def get_session() -> Any:
    """Returns the boto3 session of this environment. UsageError for a profile that is not there or cannot be read."""
    from botocore.exceptions import BotoCoreError

    seen = sorted((k, v) for k, v in os.environ.items() if k.startswith("AWS_") or k == "HOME")
    try:
        with _MAKING:
            return _make_session(tuple(seen))
    except BotoCoreError as error:
        raise UsageError(f"AWS configuration: {error}. Check AWS_PROFILE and ~/.aws/config.") from error


@functools.lru_cache(maxsize=4)
def _make_session(_environment: tuple[tuple[str, str], ...]) -> Any:
    """One session for all storages of an environment: the first client reads 0.1-0.2 CPU-seconds of descriptions of S3,
    each further one of the same session takes 0.006."""
    import boto3

    return boto3.session.Session()
