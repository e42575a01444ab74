"""`trueup emr rehearse`: the whole installation once, small, with a ceiling in dollars, and nothing left behind.

    trueup emr rehearse                            says what it may cost, asks for a ceiling, goes on
    trueup emr rehearse --ceiling 12 --yes         asks nothing
    trueup emr rehearse --remove --yes             removes what a killed one left, before it does so itself
"""

from pathlib import Path
from typing import Any

import click

from command.command import Outcome, stage_command
from contract.documents.rehearsal import Rehearsal
from contract.errors import DONE, ERROR, UsageError
from contract.settings import Settings

REPORT = "rehearsal.json"


@stage_command("rehearse")
@click.option("--ceiling", type=click.FloatRange(0), metavar="DOLLARS", help="The most that it may cost. [default: asked]")
@click.option("--yes", is_flag=True, help="Ask nothing; needs --ceiling.")
@click.option("--remove", is_flag=True, help="Only remove what a rehearsal that was killed has left.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), default=REPORT, show_default=True,
              help="Where the report is written, after every step.")
@click.option("--prices", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="A price table. [default: emr/prices.json, examples to be checked]")
def command(settings: Settings, ceiling: float | None, yes: bool, remove: bool, report: Path, prices: Path | None) -> Outcome:
    """Deploy under a name of its own, play the smallest turn on generated digits, report, remove everything."""
    from emr.costs.prices import PRICES, read_prices
    from emr.follow import print_line
    from emr.rehearsal.rehearse import Rehearsing, plan_removal
    from emr.rehearsal.small import make_settings, name_root

    if remove:
        return _remove(settings, yes)
    root = name_root(settings)
    removal = plan_removal(root, make_settings(settings, root))
    rehearsing = Rehearsing(removal, 0.0, read_prices(prices or PRICES), print_line, report)
    accepted = agree(rehearsing.document, ceiling, yes)
    rehearsing.document = rehearsing.document.model_copy(update={"accepted": accepted})
    document = rehearsing.run()
    return Outcome(ERROR if document.error else DONE, document.to_dict(), write_text(document))


def agree(document: Rehearsal, ceiling: float | None, yes: bool) -> float:
    """Says what it may cost and asks; returns the dollars that were agreed to. UsageError when they are fewer."""
    click.echo(write_offer(document), err=True)
    most = document.ceiling["dollars"]
    if ceiling is None:
        if yes:
            raise UsageError(f"--yes: expected --ceiling DOLLARS beside it, got none. This rehearsal may cost ${most:,.2f}.")
        ceiling = click.prompt("Ceiling in dollars", type=click.FloatRange(0), err=True)
    elif not yes:
        click.confirm(f"Begin, for at most ${most:,.2f}?", abort=True, err=True)
    if ceiling < most:
        raise UsageError(f"ceiling ${ceiling:,.2f}: expected ${most:,.2f} or more, which is what the time limits allow. Nothing "
                         f"was made. Lower the limits (emr.stage_minutes), choose smaller machines (emr.core_types, "
                         f"emr.gpu_types), or raise the ceiling.")
    return ceiling


def write_offer(document: Rehearsal) -> str:
    """Writes what would be made, until when, and the most that it can cost."""
    ceiling = document.ceiling
    parts = ", ".join(f"{name} ${dollars:,.2f}" for name, dollars in ceiling["parts"].items())
    prices = ceiling["prices"]
    return "\n".join([
        f"rehearsal {document.stack} in {document.region}, root {document.root}",
        *(f"  {plan['stage']:<9} {_write_nodes(plan['nodes'])}: at most {plan['minutes']} minutes, "
          f"${plan['dollars']['low']:.2f} to ${plan['dollars']['high']:.2f}" for plan in ceiling["stages"]),
        f"it removes itself at {document.removes_itself_at}, whatever becomes of this command",
        f"ceiling: ${ceiling['dollars']:,.2f}: {ceiling['minutes']} minutes of the dearest stage's cluster "
        f"({ceiling['dearest']}) and the rest ({parts}), by prices of {prices['region']} as of {prices['as_of']} (to be "
        f"checked)"])


def _write_nodes(nodes: dict[str, int]) -> str:
    return " + ".join(f"{count} {kind}" for kind, count in nodes.items())


def write_text(document: Rehearsal) -> str:
    """Writes the report for people."""
    steps = [f"  {step.step:<13} {step.state:<7} {step.seconds:>8.1f} s  {_write_dollars(step.dollars):>7}  "
             f"{'; '.join(step.said)[:200]}" for step in document.steps]
    stages = [_write_stage(stage.to_dict()) for stage in document.stages]
    cost = "its cost is not known" if document.dollars is None else _write_dollars(document.dollars)
    return "\n".join([
        f"rehearsal {document.stack}: {'failed' if document.error else 'done'}, {cost} of at most "
        f"${document.ceiling['dollars']:,.2f}", *steps, *stages,
        *(f"  not as planned: {line}" for line in document.differed), *(f"  left: {line}" for line in document.left),
        *([f"error: {document.error}"] if document.error else [])])


def _write_dollars(dollars: float | None) -> str:
    return "" if dollars is None else f"${dollars:,.2f}"


def _write_stage(stage: dict[str, Any]) -> str:
    if stage["cluster"] is None:
        return f"  {stage['stage']:<13} not reached"
    nodes = "machines not listed" if stage["nodes"] is None else _write_nodes(stage["nodes"])
    took = f"{stage['minutes']:g} of {stage['limit_minutes']:g} minutes"
    return f"  {stage['stage']:<13} {stage['cluster']} {stage['state']}: {took}, {nodes}, ${stage['dollars']:.2f}"


def _remove(settings: Settings, yes: bool) -> Outcome:
    from emr.follow import print_line
    from emr.rehearsal.small import name_stack
    from emr.rehearsal.take_down import take_down

    name = name_stack(settings)
    if not yes:
        raise UsageError(f"expected --yes: this ends the clusters of {name!r}, deletes its bucket with all that is in it, and "
                         f"its stack.")
    removed = take_down(name, print_line)
    return Outcome(document={"stack": name, "removed": removed}, text="\n".join(removed))
