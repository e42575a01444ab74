"""The roles: one for each stage's nodes, one for EMR itself, one for the driver, one for the inference service."""

from contract.settings import EmrSettings
from emr.access import SERVICE, STAGES, emr_statements, pictures, serverless_statements, statements
from emr.needs import NOT_ON_SERVERLESS, SERVERLESS
from emr.template.parts import ACCOUNT, Resource, allow, role, sub

ACCOUNT_TEXT = "${AWS::AccountId}"
# EMR Serverless takes a stage's role only for jobs of this account.
SERVERLESS_TRUST = ({"Effect": "Allow", "Principal": {"Service": "emr-serverless.amazonaws.com"}, "Action": "sts:AssumeRole",
                     "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}},)


def resources(root: str, settings: EmrSettings) -> dict[str, Resource]:
    """Roles and instance profiles; their names are what emr/cluster.py asks for."""
    stack, made, serverless = settings.stack, {}, settings.compute == SERVERLESS
    for stage in STAGES:
        name = f"{stage.capitalize()}Role"
        more = pictures(settings.score_from) if stage == "score" else []
        made[name] = role(f"{stack}-{stage}", "ec2.amazonaws.com", [*statements(stage, root), *more],
                          also=SERVERLESS_TRUST if serverless and stage not in NOT_ON_SERVERLESS else ())
        made[f"{stage.capitalize()}Profile"] = Resource("AWS::IAM::InstanceProfile", {
            "InstanceProfileName": f"{stack}-{stage}", "Roles": [{"Ref": name}]})
    nodes = [sub(f"arn:${{AWS::Partition}}:iam::{ACCOUNT_TEXT}:role/{stack}-{stage}") for stage in STAGES]
    made["ServiceRole"] = role(
        f"{stack}-service", "elasticmapreduce.amazonaws.com",
        [allow(["iam:PassRole"], nodes, {"StringLike": {"iam:PassedToService": "ec2.amazonaws.com*"}})],
        [sub("arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2")])
    made["ServeRole"] = role(f"{stack}-{SERVICE}", "ecs-tasks.amazonaws.com", statements(SERVICE, root))
    made["DriverRole"] = role(f"{stack}-driver", "ecs-tasks.amazonaws.com", [
        *statements("driver", root), *emr_statements(stack, ACCOUNT_TEXT, "${AWS::Partition}"),
        *(serverless_statements(stack, ACCOUNT_TEXT, settings.serverless_image, "${AWS::Partition}") if serverless else [])])
    return made
