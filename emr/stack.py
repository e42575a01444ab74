"""The installation as a CloudFormation stack: create or update, look at, remove."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from contract.errors import TrueupError
from contract.settings import Settings
from emr.template.whole import make_template, write_body

if TYPE_CHECKING:
    from botocore.client import BaseClient

NOT_THERE, NOTHING_TO_DO = "does not exist", "No updates are to be performed"
LOOKS, SECONDS = 120, 15  # half an hour at the most


class StackError(TrueupError):
    """CloudFormation refused, or the stack did not come to a good end; the message has its reasons."""


def connect() -> "BaseClient":
    """Makes the boto3 client."""
    from contract.stores.aws_region import get_session, need_region

    return get_session().client("cloudformation", region_name=need_region())


def deploy(root: str, settings: Settings, say: Callable[[str], None]) -> str:
    """Creates the stack, or updates it to the template of these settings; returns its state."""
    client, name = connect(), settings.emr.stack
    text = write_body(make_template(root, settings))
    arguments = {"StackName": name, "TemplateBody": text, "Capabilities": ["CAPABILITY_NAMED_IAM"]}
    if read_state(name, client) is None:
        say(f"stack {name}: creating")
        _call(client.create_stack, OnFailure="DELETE", **arguments)
        return _wait(client, name, "stack_create_complete")
    try:
        say(f"stack {name}: updating")
        _call(client.update_stack, **arguments)
    except StackError as error:
        if NOTHING_TO_DO not in str(error):
            raise
        return read_state(name, client) or ""
    return _wait(client, name, "stack_update_complete")


def remove(name: str, say: Callable[[str], None]) -> str:
    """Deletes the stack; what its template retains stays."""
    client = connect()
    if read_state(name, client) is None:
        return "there is none"
    say(f"stack {name}: deleting")
    _call(client.delete_stack, StackName=name)
    return _wait(client, name, "stack_delete_complete")


def read_state(name: str, client: "BaseClient" = None) -> str | None:
    """Returns the stack's state, or None when there is none."""
    try:
        return _call((client or connect()).describe_stacks, StackName=name)["Stacks"][0]["StackStatus"]
    except StackError as error:
        if NOT_THERE in str(error):
            return None
        raise


def _wait(client: "BaseClient", name: str, what: str) -> str:
    from botocore.exceptions import WaiterError

    try:
        client.get_waiter(what).wait(StackName=name, WaiterConfig={"Delay": SECONDS, "MaxAttempts": LOOKS})
    except WaiterError as error:
        raise StackError(f"stack {name}: {error}. Its events say why: aws cloudformation describe-stack-events "
                         f"--stack-name {name}") from error
    return read_state(name, client) or "deleted"


def _call(operation: Callable[..., Any], **arguments: Any) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return operation(**arguments)
    except (ClientError, BotoCoreError) as error:
        raise StackError(f"CloudFormation: {error}. Check the region and the rights of whoever deploys "
                         f"(docs/deploy.md).") from error
