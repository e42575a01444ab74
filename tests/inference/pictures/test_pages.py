"""The pages of pictures: the grid, one prediction, what is sent to review, exports; who may see what."""

import asyncio
import csv
import hashlib
import io
import json
import re
import zipfile
from urllib.parse import urlencode

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from contract import clock, layout, samples
from contract.documents.erasures import Erasure
from contract.documents.erasures import ask as erase
from contract.records import LABEL
from contract.rows.reading import rows_where
from inference.auth import NoAuth
from inference.keys import KeyRing
from inference.labelling.listed import ListedQueue, open_queue
from inference.pictures.export import COLUMNS
from inference.pictures.thumbnails import shrink
from tests.inference.asgi import ask
from tests.inference.page_text import words
from tests.inference.pictures.rows import DAYS
from tests.inference.small_service import MODEL, application
from tests.pipeline.roots import put_rows

FORM = (b"content-type", b"application/x-www-form-urlencoded")
HTML = (b"accept", b"text/html")


class Browser:
    """Asks the pages of a service, as the bearer of a key or, without one, as everybody."""

    def __init__(self, service, keyring=None, key=None):
        self.app = application(service, keyring or NoAuth())
        self.headers = [HTML, *([(b"authorization", f"Bearer {key}".encode())] if key else [])]

    def get(self, path, **query):
        target = path + (f"?{urlencode(query)}" if query else "")
        return asyncio.run(ask(self.app, "GET", target.encode(), self.headers))

    def post(self, path, **fields):
        return asyncio.run(ask(self.app, "POST", path.encode(), [*self.headers, FORM], urlencode(fields).encode()))

    def save(self, path, **fields):
        """Takes a streamed answer to its end: `ask` hangs up once the body was sent."""
        async def send():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://localhost") as client:
                return await client.post(path, data=fields, headers=dict((n.decode(), v.decode()) for n, v in self.headers))

        return asyncio.run(send())


def mark(service, *places):
    """The form fields that mark predictions, each (day, number)."""
    return {f"pick-{n}": f"{DAYS[d]}~{service.ids[DAYS[d]][i]}" for n, (d, i) in enumerate(places, 1)}


@pytest.fixture
def browser(service):
    return Browser(service)


def test_the_grid_says_what_was_answered_and_what_people_said(browser):
    said = words(browser.get("/pictures", verdict="wrong", predicted="fox"))
    assert "6 predictions" in said and said.count("✗ wrong: cat") == 6 and "answer : wrong" in said
    said = words(browser.get("/pictures"))
    assert "at least 40 predictions" not in said and "80 predictions" in said and said.count("no label") >= 30
    assert "Next 60" in said


@pytest.mark.parametrize("query", [{"colour": "red"}, {"confidence_from": "high"}, {"after": "x"}, {"from": "2026-13-01"}])
def test_a_wrong_address_says_what_was_expected(browser, query):
    answer = browser.get("/pictures", **query)
    assert answer.status == 422 and ("expected" in words(answer).lower() or "filtered by" in words(answer))
    program = asyncio.run(ask(browser.app, "GET", f"/pictures?{urlencode(query)}".encode()))
    assert program.status == 422 and program.error["message"]


def test_one_prediction_with_everything_that_is_known_and_its_neighbours(browser, service):
    name = service.ids[DAYS[0]][3]
    answer = browser.get(f"/pictures/one/{DAYS[0]}/{name}", verdict="wrong")
    said = words(answer)
    for part in ("fox", "✗ wrong: cat", "version 2", "50.0%", "20.0%", "labelled: cat (import, blind)", "recorded in the log",
                 "door-1", "32 × 32 px", "This picture in datasets in none"):
        assert part in said, part
    following = re.search(r'id="next" href="([^"]+)"', answer.text)
    before = re.search(r'id="previous" href="([^"]+)"', answer.text)[1].replace("&amp;", "&")
    assert following is None and before.startswith(f"/pictures/one/{DAYS[0]}/{service.ids[DAYS[0]][7]}?")
    assert re.search(r'id="next" href="([^"]+)"', browser.get(before).text)[1].split("?")[0].endswith(name)
    assert browser.get(f"/pictures/one/{DAYS[0]}/nobody").status == 404
    assert browser.get("/pictures/one/someday/nobody").status == 422


def test_the_role_read_is_needed(service):
    ring = KeyRing(service.storage)
    label, read = ring.add("lea", ["label"]), ring.add("rita", ["read"])
    assert Browser(service, ring, label).get("/pictures").status == 403
    assert Browser(service, ring, read).get("/pictures").status == 200


def test_what_waits_for_a_blind_audit_is_hidden_from_whoever_may_label(service):
    samples.write(service.storage, samples.draw(MODEL, DAYS[1], "audit", samples.Design("random-audit", "s", p=1.0)))
    ring = KeyRing(service.storage)
    read, both = ring.add("rita", ["read"]), ring.add("ann", ["read", "label"])
    seen, hidden = (Browser(service, ring, key) for key in (read, both))
    only = {"from": DAYS[1]}
    assert "40 predictions" in words(seen.get("/pictures", **only))
    assert "No prediction passes" in words(hidden.get("/pictures", **only))
    assert "40 predictions on the way here wait for a blind audit" in words(hidden.get("/pictures", **only))
    one = f"/pictures/one/{DAYS[1]}/{service.ids[DAYS[1]][0]}"
    assert seen.get(one).status == 200 and hidden.get(one).status == 403
    for browser in (seen, hidden):  # nobody may read the answer in a review either
        assert "sent=0" in browser.post("/pictures/review", model=MODEL, **mark(service, (1, 0))).headers["location"][0]
    assert hidden.save("/pictures/export/csv", model=MODEL, **mark(service, (1, 0))).text.count("\n") == 1


def test_an_erased_picture_says_so_everywhere(browser, service):
    sha256 = hashlib.sha256(service.storage.read(_image(service, 1, 39))).hexdigest()
    erase(service.storage, Erasure(image_sha256=sha256, at=clock.iso(clock.now()), by="test", asked=sha256))
    assert "Erased picture" in browser.get("/pictures").text
    answer = browser.get(f"/pictures/thumbnail/{sha256}")
    assert answer.headers["content-type"] == ["image/svg+xml"] and "erased" in answer.text
    assert "This picture was erased." in words(browser.get(f"/pictures/one/{DAYS[1]}/{service.ids[DAYS[1]][39]}"))
    made = browser.save("/pictures/export/folder", model=MODEL, **mark(service, (1, 39), (1, 38)))
    with zipfile.ZipFile(io.BytesIO(made.content)) as folder:
        assert len(folder.namelist()) == 2 and b",erased" in folder.read("pictures.csv")
    assert "sent=1" in browser.post("/pictures/review", model=MODEL, **mark(service, (1, 39), (1, 38))).headers["location"][0]


def _image(service, d, i):
    found = rows_where(service.storage, layout.PREDICTIONS, DAYS[d], "prediction_id", [service.ids[DAYS[d]][i]], ("image_uri",),
                       unreadable=None)
    return next(row["image_uri"] for _, row in found)


def test_thumbnails_are_small_and_what_is_not_stored_says_so(browser):
    assert browser.get(f"/pictures/thumbnail/{'0' * 64}").text.count("not stored") == 1
    assert browser.get("/pictures/thumbnail/abc").status == 404
    out = io.BytesIO()
    Image.effect_noise((900, 600), 90).save(out, "PNG")
    data, kind = shrink(out.getvalue(), 1_000_000)
    assert kind == "image/jpeg" and Image.open(io.BytesIO(data)).size == (192, 128)
    assert shrink(out.getvalue(), 1000) is None and shrink(b"no picture", 1000) is None


def test_exports_stream_and_leave_nothing_in_the_root(browser, service):
    before = [entry.key for entry in service.storage.list("")]
    fields = {"model": MODEL, **mark(service, (0, 3), (0, 0), (1, 30))}
    table = list(csv.DictReader(io.StringIO(browser.save("/pictures/export/csv", **fields).text)))
    assert tuple(table[0]) == COLUMNS and [r["verdict"] for r in table] == ["wrong", "right", "unlabelled"]
    answer = browser.save("/pictures/export/folder", **fields)
    assert "digits-pictures.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as folder:
        listed = list(csv.DictReader(io.TextIOWrapper(folder.open("pictures.csv"))))
        assert len(listed) == 3
        for row in listed:
            assert hashlib.sha256(folder.read(row["picture"])).hexdigest() == row["image_sha256"]
    tasks = json.loads(browser.save("/pictures/export/label-studio", **fields).text)
    assert tasks[0]["data"]["image"].startswith("data:image/png;base64,")
    assert tasks[0]["predictions"][0]["result"][0]["value"] == {"choices": ["fox"]}
    assert tasks[0]["annotations"][0]["result"][0]["value"] == {"choices": ["cat"]} and "annotations" not in tasks[2]
    assert [entry.key for entry in service.storage.list("")] == before
    assert browser.post("/pictures/export/pdf", **fields).status == 404


@pytest.mark.parametrize("fields", [{}, {"pick-1": "someday~x"}, {f"pick-{n}": "2026-11-20~x" for n in range(501)}])
def test_a_selection_of_nothing_or_too_much_is_refused(browser, fields):
    assert browser.post("/pictures/export/csv", model=MODEL, **fields).status == 422
    assert browser.post("/pictures/review", model=MODEL, **fields).status == 422


def test_what_is_sent_to_review_is_answered_there_with_a_strategy_of_its_own(browser, service):
    sent = browser.post("/pictures/review", model=MODEL, query="model=digits", **mark(service, (1, 30), (1, 34)))
    assert sent.status == 303 and "sent=2" in sent.headers["location"][0]
    assert "2 predictions sent to review" in words(browser.get(sent.headers["location"][0]))
    assert "sent=0" in browser.post("/pictures/review", model=MODEL, **mark(service, (1, 30))).headers["location"][0]
    batch = json.loads(asyncio.run(ask(browser.app, "GET", b"/review?format=json")).body)
    assert batch["predicted"] == "eel"
    assert {item["prediction_id"] for item in batch["items"]} == {service.ids[DAYS[1]][i] for i in (30, 34)}
    answers = [{"prediction_id": batch["items"][0]["prediction_id"], "label": "cat"},
               {"prediction_id": batch["items"][1]["prediction_id"], "label": "eel"}]
    body = json.dumps({"model": MODEL, "day": DAYS[1], "batch": batch["batch"], "answers": answers}).encode()
    assert asyncio.run(ask(browser.app, "POST", b"/review", [(b"content-type", b"application/json")], body)).status == 201
    assert {(r["strategy"], r["selection_probability"], r["origin"], r["saw_prediction"]) for r in service.rows} == {
        ("picked", None, "feedback", True)}


def test_beside_a_sample_what_was_picked_is_asked_too_and_the_sample_keeps_its_probabilities(browser, service):
    browser.post("/pictures/review", model=MODEL, **mark(service, (1, 30), (1, 34)))
    alone = open_queue(service.storage, MODEL, DAYS[1], "review", "live", None)
    assert isinstance(alone, ListedQueue) and alone.is_alone and alone.count_progress()["asked"] == 2
    samples.write(service.storage, samples.draw(MODEL, DAYS[1], "review", samples.Design("random-audit", "s1", p=0.3)))
    queue = open_queue(service.storage, MODEL, DAYS[1], "review", "live", None)
    sampled = queue.list_sampled()
    assert 0 < len(sampled) < 40 and set(queue.list_listed()) == {service.ids[DAYS[1]][i] for i in (30, 34)} - set(sampled)
    assert {item.p for item in sampled.values()} == {0.3}


def test_similar_pictures_come_nearest_first(browser, service):
    key = _image(service, 0, 5)
    with Image.open(io.BytesIO(service.storage.read(key))) as image:
        out = io.BytesIO()
        image.convert("RGB").save(out, "JPEG", quality=70)
    near = _image(service, 1, 9)
    service.storage.put(near, out.getvalue())  # the picture again, saved otherwise
    sha256 = key.rpartition("/")[2].partition(".")[0]
    answer = browser.get("/pictures", similar=sha256)
    first = re.search(r'class="open" href="/pictures/one/([^/]+)/([^?]+)\?', answer.text)
    assert first.groups() == (DAYS[1], service.ids[DAYS[1]][9]) and "79 newest compared" in words(answer)


def test_the_overview_leads_to_the_pictures(browser):
    assert f'href="/pictures?model={MODEL}"' in browser.get("/overview").text


def evaluate(service):
    """The estimates of all versions, counted now, and the sizes of all cells."""
    from jobs.engines import day_files
    from jobs.engines.embedded.engine import count
    from jobs.engines.question import Question
    from metrics.selection.estimate import by_origin, estimate
    from metrics.selection.origin_sums import sums_by_origin

    listed = [day_files.list_day(service.storage, day) for day in DAYS]
    read, _ = day_files.read_footers(service.storage, listed, ())
    counted = list(count(service.storage, read, Question(MODEL, clock.now_us(), "live")))
    cells = pa.concat_tables([day.tables["cells"] for day in counted])
    sums = sums_by_origin(cells)
    return {v: (estimate(of, 0.95), by_origin(of, 0.95).get("import")) for v, of in sums.items()}, cells["n"].to_pylist()


@pytest.mark.parametrize("origin", ["import", "review"])
def test_labels_of_what_was_picked_move_no_estimate_of_better_labels(browser, service, origin):
    """Half of the predictions that are answered have a label already, half have none; all answers say that it is wrong.

    An estimate that rests on feedback alone has nothing better, moves, and is unbiased in no case."""
    if origin == "review":  # a sample's labels, with their probability, where imported ones were
        (entry, *_) = service.storage.list(layout.day_folder("labels", DAYS[0]))
        table = pq.read_table(pa.BufferReader(service.storage.read(entry.key)))
        rows = [row | {"origin": "review", "selection_probability": 0.5, "label_id": f"again {n}"}
                for n, row in enumerate(table.to_pylist())]
        put_rows(service.storage, LABEL, layout.LABELS, rows, DAYS[0], "sampled")
    before, cells = evaluate(service)
    picked = mark(service, *[(0, i) for i in range(8, 24)])
    assert "sent=16" in browser.post("/pictures/review", model=MODEL, **picked).headers["location"][0]
    for _ in range(4):  # a batch for each predicted class
        batch = json.loads(asyncio.run(ask(browser.app, "GET", b"/review?format=json&size=25")).body)
        answers = [{"prediction_id": i["prediction_id"], "wrong": True} for i in batch["items"]]
        body = json.dumps({"model": MODEL, "day": DAYS[0], "batch": batch["batch"], "answers": answers}).encode()
        assert asyncio.run(ask(browser.app, "POST", b"/review", [(b"content-type", b"application/json")], body)).status == 201
    assert len(service.rows) == 16 and {row["strategy"] for row in service.rows} == {"picked"}
    put_rows(service.storage, LABEL, layout.LABELS, service.rows, DAYS[0], "shipped")
    after, more = evaluate(service)
    better = {v for v, (estimated, _) in before.items() if estimated["origin"] != "feedback"}
    assert {v: after[v] for v in better} == {v: before[v] for v in better} and "2" in better
    assert more != cells  # they were counted, and have no say there
    assert all(not estimated["unbiased"] for v, (estimated, _) in after.items() if v not in better)
