"""A root that holds imported logs alone: the service starts, its pages work, and whoever wants a prediction hears what to do."""

import pytest

from contract.errors import NoSuchModel
from contract.storage import open_root
from inference.versions.known import require_known
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, until
from tests.inference.small_service import ship


def test_pages_work_and_a_prediction_is_refused_until_a_version_is_published(tmp_root, tmp_path):
    ship(open_root(tmp_root, create=True), 4, model="m", images=False)
    with serving(tmp_root, tmp_path / "outbox") as client:
        for path in ("/overview", "/models", "/reports", "/audit", "/review", "/", "/v1/models"):
            assert client.get(path, headers={"Accept": "text/html"}).status_code == 200, path
        refused = client.post("/v1/predictions", content=b"x", headers=IMAGE)
        assert refused.status_code == 503 and refused.json()["error"]["code"] == "not_published"
        assert "publish one (trueup publish)" in refused.json()["error"]["message"]
        ready = client.get("/health/ready")
        assert ready.status_code == 503 and "no version of 'm' was published" in ready.json()["reasons"][0]
        publish_tiny(tmp_root)
        until(lambda: client.get("/health/ready").status_code == 200)


def test_a_name_that_no_row_knows_is_a_typing_mistake(tmp_root):
    storage = open_root(tmp_root, create=True)
    with pytest.raises(NoSuchModel, match="was never published"):
        require_known(storage, "m")
    ship(storage, 4, model="mm", images=False)
    with pytest.raises(NoSuchModel, match="Did you mean 'mm'"):
        require_known(storage, "m")
    require_known(storage, "mm")
