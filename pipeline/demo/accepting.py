"""The demo's step that accepts answers unseen: a target's threshold, taken over by the running service; and what it is worth."""

import time
from typing import Any

import httpx

from command.spans import WAITING, span
from contract.accepting.thresholds import ACCEPT, REVIEW, Thresholds
from contract.errors import Mismatch
from contract.texts.figures import write_bound, write_figure, write_percent
from metrics.figure import ratio
from pipeline.demo import digits, traffic
from pipeline.demo.world import MODEL, World, say

TARGETS = (0.98, 0.95, 0.9)  # the first that the labels can promise is taken
TAKEN_OVER_S = 60.0


def accept_answers(world: World) -> None:
    """Accepts the answers of version 2 that are known to be right often enough, and asks the service for one."""
    told = world.facts["evaluated_recovered"]["automatic"]
    target = next((t for wanted in TARGETS for t in told if t["target"] == wanted and t["threshold"] is not None), None)
    if target is None:
        world.facts["automatic"] = None
        say("  the labels are too few to promise any target: nothing is accepted unseen")
        return
    evaluation = world.facts["evaluated_recovered"]["id"]
    world.run("pipeline.model", "thresholds", "accept", evaluation, "--model", MODEL, "--by", "demo", "--target",
              str(target["target"]))
    _wait_for_decision(world)
    world.facts["automatic"] = target | {"version": world.facts["second"],
                                          "truth": _find_truth(world, target["threshold"])}
    say(f"  {write_automatic(world.facts['automatic'])}")


def _find_truth(world: World, threshold: float) -> float | None:
    """The accuracy of the answers that are accepted; of all of them only the demo knows the truth."""
    version, sent = world.facts["second"], world.facts["sent_recovered"]
    held = Thresholds(version, dict.fromkeys("0123456789", threshold))
    accepted = [name for name, (label, confidence) in sent["said"].items() if held.decide(version, label, confidence) == ACCEPT]
    return ratio(sum(sent["said"][name][0] == sent["truths"][name] for name in accepted), len(accepted), None)


@span(WAITING)
def _wait_for_decision(world: World) -> None:
    """Sends a picture again and again until the service accepts it or asks for review. Mismatch: it does neither in time."""
    picture = next(digits.make_part("recovered", world.seed, world.size))
    headers = traffic.make_authorization(world.facts["keys"]["camera"]) | {"Content-Type": "image/jpeg"}
    until = time.monotonic() + TAKEN_OVER_S
    while time.monotonic() < until:
        answer = httpx.post(f"{world.url}/v1/predictions", content=picture.data, headers=headers, timeout=30).json()
        if answer.get("decision") in (ACCEPT, REVIEW):
            return
        time.sleep(0.3)
    raise Mismatch(f"expected the service to take the thresholds over within {TAKEN_OVER_S:.0f} s, it answers {answer}.")


def write_automatic(found: dict[str, Any]) -> str:
    """Writes what is automatic in a sentence, with the truth."""
    truth = f" (truth {write_percent(found['truth'], 1)})" if found["truth"] is not None else ""
    share = write_percent(found["share"], 1)
    of = f"version {found['version']}'s answers on drifted, fresh traffic"
    return (f"Automatic: for {write_bound(found['target'])} right, {share} of {of} are accepted unseen, "
            f"{write_figure(found['accuracy'])} of them right{truth}.")
