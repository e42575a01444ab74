"""What the driver may besides where `notify:` names secrets of AWS: read these, to send messages at the end of a turn."""

from dataclasses import replace

from contract.errors import UsageError
from contract.settings import Settings
from emr.template.parts import Resource, allow, sub

KIND = "aws-secret:"
SUFFIX = "-??????"  # that Secrets Manager adds to a secret's name in its ARN


def extend(driver: Resource, settings: Settings) -> Resource:
    """Returns the driver's role with this right, or as it is when no setting names a secret. UsageError: no way out."""
    check_way_out(settings)
    names = list_secrets(settings)
    if not names:
        return driver
    statement = {"Sid": "NotifySecrets", **allow(["secretsmanager:GetSecretValue"], [make_arn(name) for name in names])}
    policy = {"PolicyName": "notify", "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
    return replace(driver, properties={**driver.properties, "Policies": [*driver.properties["Policies"], policy]})


def list_secrets(settings: Settings) -> list[str]:
    """Lists the names or ARNs of secrets that targets refer to, each once."""
    references = [text for target in settings.notify.targets for text in (target.url, target.secret) if text]
    return sorted({text.removeprefix(KIND).partition("#")[0] for text in references if text.startswith(KIND)})


def make_arn(name: str) -> str | dict[str, str]:
    """Makes the ARN that a policy names; of a name, that of the stack's region and account with any suffix."""
    if name.startswith("arn:"):
        return name
    return sub(f"arn:${{AWS::Partition}}:secretsmanager:${{AWS::Region}}:${{AWS::AccountId}}:secret:{name}{SUFFIX}")


def check_way_out(settings: Settings) -> None:
    """UsageError for targets beside a network of ours without NAT: from there only AWS is reached."""
    if settings.notify.targets and settings.emr.create_network and not settings.emr.nat:
        raise UsageError("notify.targets: expected emr.nat=true beside emr.create_network, or a network of your own: without NAT "
                         "no receiver is reached, and no message of a cycle would leave.")
