"""All of these checks, in the order in which a first turn would stumble."""

from collections.abc import Iterator

from contract.settings import EmrSettings, Settings
from emr import account
from emr.access import split_root
from emr.account import AccountError, Caller
from emr.checks import images, key, network, quotas
from emr.checks.finding import ABSENT, BAD, OK, Finding, ask
from emr.linked_roles import NAMES, list_services
from emr.needs import SERVERLESS

# The rights that asking needs; whoever lacks one reads `not asked`.
ACTIONS = ("s3:GetBucketLocation", "elasticmapreduce:DescribeReleaseLabel", "iam:GetRole", "ecr:BatchGetImage",
           "ecr:GetDownloadUrlForLayer", "ec2:DescribeSubnets", "ec2:DescribeVpcs", "ec2:DescribeSecurityGroups",
           "ec2:DescribeVpcEndpoints", "ec2:DescribeRouteTables", "servicequotas:GetServiceQuota",
           "servicequotas:GetAWSDefaultServiceQuota", "servicequotas:ListServiceQuotas",
           "servicequotas:ListAWSDefaultServiceQuotas")
OF_A_KEY = ("kms:DescribeKey", "kms:GetKeyPolicy", "s3:GetEncryptionConfiguration")  # asked with emr.kms_key only


def check_surroundings(root: str, settings: Settings) -> Iterator[Finding]:
    """Yields what was found beside the stack; calls the account, changes nothing."""
    chosen = settings.emr
    yield from ask("region", lambda: check_region(root))
    yield from ask("release", lambda: check_release(chosen))
    for role in list_linked_roles(chosen):
        yield from ask(role, lambda role=role: check_linked_role(role))  # type: ignore[misc]
    yield from ask("subnets", lambda: check_network(chosen))
    for name, need in quotas.list_checks(settings):
        yield from ask(name, lambda need=need: quotas.check_quota(quotas.make_caller(), need))  # type: ignore[misc]
    if chosen.kms_key:
        yield from ask("key", lambda: key.check_key(chosen))
        yield from ask("bucket's key", lambda: key.check_bucket_key(root, chosen))
    ecr = Caller(account.connect("ecr"), service="ECR")
    yield from ask("driver image", lambda: images.check_image(ecr, "driver image", chosen.driver_image))
    if chosen.compute == SERVERLESS:
        yield from ask("serverless image", lambda: images.check_image(ecr, "serverless image", chosen.serverless_image))


def check_region(root: str) -> Iterator[Finding]:
    """Compares the region that requests go to with the bucket's."""
    s3 = Caller(account.connect("s3"), service="S3")
    bucket, _ = split_root(root)
    try:
        place = s3.call("get_bucket_location", Bucket=bucket)["LocationConstraint"] or "us-east-1"
    except AccountError as error:
        if error.code != "NoSuchBucket":
            raise
        yield Finding("region", ABSENT, f"{s3.client.meta.region_name}; the bucket {bucket} is not there yet")
        return
    place, here = {"EU": "eu-west-1"}.get(place, place), s3.client.meta.region_name  # the oldest buckets have that name
    if place == here:
        yield Finding("region", OK, f"{here}, as the bucket {bucket}")
    else:
        yield Finding("region", BAD, f"requests go to {here}, the bucket {bucket} is in {place}", f"export AWS_REGION={place}")


def check_release(settings: EmrSettings) -> Iterator[Finding]:
    """Looks for the EMR release, and for Spark 3.5 in it."""
    emr = Caller(account.connect("emr"))
    do = "name a release of this region with Spark 3.5: emr.release (aws emr list-release-labels)"
    try:
        found = emr.call("describe_release_label", ReleaseLabel=settings.release)
    except AccountError as error:
        if error.denied or error.code not in ("InvalidRequestException", "ValidationException"):
            raise
        yield Finding("release", BAD, f"{settings.release}: {error}", do)
        return
    versions = {app["Name"]: app["Version"] for app in found.get("Applications", ())}
    spark = versions.get("Spark", "none")
    said = f"{settings.release}: Spark {spark}, Hadoop {versions.get('Hadoop', 'none')}"
    yield Finding("release", OK, said) if spark.startswith("3.5.") else Finding("release", BAD, said, do)


def list_linked_roles(settings: EmrSettings) -> list[str]:
    """Lists the service-linked roles that these settings need: the first request to a service fails without its own."""
    return [NAMES[service] for service in list_services(settings)]


def check_linked_role(role: str) -> Iterator[Finding]:
    """Looks for one service-linked role."""
    iam = Caller(account.connect("iam"), service="IAM")
    try:
        yield Finding(role, OK, iam.call("get_role", RoleName=role)["Role"]["Arn"])
    except AccountError as error:
        if error.code not in ("NoSuchEntity", "NoSuchEntityException"):
            raise
        yield Finding(role, BAD, "not there: the first request that needs it is refused",
                      "`trueup emr deploy` makes it; or aws iam create-service-linked-role --aws-service-name "
                      + next(service for service, name in NAMES.items() if name == role))


def check_network(settings: EmrSettings) -> Iterator[Finding]:
    """Looks at the subnets, their tags, EMR's security groups, their ways to S3 and to the services."""
    if not settings.subnets:
        yield (Finding("subnets", OK, "made by the stack (emr.create_network)") if settings.create_network else
               Finding("subnets", BAD, "emr.subnets names none", "name private subnets: emr.subnets"))
        return
    ec2 = Caller(account.connect("ec2"), service="EC2")
    found = network.find_network(ec2, settings)
    if isinstance(found, Finding):
        yield found
        return
    for name, look in (("subnets", network.check_tags), ("EMR's security groups", network.check_groups),
                       ("ways", network.check_ways)):
        yield from ask(name, lambda look=look: look(ec2, found))  # type: ignore[misc]
