"""The template as CloudFormation takes it: at most 51,200 bytes, so what does not fit is written shorter, with the same meaning.

`trueup emr template` prints the plain form. Both make the same resources, so an update from one form to the other changes
nothing. What makes a template long is what stands in it again and again: the root, in every ARN of every role; ARNs that
begin alike; long words.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from contract.errors import UsageError
from emr.template.parts import ref
from emr.template.whole import write_body

MOST_BYTES = 51_200
FEWEST = 2  # ARNs that may be worth a beginning of their own
BETWEEN = "|"
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
NOT_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")  # of YAML 1.1
REFERENCE, DECLARATION = 7, 35  # bytes of `!Ref P12`, and of a parameter beside its value


@dataclass(frozen=True)
class Body:
    """A template's text, and the values of its parameters as CreateStack and UpdateStack take them."""

    text: str
    parameters: list[dict[str, str]] = field(default_factory=list)


def write_fitting(document: dict[str, Any], root: str) -> Body:
    """Writes the template, shorter if it must be. UsageError when it does not fit even so."""
    body = Body(write_body(document))
    if measure(body) > MOST_BYTES:
        body = write_short(document, root)
    if (size := measure(body)) > MOST_BYTES:
        raise UsageError(f"the template has {size:,} bytes: expected at most {MOST_BYTES:,}, which CloudFormation takes. Nothing "
                         f"was made. Choose a shorter root or emr.stack, fewer emr.tags, or leave a part out "
                         f"(emr.service_image, emr.score_on, emr.create_network, emr.compute: serverless).")
    return body


def measure(body: Body) -> int:
    """Returns its bytes."""
    return len(body.text.encode())


def write_short(document: dict[str, Any], root: str) -> Body:
    """Writes repeated values as parameters with a default, ARNs by what they begin with, and all of it as YAML of one line."""
    place, resources = root.removeprefix("s3://").strip("/"), document["Resources"]
    counted = Counter(text for resource in resources.values() for text in _find_values(resource["Properties"]))
    long = sorted(text for text, n in counted.items() if (n * (len(text) - REFERENCE)) > len(text) + DECLARATION)
    given = {"Root": place} | {f"P{n}": text for n, text in enumerate(long) if text != place}
    short = {name: {**resource, "Properties": _shorten(resource["Properties"], given)} for name, resource in resources.items()}
    parameters = {name: {"Type": "String", "Default": text} for name, text in given.items()}
    # The root stands among the parameters; once more in the description it would be up to 130 bytes.
    return Body(write_flow({**document, "Description": "Trueup", "Resources": short, "Parameters": parameters}),
                [{"ParameterKey": name, "ParameterValue": text} for name, text in given.items()])


def _find_values(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _find_values(inner)
    elif isinstance(value, dict) and not set(value) & {"Ref", "Fn::GetAtt", "Fn::Sub"}:
        for name, inner in value.items():
            if name != "Version":
                yield from _find_values(inner)


def _shorten(value: Any, given: Mapping[str, str], name: str = "") -> Any:
    if isinstance(value, str):
        return next((ref(parameter) for parameter, text in given.items() if value == text), value)
    if isinstance(value, list):
        inner = [_shorten(v, given) for v in value]
        return _join(inner) if name == "Resource" else inner
    if not isinstance(value, dict) or set(value) & {"Ref", "Fn::GetAtt"}:
        return value
    if "Fn::Sub" in value:
        return {"Fn::Sub": _name_places(value["Fn::Sub"], given)}
    # A statement's Sid is for people; IAM asks for none.
    short = {key: v if key == "Version" else _shorten(v, given, key) for key, v in value.items() if key != "Sid"}
    return _unlist(short) if "Effect" in short else short


def _unlist(statement: dict[str, Any]) -> dict[str, Any]:
    """Writes a list of one action or resource as that one, which IAM takes for the same."""
    return {key: v[0] if key in ("Action", "Resource") and isinstance(v, list) and len(v) == 1 else v
            for key, v in statement.items()}


def _name_places(text: str, given: Mapping[str, str]) -> str:
    """Writes `${Root}` for the root, and the parameter of its bucket for the bucket alone, if there is one."""
    text, bucket = text.replace(given["Root"], "${Root}"), given["Root"].partition("/")[0]
    name = next((name for name, value in given.items() if value == bucket), None)
    return text.replace(f":::{bucket}", f":::${{{name}}}") if name else text


def _join(resources: list[Any]) -> Any:
    """Joins ARNs of one beginning as the parts of one text, in which the beginning is a variable."""
    texts = [r["Fn::Sub"] for r in resources if isinstance(r, dict) and "Fn::Sub" in r]
    if len(texts) < max(FEWEST, len(resources)) or any(BETWEEN in text for text in texts):
        return resources
    start = os.path.commonprefix(texts)
    start = start[:start.rfind("/") + 1]
    if start.count("${") != start.count("}"):
        return resources
    rest = BETWEEN.join("${B}" + text.removeprefix(start) for text in texts)
    joined = {"Fn::Split": [BETWEEN, {"Fn::Sub": [rest, {"B": {"Fn::Sub": start}}]}]}
    return min(joined, resources, key=lambda value: len(write_flow(value)))


def write_flow(value: Any) -> str:
    """Writes YAML of one line: no quotes around plain words, functions by their tags.

    What is not plainly a word is written as JSON, so YAML's readings of dates, numbers and `on` never matter.
    """
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) and value.lower() not in NOT_WORDS else json.dumps(value)
    if isinstance(value, list):
        return f"[{','.join(map(write_flow, value))}]"
    if not isinstance(value, dict):
        return json.dumps(value)
    if set(value) == {"Ref"}:
        return f"!Ref {write_flow(value['Ref'])}"
    if set(value) == {"Fn::Sub"}:
        return f"!Sub {write_flow(value['Fn::Sub'])}"
    if set(value) == {"Fn::Split"}:
        return f"!Split {write_flow(value['Fn::Split'])}"
    if set(value) == {"Fn::GetAtt"}:
        return f"!GetAtt {'.'.join(value['Fn::GetAtt'])}"
    return "{" + ",".join(f"{_write_key(key)}{write_flow(value[key])}" for key in sorted(value)) + "}"


def _write_key(key: str) -> str:
    written = write_flow(key)
    return f"{written}:" if written.startswith('"') else f"{written}: "
