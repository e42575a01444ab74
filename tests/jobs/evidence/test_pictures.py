"""The section `pictures`: planted changes are found and named, none is called where there is none; the gate says the same."""

import json

import pytest

from command.load_settings import load
from contract import layout
from contract.documents.evaluation import parse
from contract.jsonio import dumps
from contract.measured.measures import BY_NAME
from contract.storage import open_root
from inference.overview.facts import Facts
from jobs import forget
from jobs.count_window import evaluate
from jobs.evaluation_request import request_of
from jobs.reports.written import write_report
from pipeline.gate import make_decision
from pipeline.verifying import command as verify
from tests.jobs.pictures import pictures_root
from tests.jobs.pictures.pictures_root import DAYS, MODEL, draw, put_day

PICTURES = "evaluate.evidence=[pictures]"


def ask(storage, *overrides):
    """The evaluation, its section and its id."""
    settings = load(root=storage.root, model=MODEL, overrides=[PICTURES, *overrides], env={})
    document, folder = evaluate(open_root(storage.root), request_of(settings, None, (), "live", None, ()))
    return document, document["evidence"]["pictures"], folder.rstrip("/").rpartition("/")[2]


def judge(storage, name, bound):
    settings = load(root=storage.root, model=MODEL, overrides=[f"gates.max_picture_drift={bound}"], env={})
    decision = make_decision(open_root(storage.root), settings, MODEL, name)
    return next(gate for gate in decision["gates"] if gate["gate"] == "picture_drift")


def changed(section, day):
    (found,) = (d for d in section["days"] if d["day"] == day)
    return {f["measure"] for f in found["figures"] if f["changed"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two days of pictures like the training ones, then one of dark ones, of which those that are darkest are wrong."""
    folder = tmp_path_factory.mktemp("pictures")
    storage = pictures_root.make(str(folder / "root"), trained=150, tmp=folder)
    for k, day in enumerate(DAYS[:2]):
        put_day(storage, day, [draw(1000 * k + i) for i in range(80)], labelled=40, wrong=range(0, 40, 10))
    put_day(storage, DAYS[2], [draw(5000 + i, pictures_root.darken) for i in range(80)], labelled=40, wrong=range(0, 40, 2))
    return storage, *ask(storage)


def test_a_dark_day_is_found_and_days_like_the_training_pictures_are_not_called(made):
    _, document, section, _ = made
    assert (section["reference"]["kind"], section["reference"]["pictures"], section["version"]) == ("dataset", 150, "1")
    assert changed(section, DAYS[0]) == changed(section, DAYS[1]) == set()
    assert {"brightness", "contrast"} <= changed(section, DAYS[2]) and "sharpness" not in changed(section, DAYS[2])
    assert f"those of {DAYS[2]} are darker" in section["sentence"] and "1 of 3 days" in section["sentence"]
    assert section["comparisons"] == 3 * len(BY_NAME) and section["error"] == pytest.approx(0.05 / section["comparisons"])
    assert parse(dumps(document), "it")["evidence"]["pictures"] == section


def test_the_most_unusual_are_of_the_dark_day_and_named_by_what_they_are(made):
    storage, _, section, name = made
    dark = [one for one in section["unusual"] if one["day"] == DAYS[2]]
    assert {(one["measure"], one["side"], one["share"]) for one in dark} >= {("brightness", "low", 0.0)} and len(dark) == 12
    html = storage.read(write_report(storage, MODEL, name)).decode()
    assert f'data-to="/pictures?model={MODEL}&amp;prediction_id={dark[0]["prediction_id"]}"' in html
    shown = html.partition('class="examples unusual"')[2].partition("</div>")[0]
    assert shown.count('<img src="data:image/jpeg') == 12 and f'data-image="{dark[0]["image_sha256"]}"' in html


def test_dark_pictures_are_where_it_is_wrong(made):
    _, _, section, _ = made
    lowest, *_, highest = [b for b in section["bands"] if b["measure"] == "brightness"]
    assert section["origin"] == "audit" and lowest["accuracy"]["value"] < highest["accuracy"]["value"]
    assert sum(b["labelled"] for b in section["bands"] if b["measure"] == "brightness") == 120


@pytest.mark.parametrize(("bound", "verdict"), [(0.05, "fail"), (1.0, "pass"), (0.95, "cannot tell")])
def test_the_gate_compares_an_interval_with_its_bound(made, bound, verdict):
    storage, _, section, name = made
    gate = judge(storage, name, bound)
    assert gate["verdict"] == verdict and DAYS[2] in gate["sentence"]
    worst = next(f for f in section["days"][-1]["figures"] if f["measure"] == gate["worst"])
    assert {k: gate[k] for k in ("value", "low", "high")} == {"value": worst["js"], "low": worst["low"], "high": worst["high"]}


def test_the_overview_says_the_same(made):
    storage, document, section, name = made
    said = Facts(storage, None).describe(MODEL)["pictures"]
    assert said == {"evaluation": name, "to": document["window"]["to"], "sentence": section["sentence"]}


def test_it_is_equal_when_it_is_verified(made, capsys):
    storage, document, section, name = made
    measured = {key for key in document["rests_on"] if key.startswith(layout.all_measures())}
    assert len(measured) == 3 * 2 + 1, "a document and a table of each day, and the dataset's document"
    assert verify.main([name, "--root", storage.root, "--model", MODEL, "--in-process"]) == 0
    said = capsys.readouterr().out
    assert "everything is equal" in said and "evidence.pictures: not computed" not in said and section["days"]


@pytest.mark.parametrize(("change", "measure", "word"), [(pictures_root.blur, "sharpness", "blurrier"),
                                                         (pictures_root.widen, "aspect", "wider")])
def test_blur_and_another_aspect_are_found(tmp_root, tmp_path, change, measure, word):
    storage = pictures_root.make(tmp_root, trained=80, tmp=tmp_path)
    put_day(storage, DAYS[1], [draw(i) for i in range(60)])
    put_day(storage, DAYS[2], [draw(500 + i, change) for i in range(60)])
    _, section, _ = ask(storage)
    assert measure in changed(section, DAYS[2]) and word in section["sentence"] and not changed(section, DAYS[1])


def test_a_bound_asks_for_the_section_and_cannot_tell_without_a_dataset(tmp_root, tmp_path):
    storage = pictures_root.make(tmp_root, tmp=tmp_path, dataset=False)
    for k, day in enumerate(DAYS[1:]):
        put_day(storage, day, [draw(500 * k + i, pictures_root.darken if k else None) for i in range(40)])
    document, section, name = ask(storage, "evaluate.evidence=[]", "gates.max_picture_drift=0.1")
    assert section["reference"]["kind"] == "days before" and "brightness" in changed(section, DAYS[2])
    assert all(f["js"] is None for f in section["days"][0]["figures"]), "the first day has no days before it"
    gate = judge(storage, name, 0.1)
    assert (gate["verdict"], gate["reason"]) == ("cannot tell", "no baseline")
    assert "no dataset is known" in gate["sentence"]


def test_without_pictures_nothing_is_known_and_the_gate_cannot_tell(tmp_root, tmp_path):
    storage = pictures_root.make(tmp_root, trained=40, tmp=tmp_path)
    rows = put_day(storage, DAYS[2], [draw(i) for i in range(5)])
    _, section, name = ask(storage)
    assert section["sentence"].startswith("Whether the pictures changed is not known")
    assert judge(storage, name, 0.1)["reason"] == "too few pictures"
    for row in rows:
        storage.delete(row["image_uri"])
    assert ask(storage)[1]["days"][0]["missing"] == {}, "what was measured stays known"


def test_a_forgotten_picture_is_not_in_the_next_report(tmp_root, tmp_path, capsys):
    storage = pictures_root.make(tmp_root, trained=40, tmp=tmp_path)
    put_day(storage, DAYS[2], [draw(i) for i in range(40)])
    _, section, name = ask(storage)
    key = write_report(storage, MODEL, name)
    gone = section["unusual"][0]
    assert gone["image_sha256"] in storage.read(key).decode()
    assert forget.main(["--root", storage.root, "--image", gone["image_sha256"], "--json"]) == 0
    done = json.loads(capsys.readouterr().out)["images"][0]
    assert done["reports"] == [key] and len(done["measures"]) == 2
    html = storage.read(write_report(storage, MODEL, name)).decode()
    assert gone["image_sha256"] not in html and gone["prediction_id"] not in html
    _, again, _ = ask(storage)
    assert gone["image_sha256"] not in {one["image_sha256"] for one in again["unusual"]}
    assert again["days"][0]["missing"] == {"image erased": 1}
    assert not storage.exists(layout.image(gone["image_sha256"], "png"))


def test_what_cannot_be_measured_then_is_not_said_to_differ_when_it_is_verified(tmp_path, capsys):
    storage = pictures_root.make(str(tmp_path / "root"), trained=40, tmp=tmp_path)
    put_day(storage, DAYS[0], [draw(i) for i in range(40)], labelled=10)
    (dataset,) = storage.folders(layout.datasets())
    storage.put(layout.manifest(dataset), b"{")
    _, section, name = ask(storage)
    assert section["reference"]["kind"] == "days before" and "manifest" in section["reference"]["reason"]
    capsys.readouterr()
    assert verify.main([name, "--root", storage.root, "--model", MODEL, "--in-process", "--json"]) == 4
    found = {f["said"]: f["state"] for f in json.loads(capsys.readouterr().out)["findings"]}
    (said,) = (said for said in found if said.startswith("evidence.pictures"))
    assert found[said] == "cannot tell" and f"names no measures of dataset {dataset}" in said
