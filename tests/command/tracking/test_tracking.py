"""Nothing of MLflow breaks a command: refused, silent, missing or broken, it is said and the command goes on."""

import socket
import sys

import pytest
from pydantic import ValidationError

from command.tracking.tracking import tell, write_told
from contract.sections.tracking import TrackFields


def find(store):
    return store.find_run("k")


@pytest.fixture
def quick(monkeypatch):
    """No second try: it would wait for seconds."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def test_nothing_is_tracked_by_default():
    assert tell(TrackFields(), find) is None and write_told(None) == ""


def test_a_server_that_refuses_is_a_warning(quick, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    told = tell(TrackFields(mlflow=address, seconds=120), find)
    assert told["mlflow"] == address and "efused" in told["error"] and "was not told" in capsys.readouterr().err
    assert write_told(told).startswith("; MLflow was not told")


def test_a_server_that_is_silent_is_waited_for_so_long_and_no_longer(quick, capsys):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        told = tell(TrackFields(mlflow=f"http://127.0.0.1:{silent.getsockname()[1]}", seconds=0.5), find)
    assert told["error"] == "it did not answer within 0.5 s" in capsys.readouterr().err


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    told = tell(TrackFields(mlflow="http://127.0.0.1:9"), find)
    assert "mlflow-skinny is missing" in told["error"] and "trueup[mlflow]" in told["error"]


@pytest.mark.parametrize("error", [SystemExit(3), ValueError("x" * 5000)])
def test_whatever_it_raises_is_said_in_short(mlflow, error):
    def work(store):
        raise error

    told = tell(mlflow.track, work)
    assert told["error"].startswith(type(error).__name__) and len(told["error"]) <= 500


def test_what_was_told_names_the_run(mlflow):
    told = tell(mlflow.track, lambda store: store.need_run("k", "name", {}))
    assert write_told(told) == f"; MLflow run {told['run']}" and mlflow.runs("k")[0].info.run_id == told["run"]


@pytest.mark.parametrize(("address", "said"), [
    ("https://ana:secret@mlflow.example.com", "without a password"), ("postgresql://u:secret@host/db", "without a password"),
    ("mlruns", "with a scheme"), ("", "with a scheme"), ("http: //x", "with a scheme")])
def test_an_address_without_a_scheme_or_with_a_password_is_refused(address, said):
    with pytest.raises(ValidationError, match=f"expected an address {said}") as refused:
        TrackFields(mlflow=address)
    assert "secret" not in str(refused.value.errors()[0]["msg"])


def test_artifacts_of_a_database_lie_beside_it(mlflow, tmp_path):
    run = tell(mlflow.track, lambda store: store.need_run("k", "name", {}))["run"]
    assert mlflow.client.get_run(run).info.artifact_uri.startswith((tmp_path / "mlflow" / "artifacts").as_uri())
