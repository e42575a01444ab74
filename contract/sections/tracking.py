"""`track:`, where trainings and versions are told of besides the bucket (docs/tracking.md)."""

import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from contract.policy import Limited

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:\S+")


class TrackFields(Limited):
    """An MLflow that is told of trainings, assessments and versions."""

    mlflow: str | None = Field(None, description="address of an MLflow server or of its database, e.g. "
                               "https://mlflow.example.com or sqlite:////data/mlflow.db; empty: nothing is tracked")
    experiment: str = Field("trueup", min_length=1, max_length=200, description="MLflow experiment that the runs are in; it is "
                            "made where there is none")
    seconds: float = Field(30.0, gt=0, description="the longest that a command waits for MLflow, each time it has something to "
                           "tell")

    @field_validator("mlflow")
    @classmethod
    def _address_has_no_secret(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not ADDRESS.fullmatch(value):
            raise ValueError(f"{value!r}: expected an address with a scheme, such as https://mlflow.example.com or "
                             f"sqlite:////data/mlflow.db")
        if urlsplit(value).password is not None:
            raise ValueError("expected an address without a password, since runs keep settings and `trueup config` prints them. "
                             "A server's name and password go into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or "
                             "MLFLOW_TRACKING_TOKEN); a database with a password goes behind a server")
        return value
