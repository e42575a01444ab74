"""Least privilege, shown: stages run against a recorded S3; all they ask is allowed, and all that is allowed is asked."""

import json
import tempfile
import uuid
from collections import defaultdict
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from command.tracking.versions import mirror_state
from contract import clock, ids, layout, samples
from contract.canary import changes
from contract.canary.documents import Bounds, ReplicaCounts, StepCounts
from contract.documents.gold import GoldAnswer
from contract.documents.labeler_fit import LABELERS, LabelerFit, write_fit
from contract.documents.repeat import BlindRepeat
from contract.errors import DONE
from contract.records import PREDICTION
from contract.registry import Registry
from contract.review import listed
from contract.review.listed import ListedItem
from contract.review.suspects import Suspect, Suspects
from contract.rows.reading import read_columns
from contract.runs import Plan, Runs, Timing
from contract.sections.tracking import TrackFields
from contract.settings import EmrSettings
from contract.storage import open_root
from emr import access, step
from emr.needs import find_need
from emr.requests import Request, add_attempt
from emr.security import key
from emr.tracking import tell_of_stage
from jobs.forget import forget
from jobs.replaying import command
from pipeline import cycle
from pipeline.running.stages import ASSESS, DATASET, TRAIN, Stage
from tests.emr import searched_root
from tests.emr.conftest import put_packages
from tests.emr.recorder import Asked, Recorder, allowing
from tests.fakes.s3 import make_bucket
from tests.inference.made_pictures import picture
from tests.jobs import replayed_root
from tests.jobs.pictures import pictures_root
from tests.pipeline.conftest import fake_stages, replace_retraining  # noqa: F401
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows, write_version
from tests.training.tuning.conftest import made  # noqa: F401
from training.train import choose_checkpoint_folder

KEY = "arn:aws:kms:eu-west-1:123456789012:key/12345678-1234-1234-1234-123456789012"
OF_KEY = {"s3:GetObject": "kms:Decrypt", "s3:PutObject": "kms:GenerateDataKey"}
FIT = "of-november"
SETTINGS = {"evaluate": {"engine": "embedded", "labeler_fit": FIT}, "dataset": {"suspects": "review"},
            "train": {"epochs": 1, "ranks": 1, "launcher": "process", "batch": 8}}
# As TRAIN, from the version that it made; in tests its workers are in this process.
TUNE = Stage("tune", "training.tune", ("--model", "{model}", "--dataset", "{dataset}", "--parent", "{candidate}", "--trials", "1",
                                       "--set", "tune.space={{lr: [0.0001, 0.001]}}", "--train"))


@pytest.fixture(scope="module")
def server():
    recorder = Recorder()
    recorder.start()
    yield recorder
    recorder.stop()


@pytest.fixture
def root(server, monkeypatch):
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    return f"s3://{make_bucket(f'test-{uuid.uuid4().hex[:12]}')}/a prefix"


def recorded(server, root, stage, argv, module):
    """What a stage's step asks of S3 on its cluster, what EMR and bootstrap.sh do beside it included; and its answer."""
    request = Request(stage=stage, module=module, argv=argv, settings=SETTINGS, engine="none")
    attempt = add_attempt(open_root(root), argv[1], request)
    server.asked.clear()
    assert step.main(["--root", root, "--request", attempt.key]) == 0, attempt.read_reply()
    base = f"arn:aws:s3:::{root.removeprefix('s3://')}/"
    beside = {Asked("s3:GetObject", f"{base}{layout.package('count-0.tar.gz')}"),
              Asked("s3:PutObject", f"{base}{layout.logs()}j-1/steps/s-1/stderr.gz")}
    return set(server.asked) | beside, attempt.read_reply().document


def trained_and_sampled(root):
    """A root whose live version was trained on a dataset, and on which samples were drawn."""
    make_root(root, right=120, n=200, version="2")
    storage = open_root(root)
    registry = Registry(storage, MODEL)
    with tempfile.TemporaryDirectory() as folder:
        write_version(registry, registry.claim(by="test"), Path(folder), dataset="d1", parent="1")
    registry.promote("2", by="test", reason="better", expected_live="1")
    put_fit(storage, MODEL)
    samples.write(storage, samples.draw(MODEL, DAY, "audit", samples.Design("random-audit", "salt", p=0.5)))
    return root


def put_fit(storage, model):
    """A fit that knows nobody."""
    import pyarrow as pa

    table = pa.table([[None], [2], [1.0], [0.5], [2**16], [-1], [-1]], schema=LABELERS.arrow())
    moment = "2026-11-01T00:00:00Z"
    write_fit(storage, LabelerFit.model_validate({
        "model": model, "name": FIT, "at": moment, "as_of": moment, "role": "live", "window": {"from": DAY, "to": DAY},
        "engine": "embedded", "form": "one-coin", "inputs": {}, "iterations": 1, "converged": True, "log_likelihood": -1.0,
        "parameters": {"iterations": 1, "tolerance": 0.0, "smoothing": 0.0, "start": None}, "votes": 2, "predictions": 1,
        "labelers": 1, "left_out": {}, "classes": []}), {"labelers": table})


def put_what_evidence_reads(root):
    """A blind repeat and a gold item; of a version that nobody labelled, a prediction and a run that assessed something."""
    storage = open_root(root)
    seen, of = clock.iso(clock.now()), ids.uuid7(clock.parse_moment(f"{DAY}T12:00:00Z"))
    repeat = BlindRepeat(model=MODEL, role="live", day=DAY, prediction_id=of, predicted="a", image_sha256="", labeler="ada",
                         share=0.05, at=seen, seen="a", seen_at=seen)
    storage.put(layout.repeat(MODEL, "p", of).format(1), repeat.to_bytes())
    gold = GoldAnswer(model=MODEL, prediction_id=of, label="a", predicted="a", bin=None, image_sha256="", at=seen, by="test")
    storage.put(layout.gold(MODEL, "known", of, "00000001"), gold.to_bytes())
    unlabelled = {"prediction_id": of, "predicted_at": clock.parse_moment(seen), "model": MODEL, "model_version": "9"}
    put_rows(storage, PREDICTION, "predictions", [unlabelled | {"predicted_label": "a", "confidence": 0.9}], writer="w9")
    plan = Plan(model=MODEL, window={"from": DAY, "to": DAY}, as_of=seen, live="1", live_seq=1)
    run = Runs(storage, MODEL).acquire(lambda: plan, Timing())
    run.record("assess", {"dataset": "d1", "versions": {}})
    run.finish("refused", 3, "It is not better.")


def put_suspects(storage, model, day):
    """A label that is likely wrong, of one of a day's predictions, and a list that people were asked about before."""
    entry = next(iter(storage.list(layout.day_folder(layout.PREDICTIONS, day))))
    row = read_columns(storage, entry.key, ("prediction_id", "image_sha256", "image_uri", "predicted_label")).to_pylist()[0]
    since = clock.iso(clock.parse_moment(f"{day}T20:00:00Z"))
    suspect = Suspect(image_sha256=row["image_sha256"], image_uri=row["image_uri"], prediction_id=row["prediction_id"], day=day,
                      split="train", given=row["predicted_label"], likely=None, score=None, judge=None, dataset="d", since=since)
    document = Suspects(model=model, dataset="d", created_at=since, near_bits=2, folds=5, rows=1, judged=0, not_judged={},
                        judges=[], suspects=[suspect])
    storage.put(layout.suspects(model).format(1), document.to_bytes())
    other = ListedItem(day=day, prediction_id=ids.uuid7(), predicted="a", bin=None, image_sha256="0" * 64)
    listed.send(storage, model, listed.SUSPECTS, "test", [other], blind=True)


def put_pictures(root):
    """A stored picture that was answered, and the dataset of the live version with another one."""
    storage = open_root(root)
    pictures_root.put_dataset(storage, [pictures_root.draw(1)], "d1")
    pictures_root.put_day(storage, DAY, [pictures_root.draw(2)], "w8")


def check(of, root, requests):
    """Every request is allowed, every resource of every statement is used."""
    statements = access.make_statements(of, root)
    by = {request: allowing(statements, request) for request in requests}
    assert [request for request, found in by.items() if not found] == []
    used = {pair for found in by.values() for pair in found}
    assert [(s["Sid"], r) for s in statements for r in s["Resource"] if (s["Sid"], r) not in used] == []
    # With a key of one's own S3 asks the key on behalf of whoever reads or writes.
    needed = {OF_KEY[request.action] for request in requests if request.action in OF_KEY}
    assert needed == {a for s in key.make_data_statements(of, EmrSettings(kms_key=KEY)) for a in s["Action"]}


def test_an_evaluation_asks_what_its_role_allows(server, root):
    trained_and_sampled(root)
    argv = ["--model", MODEL, "--from", DAY, "--to", DAY, "--engine", "embedded"]
    first, _ = recorded(server, root, "evaluate", argv, "jobs.evaluate")
    again, _ = recorded(server, root, "evaluate", [*argv, "--quarantine"], "jobs.evaluate")  # reads stored counts
    put_what_evidence_reads(root)
    put_pictures(root)
    asked = [word for name in ("combined", "noise", "anchoring", "pictures") for word in ("--evidence", name)]
    evidence, _ = recorded(server, root, "evaluate", [*argv, *asked], "jobs.evaluate")
    check("evaluate", root, first | again | evidence)


def run_a_canary(root):
    """Version 1 answers a share again, and one replica counted."""
    registry = Registry(open_root(root), MODEL)
    canary = changes.start(registry, "1", [0.5], Bounds(seconds=0), by="test", reason="test").record.state.canary
    document = ReplicaCounts(model=MODEL, salt=canary.salt, version="1", replica="a", at=canary.started_at,
                             steps={0: StepCounts(answers=5)})
    registry.storage.put(layout.canary_counts(MODEL, canary.salt, "a"), document.to_bytes())


@pytest.mark.usefixtures("fake_stages")
def test_the_driver_asks_what_its_role_allows(server, root, emr, monkeypatch):
    put_packages(trained_and_sampled(root))
    put_what_evidence_reads(root)
    inside = step.main
    others = []

    def elsewhere(argv):  # what a step asks is its own role's
        before = set(server.asked)
        code = inside(argv)
        others.extend(set(server.asked) - before)
        server.asked = before
        return code

    monkeypatch.setattr(step, "main", elsewhere)
    server.asked.clear()
    options = ["--runner", "emr", "--in-process", "--set", "emr.subnets=[subnet-1]", "--json", "--set",
               f"evaluate.labeler_fit={FIT}", "--set", "evaluate.evidence=[noise, anchoring]"]
    assert cycle.main(["--root", root, "--model", MODEL, *options]) == DONE
    assert others
    asked = set(server.asked)
    run_a_canary(root)
    server.asked = asked
    assert cycle.main(["--root", root, "--model", MODEL, *options]) == DONE  # looks at it
    # A cluster that failed leaves a log, which the driver shows.
    log = Asked("s3:GetObject", f"arn:aws:s3:::{root.removeprefix('s3://')}/{layout.logs()}j-1/steps/s-1/stderr.gz")
    check("driver", root, set(server.asked) | {log})


def test_the_driver_may_read_what_it_tells_mlflow_of(server, root, monkeypatch):
    """Of a candidate, whose nodes could not tell, and of what is live."""
    registry = Registry(open_root(trained_and_sampled(root)), MODEL)
    store = MagicMock(get_status=lambda run: "RUNNING")
    monkeypatch.setattr("emr.tracking.tell", lambda track, work: work(store))
    server.asked.clear()
    tell_of_stage(TrackFields(mlflow="https://x"), registry, "train", {"version": "2"})
    mirror_state(store, registry, "2", {"rows": 1})
    statements = access.make_statements("driver", root)
    assert store.log_texts.call_count == 3
    assert server.asked and [request for request in server.asked if not allowing(statements, request)] == []


def test_the_driver_asks_emr_what_its_role_allows(emr, tmp_root):
    statements = access.make_emr_statements("trueup", "123456789012")
    allowed = {action for s in statements for action in s["Action"]}
    from tests.emr.test_emr_cycle import test_a_stop_cancels_the_step_and_ends_the_cluster as stopped

    with pytest.MonkeyPatch.context() as patch:
        replace_retraining(patch)
        stopped(emr, tmp_root, 15)
    asked = {f"elasticmapreduce:{operation}" for operation, _ in emr.requests}
    # Tags and roles travel in RunJobFlow.
    assert asked | {"elasticmapreduce:AddTags", "iam:PassRole", "iam:CreateServiceLinkedRole"} == allowed
    roles = {r["JobFlowRole"] for o, r in emr.requests if o == "RunJobFlow"}
    passed = next(s for s in statements if s["Sid"] == "PassNodes")["Resource"]
    assert {f"arn:aws:iam::123456789012:role/{role}" for role in roles} <= set(passed)


def test_only_the_driver_moves_the_pointer():
    root, base = "s3://my-bucket/pre", "arn:aws:s3:::my-bucket/pre/"
    moves = [Asked("s3:PutObject", f"{base}{layout.history(MODEL).format(7)}"),
             Asked("s3:PutObject", f"{base}{layout.live(MODEL)}")]
    may = {of for of in access.ACCESS if any(allowing(access.make_statements(of, root), m) for m in moves)}
    assert may == {"driver"}


@pytest.mark.parametrize(("name", "who"), [
    ("predictions/dt=2026-11-10/w-1-1.parquet", ["score", "serve"]), ("images/ab/abc.jpg", ["score", "serve"]),
    ("predictions/dt=2026-11-10/replay0-1-2.parquet", ["score", "replay", "serve"]),
    ("labels/dt=2026-11-10/w-1-1.parquet", ["serve"]), ("keys/x.json", []), ("packages/train-0.tar.gz", []),
    ("samples/m/gold/known/i/1.json", []), ("samples/m/gold/judged/who/i.json", ["serve"]),
    ("samples/m/repeats/who/i/1.json", ["serve"])])
def test_keys_and_packages_are_written_by_none_and_rows_by_few(name, who):
    request = Asked("s3:PutObject", f"arn:aws:s3:::my-bucket/pre/{name}")
    assert [of for of in access.ACCESS if allowing(access.make_statements(of, "s3://my-bucket/pre"), request)] == who


def test_scoring_may_read_the_prefixes_that_it_was_given():
    found = access.make_picture_statements(["s3://camera/new pictures"])
    assert allowing(found, Asked("s3:GetObject", "arn:aws:s3:::camera/new pictures/1.jpg"))
    assert allowing(found, Asked("s3:ListBucket", "arn:aws:s3:::camera", "new pictures/"))
    assert not allowing(found, Asked("s3:GetObject", "arn:aws:s3:::camera/others/1.jpg"))


@pytest.mark.usefixtures("fake_stages")
def test_the_driver_asks_emr_serverless_what_its_role_allows(serverless, tmp_root):
    from tests.emr.test_serverless import IMAGE
    from tests.emr.test_serverless import test_a_stop_cancels_the_job_and_deletes_the_application as stopped

    statements = access.make_serverless_statements("trueup", "123456789012", IMAGE)
    allowed = {action for s in statements for action in s["Action"]}
    stopped(serverless, tmp_root, 15)
    asked = {f"emr-serverless:{operation}" for operation, _ in serverless.requests}
    image = {"ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"}  # asked on our behalf, as are tags
    assert asked | image | {"emr-serverless:TagResource", "iam:CreateServiceLinkedRole", "iam:PassRole"} == allowed
    passed = next(s for s in statements if s["Sid"] == "PassServerless")["Resource"]
    roles = {a["executionRoleArn"] for o, a in serverless.requests if o == "StartJobRun"}
    assert roles <= set(passed) and not [r for r in passed if "train" in r or "assess" in r]
    (repository,) = next(s for s in statements if s["Sid"] == "Image")["Resource"]
    assert repository == "arn:aws:ecr:us-east-1:123456789012:repository/trueup-serverless"


def test_another_prefix_of_the_bucket_is_closed():
    for of in access.ACCESS:
        found = access.make_statements(of, "s3://my-bucket/pre")
        assert not allowing(found, Asked("s3:GetObject", "arn:aws:s3:::my-bucket/other/runs/x"))
        assert not allowing(found, Asked("s3:ListBucket", "arn:aws:s3:::my-bucket", "other/"))


def test_a_replay_asks_what_its_role_allows(server, root, monkeypatch):
    monkeypatch.setattr(command, "compute", replayed_root.compute_here)
    rows = replayed_root.make(root, per_day=5, versions=2)
    put_fit(open_root(root), "m")
    forget(open_root(root), rows[0]["image_sha256"], asked="test", by="test")
    argv = ["--model", "m", "--version", "2", "--as-of", replayed_root.AS_OF, "--engine", "embedded"]
    first, _ = recorded(server, root, "replay", argv, "jobs.replaying.command")
    again, document = recorded(server, root, "replay", argv, "jobs.replaying.command")
    assert (document["replayed"], document["now"]["computed"], document["left_out"]["erased"]) == (5, 0, 1)
    check("replay", root, first | again)


def test_a_search_asks_what_the_role_of_training_allows(server, root, made):  # noqa: F811
    """With --train it asks for more; that is below, with the real training."""
    searched_root.make(root)
    requests, document = recorded(server, root, "tune", ["--model", MODEL, *searched_root.OPTIONS, "--trials", "2"],
                                  "training.tune")
    statements = access.make_statements("train", root)
    by = {request: allowing(statements, request) for request in requests}
    assert document["best"] and len(made.trained) == 2 and [request for request, found in by.items() if not found] == []
    used = {sid for found in by.values() for sid, resource in found if resource.endswith(access.TUNINGS)}
    assert used == {"Read", "Write"}


def test_checkpoints_may_be_cleared_wherever_a_training_has_them():
    base, statements = "arn:aws:s3:::my-bucket/pre/", access.make_statements("train", "s3://my-bucket/pre")
    for run_key in (None, f"{MODEL}/3", "search 0123456789abcdef trial 2"):
        folder = choose_checkpoint_folder(MODEL, "2", run_key)
        for action in ("s3:PutObject", "s3:GetObject", "s3:DeleteObject"):
            assert allowing(statements, Asked(action, f"{base}{folder}0123/final.json")), (action, folder)
    assert not allowing(statements, Asked("s3:DeleteObject", f"{base}{layout.history('checkpoints').format(1)}"))


@pytest.mark.slow("spark")
def test_a_retraining_asks_what_its_roles_allow(server, root):
    from tests import tiny_root

    tiny_root.make(root)
    put_fit(open_root(root), tiny_root.MODEL)
    put_suspects(open_root(root), tiny_root.MODEL, tiny_root.DAY)
    open_root(root).put("images/brought.jpg", picture(seed=7))  # one that is not stored yet
    values = {"model": tiny_root.MODEL, "from": tiny_root.DAY, "to": tiny_root.DAY, "as_of": "2026-11-20T00:00:00Z",
              "live": "1", "run": f"{tiny_root.MODEL}/1"}
    asked = defaultdict(set)
    score = Stage("score", "jobs.score_images", ("--model", "{model}", "--images", f"{root}/images"))
    for stage in (DATASET, TRAIN, ASSESS, score, TUNE):
        requests, answer = recorded(server, root, stage.name, stage.fill_arguments(values), stage.module)
        values |= stage.pick_values(answer)
        asked[find_need(stage.name, EmrSettings()).role or stage.name] |= requests
    wrong = []
    for role, requests in asked.items():
        try:
            check(role, root, requests)
        except AssertionError as error:
            wrong.append(f"{role}: {str(error)[:1000]}")
    assert not wrong, json.dumps(wrong, indent=1)
