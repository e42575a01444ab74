"""The store as a Spark task sees it: endpoint and region travel with the task, credentials stay where they are.

A worker's environment is that of the JVM that started it, which may know nothing of the driver's endpoint.
"""

import os

from contract.storage import find_region, find_root_id, open_storage
from contract.stores.aws_region import VARIABLES
from contract.stores.local import LocalStorage
from contract.stores.store import Storage

NAMES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", *VARIABLES)

ROOT_ID = "root_id"  # beside the names, of a local root that has one

Where = tuple[str, dict[str, str]]


def describe(storage: Storage) -> Where:
    """What a task needs to open the same root; made in the driver."""
    known = {ROOT_ID: root_id} if (root_id := find_root_id(storage)) is not None else {}
    return storage.root, known | make_environment(storage)


def make_environment(storage: Storage) -> dict[str, str]:
    """The variables by which a child finds the same S3: the endpoint, and the bucket's region, wherever ours came from.
    Empty for a folder."""
    if (region := find_region(storage)) is None:
        return {}
    return {name: os.environ[name] for name in NAMES if name in os.environ} | dict.fromkeys(VARIABLES, region)


def adopt(at: Where) -> None:
    """Makes this process's environment agree with the driver's; called in a task."""
    root, environment = at
    if root.startswith("s3"):
        wanted = {k: v for k, v in environment.items() if k in NAMES}
        for name in set(NAMES) - set(wanted):  # a name that stays is never missing: other threads may be looking
            os.environ.pop(name, None)
        os.environ.update(wanted)


def open_there(at: Where) -> Storage:
    """The store; called in a task, whose environment is made to agree."""
    root, environment = at
    adopt(at)
    storage = open_storage(root)
    if isinstance(storage, LocalStorage):
        storage.must_exist, storage.root_id = ROOT_ID in environment, environment.get(ROOT_ID)
    return storage
