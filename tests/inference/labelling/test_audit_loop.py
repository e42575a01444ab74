"""From a prediction over HTTP to the audit label in the bucket, through the real service."""

import httpx

from contract import clock, samples
from contract.storage import open_root
from inference import review
from inference.keys import KeyRing
from inference.labelling.queue import SECOND_OPINION
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until


def audit(client, label, wanted=200):
    """One person answers a batch of what waits for them; returns the prediction ids."""
    batch = client.get("/audit", params={"format": "json", "size": wanted}).json()
    answers = [{"prediction_id": i["prediction_id"], "label": label} for i in batch["items"]]
    if answers:
        assert client.get(batch["items"][0]["image"]).headers["Content-Type"] == "image/jpeg"
        of = {name: batch[name] for name in ("model", "day", "of", "batch") if name in batch}
        assert client.post("/audit", json=of | {"answers": answers}).is_success
    return {a["prediction_id"] for a in answers}


def test_three_people_audit_what_the_service_answered(tmp_root, tmp_path):
    publish_tiny(tmp_root)
    ring = KeyRing(open_root(tmp_root))
    camera, *people = (ring.add(n, [r]) for n, r in (("camera", "predict"), *((n, "label") for n in ("ada", "bob", "cy"))))
    head = [{"Authorization": f"Bearer {token}"} for token in (camera, *people)]
    with serving(tmp_root, tmp_path / "outbox", keyring=ring) as client:
        day = clock.day_of(clock.now())
        assert review.main(["sample", "--root", tmp_root, "--model", "m", "--day", day, "--p", "0.8", "--salt", "s",
                            "--judges", "3", "--second-share", "0.5"]) == 0
        ids = [client.post("/v1/predictions", content=picture(i), headers=head[0] | IMAGE).json()["prediction_id"]
               for i in range(16)]
        until(lambda: len(table_rows(tmp_root, "predictions")) == 16)
        labelers = [httpx.Client(base_url=client.base_url, headers=h) for h in head[1:]]
        answered = [audit(c, label) for c, label in zip(labelers, "abc", strict=True)]
        [c.close() for c in labelers]
        asked = {i for i in ids if samples.is_asked("s", i, 0.8)}
        again = {i for i in asked if samples.is_asked("second:s", i, 0.5)}
        assert answered == [asked, again, again]
        until(lambda: len(table_rows(tmp_root, "labels")) == len(asked) + 2 * len(again))
    rows = table_rows(tmp_root, "labels")
    assert {(r["origin"], r["saw_prediction"]) for r in rows} == {("audit", False)}
    assert {(r["label"], r["strategy"], r["selection_probability"]) for r in rows if r["prediction_id"] in again} == {
        ("a", "random-audit", 0.8), ("b", SECOND_OPINION, None), ("c", SECOND_OPINION, None)}
    assert {r["labeler"] for r in rows} == {t.partition(".")[0] for t in people} == {r["actor"] for r in rows}
