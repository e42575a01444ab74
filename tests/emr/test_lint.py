"""cfn-lint on the template of every kind of settings, each resource once; test_everything.py has it on all of them.

What takes it long are the resources, and templates share most of theirs. So of each template it gets those that no template
before had, whatever names them, and all that these name; it sees each resource, and each beside what it stands with.
"""

import json
import re

import pytest
from cfnlint.api import lint

from emr.template.whole import write_body
from tests.emr import test_events, test_network, test_score_events, test_service_template
from tests.emr.everything import ACCOUNT, template_of
from tests.emr.test_template import SERVERLESS, WITH_DRIVER

OWN, SERVICE, PUBLIC = test_network.OWN, test_service_template.OWN, test_service_template.PUBLIC
ALIAS = f"emr.kms_key=arn:aws:kms:{ACCOUNT}:alias/trueup"  # of a key: test_everything.py
TEMPLATES = [
    (), [*WITH_DRIVER, *test_service_template.BROUGHT, ALIAS], [*WITH_DRIVER, "emr.start=machine"],
    [*SERVERLESS, "emr.create_bucket=false"], [*OWN, *SERVERLESS, *SERVICE, "emr.service_min=0", "emr.service_max=0"],
    [*OWN, *PUBLIC, "emr.nat=true", "emr.start=machine"], [*test_events.ON, *test_score_events.ON[-1:]]]
SEEN = set()


def find_names(value, names):
    """The resources that a value names, by Ref, Fn::GetAtt, Fn::Sub or DependsOn."""
    return names & set(re.findall(r"\w+", json.dumps(value)))


def leave_out_what_was_seen(document):
    every = document["Resources"]
    names = {name: find_names(resource, set(every)) - {name} for name, resource in every.items()}
    # With whom it stands, too: a resource that named another one, which is not there any more, is new.
    written = {name: json.dumps([name, resource, sorted(names[name])], sort_keys=True) for name, resource in every.items()}
    new = {name for name, text in written.items() if text not in SEEN}
    SEEN.update(written[name] for name in new)
    chosen = new | {name for name, named in names.items() if named & new}
    while more := {n for name in chosen for n in names[name]} - chosen:
        chosen |= more
    outputs = {name: o for name, o in document["Outputs"].items() if find_names(o, set(every)) <= chosen}
    return {**document, "Resources": {name: every[name] for name in sorted(chosen)}, "Outputs": outputs}


def find_faults(document):
    return [f"{m.rule.id} {m.message}" for m in lint(write_body(document), None, ["eu-west-1"])]


@pytest.mark.parametrize("more", TEMPLATES)
def test_cfn_lint_finds_nothing(more):
    document = leave_out_what_was_seen(template_of(*more))
    assert document["Resources"] and find_faults(document) == []


def test_cfn_lint_would_find_something():
    leave_out_what_was_seen(template_of())
    broken = json.loads(json.dumps(template_of()))
    del broken["Resources"]["TrainRole"]["Properties"]["AssumeRolePolicyDocument"]
    part = leave_out_what_was_seen(broken)
    assert set(part["Resources"]) == {"TrainRole", "TrainProfile"} and find_faults(part) != []


def test_what_named_a_resource_that_is_gone_is_looked_at_again():
    leave_out_what_was_seen(template_of())
    document = {**template_of(), "Resources": {n: r for n, r in template_of()["Resources"].items() if n != "Topic"}}
    assert set(leave_out_what_was_seen(document)["Resources"]) == {"OutboxAge"}
