"""Every setting of `emr` that a stack, its requests or its rights depend on, turned on: one list for whoever wants everything.

tests/emr/test_deployer.py sees that no setting is forgotten here.
"""

from functools import cache

from command.load_settings import load
from emr.template.whole import make_template

ROOT = "s3://my-bucket/a/prefix"
ACCOUNT = "eu-west-1:123456789012"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
KEY = f"arn:aws:kms:{ACCOUNT}:key/12345678-1234-1234-1234-123456789012"
BOUNDARY, PATH = "arn:aws:iam::123456789012:policy/edge", "/trueup/prod/"
IMAGES = [f"emr.driver_image={ECR}/trueup-driver:1", f"emr.service_image={ECR}/trueup-service:1"]
SCORE_ON = "emr.score_on=s3://camera/arriving"
EVERYTHING = [
    *IMAGES, "emr.compute=serverless", f"emr.serverless_image={ECR}/trueup-serverless:1", "emr.score_from=[s3://camera/new]",
    "emr.spot_nodes=4", "emr.executor_gib=8", "emr.stage_minutes={train: 90}", "emr.gpu_ami=ami-0123456789abcdef0",
    "emr.notify=somebody@organisation.example", "emr.start=machine", "emr.start_on=labels",
    "retention.rows_days=800", "retention.pictures_days=400",
    "notify.targets=[{name: ops, url: 'aws-secret:trueup/ops#url', secret: 'aws-secret:trueup/ops#key'}]",
    "emr.create_network=true", "emr.nat=true", "emr.service_public=true",
    f"emr.service_certificate=arn:aws:acm:{ACCOUNT}:certificate/12345678-1234-1234-1234-123456789012",
    f"emr.kms_key={KEY}", "emr.certificates=s3://certs/nodes.zip", "emr.versioning=true", "emr.access_log=logs-of-ours/trueup",
    "serve.urls=['pictures.example.org', 's3://pictures/in', 's3://camera']",
    f"emr.permissions_boundary={BOUNDARY}", f"emr.role_path={PATH}", 'emr.tags={cost-center: "42", owner: ada@b.example}']
# The other half of each choice: clusters and tasks by schedule, endpoints, a service inside, an alias.
OTHERWISE = [*EVERYTHING, "emr.compute=clusters", "emr.start=task", "emr.start_on=schedule", "emr.nat=false", "notify.targets=[]",
             "emr.zones=[eu-west-1a, eu-west-1b]", "emr.service_public=false", SCORE_ON,
             f"emr.kms_key=arn:aws:kms:{ACCOUNT}:alias/trueup", "emr.versioning=false"]
# What an organisation brings instead of having it made.
BROUGHT = [*IMAGES, "emr.create_bucket=false", "emr.subnets=[subnet-0123456789abcdef0]", f"emr.kms_key={KEY}",
           "emr.security_groups=[sg-0123456789abcdef0]", "emr.security_configuration=theirs", "emr.start=machine",
           "emr.start_on=labels", "emr.replay=true", "emr.service_vpc=vpc-0123456789abcdef0",
           "emr.service_balancer_subnets=[subnet-0123456789abcdef1, subnet-0123456789abcdef2]"]
# Everything with pictures that start a run and a role of replays as well is longer than CloudFormation takes; without a service
# it is not.
TOO_MUCH = [*EVERYTHING, SCORE_ON, "emr.replay=true"]
FITTING = [*TOO_MUCH, "emr.service_image=null", "emr.service_public=false", "emr.service_certificate=null"]
VARIANTS = {"plain": (), "everything": tuple(EVERYTHING), "otherwise": tuple(OTHERWISE), "most": tuple(TOO_MUCH),
            "brought": tuple(BROUGHT)}


def settings_of(*overrides, root=ROOT):
    return load(root=root, model="digits", env={}, overrides=overrides)


@cache
def template_of(*overrides, root=ROOT):
    """The template in its plain form. Shared: nobody may change it."""
    return make_template(root, settings_of(*overrides, root=root))


def resources_of(*overrides):
    return template_of(*overrides)["Resources"]
