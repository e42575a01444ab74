"""Two replicas behind a load balancer, on one root: what must be shared lies in the bucket."""

import json
from contextlib import ExitStack

import httpx
import pytest

from contract import clock, ids
from contract.storage import open_root
from inference import review
from inference.keys import KeyRing
from jobs import evaluate
from tests.fakes.balancer import Balancer
from tests.inference.labelling.test_audit_loop import audit
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until


@pytest.fixture
def site(tmp_root, tmp_path):
    """The address of two replicas with keys, and a ring that makes more of them."""
    publish_tiny(tmp_root)
    rings = [KeyRing(open_root(tmp_root), cache_seconds=0.2) for _ in range(3)]
    with ExitStack() as stack:
        replicas = [stack.enter_context(serving(tmp_root, tmp_path / f"outbox{n}", keyring=rings[n])) for n in (0, 1)]
        balancer = stack.enter_context(Balancer([str(r.base_url) for r in replicas]))
        balancer.replicas, balancer.ring = replicas, rings[2]
        yield balancer


def client(site, token: str) -> httpx.Client:
    return httpx.Client(base_url=site.url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def test_a_key_made_elsewhere_works_at_both_and_revoked_at_neither(site):
    token = site.ring.add("camera", ["predict"])
    with client(site, token) as camera:
        assert {camera.post("/v1/predictions", content=picture(1), headers=IMAGE).status_code for _ in range(4)} == {200}
        site.ring.revoke(token.partition(".")[0])
        until(lambda: {camera.get("/v1/models").status_code for _ in range(4)} == {401})


def test_an_id_that_both_replicas_answered_counts_once(site, tmp_root, capsys):
    token, same = site.ring.add("camera", ["predict", "label"]), ids.uuid7()
    with client(site, token) as camera:
        mine = IMAGE | {"X-Prediction-Id": same}
        answers = [camera.post("/v1/predictions", content=picture(1), headers=mine).json() for _ in range(4)]
        assert all(a == answers[0] for a in answers)
        others = [camera.post("/v1/predictions", content=picture(n), headers=IMAGE).json()["prediction_id"] for n in range(6)]
        for one in [same, *others]:
            assert camera.post("/v1/labels", json={"prediction_id": one, "label": "a"}).status_code == 201
        assert camera.post("/v1/labels", json={"prediction_id": same, "label": "b"}).status_code == 201  # a correction
        until(lambda: len(table_rows(tmp_root, "labels")) == 8 and len(table_rows(tmp_root, "predictions")) == 8)
    assert evaluate.main(["--root", tmp_root, "--model", "m", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert (rows["duplicate_predictions"], rows["vote"], rows["superseded"]) == (1, 7, 1)
    assert len({key.partition("-")[0] for key in files(tmp_root)}) == 2  # two writers


def files(root: str) -> list[str]:
    return [e.key.rpartition("/")[2] for e in open_root(root).list("predictions/")]


def test_people_at_two_replicas_never_get_the_same_items_and_all_answers_arrive(site, tmp_root):
    day = clock.day_of(clock.now())
    assert review.main(["sample", "--root", tmp_root, "--model", "m", "--day", day, "--p", "0.8", "--salt", "s"]) == 0
    with client(site, site.ring.add("camera", ["predict"])) as camera:
        made = [camera.post("/v1/predictions", content=picture(n), headers=IMAGE).json()["prediction_id"] for n in range(20)]
    until(lambda: len(table_rows(tmp_root, "predictions")) == 20)
    answered: list[set[str]] = []
    with ExitStack() as stack:
        people = [stack.enter_context(client(site, site.ring.add(n, ["label"]))) for n in ("ada", "bob", "cy")]
        while any(batch := [audit(person, "a", wanted=2) for person in people]):
            answered += batch
    handed = [i for batch in answered for i in batch]
    assert len(handed) == len(set(handed)) and set(handed) <= set(made) and len(handed) > 8
    until(lambda: len(table_rows(tmp_root, "labels")) == len(handed))
    assert {r["prediction_id"] for r in table_rows(tmp_root, "labels")} == set(handed)
    assert {r["selection_probability"] for r in table_rows(tmp_root, "labels")} == {0.8}
