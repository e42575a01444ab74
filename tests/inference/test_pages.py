"""The pages over real HTTP: what programs and people get, and what the server refuses."""

import asyncio
import hashlib
import html
import re
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from contract import ids, jsonio, layout, samples
from contract.documents.card import Preprocess
from contract.report_script import csp_source
from inference.auth import NoAuth
from inference.keys import KeyRing
from tests import figures
from tests.inference.page_text import fields
from tests.inference.published import publish_tiny
from tests.inference.small_service import (
    CLASSES,
    DAY,
    MODEL,
    SmallService,
    application,
    picture,
    publish,
    serving,
    ship,
)

HOSTILE = "<img src=x onerror='hacked()'>"


@pytest.fixture
def service(tmp_root, tmp_path):
    made = SmallService(tmp_root)
    publish(made.storage, tmp_path, made_from=HOSTILE, metrics={"accuracy": {"value": 0.9375}})
    made.ids = ship(made.storage, 24)
    for kind in samples.KINDS:
        samples.write(made.storage, samples.draw(MODEL, DAY, kind, samples.Design("random-audit", kind, p=0.9)))
    return made


@contextmanager
def browser(service, keyring=None, **options):
    """A client that accepts pages and keeps cookies, as a browser does."""
    with (serving(application(service, keyring or NoAuth())) as address,
          httpx.Client(base_url=address, headers={"Accept": "text/html"}, follow_redirects=True, **options) as client):
        yield client


@contextmanager
def programs(service, *names):
    """One client per key, all with the role label, at one site."""
    ring = KeyRing(service.storage)
    with serving(application(service, ring)) as address, ExitStack() as clients:
        heads = [{"Authorization": f"Bearer {ring.add(n, ['label'])}"} for n in names]
        yield [clients.enter_context(httpx.Client(base_url=address, headers=head)) for head in heads]


@pytest.mark.parametrize("path", ["/", "/overview", "/audit", "/review", "/models", "/reports", "/login"])
def test_pages_answer_with_headers_that_protect_them(service, path):
    with browser(service) as client:
        page = client.get(path)
    assert page.status_code == 200 and "<main" in page.text
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff" and "<style" not in page.text
    assert not re.search(r"<script(?! src)|\son\w+=\"|\sstyle=", page.text)


def test_a_program_audits_with_a_key(service):
    with programs(service, "ada") as [ada]:
        batch = ada.get("/audit", params={"format": "json", "model": MODEL, "day": DAY, "size": 100}).json()
        assert sorted(batch["classes"]) == sorted(CLASSES) and "predicted" not in batch
        answers = [{"prediction_id": i["prediction_id"], "label": "dog"} for i in batch["items"]]
        done = ada.post("/audit", json={"model": MODEL, "day": DAY, "batch": batch["batch"], "answers": answers})
    asked = {i for i in service.ids if samples.is_asked("audit", i, 0.9)}
    assert (done.status_code, done.json()) == (201, {"accepted": len(asked)})
    assert {r["prediction_id"] for r in service.rows} == asked
    assert {(r["origin"], r["saw_prediction"], r["selection_probability"], r["strategy"]) for r in service.rows} == {
        ("audit", False, 0.9, "random-audit")}
    assert {r["labeler"] for r in service.rows} == {r["actor"] for r in service.rows}


def test_an_audit_tells_nobody_what_the_model_said(service):
    ship(service.storage, 4, labels=["secret-answer"], writer="s")
    with browser(service) as client:
        for _ in range(12):
            page = client.get("/audit")
            assert "secret-answer" not in page.text
            client.post("/audit", data=fields(page) | {"label": "cat"})
        shown = client.get("/audit?format=json&size=100")
    assert "secret-answer" not in shown.text and len(service.rows) == 12


def test_another_persons_batch_is_refused(service):
    with programs(service, "ada", "bob") as [ada, bob]:
        batch = ada.get("/audit?format=json").json()
        answer = {"day": DAY, "batch": batch["batch"], "answers": [
            {"prediction_id": batch["items"][0]["prediction_id"], "label": "cat"}]}
        refused = bob.post("/audit", json=answer)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_your_batch")
        assert ada.post("/review", json=answer).status_code == 404  # an audit's number is no review's
        assert ada.post("/audit", json=answer).status_code == 201
    assert len(service.rows) == 1


def test_two_people_share_a_sample(service):
    with programs(service, "ada", "bob") as [ada, bob]:
        one, two = (c.get("/review?format=json").json() for c in (ada, bob))
    assert one["batch"] != two["batch"]
    assert not {i["prediction_id"] for i in one["items"]} & {i["prediction_id"] for i in two["items"]}


def test_what_a_form_says_of_itself_is_not_believed(service):
    with programs(service, "ada") as [ada]:
        batch = ada.get("/audit?format=json").json()
        forged = {"prediction_id": batch["items"][0]["prediction_id"], "label": "cat", "origin": "import",
                  "labeler": "bob", "selection_probability": 0.001, "saw_prediction": True}
        ada.post("/audit", json={"day": DAY, "batch": batch["batch"], "answers": [forged], "labeler": "bob"})
    [row] = service.rows
    assert (row["origin"], row["selection_probability"], row["saw_prediction"]) == ("audit", 0.9, False)
    assert row["labeler"] == row["actor"]


ANSWERS = [{"prediction_id": "x", "label": "cat"}]


@pytest.mark.parametrize("body, status, code", [
    ({"batch": 1, "answers": ANSWERS}, 422, "bad_batch"),
    ({"day": DAY, "batch": "\u00b2", "answers": ANSWERS}, 422, "bad_batch"),
    ({"day": DAY, "batch": "9" * 5000, "answers": ANSWERS}, 422, "bad_batch"),
    ({"day": DAY, "batch": 99, "answers": ANSWERS}, 404, "not_found"),
    ({"day": DAY, "batch": 1, "answers": "cat"}, 422, "usage_error"),
    ({"day": DAY, "batch": 1, "answers": ANSWERS}, 422, "usage_error"),
    ({"day": DAY, "batch": 1, "answers": [{"prediction_id": "x", "label": "a" * 201}]}, 422, "bad_label"),
    ({"day": "yesterday", "batch": 1, "answers": ANSWERS}, 422, "usage_error"),
    ([1], 422, "bad_json"),
])
def test_wrong_answers_are_refused_with_a_reason(service, body, status, code):
    with programs(service, "ada") as [ada]:
        ada.get("/audit?format=json")
        refused = ada.post("/audit", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code) and service.rows == []


@pytest.mark.parametrize("path", ["/", "/audit", "/review", "/models", "/reports", "/login"])
def test_pages_are_pages_for_whoever_does_not_ask_for_json(service, path):
    with browser(service) as client:
        for headers in ({"Accept": "*/*"}, {"Accept": "*/*", "Authorization": "Bearer none"}):
            page = client.get(path, headers=headers)
            assert page.status_code == 200 and page.headers["Content-Type"].startswith("text/html"), page.text


def test_no_sample_says_how_to_draw_one(service):
    with browser(service) as client:
        page = client.get("/audit?day=2026-11-01")
        refused = client.get("/audit?format=json&day=2026-11-01")
    assert "trueup review sample --model digits --day 2026-11-01 --kind audit" in page.text
    assert refused.status_code == 404 and "trueup review sample" in refused.json()["error"]["message"]


def test_people_audit_one_picture_after_another(service):
    with browser(service) as client:
        first = client.get("/audit")
        second = client.post("/audit", data=fields(first) | {"label": "eel"})
        third = client.post("/audit", data=fields(second) | {"label": "eel", "other": "  a new   class ", "new": "1"})
        client.post("/audit", data=fields(third))  # cannot tell
        again = client.get("/audit")
    assert [r["label"] for r in service.rows] == ["eel", "a new class"]
    assert "picture 2 of 10" in second.text and "picture 4 of 10" in again.text
    assert [r["labeler"] for r in service.rows] == ["anonymous"] * 2


def test_people_review_a_grid_and_submit_once(service):
    with browser(service) as client:
        page = client.get("/review")
        form = fields(page)
        items = form["items"].split()
        marks = {f"ok-{i}": "on" for i in items[3:]} | {f"class-{items[0]}": "newt", f"unsure-{items[2]}": "on", "new": "1"}
        client.post("/review", data=form | marks)
        after = client.post("/review", data=form | marks)
    labels = {r["prediction_id"]: r["label"] for r in service.rows}
    assert len(service.rows) == len(items) - 1 == len(labels)  # who cannot tell gives no label
    assert labels == {items[0]: "newt", items[1]: "≠"} | dict.fromkeys(items[3:], form["predicted"])
    assert {r["prediction_id"]: r["shown_label"] for r in service.rows if r["label"] == "≠"} == {items[1]: form["predicted"]}
    assert "What is this?" in after.text and fields(after)["items"].split() == [items[1]]  # its class is asked for first
    assert {(r["origin"], r["saw_prediction"]) for r in service.rows} == {("review", True)}


def test_a_name_is_kept_where_there_are_no_keys(service):
    with browser(service) as client:
        client.post("/login", data={"name": "  Zoë  ", "next": "/audit"})
        page = client.get("/audit")
        client.post("/audit", data=fields(page) | {"label": "cat"})
        assert "Zoë" in client.get("/login").text
    assert [(r["labeler"], r["actor"]) for r in service.rows] == [("Zoë", "anonymous")]


def test_people_come_to_the_page_that_their_key_may_open(service):
    ring = KeyRing(service.storage)
    with browser(service, ring) as client:
        page = client.post("/login", data={"key": ring.add("bo", ["read"])})
    assert page.url.path == "/overview"
    assert re.findall(r'<a href="(/\w*)"(?: aria|>\w)', page.text) == ["/overview", "/pictures", "/models", "/reports"]


def test_login_opens_a_session_and_logout_ends_it(service):
    ring = KeyRing(service.storage)
    with browser(service, ring) as client:
        assert client.get("/audit?day=" + DAY).url.path == "/login"
        wrong = client.post("/login", data={"key": "ada-000000.x"})
        assert wrong.status_code == 401 and "unknown or was revoked" in wrong.text
        page = client.post("/login", data={"key": ring.add("ada", ["label"]), "next": "/audit"})
        cookie = client.cookies.jar._cookies["127.0.0.1"]["/"]["trueup_session"]
        assert page.url.path == "/audit" and cookie.has_nonstandard_attr("HttpOnly")
        assert client.post("/audit", data=fields(page) | {"label": "cat", "csrf": "x"}).status_code == 403
        client.post("/audit", data=fields(page) | {"label": "cat"})
        assert client.post("/logout", data={"csrf": fields(page)["csrf"]}).url.path == "/login"
        assert client.get("/audit").url.path == "/login"
    assert len(service.rows) == 1


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "evil"])
def test_login_sends_nobody_elsewhere(service, to):
    ring = KeyRing(service.storage)
    with browser(service, ring) as client:
        page = client.post("/login", data={"key": ring.add("ada", ["admin"]), "next": to})
        assert (page.url.host, page.url.path) == ("127.0.0.1", "/overview")


def test_a_login_form_of_another_site_is_refused(service):
    ring = KeyRing(service.storage)
    with browser(service, ring) as client:
        refused = client.post("/login", data={"key": "x"}, headers={"Origin": "https://evil.example"})
        assert refused.status_code == 403 and "trueup_session" not in client.cookies


def test_the_first_administrator_comes_by_a_link_that_works_once(service):
    ring = KeyRing(service.storage, cache_seconds=0)
    with browser(service, ring) as client:
        form = client.get("/login", params={"invite": ring.invite()})
        made = client.post("/login/first", data=fields(form) | {"name": "root"})
        token = re.search(r'class="token">([^<]+)<', made.text)[1]
        again = client.post("/login/first", data=fields(form) | {"name": "root"})
    assert asyncio.run(ring.identify(token)).may("admin") and again.status_code == 410 and "was used" in again.text


def test_a_page_for_which_the_role_is_missing_says_so(service):
    ring = KeyRing(service.storage)
    with browser(service, ring) as client:
        page = client.post("/login", data={"key": ring.add("ada", ["predict"]), "next": "/models"})
    assert page.status_code == 403 and "needs the role read" in page.text and "<main" in page.text


def test_images_have_the_type_found_by_decoding(service):
    sha = hashlib.sha256(picture(0)).hexdigest()
    script = "f" * 64
    service.storage.put(layout.image(script, "png"), b"<script>alert(1)</script>")
    with browser(service) as client:
        image = client.get(f"/images/{sha}")
        assert image.content == picture(0) and image.headers["Content-Type"] == "image/png"
        assert "sandbox" in image.headers["Content-Security-Policy"]
        for missing in (script, "a" * 64, "../trueup.json", "A" * 64):
            assert client.get(f"/images/{missing}").status_code == 404


def test_models_show_what_is_live_and_escape_it(service):
    with browser(service) as client:
        page = client.get("/models")
    assert "Version 1 is live" in page.text and "0.9375" in page.text and "the first" in page.text
    assert HOSTILE not in page.text and html.escape(HOSTILE, quote=False)[:8] in page.text


def test_models_show_what_becomes_of_16_bits_and_who_made_the_pixels(service):
    own = "own:read@0123456789ab"
    publish_tiny(service.storage, MODEL, preprocess=Preprocess(crop=32, levels=[0, 4095], decoders=[own]))
    with browser(service) as client:
        page = client.get("/models")
    assert "0 (black) to 4095 (white)" in page.text and own in page.text


def evaluation_of(*versions):
    """evaluation.json of these versions, each with an estimate of 75% (50 to 90%) by an audit."""
    made = figures.document(figures.day([figures.cell("a", "a", version=v, origin="audit") for v in versions]))
    for version in made["versions"].values():
        version["estimate"] |= {"value": 0.75, "low": 0.5, "high": 0.9}
    return jsonio.dumps(made)


def test_reports_are_listed_and_shown_with_no_script_but_their_own(service):
    folder = layout.evaluation(MODEL, "20261121T080000Z-0123abcd")
    service.storage.put(folder + "evaluation.json", evaluation_of(HOSTILE))
    service.storage.put(folder + "report.html", b"<h1>Report</h1>")
    service.storage.put(folder + "decision.json", jsonio.dumps({"verdict": "cannot tell"}))
    with browser(service) as client:
        page = client.get("/reports")
        report = client.get(re.search(r'href="(/reports/[^"]+report.html)"', page.text)[1])
        assert client.get("/reports/digits/..%2F..%2Fkeys/session-secret.json").status_code == 404
        assert client.get("/reports/digits/nothing/report.html").status_code == 404
        service.storage.erase(folder + "report.html")  # as `forget` does
        assert "Accuracy report" in client.get(f"/{folder.replace('evaluations', 'reports')}report.html").text
        assert service.storage.exists(folder + "report.html")
    assert "75%" in page.text and "50 to 90%" in page.text and "cannot tell" in page.text
    assert HOSTILE not in page.text
    policy = report.headers["Content-Security-Policy"]
    assert report.text == "<h1>Report</h1>" and f"script-src {csp_source()};" in policy
    assert "sandbox allow-scripts" in policy and "allow-same-origin" not in policy


def test_the_verdict_stands_beside_the_version_that_it_is_of(service):
    folder = layout.evaluation(MODEL, "20261121T080000Z-0123abcd")
    service.storage.put(folder + "evaluation.json", evaluation_of("1", "10", "9", "2"))
    service.storage.put(folder + "decision.json", jsonio.dumps({"verdict": "pass", "version": "9"}))
    with browser(service) as client:
        page = client.get("/reports").text
    assert re.findall(r'<bdi class="version">(\d+)</bdi>', page) == ["9", "10", "2", "1"]
    assert re.search(r'pass</span> <span class="hint">version 9</span>', page)


def test_the_verdict_that_is_shown_is_of_the_version_that_is_live(service):
    """After a rollback the newest evaluation's verdict, of another version, is none on what answers now."""
    older, newer = (layout.evaluation(MODEL, name) for name in ("20261120T080000Z-0123abcd", "20261121T080000Z-0123abcd"))
    said = {"as_of": "2026-11-20T08:00:00Z", "gates": []}
    for folder, verdict, version in ((older, "fail", "1"), (newer, "pass", "2")):
        service.storage.put(folder + "evaluation.json", evaluation_of(version))
        service.storage.put(folder + "decision.json", jsonio.dumps(said | {
            "verdict": verdict, "version": version, "sentence": f"Version {version} says {verdict}."}))
    with browser(service) as client:
        page = client.get("/reports").text
    head = page[:page.index('class="reports"')]
    assert "Version 1 says fail." in head and "Version 2" not in head


def test_an_old_verdict_says_nothing_of_today(service):
    folder = layout.evaluation(MODEL, "20261101T080000Z-0123abcd")
    service.storage.put(folder + "evaluation.json", evaluation_of("1"))
    service.storage.put(folder + "decision.json", jsonio.dumps({
        "verdict": "pass", "version": "1", "as_of": "2026-11-01T08:00:00Z", "gates": [], "sentence": "Version 1 holds."}))
    with browser(service) as client:
        for page in ("/reports", "/overview"):
            assert "Nobody has judged it since 2026-11-01. Then: Version 1 holds." in client.get(page).text


def test_a_damaged_evaluation_is_named_and_the_others_are_listed(service):
    good, cut = (layout.evaluation(MODEL, name) for name in ("20261121T080000Z-0123abcd", "20261122T080000Z-0123abcd"))
    service.storage.put(good + "evaluation.json", evaluation_of("1"))
    decision = {"verdict": "cannot tell", "version": "1", "sentence": "Draw an audit."}
    service.storage.put(good + "decision.json", jsonio.dumps(decision))
    service.storage.put(cut + "evaluation.json", evaluation_of("1")[:200])
    with browser(service) as client:
        page = client.get("/reports")
    assert page.status_code == 200 and "75%" in page.text and "cannot be read" in page.text
    assert "20261122T080000Z-0123abcd" in page.text and "Draw an audit." in page.text  # why nothing counts, and the way out


def test_labels_are_escaped_everywhere(service, tmp_path):
    awkward = [HOSTILE, "x" * 200, "חתול"]
    ship(service.storage, 30, labels=awkward, writer="h")
    publish(service.storage, tmp_path, awkward)
    with browser(service) as client:
        for path in ("/", "/audit", "/review", "/models"):
            page = client.get(path)
            assert page.status_code == 200 and HOSTILE not in page.text and "&lt;img src=x" in page.text, path


def test_a_batch_at_another_replica_goes_on(service):
    ring = KeyRing(service.storage)
    head = {"Authorization": f"Bearer {ring.add('ada', ['label'])}"}
    other = SmallService(service.storage.root)
    with serving(application(service, ring)) as one, serving(application(other, KeyRing(other.storage))) as two:
        batch = httpx.get(f"{one}/audit?format=json", headers=head).json()
        answers = [{"prediction_id": i["prediction_id"], "label": "cat"} for i in batch["items"]]
        body = {"day": DAY, "batch": batch["batch"], "answers": answers}
        assert httpx.post(f"{two}/audit", headers=head, json=body).json() == {"accepted": len(answers)}
        assert httpx.post(f"{one}/audit", headers=head, json=body).json() == {"accepted": 0}
    assert not service.rows and len(other.rows) == len(answers) and ids.is_uuid7(other.rows[0]["label_id"])
