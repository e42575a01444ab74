"""What the service may read besides where `serve.urls` lists buckets: pictures that callers name by s3:// (docs/by-url.md).

Exactly what the service itself takes (inference/fetching/address.py), and never of the root's bucket: what lies there is shown by
the service's own pages to whoever has a key for them, and a picture named by its address would come to others, too.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from contract.sections.urls import Bucket, parse_place
from emr.access import split_root
from emr.template.parts import Resource, allow, sub

WILD = re.compile(r"[*?$]")  # what IAM reads as more than itself


def extend(service: Resource, root: str, urls: Sequence[str]) -> Resource:
    """Returns the service's role with the right to read what `urls` lists, or as it is when that is no bucket."""
    statements = list(make_statements(root, urls))
    if not statements:
        return service
    policy = {"PolicyName": "urls", "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}}
    return replace(service, properties={**service.properties, "Policies": [*service.properties["Policies"], policy]})


def make_statements(root: str, urls: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Makes the statement, with one resource for each bucket and prefix outside the root's bucket; none without any."""
    places = {place for place in map(parse_place, urls) if isinstance(place, Bucket) and place.name != split_root(root)[0]}
    if places:
        yield {"Sid": "ReadUrls", **allow(["s3:GetObject"], [sub(_make_arn(place)) for place in sorted(places)])}


def _make_arn(place: Bucket) -> str:
    """Makes the ARN of all keys below a prefix. `${!*}` is CloudFormation's `${*}`, which is IAM's plain `*`."""
    prefix = WILD.sub(lambda found: f"${{!{found[0]}}}", f"{place.prefix.rstrip('/')}/" if place.prefix else "")
    return f"arn:${{AWS::Partition}}:s3:::{place.name}/{prefix}*"
