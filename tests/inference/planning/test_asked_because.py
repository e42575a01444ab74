"""Pages say why pictures are asked, and tell an audit's labeler neither the model's answer nor the class in doubt."""

import re

import httpx
import pytest

from contract import samples
from contract.samples import Design, Question, Sample
from contract.texts.asked import explain_asking
from inference import review
from inference.keys import KeyRing
from inference.labelling.items import count_cells
from tests.inference.small_service import CLASSES, DAY, MODEL, SmallService, application, publish, serving, ship


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A service with a planned audit of one class, and a review; the client of a labeler."""
    folder = tmp_path_factory.mktemp("asked")
    service = SmallService(str(folder / "root"))
    publish(service.storage, folder)
    ship(service.storage, 60, confidence=0.93)
    ship(service.storage, 60, confidence=0.41, writer="v")
    assert review.main(["plan", "--root", str(folder / "root"), "--model", MODEL, "--day", DAY, "--budget", "60", "--salt", "s",
                        "--towards", f"class:{CLASSES[2]}"]) == 0
    samples.write(service.storage, samples.draw(MODEL, DAY, "review", Design("uncertain-first", "r", items=40),
                                                count_cells(service.storage, MODEL, DAY)))
    ring = KeyRing(service.storage)
    head = {"Authorization": f"Bearer {ring.add('ada', ['label'])}"}
    with serving(application(service, ring)) as address, httpx.Client(base_url=address, headers=head,
                                                                      follow_redirects=True) as client:
        yield service, client


def find_reason(page):
    found = re.search(r'class="hint(?: why)?">Asked because: ([^<]*)</p>', page)
    return found[1] if found else None


def page(client, path):
    return client.get(path, headers={"Accept": "text/html"}).text


def test_the_audit_page_names_the_gate_and_never_the_class(asked):
    _, client = asked
    reason = find_reason(page(client, f"/audit?day={DAY}"))
    assert reason == ("planned audit toward the gate “class recall”: every answer could be drawn, some more likely than others, "
                      "each with a known chance.")
    assert not any(name in reason for name in (*CLASSES, "0.4", "0.9", "neyman"))


def test_the_review_page_and_the_own_page_say_it_too(asked):
    _, client = asked
    assert find_reason(page(client, f"/review?day={DAY}")) == "a review of what the model was least sure of."
    mine = re.findall(r"Asked because: ([^<]*)</p>", page(client, "/me"))
    assert len(mine) == 2 and mine[0].startswith("planned audit") and mine[1].startswith("a review of what")


def test_programs_are_told_and_their_answers_keep_the_probability(asked):
    service, client = asked
    sample = samples.read(service.storage, MODEL, DAY, "audit")
    batch = client.get("/audit?format=json&size=200").json()
    assert batch["asked_because"].startswith("planned audit toward the gate")
    assert all(set(item) == {"prediction_id", "image"} for item in batch["items"])
    answers = [{"prediction_id": i["prediction_id"], "label": CLASSES[0]} for i in batch["items"]]
    assert client.post("/audit", json={"day": DAY, "batch": batch["batch"], "answers": answers}).is_success
    rows = [row for row in service.rows if row["origin"] == "audit"]
    assert len(rows) == len(answers) and {row["strategy"] for row in rows} == {"neyman"}
    assert {row["selection_probability"] for row in rows} <= set(sample.table().values())
    assert len({row["selection_probability"] for row in rows}) > 1


@pytest.mark.parametrize("label", ["cat", "camera=night"])
def test_no_reason_names_what_is_in_doubt(label):
    gates = ("accuracy", "class_recall", "class_precision", "slices")
    planned = Sample(model="m", day=DAY, kind="audit", strategy="neyman", salt="s", created_at="2026-11-20T00:00:00Z", floor=0.1,
                     default=0.2)
    for gate in gates:
        said = explain_asking(planned.model_copy(update={"toward": Question(gate=gate, label=label)}))
        assert gate.replace("_", " ") in said and label not in said


@pytest.mark.parametrize("strategy", [*samples.STRATEGIES, samples.BELOW_THRESHOLDS, "picked", "one of a newer release"])
def test_every_review_has_its_reason(strategy):
    sample = Sample(model="m", day=DAY, kind="review", strategy=strategy, salt="s", created_at="2026-11-20T00:00:00Z", floor=0.1,
                    default=0.2)
    said = {"random-audit": "drawn at random", "picked": "somebody picked these"}
    assert explain_asking(sample).startswith(said.get(strategy, "a review "))
