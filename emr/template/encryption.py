"""Encryption by `emr.kms_key` of all that the stack makes and that holds something, by kind: a new log group is no exception."""

from collections.abc import Mapping
from typing import Any

from contract.settings import EmrSettings
from emr.security.configuration import make_configuration, name_configuration
from emr.template.parts import Resource

PROPERTIES = {"AWS::Logs::LogGroup": "KmsKeyId", "AWS::SNS::Topic": "KmsMasterKeyId", "AWS::SQS::Queue": "KmsMasterKeyId"}
INSTEAD = ("SqsManagedSseEnabled",)  # the service's own key, which goes where ours comes


def encrypt(resources: Mapping[str, Resource], settings: EmrSettings) -> dict[str, Resource]:
    """Returns the resources with the key in them, and EMR's security configuration beside them; unchanged without settings."""
    made = dict(resources)
    if settings.kms_key:
        made = {name: _encrypt(resource, settings.kms_key) for name, resource in resources.items()}
    configuration = make_configuration(settings)
    if configuration is None:
        return made
    return made | {"SecurityConfiguration": Resource("AWS::EMR::SecurityConfiguration", {
        "Name": name_configuration(settings), "SecurityConfiguration": configuration})}


def _encrypt(resource: Resource, key: str) -> Resource:
    properties: dict[str, Any] = dict(resource.properties)
    if name := PROPERTIES.get(resource.kind):
        properties = {k: v for k, v in properties.items() if k not in INSTEAD} | {name: key}
    elif resource.kind == "AWS::EC2::LaunchTemplate":
        data = properties["LaunchTemplateData"]
        disks = [disk | {"Ebs": disk["Ebs"] | {"KmsKeyId": key}} for disk in data["BlockDeviceMappings"]]
        properties = properties | {"LaunchTemplateData": data | {"BlockDeviceMappings": disks}}
    return Resource(resource.kind, properties, resource.keep, resource.after)
