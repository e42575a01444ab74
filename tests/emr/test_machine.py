"""The machine played with a real JSONata: what ECS answers goes in, what somebody is told comes out."""

import pytest
from jsonata import Jsonata
from jsonata.jexception import JException

from command.load_settings import load
from emr.template.machine import define_machine
from tests.emr.ecs_ends import ENDS, PULL, QUIET, STOPPED, write_cause

MACHINE = define_machine(load(model="digits", env={}), {})
STATES = MACHINE["States"]


def evaluate(value, states):
    """A field of a state: texts in {% %} are JSONata, everything else stands for itself."""
    if isinstance(value, dict):
        return {name: evaluate(inner, states) for name, inner in value.items()}
    if not (isinstance(value, str) and value.startswith("{%")):
        return value
    expression = Jsonata(value.removeprefix("{%").removesuffix("%}"))
    frame = expression.create_frame()
    frame.bind("states", states)
    return expression.evaluate(None, frame)


def play(error=None):
    """Where an execution ends, and the message that it sends: None for a task that ended with 0, else the error's output."""
    run = STATES["Run"]
    if error is None:
        document = evaluate(run["Output"], {})
    else:
        (catch,) = run["Catch"]
        assert catch["ErrorEquals"] == ["States.ALL"]
        document = evaluate(catch["Output"], {"errorOutput": error})
    name = run["Next"]
    while not (STATES[name].get("End") or STATES[name]["Type"] == "Succeed"):
        state, states = STATES[name], {"input": document}
        if state["Type"] == "Choice":
            taken = next((c for c in state["Choices"] if evaluate(c["Condition"], states) is True), None)
            document = evaluate(taken["Output"], states) if taken and "Output" in taken else document
            name = taken["Next"] if taken else state["Default"]
        else:
            document, name = evaluate(state["Output"], states), state["Next"]
    return name, evaluate(STATES[name].get("Arguments", {}), {"input": document}).get("Message")


def failed(cause, error="States.TaskFailed"):
    return {"Error": error, "Cause": cause} if cause is not None else {"Error": error}


@pytest.mark.parametrize("end", [name for name in ENDS if name != "healthy"])
def test_every_end_of_a_task_is_told_or_known_to_be_quiet(end):
    name, message = play(failed(write_cause(ENDS[end])))
    assert name == ("Quiet" if end in QUIET else "Notify")
    assert name == "Quiet" or (isinstance(message, str) and message)


def test_a_task_that_ended_with_0_is_quiet():
    assert play() == ("Quiet", None)


@pytest.mark.parametrize(("error", "words"), [
    (failed(write_cause(ENDS["refused"])), ["was refused"]),
    (failed(write_cause(ENDS["an error"])), ["failed with exit code 1 ", STOPPED, "continues the run"]),
    (failed(write_cause(ENDS["out of memory"])), ["exit code 137", "OutOfMemoryError"]),
    (failed(write_cause(ENDS["no image"])), ["did not run", PULL]),
    (failed(write_cause(ENDS["no image, in the container"])), ["did not run", PULL]),
    (failed(write_cause(ENDS["no room"])), ["did not run", "Capacity is unavailable"]),
    (failed(write_cause(ENDS["stopped by somebody"])), ["exit code 143", "ada"]),
    (failed('{"Failures":[{"Arn":"x","Reason":"RESOURCE:ENI"}],"Tasks":[]}', "AmazonECS.Unknown"), ["RESOURCE:ENI"]),
    (failed("The subnet ID 'subnet-1' does not exist (Service: AmazonECS; Status Code: 400)"), ["subnet-1", "did not run"]),
    (failed("User: x is not authorized to perform: ecs:RunTask", "ECS.AccessDeniedException"), ["ecs:RunTask"]),
    (failed(write_cause(ENDS["no image"])[:300] + "…"), ["did not run"]),  # cut off
    (failed('{"StoppedReason":"it said \\"ExitCode\\":0 and went"}'), ["did not run", "and went"]),
    (failed(None, "States.Timeout"), ["did not run", "States.Timeout"])])
def test_the_message_says_why(error, words):
    name, message = play(error)
    assert name == "Notify" and all(word in message for word in words), message


def test_the_engine_is_one_that_refuses():
    """So an expression that cannot be read fails here, before a machine has it."""
    with pytest.raises(JException, match="No terminating /"):
        Jsonata('$match("a", /[^"\\]/)')
