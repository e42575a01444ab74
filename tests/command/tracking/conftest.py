"""The database that tests of tracking copy."""

import pytest

from tests.command.tracking.mlflows import Mlflow, make_template


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory):
    return make_template(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture
def mlflow(mlflow_template, tmp_path):
    return Mlflow(mlflow_template, tmp_path / "mlflow")
