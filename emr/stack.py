"""The installation as a CloudFormation stack: create or update, look at, remove."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from contract.errors import TrueupError
from contract.settings import Settings
from emr.linked_roles import make_roles
from emr.template.size import Body, write_fitting
from emr.template.whole import make_template

if TYPE_CHECKING:
    from botocore.client import BaseClient

NOT_THERE, NOTHING_TO_DO = "does not exist", "No updates are to be performed"
UPDATABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
LOOKS, SECONDS = 120, 15  # half an hour at the most


class StackError(TrueupError):
    """CloudFormation refused, or the stack did not come to a good end; the message has its reasons."""


def connect() -> "BaseClient":
    """Makes the boto3 client."""
    from contract.stores.aws_region import get_session, need_region

    return get_session().client("cloudformation", region_name=need_region())


def write_template(root: str, settings: Settings, template: dict[str, Any] | None = None) -> Body:
    """Writes what `deploy` sends; calls nothing. UsageError when settings contradict each other, or make too long a template."""
    return write_fitting(template or make_template(root, settings), root)


def deploy(root: str, settings: Settings, say: Callable[[str], None], template: dict[str, Any] | None = None) -> str:
    """Creates the stack, or updates it to the template of these settings (or the given one); returns its state."""
    client, name = connect(), settings.emr.stack
    body = write_template(root, settings, template)
    arguments = {"StackName": name, "TemplateBody": body.text, "Parameters": body.parameters,
                 "Capabilities": ["CAPABILITY_NAMED_IAM"],
                 "Tags": [{"Key": key, "Value": value} for key, value in sorted(settings.emr.tags.items())]}
    make_roles(settings.emr, say)  # after the template, which refuses settings that contradict each other
    state = read_state(name, client)
    if state is None:
        say(f"stack {name}: creating")
        # A creation that fails leaves nothing, not even what is otherwise retained, so that it can be tried again.
        made = _call(client.create_stack, OnFailure="DELETE", RetainExceptOnCreate=True, **arguments)
        return _wait(client, name, "stack_create_complete", made["StackId"])
    if state not in UPDATABLE:
        raise StackError(f"stack {name}: expected one that can be updated, got one in state {state}. {_advise(state, name)}")
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


def _advise(state: str, name: str) -> str:
    if state.endswith("IN_PROGRESS"):
        return "Somebody else changes it: wait until that has ended, then start again."
    return f"Nothing can be made of it: remove it by `trueup emr destroy --yes --set emr.stack={name}`, then start again."


def _wait(client: "BaseClient", name: str, what: str, stack_id: str | None = None) -> str:
    """Waits for the stack's end. By its id: a stack that is gone cannot be asked about by name."""
    from botocore.exceptions import WaiterError

    try:
        client.get_waiter(what).wait(StackName=stack_id or name, WaiterConfig={"Delay": SECONDS, "MaxAttempts": LOOKS})
    except WaiterError as error:
        failed = _list_failures(client, stack_id or name)
        reasons = "".join(f"\n  {line}" for line in failed) or " CloudFormation named no resource that failed."
        raise StackError(f"stack {name}: expected a good end, got {error}. What failed first:{reasons}\nMend that, and start "
                         f"again: the same command goes on.") from error
    return read_state(name, client) or "deleted"


def _list_failures(client: "BaseClient", stack: str) -> list[str]:
    """Lists the resources that failed in the last change, the first cause first, each with CloudFormation's own words."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        pages = client.get_paginator("describe_stack_events").paginate(StackName=stack)
        events = [event for page in pages for event in page["StackEvents"]]
    except (ClientError, BotoCoreError) as error:  # the failure is to be said even when nobody may read why
        return [f"its events could not be read: {error}"]
    begun = next((n for n, e in enumerate(events) if e.get("ResourceType") == "AWS::CloudFormation::Stack"
                  and e["ResourceStatus"] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
                  and e.get("ResourceStatusReason") == "User Initiated"), len(events))
    return [f"{e['LogicalResourceId']} ({e['ResourceType']}): {e.get('ResourceStatusReason', e['ResourceStatus'])}"
            for e in reversed(events[:begun]) if e["ResourceStatus"].endswith("_FAILED")
            and "cancelled" not in e.get("ResourceStatusReason", "")][:10]


def _call(operation: Callable[..., Any], **arguments: Any) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return operation(**arguments)
    except (ClientError, BotoCoreError) as error:
        raise StackError(f"CloudFormation: {error}. Check the region and the rights of whoever deploys "
                         f"(docs/deploy.md).") from error
