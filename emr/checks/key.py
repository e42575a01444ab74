"""Whether `emr.kms_key` can be used: the key itself, what its policy says of the services, and the bucket's default."""

import json
from collections.abc import Iterator

from contract.settings import EmrSettings
from emr import account
from emr.access import split_root
from emr.account import AccountError, Caller
from emr.checks.finding import ABSENT, BAD, OK, Finding
from emr.security.key_policy import list_missing

DEFAULT = ("make emr.kms_key the bucket's default: `trueup emr deploy`, or aws s3api put-bucket-encryption for a bucket that the "
           "stack did not make")
POLICY = "`trueup emr template --key-policy` prints the statements to add to the key's policy"


def check_key(settings: EmrSettings) -> Iterator[Finding]:
    """Looks at the key: enabled, symmetric; and whether its policy names the services that use it in their own name."""
    kms = Caller(account.connect("kms"), service="KMS")
    found = kms.call("describe_key", KeyId=settings.kms_key)["KeyMetadata"]
    if found["KeyState"] != "Enabled" or found.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        yield Finding("key", BAD, f"{found['Arn']}: {found['KeyState']}, {found.get('KeySpec')}",
                      "name an enabled symmetric key: emr.kms_key. While it is not, nobody reads what was written")
        return
    missing = list_missing(settings, json.loads(kms.call("get_key_policy", KeyId=found["Arn"], PolicyName="default")["Policy"]))
    if missing:
        yield Finding("key", BAD, f"{found['Arn']}: its policy does not name {', '.join(missing)}", POLICY)
    else:
        yield Finding("key", OK, f"{found['Arn']}: enabled, its policy names every service that needs it")


def check_bucket_key(root: str, settings: EmrSettings) -> Iterator[Finding]:
    """Looks at the bucket's default: what is written without saying how gets its key, whoever made the bucket."""
    bucket, check = split_root(root)[0], "bucket's key"
    try:
        answer = Caller(account.connect("s3"), service="S3").call("get_bucket_encryption", Bucket=bucket)
    except AccountError as error:
        if error.code not in ("NoSuchBucket", "ServerSideEncryptionConfigurationNotFoundError"):
            raise
        yield Finding(check, ABSENT if error.code == "NoSuchBucket" else BAD, f"{bucket}: {error.code}", DEFAULT)
        return
    rule = answer["ServerSideEncryptionConfiguration"]["Rules"][0]
    default = rule["ApplyServerSideEncryptionByDefault"]
    ours = default.get("KMSMasterKeyID") == settings.kms_key
    yield Finding(check, OK if ours else BAD, f"{bucket}: {default['SSEAlgorithm']} {default.get('KMSMasterKeyID', '')}".rstrip(),
                  "" if ours else DEFAULT)
