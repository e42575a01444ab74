"""EMR's security configuration of the stack: what a cluster's disks, and with certificates its wires, are encrypted by.

Of what is sent between nodes EMR encrypts Hadoop's and Spark's own traffic, and only with certificates in a zip file in S3
(privateKey.pem, certificateChain.pem, trustedCertificates.pem) or a Java class that brings them; the stack makes neither.
Ranks that train send gradients by sockets of torch's own, which no setting of EMR encrypts.
"""

import hashlib
from typing import Any

from contract import jsonio
from contract.settings import EmrSettings


def make_configuration(settings: EmrSettings) -> dict[str, Any] | None:
    """Writes the configuration; None where nothing is to be encrypted, or somebody's own is named."""
    if settings.security_configuration or not (settings.kms_key or settings.certificates):
        return None
    encryption: dict[str, Any] = {"EnableAtRestEncryption": settings.kms_key is not None,
                                  "EnableInTransitEncryption": settings.certificates is not None}
    if settings.kms_key:
        encryption["AtRestEncryptionConfiguration"] = {
            "S3EncryptionConfiguration": {"EncryptionMode": "SSE-KMS", "AwsKmsKey": settings.kms_key},
            "LocalDiskEncryptionConfiguration": {"EncryptionKeyProviderType": "AwsKms", "AwsKmsKey": settings.kms_key,
                                                 "EnableEbsEncryption": True}}
    if settings.certificates:
        encryption["InTransitEncryptionConfiguration"] = {"TLSCertificateConfiguration": {
            "CertificateProviderType": "PEM", "S3Object": settings.certificates}}
    return {"EncryptionConfiguration": encryption}


def name_configuration(settings: EmrSettings) -> str | None:
    """Names the configuration that clusters ask for; None: none.

    EMR never changes one. So its name has a hash of what it says, and another one is made beside it before the old one goes.
    """
    made = make_configuration(settings)
    if made is None:
        return settings.security_configuration
    return f"{settings.stack}-{hashlib.sha256(jsonio.dumps(made)).hexdigest()[:8]}"
