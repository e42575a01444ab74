"""The bucket: encrypted, reached by TLS only, never public; what a lifecycle may remove."""

from typing import Any

from contract import layout
from contract.settings import EmrSettings
from emr.access import split_root
from emr.template.parts import Resource, ref, sub

LOG_DAYS, UPLOAD_DAYS = 60, 7
# Derived and in nobody's way when it is gone: logs of clusters. Counts, raw rows, models, decisions and datasets (whose
# index says what was trained on) are never removed by age.
EXPIRES = {layout.logs(): LOG_DAYS}
NEVER = tuple(folder for folder in layout.FOLDERS if not any(gone.startswith(folder) for gone in EXPIRES))


def make_resources(root: str, settings: EmrSettings) -> dict[str, Resource]:
    """Makes the bucket and its policy; none when the bucket is somebody else's."""
    if not settings.create_bucket:
        return {}
    bucket, prefix = split_root(root)
    everything = [sub(f"arn:${{AWS::Partition}}:s3:::{bucket}{rest}") for rest in ("", "/*")]
    bucket_resource = Resource("AWS::S3::Bucket", {
        "BucketName": bucket,
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [
            {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
        "PublicAccessBlockConfiguration": {name: True for name in (
            "BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        **({"NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}}
           if settings.start_on != "schedule" or has_pictures(settings, bucket) else {}),
        "LifecycleConfiguration": {"Rules": make_lifecycle_rules(prefix)}}, keep=True)
    policy = Resource("AWS::S3::BucketPolicy", {"Bucket": ref("Bucket"), "PolicyDocument": {
        "Version": "2012-10-17", "Statement": [{
            "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": everything,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}}, keep=True)
    return {"Bucket": bucket_resource, "BucketPolicy": policy}


def has_pictures(settings: EmrSettings, bucket: str) -> bool:
    """Tells whether pictures that start scoring are put into this bucket."""
    return settings.score_on is not None and split_root(settings.score_on)[0] == bucket


def make_lifecycle_rules(prefix: str) -> list[dict[str, Any]]:
    """Makes the lifecycle: uploads that were never finished, and what EXPIRES names."""
    uploads = {"Id": "unfinished-uploads", "Status": "Enabled",
               "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UPLOAD_DAYS}}
    old = [{"Id": f"old-{folder.strip('/').replace('/', '-')}", "Status": "Enabled", "Prefix": f"{prefix}{folder}",
            "ExpirationInDays": days} for folder, days in EXPIRES.items()]
    return [uploads, *old]
