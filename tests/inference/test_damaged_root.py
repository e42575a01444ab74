"""A service starts and goes on although a document under its root is damaged, and says which."""

import asyncio
import hashlib
import json

import pytest

from contract import layout
from contract.errors import NotFound
from contract.registry import Registry
from contract.storage import open_root
from inference.keys import KeyRing
from inference.labelling.documents import BatchHolder
from inference.live.model import LiveModel
from inference.telemetry import Metrics
from jobs.scoring.part import _read
from tests.inference import small_service
from tests.inference.labelling.test_queue import ADA, answer, queue
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny, tiny_weights
from tests.inference.serving import IMAGE, serving
from tests.inference.test_pages import browser, evaluation_of, service  # noqa: F401  (a fixture)

JUNK = (".DS_Store", "sample.json~", "batch-1.json~", "desktop.ini", "00000007.json.tmp", "x-abcdef.json~")


def follow(root):
    live = LiveModel(open_root(root), "m", 2, Metrics())
    live.follow_live()
    return live


def damage(root, key, data=b'{"seq"'):
    open_root(root).put(key, data)


def history(n, model="m"):
    return layout.history(model).format(n)


def test_a_service_starts_with_a_damaged_newest_record_and_says_so(tmp_root, tmp_path):
    publish_tiny(tmp_root)
    publish_tiny(tmp_root, seed=2)
    damage(tmp_root, history(2))
    KeyRing(open_root(tmp_root)).add("x", ["admin"])
    damage(tmp_root, "keys/old-0a0a0a.json")
    for name in JUNK:
        damage(tmp_root, f"models/m/history/{name}")
        damage(tmp_root, f"keys/{name}")
    with serving(tmp_root, tmp_path / "outbox") as client:
        ready = client.get("/health/ready")
        assert ready.status_code == 200 and ready.json()["models"]["m"]["version"] == "2"  # by the copy in live.json
        assert "the newest record of the history of 'm' cannot be read" in ready.json()["degraded"][0]
        answered = client.post("/v1/predictions", content=picture(), headers=IMAGE)
        assert answered.json()["model_version"] == "2"


@pytest.mark.parametrize(("copy", "served"), [(True, "2"), (False, "1")])
def test_the_version_that_answers_is_the_newest_that_can_be_known(tmp_root, copy, served):
    publish_tiny(tmp_root)
    publish_tiny(tmp_root, seed=2)
    damage(tmp_root, history(2))
    if not copy:
        damage(tmp_root, layout.live("m"), b'{"seq": Infinity}')
    live = follow(tmp_root)
    assert live.version == served and "cannot be read" in live.explain_damage()


def test_what_answers_is_not_replaced_by_an_older_version_and_goes_on_after_the_repair(tmp_root):
    publish_tiny(tmp_root)
    publish_tiny(tmp_root, seed=2)
    live = follow(tmp_root)
    damage(tmp_root, layout.live("m"), b"{")
    publish_tiny(tmp_root, seed=3)
    whole = open_root(tmp_root).read(history(3))
    damage(tmp_root, history(3))
    damage(tmp_root, layout.live("m"), b"{")
    live.follow_live()
    assert live.version == "2" and live.explain_damage()
    open_root(tmp_root).put(history(3), whole)
    live.follow_live()
    assert live.version == "3" and live.explain_damage() is None


def test_an_old_damaged_record_leaves_the_other_versions_to_fall_back_to(tmp_root):
    for seed in (1, 2, 3):
        publish_tiny(tmp_root, seed=seed)
    publish_tiny(tmp_root, weights=b"garbage")
    damage(tmp_root, history(3))
    assert follow(tmp_root).version == "2"


def test_card_and_weights_that_were_changed_together_are_not_served(tmp_root):
    publish_tiny(tmp_root)
    publish_tiny(tmp_root, seed=2)
    registry = Registry(open_root(tmp_root), "m")
    forged = tiny_weights(3, 9)
    card = json.loads(registry.storage.read(layout.card("m", "2")))
    registry.storage.put(layout.weights("m", "2"), forged)
    registry.storage.put(layout.card("m", "2"),
                         json.dumps(card | {"weights_sha256": hashlib.sha256(forged).hexdigest()}).encode())
    live = follow(tmp_root)
    assert live.version == "1" and "changed after it was made live" in live.refused.reason


def test_one_damaged_key_stops_no_other_and_opens_no_door(tmp_root, caplog):
    ring = KeyRing(open_root(tmp_root, create=True))
    token, other = ring.add("ana", ["read"]), ring.add("ben", ["read"])
    for name in JUNK:
        damage(tmp_root, f"keys/{name}")
    damage(tmp_root, f"keys/{other.partition('.')[0]}.json")
    assert [k.name for k in ring.list_keys()] == ["ana"]
    assert "ben" in caplog.text and asyncio.run(ring.identify(token)).name == "ana"
    damage(tmp_root, f"keys/{token.partition('.')[0]}.json")
    assert ring.list_keys() == [] and ring.has_working_key() and ring.invite() is None


def test_a_queue_goes_on_without_a_damaged_batch_or_answer(tmp_root, caplog):
    storage = open_root(tmp_root, create=True)
    small_service.ship(storage, 20)
    storage.put(f"predictions/dt={small_service.DAY}/notes.parquet", b"no Parquet")
    q = queue(storage)
    answer(q, ADA, size=5)
    folder = layout.sample(small_service.MODEL, small_service.DAY, "audit")
    for name in JUNK:
        storage.put(folder + name, b"{")
    storage.put(folder + "batch-2.json", b'{"holder"')
    storage.put(folder + "answer-1-2.json", b"[]")
    fresh = queue(open_root(tmp_root))
    n, batch = fresh.hand_out(BatchHolder(actor="b-000001", labeler="b"), 100)
    assert (n, len(batch.items)) == (3, 15)
    assert all(name in caplog.text for name in ("batch-2.json", "answer-1-2.json", "notes.parquet"))
    fresh.save_answers(1, {i.prediction_id: "dog" for i in fresh.find_batch(1).items})
    assert storage.exists(folder + "answer-1-3.json")


def test_pages_name_a_damaged_document_and_show_the_rest(service, tmp_path):  # noqa: F811
    model = small_service.MODEL
    small_service.publish(service.storage, tmp_path)
    service.storage.put(history(1, model), b"{")
    service.storage.put(layout.card(model, "1"), b"[]")
    good, cut = (layout.evaluation(model, name) for name in ("20261121T080000Z-0123abcd", "20261122T080000Z-0123abcd"))
    service.storage.put(good + "evaluation.json", evaluation_of("1"))
    service.storage.put(cut + "evaluation.json", evaluation_of("1"))
    service.storage.put(cut + "decision.json", b'{"verdict": NaN')
    service.storage.put(layout.sample_document(model, "2026-11-30", "audit"), b"{")
    with browser(service) as client:
        models, reports = client.get("/models"), client.get("/reports")
        assert models.status_code == 200 and "00000001.json" in models.text and "card.json" in models.text
        assert "Version 2 is live" in models.text
        assert reports.status_code == 200 and "75%" in reports.text and "decision.json" in reports.text
        assert "cannot be read" in reports.text
        for page in ("/audit", "/review", "/"):
            assert client.get(page).status_code == 200
        assert client.get("/audit?day=2026-11-30").status_code == 409


@pytest.mark.parametrize("uri", ["../x", "a\0b", "/etc/passwd", "file:///a\0b", "x" * 300])
def test_an_address_that_is_none_is_a_picture_that_is_not_there(tmp_root, uri):
    with pytest.raises(NotFound):
        _read(open_root(tmp_root, create=True), uri)
