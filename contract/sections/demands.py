"""Settings by which an organisation's rules for its account are kept: a key, a boundary and a path of roles, tags, versions.

None of them is needed; without them nothing is asked of AWS that was not asked before.
"""

import re

from pydantic import Field, field_validator

from contract.policy import Limited
from contract.sections.urls import BUCKET_NAME

KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key/[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+)")
BOUNDARY = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[A-Za-z0-9/+=,.@_-]+")
PATH = re.compile(r"/([A-Za-z0-9+=,.@_-]+/)*")
BUCKET = re.compile(rf"{BUCKET_NAME}(/\S*)?")
ZIP = re.compile(rf"s3://{BUCKET_NAME}/\S+\.zip")
TAG = re.compile(r"[\w\s.:/=+@-]*")  # what all of the services take: IAM's and EC2's own sets are no narrower
MOST_TAGS = 50 - 6  # of a resource, without those that Trueup gives: four to a cluster, two to a part of a network
TAG_NAME, TAG_VALUE = 128, 256  # letters
OURS = ("trueup:", "for-use-with-amazon-emr-managed-policies")


class DemandSettings(Limited):
    """The part of `emr:` that an organisation demands of what is made in its account."""

    kms_key: str | None = Field(None, description="ARN of a KMS key, or of its alias, in the bucket's region: bucket, disks of "
                                "nodes and instances, logs, mails and their queue are encrypted by it")
    certificates: str | None = Field(None, description="s3://bucket/name.zip of PEM files: EMR encrypts what a cluster's nodes "
                                     "send each other")
    permissions_boundary: str | None = Field(None, description="ARN of the policy that bounds every role of the stack")
    role_path: str = Field("/", description="path of every role of the stack, e.g. /trueup/")
    tags: dict[str, str] = Field({}, description="tags of the stack and of all that it or the driver makes, e.g. "
                                 "{cost-center: '42'}")
    versioning: bool | None = Field(None, description="the bucket keeps what is replaced or deleted for version_days; false: no "
                                    "longer, and what it kept goes by age; null: it never did")
    version_days: int = Field(30, ge=1, description="days that the bucket keeps what was replaced or deleted")
    access_log: str | None = Field(None, description="another bucket, or bucket/prefix, to which S3 writes who asked for what")

    @field_validator("kms_key")
    @classmethod
    def _key_is_one_of_ours(cls, value: str | None) -> str | None:
        if value is not None and (not KEY.fullmatch(value) or ":alias/aws/" in value):
            raise ValueError(f"{value!r}: expected the ARN of a KMS key or alias of yours, e.g. "
                             f"arn:aws:kms:eu-west-1:123456789012:key/12345678-1234-1234-1234-123456789012; those of AWS "
                             f"(alias/aws/…) cannot be shared between its services")
        return value

    @field_validator("certificates")
    @classmethod
    def _certificates_are_a_zip(cls, value: str | None) -> str | None:
        return _match(value, ZIP, "a zip file of PEM files, s3://bucket/certificates.zip")

    @field_validator("permissions_boundary")
    @classmethod
    def _boundary_is_a_policy(cls, value: str | None) -> str | None:
        return _match(value, BOUNDARY, "the ARN of a policy, e.g. arn:aws:iam::123456789012:policy/boundary")

    @field_validator("role_path")
    @classmethod
    def _path_is_one_of_iam(cls, value: str) -> str:
        if len(value) > 512:
            raise ValueError(f"{value[:20]!r}…: expected at most 512 letters")
        return _match(value, PATH, "a path that begins and ends with a slash, e.g. /trueup/") or "/"

    @field_validator("access_log")
    @classmethod
    def _log_has_a_bucket(cls, value: str | None) -> str | None:
        return _match(value, BUCKET, "a bucket's name, or bucket/prefix, without s3://")

    @field_validator("tags")
    @classmethod
    def _tags_are_legal(cls, value: dict[str, str]) -> dict[str, str]:
        if len(value) > MOST_TAGS:
            raise ValueError(f"expected at most {MOST_TAGS}, since AWS takes 50 and some are Trueup's own, got {len(value)}")
        for name, text in value.items():
            if why := _explain_bad_tag(name, text):
                raise ValueError(f"{name!r}: {why}")
        return value


def _match(value: str | None, pattern: re.Pattern[str], expected: str) -> str | None:
    if value is not None and not pattern.fullmatch(value):
        raise ValueError(f"{value!r}: expected {expected}")
    return value


def _explain_bad_tag(name: str, text: str) -> str | None:
    if not 1 <= len(name) <= TAG_NAME or len(text) > TAG_VALUE:
        return f"expected a name of 1 to {TAG_NAME} letters and a value of at most {TAG_VALUE}, got {len(name)} and {len(text)}"
    if name.lower().startswith("aws:"):
        return "expected another name, since those with aws: are AWS's own"
    if name == "Name" or name.startswith(OURS):
        return "expected another name, since Trueup gives this one itself"
    if not TAG.fullmatch(name) or not TAG.fullmatch(text):
        return f"expected letters, digits, spaces and . : / = + - @ _ in name and value, got {text!r}"
    return None
