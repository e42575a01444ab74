"""What a reference stands for: `env:NAME`, `file:/path`, `aws-secret:NAME` (or an ARN, `#field` of a secret that is JSON).

A value is read when a message is sent and kept nowhere; no error names it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from contract.errors import UsageError

LONGEST = 65536


def resolve(reference: str) -> str:
    """Returns the value without surrounding blanks; UsageError names the reference when there is none."""
    kind, _, name = reference.partition(":")
    value = {"env": _read_variable, "file": _read_file, "aws-secret": _read_secret}[kind](name).strip()
    if not value:
        raise UsageError(f"{reference}: expected a value there, found none. Set it (docs/monitoring.md).")
    return value


def _read_variable(name: str) -> str:
    return os.environ.get(name, "")


def _read_file(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            return file.read(LONGEST).decode()
    except (OSError, ValueError) as error:
        raise UsageError(f"file:{name} cannot be read: {type(error).__name__}. Make it, readable for this process.") from None


def _read_secret(name: str) -> str:
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    from contract.stores.aws_region import get_session, need_region

    secret, _, field = name.partition("#")
    limits = Config(connect_timeout=5, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
    region = secret.split(":")[3] if secret.startswith("arn:") else need_region()
    try:
        found = get_session().client("secretsmanager", region_name=region, config=limits).get_secret_value(SecretId=secret)
    except ClientError as error:
        raise UsageError(f"aws-secret:{name} cannot be read: {error.response['Error']['Code']}. Expected a secret in {region}, "
                         f"and the right secretsmanager:GetSecretValue.") from None
    except BotoCoreError as error:
        raise UsageError(f"aws-secret:{name} cannot be read: {type(error).__name__}. Check region and network.") from None
    text = str(found.get("SecretString", ""))
    return _pick(text, name, field) if field else text


def _pick(text: str, name: str, field: str) -> str:
    try:
        return str(json.loads(text)[field])
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"aws-secret:{name}: expected a JSON object with the field {field!r}, found none.") from None
