"""Service-linked roles: what AWS's services act with beside the stack's roles, made once in an account.

A service makes its own at first use, by the rights of whoever asked; so a first cluster of an account ends when the
scheduled driver asked for it without those rights, and a first ECS cluster may fail while its role appears
(awslabs/aws-emr-launch#21, aws-cloudformation/cloudformation-coverage-roadmap#818). `trueup emr deploy` makes them first.
"""

from collections.abc import Callable

from contract.settings import EmrSettings
from emr import account
from emr.account import AccountError, Caller
from emr.needs import SERVERLESS

CLEANUP, SPOT, WORKERS = "elasticmapreduce.amazonaws.com", "spot.amazonaws.com", "ops.emr-serverless.amazonaws.com"
CONTAINERS = "ecs.amazonaws.com"
BESIDE_THE_SERVICE = ("autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com",
                      "ecs.application-autoscaling.amazonaws.com")
# service -> the name of its role
NAMES = dict(zip((CLEANUP, SPOT, WORKERS, CONTAINERS, *BESIDE_THE_SERVICE), (
    "AWSServiceRoleForEMRCleanup", "AWSServiceRoleForEC2Spot", "AWSServiceRoleForAmazonEMRServerless", "AWSServiceRoleForECS",
    "AWSServiceRoleForAutoScaling", "AWSServiceRoleForElasticLoadBalancing",
    "AWSServiceRoleForApplicationAutoScaling_ECSService"), strict=True))
TAKEN = "has been taken"


def list_services(settings: EmrSettings) -> list[str]:
    """Lists the services whose linked roles these settings need."""
    asked = {SPOT: bool(settings.spot_nodes), WORKERS: settings.compute == SERVERLESS,
             CONTAINERS: bool(settings.driver_image or settings.service_image)}
    return [CLEANUP, *(name for name, wanted in asked.items() if wanted),
            *(BESIDE_THE_SERVICE if settings.service_image else ())]


def make_roles(settings: EmrSettings, say: Callable[[str], None]) -> list[str]:
    """Makes those that are not there; returns the services whose roles are new. AccountError when that is refused."""
    iam, new = Caller(account.connect("iam"), service="IAM"), []
    for name in list_services(settings):
        try:
            iam.call("create_service_linked_role", AWSServiceName=name)
        except AccountError as error:
            if TAKEN in str(error) or error.code == "EntityAlreadyExists":
                continue
            raise AccountError(f"{error} The account has no role of {name} yet, or you may not ask: expected the right "
                               f"iam:CreateServiceLinkedRole for it (docs/deploy.md). Whoever has it runs, once: aws iam "
                               f"create-service-linked-role --aws-service-name {name}.", error.code) from error
        say(f"service-linked role of {name}: made")
        new.append(name)
    return new
