"""One turn of the loop for a window: evaluate, gate, dataset, train, assess, promotion gate, publish.

    trueup cycle --model digits [--from 2026-11-01 --to 2026-11-20] [--wait] [--json]      (python -m pipeline.cycle)

Killed and started again, it continues with the first stage that is not finished. Exit codes: 0 nothing to do, or a new
version is live (or awaits a person's approval); 3 the candidate was refused; 4 cannot tell: nothing trained, or the candidate
waits as a shadow (`gates.shadow_labels`); 1 an error,
among them a run that somebody else holds (0 with --unless-held, as a schedule wants it).
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from command.tracking.tracking import tell, write_told
from command.tracking.versions import mirror_state
from contract import clock, layout
from contract.counts import RULES
from contract.days import default_window
from contract.errors import (
    CANNOT_TELL,
    DONE,
    ERROR,
    GATE_SAYS_NO,
    DamagedDocument,
    NotFound,
    PointerMoved,
    RunHeld,
    RunLost,
    UsageError,
    pass_over,
    shorten,
)
from contract.evaluations import read_evaluation
from contract.evidence.recounts import TABLE as RECOUNTS
from contract.policy import GatePolicy
from contract.registry import Registry
from contract.runs import AWAITING, AWAITING_SHADOW, End, Plan, Run, Runs, Timing
from contract.sections.modules import LOCAL
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from metrics.judging.promotion import judge_assessment, tell_too_few_held_out
from metrics.judging.verdicts import FAIL
from pipeline import retention, shadowing
from pipeline.canary import in_cycle as canaries
from pipeline.notifying.owed import send_afterwards
from pipeline.running import stages
from pipeline.running.local import InProcessRunner, ProcessRunner, Runner, StageFailed

CANARY = "canary"  # a stage, and the status of a run that ends while one runs
RECORDED = ("evaluate", "gate", "dataset", "train", "assess", "promotion", "shadow", "canary-start", CANARY,
            "publish")
# Errors of a stage that trying again may cure: the run stays open, and what is done stays done.
PASSING = {"RootError", "Interrupted"}


@stage_command("cycle")
@click.option("--model", help="The model's name. [env: TRUEUP_MODEL]")
@click.option("--from", "first", help="First prediction day. [default: the newest days, by evaluate.days]")
@click.option("--to", "last", help="Last prediction day.")
@click.option("--wait", is_flag=True, help="Wait for a run that another process holds.")
@click.option("--unless-held", is_flag=True, help="Do nothing, and end with 0, while another process holds the run.")
@click.option("--in-process", is_flag=True, help="Run the stages in this process.")
@click.option("--runner", type=click.Choice(["local", "emr"]), default="local", show_default=True,
              help="Where stages run: on this machine, or each on an EMR cluster of its own.")
def command(settings: Settings, model: str | None, first: str | None, last: str | None, wait: bool, unless_held: bool,
            in_process: bool, runner: str) -> Outcome:
    """Evaluate, gate and, when the gate says so, retrain, compare and publish."""
    if wait and unless_held:
        raise UsageError("--wait and --unless-held: expected one of them, got both.")
    settings = with_options(settings, model=model)
    storage = open_root(settings.need_root())
    chosen = choose_runner(runner, storage, in_process)
    try:
        with send_afterwards(storage, settings):
            document = run_cycle(storage, settings, chosen, first, last, wait)
    except RunHeld as error:
        if not unless_held:
            raise
        document = {"status": "held", "sentence": str(error), "exit_code": DONE}
        return Outcome(DONE, document, _write_text(document))
    code = document["exit_code"]
    registry = Registry(storage, settings.need_model())
    assessed = document["stages"].get("assess")
    told = tell(settings.track, lambda store: mirror_state(store, registry, document["candidate"], assessed))
    if told:
        document["tracking"] = told
    if retention.is_set(settings):
        document["expire"], wrong = retention.expire(storage, settings, chosen)
        if wrong:
            _say(f"expire: {wrong}")
            code = ERROR if code == DONE else code
    return Outcome(code, document, _write_text(document) + write_told(told))


def choose_runner(name: str, storage: Storage, in_process: bool = False) -> Runner:
    """Makes the runner of that name; UsageError for EMR on a root that clusters cannot reach."""
    if name == "local":
        return InProcessRunner() if in_process else ProcessRunner()
    if not storage.root.startswith("s3://"):
        raise UsageError(f"--runner emr: expected a root that clusters can reach (s3://bucket/prefix), got {storage.root}.")
    from pipeline.running.emr import EmrRunner

    return EmrRunner(InProcessRunner() if in_process else ProcessRunner())


def run_cycle(storage: Storage, settings: Settings, runner: Runner, first: str | None = None, last: str | None = None,
          wait: bool = False) -> dict[str, Any]:
    """Carries one run of the model to its end and returns how it ended.

    Raises NoSuchModel, RunHeld, RunLost, PointerMoved, StageFailed, StageKilled.
    """
    timing = Timing(settings.cycle.beat_seconds, settings.cycle.takeover_seconds)
    runs = Runs(storage, settings.need_model())
    acquired = runs.acquire(lambda: make_plan(storage, settings, first, last), timing, wait, _say)
    if acquired.owner is None:
        return _make_document(acquired, acquired.end())
    runner.begin(acquired.key)
    with acquired.keep_beating(timing.beat):
        return _make_document(acquired, Turn(acquired, runner).carry_on())


def make_plan(storage: Storage, settings: Settings, first: str | None, last: str | None) -> Plan:
    """Fixes what a run is given when it is created: the days, the moment, what is live, the settings."""
    model = settings.need_model()
    as_of = clock.now()
    registry = Registry(storage, model)
    live = registry.live()  # NoSuchModel where there is no record
    newest = registry.newest()
    days = default_window(storage, first, last, clock.day_of(as_of), settings.evaluate.days)
    return Plan(model=model, window={"from": days[0], "to": days[1]}, default_window=not (first or last),
                as_of=clock.iso(as_of), live=live, live_seq=newest.seq if newest else 0,
                settings=ask_for_recounts(settings.model_dump(mode="json", exclude={"root", "model", *LOCAL})))


def ask_for_recounts(settings: dict[str, Any]) -> dict[str, Any]:
    """A run's settings, by which its evaluation is recounted without each person, unless fragile verdicts count anyway."""
    if settings["gates"]["allow_fragile"] or RECOUNTS in settings["evaluate"]["evidence"]:
        return settings
    return settings | {"evaluate": settings["evaluate"] | {"evidence": [*settings["evaluate"]["evidence"], RECOUNTS]}}


@dataclass
class Turn:
    """A run being carried on by this process: finished stages are read back, the others are run and recorded."""

    run: Run
    runner: Runner
    values: dict[str, str] = field(default_factory=dict)

    def carry_on(self) -> End:
        """Carries the run from wherever it stands to its end."""
        plan = self.run.plan
        _say(f"run {self.run.key}: {plan.days}, as of {plan.as_of}"
             + ("" if self.run.owner == 1 else f", taken over as owner {self.run.owner}"))
        self.values = {"model": plan.model, "from": plan.window["from"], "to": plan.window["to"], "as_of": plan.as_of,
                       "live": plan.live, "run": self.run.key}
        try:
            return self._judge()
        except StageFailed as error:
            if error.kind not in PASSING:
                self.run.finish("failed", error.exit_code, str(error))
            raise
        except PointerMoved as error:
            self.run.finish("pointer moved", ERROR, str(error))
            raise

    def _judge(self) -> End:
        for stage in stages.JUDGING:
            decision = self._stage(stage)
            if stage is stages.EVALUATE and self.run.stage(stages.GATE.name) is None and self._is_by_other_rules(decision["id"]):
                self.values |= stage.pick_values(self._run_stage(stage))
        if (end := self._continue_canary()) is not None:
            return end
        if (candidate := shadowing.find_candidate(self.run)) is not None:
            return self._look_at_shadow(candidate, decision["evaluation"])
        fires = decision["retrain"]["fires"]
        if fires or decision["retrain"].get("wanted"):
            waiting = self._find_waiting()
            if waiting is not None:
                return self.run.finish(AWAITING, DONE, waiting)
        if fires:
            return self._retrain()
        if decision["exit_code"] == DONE:
            return self.run.finish("healthy", DONE, decision["sentence"])
        why = f" No retraining: {decision['retrain']['reason']}." if decision["exit_code"] == GATE_SAYS_NO else ""
        return self.run.finish("cannot tell", CANNOT_TELL, decision["sentence"] + why)

    def _continue_canary(self) -> End | None:
        """Looks at the canary that an earlier run, or a person, started; while one runs nothing is trained."""
        if self.run.stage(CANARY) is None and not canaries.is_to_be_continued(self.run):
            return None
        looked = self._step(CANARY, lambda: canaries.carry_on(self.run, self.runner))
        if looked["ended"] == canaries.PROMOTED:
            self._step("publish", lambda: {"version": looked["version"], "seq": looked["seq"]})
            return self.run.finish("published", DONE, looked["sentence"])
        if looked["ended"] is not None:
            if looked["ended"] == canaries.WITHDRAWN and self._policy().shadow_labels:
                shadowing.end_shadow(self.run, looked["version"])
            return self.run.finish("refused", GATE_SAYS_NO, looked["sentence"])
        return self.run.finish(CANARY, DONE, looked["sentence"])

    def _find_waiting(self) -> str | None:
        """Finds why to wait: the run before made a candidate that a person may still approve, and no better can come."""
        if self.run.n == 1:
            return None
        try:
            before = Runs(self.run.storage, self.run.plan.model).get(self.run.n - 1)
            end = before.end()
        except DamagedDocument as error:  # a run that is over stops none that comes after it
            pass_over(error)
            return None
        if end is None or end.status != AWAITING or before.plan.live != self.run.plan.live:
            return None
        return end.sentence

    def _retrain(self) -> End:
        for stage in stages.RETRAINING:
            answer = self._stage(stage)
            few = tell_too_few_held_out(self._policy(), answer.get("holdout_sources")) if stage.name == "dataset" else None
            if few is not None:
                return self.run.finish("cannot tell", CANNOT_TELL, few)
        decision = self._step("promotion", lambda: self._compare(answer))
        candidate = self.values["candidate"]
        if not decision["promote"]:
            return self.run.finish("refused", GATE_SAYS_NO, f"Version {candidate} is not published. {decision['sentence']}")
        if self._policy().shadow_labels:
            waiting = self._step(shadowing.STAGE, lambda: shadowing.name_candidate(self.run, candidate, self._policy()))
            return self.run.finish(AWAITING_SHADOW, CANNOT_TELL, f"{waiting['sentence']} {decision['sentence']}")
        return self._bring_in(candidate, decision)

    def _look_at_shadow(self, candidate: str, evaluation_id: str) -> End:
        """Decides on a candidate that an earlier run made, by what it answered beside the live version since."""
        decision = self._step(shadowing.STAGE, lambda: shadowing.look_at(self.run, candidate, evaluation_id, self._policy()))
        if decision["promote"]:
            return self._bring_in(candidate, decision)
        if decision["verdict"] == FAIL:
            shadowing.end_shadow(self.run, candidate)
            return self.run.finish("refused", GATE_SAYS_NO, f"Version {candidate} is not published. {decision['sentence']}")
        return self.run.finish(AWAITING_SHADOW, CANNOT_TELL, f"Version {candidate} waits as a shadow. {decision['sentence']}")

    def _bring_in(self, candidate: str, decision: dict[str, Any]) -> End:
        if self.run.plan.settings["cycle"]["approval"] == "manual":
            how = f"`trueup model approve {candidate}` makes version {candidate} live."
            return self.run.finish(AWAITING, DONE, f"{how} {decision['sentence']}")
        if self.run.plan.settings.get("promotion", {}).get("how") == CANARY:
            begun = self._step("canary-start", lambda: canaries.begin(self.run, candidate, decision["sentence"]))
            return self.run.finish(CANARY, DONE, f"{begun['sentence']} {decision['sentence']}")
        self._step("publish", lambda: self._publish(candidate, decision["sentence"]))
        return self.run.finish("published", DONE, f"Version {candidate} is live. {decision['sentence']}")

    def _compare(self, assessment: dict[str, Any]) -> dict[str, Any]:
        asked = self.run.plan.settings.get("promotion", {})
        try:
            return judge_assessment(self._policy(), assessment, asked.get("min_accuracy"), max_ece=asked.get("max_ece"))
        except (KeyError, TypeError, AttributeError) as error:
            where = self.run.storage.uri(layout.stage(self.run.plan.model, self.run.n, "assess"))
            raise DamagedDocument(f"{where}: expected the document of an assessment, got one that cannot be compared by "
                                  f"({type(error).__name__}: {shorten(error)}). Remove it, and `trueup cycle` assesses "
                                  f"again.") from error

    def _policy(self) -> GatePolicy:
        return GatePolicy(**self.run.plan.settings["gates"])

    def _publish(self, candidate: str, reason: str) -> dict[str, Any]:
        self.run.require()
        record = Registry(self.run.storage, self.run.plan.model).promote(
            candidate, by="cycle", reason=reason, expected_live=self.run.plan.live, run=self.run.key)
        return {"version": candidate, "seq": record.seq}

    def _is_by_other_rules(self, evaluation_id: str) -> bool:
        """Whether a release with other rules of counting evaluated, and left the run: no gate of this one can judge that."""
        try:
            evaluation = read_evaluation(self.run.storage, self.run.plan.model, evaluation_id)
        except (NotFound, DamagedDocument):  # the gate says so
            return False
        if evaluation["rules"] != RULES:
            _say(f"  evaluate   again: counted by rules {evaluation['rules']}, this release counts by {RULES}")
        return evaluation["rules"] != RULES

    def _stage(self, stage: stages.Stage) -> dict[str, Any]:
        answer = self._step(stage.name, lambda: self._run_stage(stage))
        self.values |= stage.pick_values(answer)
        return answer

    def _run_stage(self, stage: stages.Stage) -> dict[str, Any]:
        argv = ["--root", self.run.storage.root, *stage.fill_arguments(self.values)]
        return stage.pick_record(self.runner.run(stage, argv, self.run.plan.settings).document)

    def _step(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Returns the recorded document of a step, or that of doing it now."""
        if (done := self.run.stage(name)) is not None:
            _say(f"  {name:<10} done before")
            return done
        self.run.require()
        began = time.monotonic()
        document = work()
        self.run.record(name, document)
        _say(f"  {name:<10} {time.monotonic() - began:6.1f} s")
        return document


def _make_document(run_: Run, end: End | None) -> dict[str, Any]:
    if end is None:
        raise RunLost(f"run {run_.key}: its end.json is missing. Start `trueup cycle` again.")
    done = {name: run_.stage(name) for name in RECORDED}
    return {"run": run_.key, "window": run_.plan.window, "as_of": run_.plan.as_of, "live_at_start": run_.plan.live,
            "stages": {name: document for name, document in done.items() if document is not None},
            "candidate": (done["train"] or {}).get("version"), "published": (done["publish"] or {}).get("version"),
            **end.to_dict()}


def _write_text(document: dict[str, Any]) -> str:
    return f"{document['status']}: {document['sentence']}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv, prog_name="trueup cycle")


if __name__ == "__main__":
    end_with(main)
