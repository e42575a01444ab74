"""The store as a Spark task sees it: endpoint and region travel with the task, credentials stay where they are.

A worker's environment is that of the JVM that started it, which may know nothing of the driver's endpoint.
"""

import os

from contract.storage import open_storage
from contract.stores.store import Storage

NAMES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION")

Where = tuple[str, dict[str, str]]


def describe(storage: Storage) -> Where:
    """What a task needs to open the same root; made in the driver."""
    return storage.root, {name: os.environ[name] for name in NAMES if name in os.environ}


def open_there(at: Where) -> Storage:
    """The store; called in a task, whose environment is made to agree."""
    root, environment = at
    if root.startswith("s3"):
        for name in NAMES:
            os.environ.pop(name, None)
        os.environ.update(environment)
    return open_storage(root)
