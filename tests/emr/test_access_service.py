"""The inference service's least privilege, shown: it answers, takes labels, hands out samples and shows its pages."""

import re

from contract import clock, ids, layout, samples
from contract.canary import changes
from contract.canary.documents import Bounds
from contract.documents.gold import GoldAnswer, add_gold
from contract.registry import Registry
from contract.storage import open_root
from emr.access import SERVICE
from inference.keys import KeyRing
from inference.labelling.repeats import BlindRepeats
from tests.emr.test_access import check, root, server  # noqa: F401
from tests.inference.labelling.test_audit_loop import audit
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, until


def test_the_service_asks_what_its_role_allows(server, root, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(BlindRepeats, "_is_chosen", lambda *_: True)  # whatever the name of the key
    for _ in range(2):
        publish_tiny(root, dataset="0" * 16)
    changes.start(Registry(open_root(root), "m"), "1", [1e-9], Bounds(), by="test", reason="test")  # counts, and has no answers
    storage, day = open_root(root), clock.day_of(clock.now())
    for kind in samples.KINDS:
        samples.write(storage, samples.draw("m", day, kind, samples.Design("random-audit", "salt", p=0.9)))
    known = next(i for i in iter(ids.uuid7, None) if samples.is_asked("salt", i, 0.9))
    add_gold(storage, GoldAnswer(model="m", prediction_id=known, label="a", predicted="a", bin=None, image_sha256="", at="",
                                 by="test"))
    storage.put(layout.evaluation("m", "20261120T000000Z-00000000") + "report.html", b"a report")
    ring = KeyRing(storage)
    tokens = {who: ring.add(who, roles) for who, roles in {"camera": ["predict"], "ada": ["label", "read"]}.items()}
    storage.put(layout.api_key(f"ended-1-{'0' * 32}"), b"{}")  # of a session that is over by itself
    server.asked.clear()
    with serving(root, tmp_path / "outbox", keyring=KeyRing(open_root(root))) as client:
        camera, ada = ({"Authorization": f"Bearer {token}"} for token in tokens.values())
        made = [client.post("/v1/predictions", content=picture(n), headers=camera | IMAGE | brought).json()
                for n, brought in enumerate([{"X-Prediction-Id": known}, *[{}] * 7])]
        until(lambda: not client.service.outbox.measure_depth().rows)
        client.headers.update(ada)
        label = {"prediction_id": made[0]["prediction_id"], "label": "b"}
        assert client.post("/v1/labels", json=label).status_code == 201
        assert audit(client, "a")
        grid = client.get("/review", params={"format": "json"}).json()
        answers = [{"prediction_id": item["prediction_id"], "label": grid["predicted"]} for item in grid["items"]]
        assert client.post("/review", json={"day": day, "batch": grid["batch"], "answers": answers}).json()["accepted"] > 0
        shown = client.get("/pictures", headers={"Accept": "text/html"}).text
        csrf = client.get("/review", params={"format": "json"}).json()["csrf"]
        assert "Pictures" in shown
        until(lambda: any(storage.list(layout.items("m", day))), 60)  # by the child that joins labels
        marked = {f"pick-{n}": f"{day}~{row['prediction_id']}" for n, row in enumerate(made)}

        def is_picked():  # when the audit's answers are seen to be there
            client.post("/pictures/review", data={"csrf": csrf, "model": "m"} | marked)
            return any(storage.list(layout.picked_folder("m", day)))

        until(is_picked, 60)
        for page in ("/models", "/reports", "/reports/m/20261120T000000Z-00000000/report.html"):
            assert client.get(page, headers={"Accept": "text/html"}).is_success, page
        assert client.get("/reports/replays/m/20261120T000000Z-00000000/report.html").status_code == 404
        client.headers.pop("Authorization")
        login = client.post("/login", data={"key": tokens["ada"]}, headers={"Accept": "text/html"}, follow_redirects=True)
        assert login.is_success, login.text
        csrf = re.search(r'name="csrf" content="([0-9a-f]+)"', login.text)[1]
        assert client.post("/logout", data={"csrf": csrf}).status_code == 303
        until(lambda: not client.service.outbox.measure_depth().rows)
    check(SERVICE, root, server.asked)
