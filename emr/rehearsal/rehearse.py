"""One rehearsal from beginning to end: each step timed and written down, everything taken down whatever happened."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from contract import clock
from contract.documents.rehearsal import Rehearsal, RehearsedStep
from contract.errors import AlreadyExists, TrueupError
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.aws_region import need_region
from emr import stack
from emr.costs.prices import Prices
from emr.follow import interrupt_on_signals
from emr.linked_roles import list_services, make_roles
from emr.needs import ENVIRONMENTS
from emr.package import publish_package
from emr.rehearsal.ceiling import compute_ceiling, plan_stages
from emr.rehearsal.commands import CommandFailed, Start, start_process
from emr.rehearsal.compare import TURN, list_differences, price_steps, read_stages
from emr.rehearsal.small import count_minutes
from emr.rehearsal.take_down import delete_role, end_clusters, take_down
from emr.rehearsal.template import Removal, make_rehearsal_template, name_role

DIGITS, CYCLE = "pipeline.demo.first_day", "pipeline.cycle"
TAKE_DOWN_MINUTES = 15  # before the stack removes itself: until then the turn has to be done


@dataclass
class Rehearsing:
    """A rehearsal that was agreed to."""

    removal: Removal
    accepted: float  # dollars
    prices: Prices
    say: Callable[[str], None]
    report: Path
    start: Start = field(default_factory=lambda: start_process)  # looked up late, so that tests can replace it
    document: Rehearsal = field(init=False)

    def __post_init__(self) -> None:
        template = make_rehearsal_template(self.removal)
        self._template = template
        self.document = Rehearsal(
            stack=self.removal.stack, root=self.removal.root, region=need_region(), began=clock.iso(clock.now()),
            removes_itself_at=clock.iso(self.removal.at), accepted=self.accepted,
            ceiling=compute_ceiling(self.removal.settings, template, self.prices))

    @property
    def settings(self) -> Settings:
        """The rehearsal's settings."""
        return self.removal.settings

    def run(self) -> Rehearsal:
        """Plays all steps, takes everything down, and returns the report. AlreadyExists when one stands already."""
        self._check_name()
        with interrupt_on_signals():
            try:
                self._play()
            except TrueupError as error:
                self._put(error=str(error))
            finally:
                self._finish()
        return self.document

    def _play(self) -> None:
        self._step("linked roles", self._make_linked_roles)
        self._step("stack", lambda: [stack.deploy(self.removal.root, self.settings, self.say, self._template)])
        self._step("packages", self._publish)
        self._step("digits", self._put_digits)
        self._step(TURN, self._turn)

    def _finish(self) -> None:
        """Ends clusters, counts what was paid for, takes the rest down; what fails here is said, and left to the remover."""
        model = self.settings.need_model()
        try:
            self._step("end clusters", lambda: end_clusters(model, self.say) or ["none lived"])
            self._step("bill", self._read_bill)
        except TrueupError as error:
            self._put(error=self.document.error or str(error))
        try:
            self._step("take down", lambda: take_down(self.removal.stack, self.say))
        except TrueupError as error:
            self._put(error=self.document.error or str(error), left=[
                *self.document.left, f"stack {self.removal.stack}, which removes itself at {self.document.removes_itself_at}",
                f"role {name_role(self.removal.stack)}, which costs nothing: `trueup emr rehearse --remove` deletes it"])
        document = self.document
        if document.dollars is not None:
            self._put(steps=price_steps(document.steps, document.stages, self._price_second()))
        self._put(differed=list_differences(document.stages, document.steps, document.ceiling["dollars"],
                                            document.dollars or 0.0))

    def _step(self, name: str, play: Callable[[], list[str]]) -> None:
        """Plays one step and writes down how it went."""
        began, before = clock.monotonic(), self.document.steps
        self.say(f"[{name}]")
        self._put(steps=[*before, RehearsedStep(step=name, state="begun", seconds=0)])
        try:
            said, state = play(), "done"
        except BaseException as error:
            self._put(steps=[*before, self._write_step(name, "failed", began, [str(error) or type(error).__name__])])
            raise
        self._put(steps=[*before, self._write_step(name, state, began, said)])

    def _write_step(self, name: str, state: Any, began: float, said: list[str]) -> RehearsedStep:
        return RehearsedStep(step=name, state=state, seconds=round(clock.monotonic() - began, 1), said=said)

    def _put(self, **changes: Any) -> None:
        self.document = self.document.model_copy(update=changes)
        self.report.write_bytes(self.document.to_bytes())

    def _check_name(self) -> None:
        """Refuses a second rehearsal; takes away the role that one which removed itself has left."""
        if (state := stack.read_state(self.removal.stack)) is not None:
            raise AlreadyExists(f"stack {self.removal.stack}: expected none, found one in state {state}: a rehearsal is at work, "
                                f"or one was killed, which removes itself. Wait, or: trueup emr rehearse --remove --yes.")
        delete_role(name_role(self.removal.stack))

    def _make_linked_roles(self) -> list[str]:
        new = make_roles(self.settings.emr, self.say)
        self._put(left=[f"service-linked role of {name}{' (made now)' if name in new else ''}: it belongs to the account and "
                        f"costs nothing" for name in list_services(self.settings.emr)])
        return [f"made: {', '.join(new) or 'none, they were there'}"]

    def _publish(self) -> list[str]:
        storage = open_root(self.removal.root, create=True)
        return [f"{name}: {publish_package(storage, name, say=self.say).archive}" for name in ENVIRONMENTS]

    def _command(self, module: str, *more: str) -> tuple[int, dict[str, Any]]:
        until = self.removal.at - timedelta(minutes=TAKE_DOWN_MINUTES)
        common = ["--root", self.removal.root, "--model", self.settings.need_model()]
        return self.start(module, [*common, *more], self.settings, until)

    def _put_digits(self) -> list[str]:
        _, made = self._command(DIGITS)
        return [f"{made['predictions']} predictions of {made['day']}, {made['right']} of them right"]

    def _turn(self) -> list[str]:
        code, made = self._command(CYCLE, "--runner", "emr")
        if made["status"] not in ("published", "refused"):
            raise CommandFailed(f"expected the turn to be published or refused, it ended as {made['status']} (code {code}): "
                                f"{made.get('sentence')}. Then not every stage was rehearsed.")
        return [f"{made['status']}: {made.get('sentence')}"]

    def _read_bill(self) -> list[str]:
        plans, began = plan_stages(self.settings, self.prices), clock.parse_moment(self.document.began)
        stages = read_stages(self.settings.need_model(), plans, self.prices, began)
        beside = self._price_beside()
        dollars = round(sum(stage.dollars or 0.0 for stage in stages) + beside, 2)
        self._put(stages=stages, dollars=dollars)
        return [f"clusters and ${beside:.2f} beside them: ${dollars:.2f}, by the price table"]

    def _price_beside(self) -> float:
        """What is paid beside clusters, for as long as it stood."""
        return (clock.now() - clock.parse_moment(self.document.began)).total_seconds() * self._price_second()

    def _price_second(self) -> float:
        """Prices a second of what is paid beside clusters, from the ceiling's parts."""
        whole = sum(dollars for name, dollars in self.document.ceiling["parts"].items() if name != "clusters")
        return float(whole / (self.document.ceiling["minutes"] * 60))


def plan_removal(root: str, settings: Settings, now: datetime | None = None) -> Removal:
    """Plans the moment at which the rehearsal removes itself."""
    return Removal(root, settings, (now or clock.now()) + timedelta(minutes=count_minutes(settings)))
