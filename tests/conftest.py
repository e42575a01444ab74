"""What all tests share: nothing of the developer's own configuration, the two tiers, a root, an S3, a Spark."""

import logging
import os
import signal
import uuid

import hypothesis
import pytest

from tests.tiers import (  # noqa: F401  (pytest finds hooks by their names here)
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)

# Not us-east-1, to which a region that was lost on the way would go.
REGION = "eu-west-1"
FAKE_AWS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    # An intercepting proxy would answer for moto.
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}


def hide_the_developers_own():
    """At import, before any module of ours reads the environment: a test never reaches a real account or bucket."""
    for name in [name for name in os.environ if name.startswith(("TRUEUP_", "AWS_"))]:
        del os.environ[name]
    os.environ.update(FAKE_AWS)
    os.environ["TRUEUP_ALLOW_MODULES"] = "[tests]"  # networks that are code of these tests


hide_the_developers_own()
# A shell that starts the tests in the background has them ignore Ctrl-C, and so would everything that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# At the interpreter's end Spark's gateway would say, on a stream that pytest has closed, that it closes.
logging.getLogger("py4j").setLevel(logging.WARNING)
# On a busy machine the first example of a property takes as long as an import; that is no finding.
hypothesis.settings.register_profile("trueup", deadline=None)
hypothesis.settings.load_profile("trueup")


@pytest.fixture(autouse=True)
def _modules_of_the_tests(monkeypatch):
    """A command that runs in this process adds to its environment what its settings allow: for its test alone."""
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "[tests]")


@pytest.fixture(scope="session", autouse=True)
def _elsewhere(tmp_path_factory):
    """Run in an empty folder: a `trueup.yaml` of the developer's is not read, and Spark leaves nothing in the tree."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("cwd"))
    yield
    os.chdir(before)


@pytest.fixture(autouse=True)
def _own_logging():
    """A command that runs inside a test may log to the stderr of that test, which later ones find closed, or be interrupted,
    which silences all that comes after it."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    logging.disable(logging.NOTSET)
    for handler in [h for h in root.handlers if h not in before]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def tmp_root(tmp_path) -> str:
    """A fresh root in a folder, as the path that a user would type."""
    return str(tmp_path / "root")


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory):
    """The database of an MLflow, with its tables, to be copied."""
    from tests.command.tracking.mlflows import make_template

    return make_template(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture
def mlflow(mlflow_template, tmp_path):
    """An MLflow of the test's own, asked by its own client."""
    from tests.command.tracking.mlflows import Mlflow

    return Mlflow(mlflow_template, tmp_path / "mlflow")


@pytest.fixture(scope="session")
def moto_server() -> str:
    """Endpoint of an S3 that honours conditional writes: moto's server in a thread, on a free port."""
    from tests.fakes.s3 import start_server

    server = start_server()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_root(moto_server, monkeypatch) -> str:
    """A fresh root in a bucket of its own; its prefix has a space, as people's prefixes do."""
    from tests.fakes.s3 import make_bucket

    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    bucket = make_bucket(f"test-{uuid.uuid4().hex[:12]}")
    return f"s3://{bucket}/some prefix"


@pytest.fixture
def cluster(tmp_path, s3_root):
    """A real Spark cluster that reads the S3; after `s3_root`, whose endpoint and credentials its workers have to have."""
    from tests.prerequisites import need
    from tests.standalone import Standalone

    need("s3a")
    with Standalone(tmp_path / "spark") as found:
        yield found


@pytest.fixture(scope="module")
def without_spark():
    """Small datasets are made in this process, also where other tests left a Spark running."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jvm.session.is_running", lambda: False)
        yield


@pytest.fixture(scope="session")
def spark():
    """One local Spark for the session, made the way that our jobs make theirs."""
    from jvm import java

    java.prepare("local[2]")
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.driver.memory", "1g")
        .getOrCreate()
    )
    yield session
    session.stop()
