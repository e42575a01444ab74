"""How well each labeler labels, estimated from all their votes at once (docs/labelers.md).

    trueup labelers fit --model M [--from D] [--to D] [--as-of T] [--engine embedded|spark] [--form full|one-coin|auto]
    trueup labelers list|show --model M …
    python -m jobs.labelers.command fit …
    spark-submit jobs/labelers/command.py fit …     engine spark, unless --engine says otherwise
    trueup evaluate --model M --fit NAME|newest

Exit code 0 done, 1 error, 2 wrong usage, 4 the votes cannot tell: nobody judged what others judged.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

if __name__ == "__main__" and not __package__:  # run as a file, by spark-submit
    sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import click

from command.command import Outcome, run, stage_command
from command.groups import Group
from command.load_settings import with_options
from command.process import end_with
from command.terminal import align
from contract import clock
from contract.documents.labeler_fit import NEWEST, check_name, list_fits, load_fit
from contract.errors import CANNOT_TELL, UsageError
from contract.settings import Settings
from contract.storage import open_root
from jobs.evaluation_request import Request, request_of
from jobs.labelers.make import AUTO, ENGINES, FULL, ONE_COIN, Wanted, make_fit
from jobs.labelers.text import describe_fit, describe_labelers, make_document

MODEL = click.option("--model", help="The model's name. [env: TRUEUP_MODEL]")


@click.group("labelers", cls=Group)
def group() -> None:
    """How well each labeler labels, estimated from all their votes at once."""


@stage_command("fit")
@MODEL
@click.option("--from", "first", type=clock.parse_day, metavar="DAY", help="First prediction day, YYYY-MM-DD.")
@click.option("--to", "last", type=clock.parse_day, metavar="DAY", help="Last prediction day, included.")
@click.option("--as-of", metavar="MOMENT", help="What was known then (ISO 8601; without a zone UTC, a day alone means its "
              "end). [default: now]")
@click.option("--engine", type=click.Choice(ENGINES), help="[default: embedded; spark under spark-submit]")
@click.option("--spark-conf", multiple=True, metavar="KEY=VALUE", help="spark: a setting of the session; repeatable.")
@click.option("--role", default="live", show_default=True, help="Live, shadow, canary, batch or replay.")
@click.option("--form", type=click.Choice([FULL, ONE_COIN, AUTO]), default=AUTO, show_default=True,
              help="full: what each one takes for what; one-coin: how often each is right; auto: full for few classes, many "
                   "votes.")
@click.option("--iterations", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many.")
@click.option("--tolerance", type=click.FloatRange(0), default=1e-6, show_default=True,
              help="End when the log likelihood of a vote changes by less.")
@click.option("--smoothing", type=click.FloatRange(0, 1000), default=0.01, show_default=True,
              help="Votes added to every cell of a labeler's confusion.")
@click.option("--no-warm-start", is_flag=True, help="Begin with the shares of votes, not with the newest fit.")
@click.option("--name", type=check_name, help="Name of the fit. [default: made of the moment]")
def fit_command(settings: Settings, model: str | None, first: str | None, last: str | None, as_of: str | None,
                engine: str | None, spark_conf: tuple[str, ...], role: str, form: str, iterations: int, tolerance: float,
                smoothing: float, no_warm_start: bool, name: str | None) -> Outcome:
    """Estimate from the votes of a window how often each labeler is right, and write that as a fit."""
    request = replace(_make_request(with_options(settings, model=model, evaluate__engine=engine), as_of, role, spark_conf),
                      first=first, last=last)
    wanted = Wanted(form, iterations, tolerance, smoothing, not no_warm_start, name)
    storage = open_root(settings.need_root())
    made = make_fit(storage, request, wanted)
    if isinstance(made, str):
        return Outcome(CANNOT_TELL, {"model": request.question.model, "fit": None, "reason": made}, f"Cannot tell: {made}")
    return Outcome(document=make_document(storage, made), text=describe_fit(storage, made))


def _make_request(settings: Settings, as_of: str | None, role: str, spark_conf: tuple[str, ...]) -> Request:
    """Makes the request of the items, by votes as they are: a fit does not rest on an earlier one's weights."""
    if settings.evaluate.engine not in ENGINES:
        raise UsageError(f"engine {settings.evaluate.engine!r}: labelers are fitted by {' or '.join(ENGINES)}. Name one with "
                         f"--engine.")
    request = request_of(settings, as_of, (), role, None, spark_conf)
    return replace(request, question=replace(request.question, slices=(), labeler_weights={}, fit=None))


@stage_command("list")
@MODEL
def list_command(settings: Settings, model: str | None) -> Outcome:
    """List the fits of a model's labelers, the newest first."""
    name = with_options(settings, model=model).need_model()
    found = list_fits(open_root(settings.need_root()), name)
    rows = [(fit.name, f"{fit.window.first} to {fit.window.last}", fit.form, f"{fit.votes:,}", f"{fit.labelers:,}",
             "yes" if fit.converged else "no") for fit in found]
    table = align(("fit", "prediction days", "form", "votes", "labelers", "converged"), rows)
    none = f"{name} has no fit. Make one: trueup labelers fit --model {name}."
    return Outcome(document={"model": name, "fits": [fit.to_dict() for fit in found]}, text=table if found else none)


@stage_command("show")
@click.argument("fit", default=NEWEST)
@MODEL
def show_command(settings: Settings, fit: str, model: str | None) -> Outcome:
    """Show what a fit says of each labeler; without a name the newest one."""
    name = with_options(settings, model=model).need_model()
    storage = open_root(settings.need_root())
    found = load_fit(storage, name, fit)
    return Outcome(document=make_document(storage, found), text=describe_labelers(storage, found))


for command in (fit_command, list_command, show_command):
    group.add_command(command)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `trueup labelers` and returns its exit code."""
    return run(group, argv, prog_name="trueup labelers")


if __name__ == "__main__":
    end_with(main)
