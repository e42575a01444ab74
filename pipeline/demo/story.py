"""The steps of the demo, in order. Each uses the product as its users do - commands and HTTP - and is done once.

A step reads and leaves facts in `world.facts`; what it prints is for the person who watches.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from command.child import make_environment
from command.parent import end_with_parent
from command.spans import TRAFFIC, WAITING, span
from contract import clock, layout
from contract.clock import CLOCK_FILE
from contract.errors import CANNOT_TELL, DONE, GATE_SAYS_NO, Mismatch
from contract.registry import Registry
from contract.storage import open_storage, read_json
from contract.texts.figures import write_count, write_figure
from pipeline.demo import digits, people, times, traffic
from pipeline.demo.accepting import TARGETS, accept_answers
from pipeline.demo.service import run_service
from pipeline.demo.world import MODEL, World, say
from pipeline.running.local import StageFailed

RATE = 160.0  # requests a second of a day's traffic; a machine that answers fewer takes longer
SWAP_RATE = 25.0  # while training uses the machine and the version changes
AUDIT_P, JUDGES = 0.8, 3  # all three judge each item: one careless labeler alone would move the estimate by a point
FIRST = {"train.epochs": "6", "train.lr": "0.002"}
COMPARED = ("rows", "versions")  # the parts of an evaluation in which engines must agree


@dataclass(frozen=True)
class Step:
    """One step: its name, what it does in words, the seconds it may take on 2 cores, and the function that does it."""

    name: str
    says: str
    budget: int
    play: Callable[[World], None]


def publish_first_version(world: World) -> None:
    """Imports class folders as a dataset, trains version 1 on it and makes it live; meanwhile makes the API keys."""
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(make_keys, world)
        _train_first(world)
        world.facts["keys"] = making.result()


def _train_first(world: World) -> None:
    folder = world.work / "pictures"
    shutil.rmtree(folder, ignore_errors=True)
    digits.write_class_folders(folder, "first_training", world.seed, world.size)
    _, dataset = world.run("jobs.import_images", str(folder), "--model", MODEL)
    _, trained = world.run("training.train", "--model", MODEL, "--dataset", dataset["dataset"], "--parent", "none",
                           "--network", "resnet18", "--size", "32", "--launcher", "process", "--ranks", "1",
                           *list_settings(FIRST | {"train.seed": str(world.seed)}))
    world.run("pipeline.model", "promote", trained["version"], "--model", MODEL, "--by", "demo",
              "--reason", "first version")
    world.facts |= {"first": trained["version"], "first_dataset": dataset["dataset"]}
    rows = ", ".join(f"{n} {split}" for split, n in dataset["rows"].items())
    say(f"  version {trained['version']} of {MODEL!r}: resnet18 on {rows} pictures, live")


def list_settings(settings: Mapping[str, str]) -> list[str]:
    """Lists settings as a command takes them."""
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


def make_keys(world: World) -> dict[str, str]:
    """Makes API keys for the people and programs that will call the service, by name."""
    wanted = {"camera": "predict", "website": "label"} | dict.fromkeys(people.LABELERS, "label")
    return {name: world.run("inference.keys", "add", name, "--role", role)[1]["token"] for name, role in wanted.items()}


def send_day(name: str) -> Callable[[World], None]:
    """Makes the step that sends one day's traffic, and users' feedback on its answers."""

    def play(world: World) -> None:
        world.go_to(name)
        keys = world.facts["keys"]
        pictures = list(digits.make_part(name, world.seed, world.size))
        answers = traffic.send(world.url, keys["camera"], pictures, RATE, f"{name} traffic", world.moment(name))
        corrections = people.send_feedback(world.url, keys["website"], answers, np.random.default_rng([world.seed, 7]))
        right = sum(a.right for a in answers)
        world.facts[f"sent_{name}"] = {"n": len(answers), "right": right, "feedback": corrections,
                                       "truths": {a.prediction_id: a.truth for a in answers},
                                       "said": {a.prediction_id: (a.label, a.top[0]["probability"]) for a in answers},
                                       "versions": sorted({a.version for a in answers})}
        say(f"  {world.day(name)}: {write_count(len(answers), 'picture')}, {write_count(corrections, 'correction')} by users")

    return play


def label_day(name: str, share: float = 1.0, late: bool = False) -> Callable[[World], None]:
    """Makes the step that draws the audit sample of a day and has people answer it; `late`: the rest of it, on a later day."""

    def play(world: World) -> None:
        day, truths = world.day(name), world.facts[f"sent_{name}"]["truths"]
        if not late:
            wait_for_rows(world, day, len(truths))
            draw(world, day, "audit", "--p", str(AUDIT_P), "--judges", str(JUDGES), "--second-share", "1")
        else:
            world.go_to("late")
        labelers = [people.Labeler(n, world.facts["keys"][n], w, np.random.default_rng([world.seed, 8, i, late]))
                    for i, (n, w) in enumerate(people.LABELERS.items())]
        most = int(share * AUDIT_P * JUDGES * len(truths)) if share < 1 else None
        given = people.answer_audit(world.url, labelers, MODEL, day, truths, most)
        world.facts.setdefault("audit_labels", {})[f"{name}{'_late' if late else ''}"] = given
        say(f"  {given} blind judgements by {len(labelers)} people" + (", a day late" if late else ""))

    return play


def draw(world: World, day: str, kind: str, *options: str) -> None:
    """Runs `trueup review sample`, unless an earlier start drew it: a sample is drawn once."""
    if not open_storage(str(world.root)).exists(layout.sample_document(MODEL, day, kind)):
        world.run("inference.review", "sample", "--model", MODEL, "--day", day, "--kind", kind, *options)


@span(WAITING)
def wait_for_rows(world: World, day: str, expected: int, table: str = layout.PREDICTIONS, seconds: float = 30) -> None:
    """Returns when the shipper has brought a day's rows to the root. Mismatch: it has not within `seconds`."""
    import pyarrow.parquet as pq

    storage = open_storage(str(world.root))
    deadline = time.monotonic() + seconds
    while True:
        files = [world.root / e.key for e in storage.list(layout.day_folder(table, day))]
        arrived = sum(pq.read_metadata(f).num_rows for f in files)
        if arrived >= expected:
            return
        if time.monotonic() > deadline:
            raise Mismatch(f"expected {expected} {table} of {day} in the root within {seconds:.0f} s, got {arrived}.")
        time.sleep(0.1)


def wait_for_labels(world: World, name: str) -> None:
    """Returns when the shipper has brought all labels of one of the demo's days: those of users and of the audit."""
    judged = world.facts["audit_labels"]
    expected = world.facts[f"sent_{name}"]["feedback"] + judged[name] + judged.get(f"{name}_late", 0)
    wait_for_rows(world, world.day(name), expected, layout.LABELS)


def evaluate_days(world: World, name: str, *options: str, last: str | None = None) -> dict[str, Any]:
    """Runs `trueup evaluate` over one of the demo's days (or from it to `last`)."""
    _, document = world.run("jobs.evaluate", "--model", MODEL, "--from", world.day(name), "--to", world.day(last or name),
                            *options)
    return document


def evaluate_both_days(world: World) -> None:
    """Counts each day by the embedded engine, and both days together, which Spark and MapReduce count again later."""
    wait_for_labels(world, "clean")
    wait_for_labels(world, "drifted")
    world.facts["as_of"] = clock.iso(world.now())
    firsts, lasts = ("clean", "drifted", "clean"), (None, None, "drifted")
    with ThreadPoolExecutor(len(firsts)) as pool:  # each mostly waits for a process of its own to start
        clean, drifted, both = pool.map(lambda first, last: count(world, first, last, "embedded"), firsts, lasts)
    world.facts |= {"evaluated_clean": summarise(clean), "evaluated_drifted": summarise(drifted),
                    "counted": {part: both[part] for part in COMPARED}}
    for name in ("clean", "drifted"):
        e = world.facts[f"evaluated_{name}"]["versions"][world.facts["first"]]["estimate"]
        say(f"  {name:<8} accuracy {write_figure(e)}")


def count(world: World, first: str, last: str | None, engine: str) -> dict[str, Any]:
    """Lets an engine count these days, as they were known when the first evaluation started."""
    return evaluate_days(world, first, "--engine", engine, "--full", "--as-of", world.facts["as_of"], last=last)


@contextmanager
def count_once_more(world: World, *engines: str) -> Iterator[None]:
    """Lets other engines, one after another, count what the embedded engine counted while the body runs; compares at its end."""
    with ThreadPoolExecutor(1) as pool:
        counting = [pool.submit(count, world, "clean", "drifted", engine) for engine in engines]
        yield
        with span(WAITING):
            others = [one.result() for one in counting]
        compare_engines(world.facts["counted"], *others)


def compare_engines(embedded: dict[str, Any], *others: dict[str, Any]) -> None:
    """Checks that counts agree to the unit; Mismatch names the first figure that does not."""
    for other in others:
        for part in COMPARED:
            if other[part] != embedded[part]:
                raise Mismatch(f"{other['engine']} counted other {part} than the embedded engine:\n{other[part]}\n"
                               f"{embedded[part]}")
        rows = sum(other["rows"][k] for k in ("predictions", "labels"))
        say(f"  {other['engine']:<10} counted {rows:,} rows: the same to the unit as DuckDB")


def retrain(world: World) -> None:
    """Runs `trueup cycle` while requests keep coming: the gate fails, version 2 is trained and goes live."""
    with count_once_more(world, "spark", "mapreduce"):  # one core is idle until the training starts
        _retrain(world)


def _retrain(world: World) -> None:
    # Another cut, which shares digits with the training sets: these answers are counted, and never judged.
    pictures = list(digits.make_part("drifted", world.seed + 1000, world.size))
    url, key = world.url, world.facts["keys"]["camera"]
    with _start_cycle(world) as process:
        _wait_for_candidate(world, process)
        with traffic.Steady(url, key, pictures, SWAP_RATE) as steady:
            output, _ = process.communicate()
            document = _read_cycle_answer(world, process.returncode, output)
            with span(TRAFFIC):
                steady.wait_for(document["published"], int(SWAP_RATE), seconds=30)
    world.facts |= {"second": document["published"], "cycle": document,
                    "swap": {"n": len(steady.answers), "failed": 0,
                             "by_version": {v: sum(a.version == v for a in steady.answers)
                                            for v in sorted({a.version for a in steady.answers})}}}
    for stage in ("gate", "promotion"):
        if stage in document["stages"]:  # not all are there when an earlier start was killed after it published
            say(f"  {stage}: {document['stages'][stage]['sentence']}")
    counts = ", ".join(f"{n} by version {v}" for v, n in world.facts["swap"]["by_version"].items())
    say(f"  {len(steady.answers)} requests answered meanwhile, none failed: {counts}")


@contextmanager
def _start_cycle(world: World) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "pipeline.cycle", "--model", MODEL, "--root", str(world.root), "--json"]
    env = make_environment() | {CLOCK_FILE: str(world.work / "clock")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, preexec_fn=end_with_parent)
    try:
        yield process
    finally:
        process.terminate()  # nothing happens when it has ended
        process.wait()


def _read_cycle_answer(world: World, code: int, output: str) -> dict[str, Any]:
    if code not in (DONE, GATE_SAYS_NO, CANNOT_TELL):
        raise StageFailed(f"the cycle ended with exit code {code}; its error stands above.", code or 1)
    document = json.loads(output)
    live = Registry(open_storage(str(world.root)), MODEL).live()
    if live != world.facts["first"]:  # published, if not by this start then by an earlier one that was killed after it
        return document | {"published": live}
    if document["status"] != "published":
        raise StageFailed(f"expected the cycle to publish a new version, it says: {document['sentence']}", 1)
    return document


def _wait_for_candidate(world: World, process: subprocess.Popen) -> None:
    """Returns when the candidate is trained, or the cycle has ended: traffic before that would only slow both down."""
    while process.poll() is None and not list((world.root / "runs" / MODEL).glob("*/train.json")):
        time.sleep(0.2)


def check_recovery(world: World) -> None:
    """Evaluates fresh drifted traffic, which was labelled: is the accuracy back?"""
    wait_for_labels(world, "recovered")
    made = evaluate_days(world, "recovered", "--evidence", "automatic", "--set", f"evaluate.accept_targets={list(TARGETS)}")
    second = made["evidence"]["automatic"]["versions"][world.facts["second"]]
    world.facts["evaluated_recovered"] = summarise(made) | {"automatic": second["targets"]}


def run_second_cycle(world: World) -> None:
    """Runs a second cycle, which finds the gates passing and changes nothing."""
    world.go_to("now")
    before = read_json(open_storage(str(world.root)), layout.live(MODEL))
    code, document = world.run("pipeline.cycle", "--model", MODEL, answers=(DONE, GATE_SAYS_NO, CANNOT_TELL))
    after = read_json(open_storage(str(world.root)), layout.live(MODEL))
    if code != DONE or before != after:
        raise StageFailed(f"expected the second cycle to change nothing, it says: {document.get('sentence')}", 1)
    world.facts["second_cycle"] = document
    say(f"  {document['sentence']}")


def leave_work(world: World) -> None:
    """Leaves a review sample with items for whoever opens the pages, and the report of the newest evaluation."""
    with ThreadPoolExecutor(1) as pool:
        rendered = pool.submit(world.run, "jobs.report", "--model", MODEL)
        draw(world, world.day("recovered"), "review", "--strategy", "uncertain-first", "--items", "60")
        world.facts["report"] = rendered.result()[1]["report"]


def summarise(document: dict[str, Any]) -> dict[str, Any]:
    """Picks what the closing table needs of an evaluation."""
    versions = {v: {k: d[k] for k in ("predictions", "labelled", "accuracy", "estimate")}
                for v, d in document["versions"].items()}
    return {"id": document["id"], "window": document["window"], "versions": versions}


# Seconds on 2 cores; their sum is the demo's budget. `trueup demo` prints what each step took.
STEPS = (
    Step("first version", "train a first version on a part of the digits and publish it", 17, publish_first_version),
    Step("clean day", "send clean traffic to the running service", 2, send_day("clean")),
    Step("clean labels", "people judge a random sample, blind", 2, label_day("clean")),
    Step("drifted day", "somebody knocks the camera: tilted, lower in contrast, noisier", 4, send_day("drifted")),
    Step("drifted labels", "people judge a random sample of that day too", 2, label_day("drifted", share=0.75)),
    Step("late labels", "the rest of the labels come a day late", 1, label_day("drifted", late=True)),
    Step("evaluate", "how good was version 1 before and after?", 2, evaluate_both_days),
    Step("cycle", "gate, dataset, two ranks of training, comparison, publication; Spark and MapReduce count again", 47, retrain),
    Step("recovered day", "send fresh drifted traffic", 3, send_day("recovered")),
    Step("recovered labels", "people judge a random sample of it", 2, label_day("recovered")),
    Step("evaluate again", "is the accuracy back?", 2, check_recovery),
    Step("accept", "which of its answers need nobody to look at them?", 1, accept_answers),
    Step("second cycle", "the gates pass, nothing changes", 3, run_second_cycle),
    Step("leave work", "draw items for review, render the report", 1, leave_work),
)


def play(world: World, announce: Callable[[Step], None], finished: Callable[[Step, float], None]) -> None:
    """Plays all steps that are not done, with the service running throughout."""
    todo = [s for s in STEPS if not world.is_done(s.name)]
    while todo and todo[0].name == "first version":
        _play_step(world, todo.pop(0), announce, finished)
    if not todo:
        return
    with ExitStack() as stack:
        with times.measure(world, times.SERVICE):
            world.url = stack.enter_context(run_service(str(world.root), MODEL, world.work))
        for step in todo:
            _play_step(world, step, announce, finished)
        with times.measure(world, times.SERVICE):
            stack.close()
    world.save()


def _play_step(world: World, step: Step, announce: Callable[[Step], None], finished: Callable[[Step, float], None]) -> None:
    announce(step)
    start = time.monotonic()
    with times.measure(world, step.name):
        step.play(world)
    took = time.monotonic() - start
    world.facts.setdefault("done", {})[step.name] = round(took, 1)
    world.save()
    finished(step, took)
