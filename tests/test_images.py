"""The images of the Dockerfiles, built and run: `make test-slow K=images`."""

import json
import os
import signal
import time

import httpx
import pytest

from contract.errors import CANNOT_TELL
from emr import package
from tests.image_builder import Container, Images
from tests.pipeline.roots import MODEL, make_root

pytestmark = [pytest.mark.slow("images"), pytest.mark.timeout(3000)]
MB = 1e6


@pytest.fixture(scope="module")
def images():
    return Images()


def aws() -> dict[str, str]:
    """How a container reaches the test's S3; on AWS the region is given, and credentials are the task's."""
    return {name: os.environ[name] for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION",
                                                "AWS_EC2_METADATA_DISABLED")}


def show_sizes(images, image):
    """Prints what an image is made of; `-s` shows it."""
    layers = images.list_layers(image)
    print(f"\n{image}: {sum(size for size, _ in layers) / MB:.0f} MB")
    for size, how in layers:
        if size > MB:
            print(f"  {size / MB:7.1f} MB  {how[:150]}")


@pytest.fixture(scope="module")
def driver(images):
    image = images.build("trueup-driver", "Dockerfile", images.debian())
    show_sizes(images, image)
    return image


def test_the_drivers_container_carries_a_cycle(images, driver, s3_root, tmp_path):
    make_root(s3_root, right=5, n=200, labelled=5)
    given = aws() | {"TRUEUP_ROOT": s3_root, "TRUEUP_MODEL": MODEL, "TRUEUP_EMR_SUBNETS": '["subnet-1"]'}
    with Container(images, driver, given) as container:
        before = container.list_files()
        code, said = container.run(log=tmp_path / "log")
        assert code == CANNOT_TELL, said
        assert "cannot tell" in said
        look = "import os, json; from emr import package; print(json.dumps([os.getuid(), package.compute_fingerprint()]))"
        _, said = container.run("-c", look, log=tmp_path / "look", entry=["python"])
        # It runs as the user whom the outbox belongs to, and finds the packages that this checkout's `emr deploy` uploads.
        assert json.loads(said) == [1000, package.compute_fingerprint()]
        assert container.list_files() == before
