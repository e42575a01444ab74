"""What `trueup doctor --account` looks at in an AWS account: who asks, the stack, its roles one by one, the packages."""

from collections.abc import Iterator

from contract.errors import TrueupError, UsageError
from contract.settings import Settings
from contract.storage import open_storage
from pipeline.checks.machine import ABSENT, BAD, OK

Row = tuple[str, str, str, str]  # check, state, what was found, what to do


def rows(settings: Settings) -> Iterator[Row]:
    """One row a check. UsageError for a root that is no bucket."""
    root = open_storage(settings.need_root()).root
    if not root.startswith("s3://"):
        raise UsageError(f"--account: expected a root in the account's S3 (s3://bucket/prefix), got {root}.")
    yield _identity()
    stack = _stack(settings)
    yield stack
    if stack[1] == OK:
        yield from _roles(root, settings)
    yield from _packages(settings)


def _identity() -> Row:
    from emr.serverless.account import identity

    try:
        return "account", OK, identity()["Arn"], ""
    except TrueupError as error:
        return "account", BAD, str(error), "give this machine credentials: `aws sts get-caller-identity` must answer"


def _stack(settings: Settings) -> Row:
    from emr import stack

    do = "`trueup emr deploy` makes or mends it"
    try:
        state = stack.state(settings.emr.stack)
    except TrueupError as error:
        return "stack", BAD, str(error), "let the caller use cloudformation:DescribeStacks"
    if state is None:
        return "stack", ABSENT, f"{settings.emr.stack} is not there", do
    good = state.endswith("_COMPLETE") and "ROLLBACK" not in state and "DELETE" not in state
    return "stack", OK if good else BAD, f"{settings.emr.stack}: {state}", "" if good else do


def _roles(root: str, settings: Settings) -> Iterator[Row]:
    from emr.role_check import findings

    for found in findings(root, settings.emr):
        do = ("let the caller use iam:SimulatePrincipalPolicy (docs/deploy.md)" if found.error
              else "`trueup emr deploy` restores its policy; a boundary or an organisation's policy may narrow it")
        yield f"role {found.role}", OK if found.good else BAD, str(found), "" if found.good else do


def _packages(settings: Settings) -> Iterator[Row]:
    from emr.needs import COUNT, TRAIN
    from emr.package import published

    for environment in (COUNT, TRAIN):
        try:
            found = published(open_storage(settings.need_root()), environment)
            yield f"package {environment}", OK, found.archive, ""
        except TrueupError as error:
            yield f"package {environment}", ABSENT, str(error), "`trueup emr deploy` builds and uploads it"
