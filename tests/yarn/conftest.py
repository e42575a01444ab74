"""A YARN, a node of EMR on it, and an S3 whose buckets lie in another region than the clusters."""

import shutil
import uuid
from pathlib import Path

import pytest

from emr import package
from tests.fakes.regional_s3 import RegionalS3
from tests.fakes.s3 import make_bucket
from tests.prerequisites import need
from tests.yarn.cluster import Yarn
from tests.yarn.emr_node import EmrNode, cluster_source, list_packed, node_environ

CACHE = cluster_source() / ".cache" / "yarn"
BUCKETS = "ap-southeast-2"


@pytest.fixture
def store(moto_server):
    """Answers 301 to whoever signs for another region than that of the buckets, as AWS does."""
    with RegionalS3(moto_server, BUCKETS) as found:
        yield found


@pytest.fixture
def s3_root(store, monkeypatch):
    """A root whose bucket lies in another region than the one that the tests, and so the clusters, have."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
    return f"s3://{make_bucket(f'test-{uuid.uuid4().hex[:12]}', BUCKETS)}/a deeper/one=2"


@pytest.fixture
def yarn(tmp_path, s3_root):
    """After `s3_root`, whose endpoint and credentials nodes have to have."""
    with Yarn(tmp_path / "yarn", need("hadoop"), node_environ(tmp_path)) as found:
        yield found


@pytest.fixture
def node(tmp_path, yarn):
    return make_node(tmp_path, yarn)


def make_node(folder, yarn, commands=None):
    (folder / "emr").mkdir()
    return EmrNode(folder / "emr", yarn, need("s3a"), commands)


@pytest.fixture
def packed(monkeypatch):
    """Archives as `trueup emr deploy` builds them, kept from one run of the tests to the next by what they are made from."""
    build = package.build

    def build_once(environment, source, folder):
        kept = CACHE / f"{environment}-{package.compute_fingerprint(source)}.tar.gz"
        if not kept.is_file():
            CACHE.mkdir(parents=True, exist_ok=True)
            for old in CACHE.glob(f"{environment}-*"):
                old.unlink()
            built = build(environment, source, folder)
            shutil.copyfile(built, f"{kept}.part")
            Path(f"{kept}.part").rename(kept)
        return Path(shutil.copyfile(kept, folder / f"{environment}.tar.gz"))

    monkeypatch.setattr(package, "list_requirements", list_packed)
    monkeypatch.setattr(package, "build", build_once)
