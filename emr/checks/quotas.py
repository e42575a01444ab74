"""Whether the account's quotas hold what a turn asks of them: a new account has none for GPU instances."""

from collections.abc import Iterator

from contract.settings import Settings
from emr import account
from emr.account import AccountError, Caller
from emr.checks.finding import BAD, OK, UNASKED, Finding
from emr.quotas import NO_VCPUS, Quota, QuotaNeed, list_quota_needs

NO_SUCH = "NoSuchResourceException"


def check_quota(caller: Caller, need: QuotaNeed) -> Iterator[Finding]:
    """Yields one finding: the quota against what is asked of it."""
    quota, stages = need.quota, ", ".join(need.stages)
    code, value = _read_quota(caller, quota)
    name = name_check(need)
    if value is None:
        yield Finding(name, UNASKED, f"Service Quotas knows no {quota.name} here", f"look at {quota.service} in Service Quotas")
        return
    said = f"{quota.name}: {value:g} vCPUs, {stages} asks {need.vcpus if need.vcpus != NO_VCPUS else 'an unknown number'}"
    if value >= need.vcpus:
        yield Finding(name, OK, said)
        return
    yield Finding(name, BAD, said, f"aws service-quotas request-service-quota-increase --service-code {quota.service} "
                  f"--quota-code {code} --desired-value {need.vcpus} "
                  f"(answered in hours or days; other work of the account counts, too)")


def name_check(need: QuotaNeed) -> str:
    """Names the check by the quota's code, or by its service where it is found by name."""
    return f"quota {need.quota.code or need.quota.service}"


def list_checks(settings: Settings) -> list[tuple[str, QuotaNeed]]:
    """Lists each quota's check and what a turn asks of it; the driver's only where the stack makes one."""
    needs = [need for need in list_quota_needs(settings) if need.stages != ("driver",) or settings.emr.driver_image]
    return [(name_check(need), need) for need in needs]


def make_caller() -> Caller:
    """Makes the client of Service Quotas."""
    return Caller(account.connect("service-quotas"), service="Service Quotas")


def _read_quota(caller: Caller, quota: Quota) -> tuple[str, float | None]:
    """Reads code and value: the account's own, or the default where nobody changed it."""
    if not quota.code:
        return _find_by_name(caller, quota)
    for operation in ("get_service_quota", "get_aws_default_service_quota"):
        try:
            found = caller.call(operation, ServiceCode=quota.service, QuotaCode=quota.code)["Quota"]
            return quota.code, float(found["Value"])
        except AccountError as error:
            if error.code != NO_SUCH:
                raise
    return quota.code, None


def _find_by_name(caller: Caller, quota: Quota) -> tuple[str, float | None]:
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        arguments = {"ServiceCode": quota.service}
        while True:
            page = caller.call(operation, **arguments)
            for found in page["Quotas"]:
                if found["QuotaName"] == quota.name:
                    return found["QuotaCode"], float(found["Value"])
            if not page.get("NextToken"):
                break
            arguments["NextToken"] = page["NextToken"]
    return "", None
