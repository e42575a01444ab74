"""What a fake at the client boundary shares: boto3's operations by name, each request checked, faults, and a count.

Every request is checked by botocore's own validation, and beyond it by the patterns of the service model, which botocore
leaves to the service. `faults` is a list of (operation, when, error): "before" means that the request was not carried
out, "after" that the response was lost.
"""

import functools
import re
from collections import Counter

import botocore.session
from botocore.validate import ParamValidator

# How the service models write "beyond the basic plane": pairs of surrogates, in two orders.
SURROGATES = re.compile(r"\\uD800(\\uDBFF-\\uDC00|\\uDC00-\\uDBFF)\\uDFFF")


@functools.cache
def model(service):
    """botocore's description of a service."""
    return botocore.session.get_session().get_service_model(service)


class FakeClient:
    """A client of `service`; an operation `name` is answered by the method `_name`."""

    service = ""

    def __init__(self, work=lambda args: 0, faults=()):
        self.work, self.faults = work, list(faults)
        self.calls, self.requests, self.slept = Counter(), [], 0.0
        self._model = model(self.service)
        self._operations = {botocore.xform_name(name): name for name in self._model.operation_names}

    def __getattr__(self, name):
        if name.startswith("_") or name not in self._operations:
            raise AttributeError(name)

        def call(**arguments):
            self.calls[name] += 1
            self.requests.append((self._operations[name], arguments))
            self._check(arguments, self._model.operation_model(self._operations[name]).input_shape)
            fault = self._fault(name)
            if fault and fault[1] == "before":
                raise fault[2]
            answer = getattr(self, f"_{name}")(**arguments)
            if fault:
                raise fault[2]
            return answer

        return call

    def _check(self, arguments, shape):
        report = ParamValidator().validate(arguments, shape)
        assert not report.has_errors(), report.generate_report()
        assert misfits(arguments, shape) == []

    def _fault(self, name):
        for fault in self.faults:
            if fault[0] == name:
                self.faults.remove(fault)
                return fault
        return None


def misfits(value, shape, where=""):
    """Strings that do not fit the model's patterns; botocore leaves them to the service."""
    if shape.type_name == "structure":
        return [m for name, inner in value.items() for m in misfits(inner, shape.members[name], f"{where}.{name}")]
    if shape.type_name == "list":
        return [m for inner in value for m in misfits(inner, shape.member, where)]
    if shape.type_name == "map":
        return [m for k, v in value.items() for m in misfits(k, shape.key, where) + misfits(v, shape.value, where)]
    pattern = shape.metadata.get("pattern") if shape.type_name == "string" else None
    pattern = SURROGATES.sub(lambda _: r"\U00010000-\U0010FFFF", pattern or ".*")
    return [] if re.fullmatch(pattern, str(value), re.S) else [f"{where}: {value!r} does not fit {pattern}"]
