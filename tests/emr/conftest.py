"""A fake account whose steps run in this process, against the test's own root."""

import pytest

from contract import jsonio, layout
from contract.storage import open_root
from emr import account, package, step
from emr.needs import ENVIRONMENTS
from emr.serverless import account as serverless_account
from tests.fakes.emr import FakeEmr
from tests.fakes.serverless import FakeServerless


def run_step(args):
    """What a cluster's primary node does with a step's command line."""
    place = next(n for n, word in enumerate(args) if word.endswith("emr/step.py"))
    return step.main(args[place + 1:])


def put_packages(root):
    """What `trueup emr deploy` leaves, without the archives: no node of the fake unpacks one."""
    storage = open_root(root)
    document = {"archive": "packages/x.tar.gz", "sha256": "0" * 64, "bootstrap": "packages/bootstrap.sh"}
    for environment in ENVIRONMENTS:
        key = layout.package(f"{environment}-of-{package.compute_fingerprint()}.json")
        storage.put(key, jsonio.dumps(document))
    return root


@pytest.fixture
def emr(monkeypatch):
    """The account: every cluster in it is fake, every stage is not."""
    fake, others = FakeEmr(run_step), account.connect
    monkeypatch.setattr(account, "connect", lambda service="emr": fake if service == "emr" else others(service))
    monkeypatch.setattr(account, "pause", fake.sleep)
    monkeypatch.setattr(package, "compute_fingerprint", lambda *_: "f" * 16)
    return fake


def run_job(arguments):
    """What a driver on EMR Serverless does with its job's arguments."""
    return step.main(arguments)


@pytest.fixture
def serverless(emr, monkeypatch):
    """EMR Serverless in the same fake account; its jobs run in this process, too."""
    fake, clusters = FakeServerless(run_job), account.connect
    monkeypatch.setattr(account, "connect", lambda service="emr": fake if service == "emr-serverless" else clusters(service))
    monkeypatch.setattr(account, "pause", fake.sleep)
    monkeypatch.setattr(serverless_account, "find_role_arn", lambda role: f"arn:aws:iam::123456789012:role/{role}")
    return fake


@pytest.fixture
def driver_dies(monkeypatch):
    """(whose `_clean` is left undone, what to run): it dies at its first pause, as by SIGKILL."""

    class Killed(BaseException):
        pass

    def killed(seconds):
        raise Killed

    def dies(follower, run):
        with monkeypatch.context() as dead, pytest.raises(Killed):
            dead.setattr("emr.account.pause", killed)
            dead.setattr(f"{follower}._clean", lambda *_: None)  # nobody cleans up after a SIGKILL
            run()

    return dies
