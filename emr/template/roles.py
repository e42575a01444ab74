"""The roles: one for each stage's nodes, one for EMR itself, one for the driver, one for the inference service."""

from contract.settings import EmrSettings
from emr.access import (
    SERVICE,
    list_picture_places,
    list_stages,
    make_emr_statements,
    make_picture_statements,
    make_serverless_statements,
    make_statements,
)
from emr.needs import NOT_ON_SERVERLESS, SERVERLESS
from emr.security import key
from emr.template.parts import ACCOUNT, Resource, allow, make_role, sub

ACCOUNT_TEXT, PARTITION_TEXT = "${AWS::AccountId}", "${AWS::Partition}"
# EMR Serverless takes a stage's role only for jobs of this account.
SERVERLESS_TRUST = ({"Effect": "Allow", "Principal": {"Service": "emr-serverless.amazonaws.com"}, "Action": "sts:AssumeRole",
                     "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}},)


def make_resources(root: str, settings: EmrSettings) -> dict[str, Resource]:
    """Makes roles and instance profiles; their names are what emr/cluster.py asks for."""
    stack, path = settings.stack, settings.role_path
    serverless = settings.compute == SERVERLESS
    made: dict[str, Resource] = {}
    for stage in list_stages(settings):
        name = f"{stage.capitalize()}Role"
        more = make_picture_statements(list_picture_places(settings), PARTITION_TEXT) if stage == "score" else []
        more += [*key.make_node_statements(settings), *key.make_certificate_statements(settings, PARTITION_TEXT)]
        made[name] = make_role(f"{stack}-{stage}", "ec2.amazonaws.com", [*make_statements(stage, root, PARTITION_TEXT), *more],
                               also=SERVERLESS_TRUST if serverless and stage not in NOT_ON_SERVERLESS else ())
        made[f"{stage.capitalize()}Profile"] = Resource("AWS::IAM::InstanceProfile", {
            "InstanceProfileName": f"{stack}-{stage}", "Roles": [{"Ref": name}]})
    nodes = [sub(f"arn:${{AWS::Partition}}:iam::{ACCOUNT_TEXT}:role{path}{stack}-{stage}") for stage in list_stages(settings)]
    made["ServiceRole"] = make_role(
        f"{stack}-service", "elasticmapreduce.amazonaws.com",
        [allow(["iam:PassRole"], nodes, {"StringLike": {"iam:PassedToService": "ec2.amazonaws.com*"}}),
         *key.make_service_statements(settings)],
        [sub("arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2")])
    made["ServeRole"] = make_role(f"{stack}-{SERVICE}", "ecs-tasks.amazonaws.com", [
        *make_statements(SERVICE, root, PARTITION_TEXT), *key.make_data_statements(SERVICE, settings)])
    made["DriverRole"] = make_role(f"{stack}-driver", "ecs-tasks.amazonaws.com", [
        *make_statements("driver", root, PARTITION_TEXT), *make_emr_statements(stack, ACCOUNT_TEXT, PARTITION_TEXT, path),
        *(make_serverless_statements(stack, ACCOUNT_TEXT, settings.serverless_image, PARTITION_TEXT, path) if serverless else []),
        *key.make_data_statements("driver", settings), *(key.make_serverless_statements(settings) if serverless else [])])
    return made
