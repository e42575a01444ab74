"""With every setting of tests/emr/everything.py on the template fits, means the same as its plain form, and cfn-lint takes it.

test_doctor_account.py has moto make the short form, and asks IAM what the roles may.
"""

import json

import pytest
from cfnlint.api import lint
from cfnlint.decode.cfn_yaml import loads

from contract.errors import UsageError
from emr import account, cli, stack
from emr.template import size
from emr.template.size import MOST_BYTES, write_fitting, write_short
from emr.template.whole import write_body
from tests.emr.everything import EVERYTHING, FITTING, TOO_MUCH, template_of

ROOT, LONG = "s3://my-trueup/prod", f"s3://{'b' * 63}/{'p' * 60}"


def made(root, *more):
    return template_of(*EVERYTHING, *more, root=root)


@pytest.mark.parametrize("more", [[], ["emr.nat=false", "notify.targets=[]"], ["emr.start=task", "emr.start_on=schedule"]])
@pytest.mark.parametrize("root", [ROOT, LONG])
def test_the_body_fits(root, more):
    body = write_fitting(made(root, *more), root)
    assert size.measure(body) < MOST_BYTES, f"{size.measure(body)} bytes"
    assert len(write_body(made(root, *more))) > MOST_BYTES  # it is the short form


@pytest.mark.parametrize("root", [ROOT, LONG])
def test_with_scoring_by_pictures_too_it_fits_without_a_service_only(root):
    assert size.measure(write_fitting(template_of(*FITTING, root=root), root)) < MOST_BYTES
    with pytest.raises(UsageError, match="expected at most 51,200.*emr.service_image"):
        write_fitting(template_of(*TOO_MUCH, root=root), root)


def test_what_fits_is_sent_as_it_is_printed():
    document = template_of(root=ROOT)
    assert write_fitting(document, ROOT) == size.Body(write_body(document), [])


def resolve(value, given):
    """What CloudFormation makes of a template's functions, pseudo parameters left as they are; statements without Sid, and
    with lists of one action or resource, as IAM reads them."""
    if isinstance(value, list):
        return [resolve(v, given) for v in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return given.get(value["Ref"], {"Ref": value["Ref"]})
    if set(value) == {"Fn::Sub"}:
        text, variables = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else (value["Fn::Sub"], {})
        for name, inner in {**given, **{name: resolve(v, given) for name, v in variables.items()}}.items():
            text = text.replace(f"${{{name}}}", inner if isinstance(inner, str) else inner["text"])
        return {"text": text}
    if set(value) == {"Fn::Split"}:
        between, text = value["Fn::Split"]
        return [{"text": part} for part in resolve(text, given)["text"].split(between)]
    if set(value) == {"Fn::GetAtt"}:
        of = value["Fn::GetAtt"]
        return {"Fn::GetAtt": of if isinstance(of, list) else of.split(".", 1)}
    lists = ("Action", "Resource") if "Effect" in value else ()
    return {name: [resolve(v, given)] if name in lists and not isinstance(v, list) and "Fn::Split" not in v
            else resolve(v, given) for name, v in value.items() if name != "Sid"}


@pytest.mark.parametrize("root", [ROOT, LONG])
def test_both_forms_mean_the_same(root):
    document = made(root)
    body = write_short(document, root)
    read = json.loads(json.dumps(loads(body.text)))  # by the YAML reader of cfn-lint, which knows CloudFormation's tags
    given = {p["ParameterKey"]: p["ParameterValue"] for p in body.parameters}
    assert {name: p["Default"] for name, p in read["Parameters"].items()} == given
    for name, plain in document["Resources"].items():
        assert resolve(read["Resources"][name], given) == resolve(json.loads(json.dumps(plain)), {}), name
    assert resolve(read["Outputs"], given) == resolve(document["Outputs"], {})


def test_cfn_lint_finds_nothing():
    body = write_fitting(made(LONG), LONG)
    assert [f"{m.rule.id} {m.message}" for m in lint(body.text, None, ["eu-west-1"])] == []


def test_what_does_not_fit_is_refused_before_anybody_is_asked(monkeypatch, capsys):
    monkeypatch.setattr(size, "MOST_BYTES", 20_000)
    monkeypatch.setattr(stack, "connect", lambda: pytest.fail("nobody is to be asked"))
    monkeypatch.setattr(account, "connect", lambda service="emr": pytest.fail("nobody is to be asked"))
    sets = [word for o in EVERYTHING for word in ("--set", o)]
    assert cli.main(["deploy", "--root", ROOT, "--set", "model=digits", *sets]) == 2
    said = capsys.readouterr().err
    assert "bytes: expected at most 20,000, which CloudFormation takes. Nothing was made." in said and "emr.service_image" in said
