"""The images of the Dockerfiles, built and run: `make test-slow K=images`."""

import json
import os
import signal

import httpx
import pytest

from command.load_settings import load
from contract.errors import CANNOT_TELL
from contract.storage import open_root
from emr import package
from emr.job import make_request
from emr.requests import add_attempt
from emr.serverless.job import make_job
from emr.template import service, service_instances
from inference.keys import KeyRing
from tests import tiny_root
from tests.container import Container
from tests.daemons import find_port
from tests.image_builder import Images, make_spark_base, need_room
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, table_rows, until
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


def test_the_image_keeps_nothing_of_how_it_was_built(images, driver):
    with Container(images, driver, {}) as container:
        assert not (container.disk / "etc/pip.conf").exists() and not list((container.disk / "run/secrets").glob("*"))
        assert not list((container.disk / "var/cache/uv").glob("*")) and not (container.disk / "root/.cache").exists()
        assert not list((container.disk / "trueup/.venv").glob("**/uv"))
    recorded = json.dumps(images.inspect(driver))
    assert not [word for word in ("index-url", "://", "trusted-host") if word in recorded]
    images.build("trueup-driver", "Dockerfile", images.debian())
    (step,) = [part for part in images.said.split("\nSTEP ") if "install_extras.py --" in part]
    assert "--> Using cache" in step


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


@pytest.fixture(scope="module")
def served(images):
    """The service's image. PyTorch's build for CPUs is on an index of its own, which is not everywhere: the lock's, trimmed."""
    need_room(images, "trueup-service", gigabytes=17)
    image = images.build("trueup-service", "Dockerfile", images.debian(), EXTRA="serve", TORCH="trimmed")
    show_sizes(images, image)
    return image


def make_task(root: str, port: int) -> dict:
    """The container of the service as the template has it."""
    sets = ["emr.service_image=x", "emr.create_network=true", f"serve.port={port}"]
    settings = load(root=root, model="m", env={}, overrides=sets)
    (task,) = service.make_resources(root, settings)["ServiceTask"].properties["ContainerDefinitions"]
    task["Environment"] = {one["Name"]: one["Value"] for one in task["Environment"]} | aws()
    return task


def test_the_services_container_keeps_what_it_answered(images, served, s3_root, tmp_path):
    publish_tiny(s3_root)
    key = {"Authorization": f"Bearer {KeyRing(open_root(s3_root)).add('camera', ['predict'])}"}
    task, volume, answered = make_task(s3_root, port := find_port()), tmp_path / "outbox", []
    volume.mkdir(0o700)
    os.chown(volume, service_instances.USER, service_instances.USER)  # as the instance of the template does
    with Container(images, served, task["Environment"], volume) as container, \
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, headers=key) as client:
        before = container.list_files()
        for how in (signal.SIGKILL, signal.SIGTERM):
            with container.start(*task["Command"], log=tmp_path / how.name) as running:
                until(lambda running=running: running.process.poll() is not None or is_ready(client), 120)
                assert running.process.poll() is None, running.log.read_text()[-3000:]
                assert running.read_users() == {service_instances.USER}
                for n in range(3):
                    answer = client.post("/v1/predictions", content=picture(n + len(answered)), headers=IMAGE)
                    answered.append(answer.raise_for_status().json()["prediction_id"])
                assert table_rows(s3_root, "predictions") == []  # they wait in the outbox, for serve.ship_seconds
                code, seconds = running.end(how, task["StopTimeout"])
        assert (code, seconds < task["StopTimeout"]) == (0, True)
        assert sorted(row["prediction_id"] for row in table_rows(s3_root, "predictions")) == sorted(answered)
        assert container.list_files() == before
    print(f"\nthe service ended {seconds:.1f} s after SIGTERM")


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def workers(images):
    """The image of EMR Serverless's workers; without torch, which its jobs of counting and datasets do not import."""
    need_room(images, "trueup-serverless", gigabytes=6)
    image = images.build("trueup-serverless", "emr/serverless.Dockerfile", make_spark_base(images), TORCH="none")
    show_sizes(images, image)
    return image


@pytest.mark.parametrize("stage", ["evaluate", "dataset"])
def test_the_workers_image_runs_the_job_that_serverless_is_asked_for(images, workers, s3_root, tmp_path, stage):
    root = tiny_root.make(s3_root)
    settings = load(root=root, model=tiny_root.MODEL, env={}, overrides=["emr.compute=serverless", "emr.serverless_image=x"])
    window = ["--model", tiny_root.MODEL, "--from", tiny_root.DAY, "--to", tiny_root.DAY, "--as-of", "2026-11-22T00:00:00Z"]
    asked = make_request(stage, window, settings.model_dump(mode="json", exclude={"root"}))
    attempt = add_attempt(open_root(root), tiny_root.MODEL, asked)
    job = make_job(open_root(root), asked, attempt, settings.emr, "arn:aws:iam::123456789012:role/x").job
    variables, line = read_submit(job)
    with Container(images, workers, aws() | variables) as container:
        before = container.list_files()
        code, said = container.run(*line, log=tmp_path / "log", entry=["/usr/lib/spark/bin/spark-submit"])
        assert code == 0, said[-4000:]
        assert container.list_files() == before
        _, user = container.run("-un", log=tmp_path / "user", entry=["id"])
    reply = attempt.read_reply()
    assert (reply.code, user.strip()) == (0, "hadoop"), reply
    if stage == "evaluate":
        assert (reply.document["engine"], reply.document["rows"]["vote"]) == ("spark", 60)
    else:
        tiny_root.check_readable(open_root(root))


def read_submit(job: dict) -> tuple[dict[str, str], list[str]]:
    """What EMR Serverless makes of StartJobRun: the driver's variables, and spark-submit's arguments. Its workers are this
    machine's cores."""
    submit = job["jobDriver"]["sparkSubmit"]
    (defaults,) = job["configurationOverrides"]["applicationConfiguration"]
    prefix, given = "spark.emr-serverless.driverEnv.", defaults["properties"]
    variables = {name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)}
    conf = {name: value for name, value in given.items() if not name.startswith(prefix)} | {
        "spark.driver.memory": "1g", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    return variables, ["--master", "local[2]", *(word for name, value in conf.items() for word in ("--conf", f"{name}={value}")),
                       submit["entryPoint"], *submit["entryPointArguments"]]
