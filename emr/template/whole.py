"""The whole template: bucket, roles, schedule, alarms.

    trueup emr template --root s3://bucket/prefix > template.json
"""

import json
from typing import Any

from contract.settings import Settings
from emr.template import (
    alarms,
    bucket,
    encryption,
    events,
    network,
    retention,
    roles,
    rules,
    schedule,
    score_events,
    secrets,
    service,
    urls,
)
from emr.template.parts import arn, ref


def make_template(root: str, settings: Settings) -> dict[str, Any]:
    """Makes the CloudFormation template of an installation. UsageError when settings contradict each other."""
    chosen = settings.emr
    resources = {
        **bucket.make_resources(root, chosen), **roles.make_resources(root, chosen), **alarms.make_resources(chosen),
        **schedule.make_resources(root, settings), **events.make_resources(root, chosen),
        **score_events.make_resources(root, settings), **service.make_resources(root, settings),
        **network.make_resources(chosen, service.needs_public_subnets(settings), chosen.service_image is not None)}
    resources["DriverRole"] = retention.extend(resources["DriverRole"], root, settings.retention)
    resources["DriverRole"] = secrets.extend(resources["DriverRole"], settings)
    resources["ServeRole"] = urls.extend(resources["ServeRole"], root, settings.serve.urls)
    resources = rules.keep_rules(encryption.encrypt(resources, chosen), chosen)
    outputs = {"Topic": {"Value": ref("Topic")}, "DriverRole": {"Value": arn("DriverRole")}, **network.make_outputs(chosen),
               **service.make_outputs(settings)}
    return {"AWSTemplateFormatVersion": "2010-09-09", "Description": f"Trueup on {root}",
            "Resources": {name: resources[name].to_dict() for name in sorted(resources)}, "Outputs": outputs}


def write_body(document: dict[str, Any], indent: int | None = None) -> str:
    """Writes the template as text, sorted: the same settings, the same bytes.

    Compact without `indent`, since CloudFormation takes 51,200 bytes.
    """
    separators = (",", ":") if indent is None else None
    return json.dumps(document, indent=indent, separators=separators, sort_keys=True)
