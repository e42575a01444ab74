"""What `trueup doctor --account` looks at in an AWS account: who asks, the stack, its roles one by one, the packages.

And what must be there beside the stack (emr/checks/): the region, a release, service-linked roles, a network, quotas, images.
"""

from collections.abc import Iterator

from contract.errors import TrueupError, UsageError
from contract.settings import Settings
from contract.storage import open_storage
from pipeline.checks.machine import ABSENT, BAD, OK, UNASKED, Row


def check_account(settings: Settings) -> Iterator[Row]:
    """Yields one row a check. UsageError for a root that is no bucket."""
    root = open_storage(settings.need_root()).root
    if not root.startswith("s3://"):
        raise UsageError(f"--account: expected a root in the account's S3 (s3://bucket/prefix), got {root}.")
    yield _check_identity()
    stack = _check_stack(settings)
    yield stack
    if stack[1] == OK:
        yield from _check_roles(root, settings)
    yield from _check_packages(settings)
    yield from _check_surroundings(root, settings)


def _check_identity() -> Row:
    from emr.serverless.account import find_identity

    try:
        return "account", OK, find_identity()["Arn"], ""
    except TrueupError as error:
        return "account", BAD, str(error), "give this machine credentials: `aws sts get-caller-identity` must answer"


def _check_stack(settings: Settings) -> Row:
    from emr import stack

    do = "`trueup emr deploy` makes or mends it"
    try:
        state = stack.read_state(settings.emr.stack)
    except TrueupError as error:
        return "stack", UNASKED if _is_denied(error) else BAD, str(error), "let the caller use cloudformation:DescribeStacks"
    if state is None:
        return "stack", ABSENT, f"{settings.emr.stack} is not there", do
    good = state.endswith("_COMPLETE") and "ROLLBACK" not in state and "DELETE" not in state
    return "stack", OK if good else BAD, f"{settings.emr.stack}: {state}", "" if good else do


def _check_roles(root: str, settings: Settings) -> Iterator[Row]:
    from emr.role_check import check_roles

    for finding in check_roles(root, settings.emr):
        do = ("let the caller use iam:SimulatePrincipalPolicy (docs/deploy.md)" if finding.error
              else "`trueup emr deploy` restores its policy; a boundary or an organisation's policy may narrow it")
        state = OK if finding.good else UNASKED if finding.denied else BAD
        yield f"role {finding.role}", state, str(finding), "" if finding.good else do


def _check_packages(settings: Settings) -> Iterator[Row]:
    from emr.needs import COUNT, TRAIN
    from emr.package import find_package

    for environment in (COUNT, TRAIN):
        try:
            package = find_package(open_storage(settings.need_root()), environment)
            yield f"package {environment}", OK, package.archive, ""
        except TrueupError as error:
            yield f"package {environment}", ABSENT, str(error), "`trueup emr deploy` builds and uploads it"


def _check_surroundings(root: str, settings: Settings) -> Iterator[Row]:
    from emr.checks.account import check_surroundings

    yield from ((found.check, found.state, found.found, found.do) for found in check_surroundings(root, settings))


def _is_denied(error: Exception) -> bool:
    """Tells whether the service refused the question itself."""
    from emr.account import DENIED

    response = getattr(error.__cause__, "response", None) or {}
    return response.get("Error", {}).get("Code", "") in DENIED
