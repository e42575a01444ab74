"""An interpreter of Amazon States Language with JSONata, as far as our machines go: Task, Choice, Map, Pass, Wait, Succeed.

Tasks call `call(service, operation, arguments)`, whose answer is taken as JSON, of the size that Step Functions carries.
"""

import json

from jsonata import Jsonata

MOST_BYTES = 256 * 1024  # of what goes from state to state (Step Functions quotas)


class States:
    """One machine, its substitutions made; `call` is the account, `wait(seconds)` the time."""

    def __init__(self, definition, call, wait=lambda seconds: None, most=2000):
        self.definition, self.call, self.wait, self.left = definition, call, wait, most

    def run(self, document=None, machine=None):
        """Plays an execution; returns (the state in which it ended, its output). AssertionError when it never ends."""
        machine = machine or self.definition
        name, document = machine["StartAt"], {} if document is None else document
        while True:
            self.left -= 1
            assert self.left > 0, f"the machine goes round and round, now in {name}"
            state = machine["States"][name]
            then, document = getattr(self, f"_{state['Type'].lower()}")(state, document)
            if then is None:
                return name, document
            name = then

    def _finish(self, state, document, result=None):
        output = evaluate(state["Output"], {"input": document, "result": result}) if "Output" in state else document
        return (None if state.get("End") else state["Next"]), output

    def _task(self, state, document):
        service, operation = state["Resource"].rsplit(":", 2)[-2:]
        arguments = evaluate(state["Arguments"], {"input": document})
        attempts = 1 + max((r.get("MaxAttempts", 3) for r in state.get("Retry", ())), default=0)
        for left in reversed(range(attempts)):
            try:
                result = json.loads(json.dumps(self.call(service, operation, arguments), default=str))
                assert len(json.dumps(result)) < MOST_BYTES, f"{operation} answers more than a state can carry"
                return self._finish(state, document, result)
            except AssertionError:
                raise
            except Exception as error:
                caught = next((c for c in state.get("Catch", ()) if "States.ALL" in c["ErrorEquals"]), None)
                if left == 0 and caught is None:
                    raise
                if left == 0:
                    states = {"input": document, "errorOutput": {"Error": type(error).__name__, "Cause": str(error)}}
                    return caught["Next"], evaluate(caught.get("Output", document), states)
        raise AssertionError(f"{operation} was tried no time at all")

    def _choice(self, state, document):
        taken = next((c for c in state["Choices"] if evaluate(c["Condition"], {"input": document}) is True), None)
        return (taken["Next"] if taken else state["Default"]), document

    def _map(self, state, document):
        items = evaluate(state["Items"], {"input": document})
        assert isinstance(items, list), f"Map needs a list, got {items!r}"
        return self._finish(state, document, [self.run(item, state["ItemProcessor"])[1] for item in items])

    def _pass(self, state, document):
        return self._finish(state, document)

    def _wait(self, state, document):
        self.wait(state["Seconds"])
        return self._finish(state, document)

    def _succeed(self, state, document):
        return None, document


def evaluate(value, states):
    """A field of a state: texts in {% %} are JSONata, everything else stands for itself. Nothing found is an error, as there."""
    if isinstance(value, dict):
        return {name: evaluate(inner, states) for name, inner in value.items()}
    if isinstance(value, list):
        return [evaluate(inner, states) for inner in value]
    if not (isinstance(value, str) and value.startswith("{%")):
        return value
    expression = Jsonata(value.removeprefix("{%").removesuffix("%}"))
    frame = expression.create_frame()
    frame.bind("states", states)
    found = expression.evaluate(None, frame)
    assert found is not None, f"States.QueryEvaluationError: {value} is undefined for {states}"
    return found
