"""What CloudFormation's resource handlers declare to call, out of the schemas that cfn-lint ships; and a template with all in it.

    python -m tests.emr.handlers        writes emr/policy/handlers.json anew, for every type of the template

CloudFormation publishes a schema for each resource type; `handlers.create.permissions` and its kin name the actions that its
handler uses in the name of whoever deploys ("Resource type definition schema" in CloudFormation's user guide for extensions).
"""

import json
import re
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from command.load_settings import load
from emr.policy.declared import TABLE
from emr.template.whole import make_template

ROOT = "s3://my-bucket/a/prefix"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
# Whatever adds to the template; tests/emr/test_deployer.py sees that no setting is forgotten.
EVERYTHING = [f"emr.driver_image={ECR}/trueup-driver:1", f"emr.service_image={ECR}/trueup-service:1", "emr.notify=a@b.example",
              "emr.start=machine", "emr.start_on=labels", "emr.compute=serverless",
              f"emr.serverless_image={ECR}/trueup-serverless:1", "emr.score_from=[s3://camera/new]", "emr.spot_nodes=4",
              "emr.create_network=true", "emr.nat=true", "emr.service_public=true",
              "emr.service_certificate=arn:aws:acm:eu-west-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"]
# The other half of a choice: no NAT gateway, a network and a service in it that were brought.
OTHERWISE = [o for o in EVERYTHING if o.split("=")[0] not in ("emr.nat", "emr.service_public", "emr.compute", "emr.start")
             and "start_on" not in o]
VERBS = ("create", "read", "update", "delete")  # `list` is for scans of an account, not for stacks


def settings_of(*overrides):
    return load(root=ROOT, model="digits", env={}, overrides=overrides)


def resources_of(*overrides):
    return make_template(ROOT, settings_of(*overrides))["Resources"]


def list_types():
    return sorted({r["Type"] for more in ([], EVERYTHING, OTHERWISE) for r in resources_of(*more).values()})


@cache
def find_schemas():
    """The folder of cfn-lint's schemas, and the file of each type in it."""
    folder = files("cfnlint") / "data/schemas"
    names = json.loads((folder / "providers/us-east-1.json").read_text())
    return folder / "resources", names


@cache
def read_handlers(kind):
    """Verb -> the actions that a type's handler declares, as IAM spells services."""
    folder, names = find_schemas()
    declared = json.loads((folder / f"{names[kind]}.json").read_text()).get("handlers", {})
    return {verb: sorted({spell(a) for a in declared[verb]["permissions"]}) for verb in VERBS if verb in declared}


def spell(action):
    service, _, name = action.partition(":")
    return f"{service.lower()}:{name}"


def make_table():
    schemas = json.loads((files("cfnlint") / "data/schemas/version.json").read_text())["schema_date"]
    source = "handlers.*.permissions of CloudFormation's resource schemas, of us-east-1, as shipped by cfn-lint "
    return {"source": source + version("cfn-lint"), "published": schemas[:10], "written_by": "python -m tests.emr.handlers",
            "types": {kind: read_handlers(kind) for kind in list_types()}}


def write_table():
    """The table as text, a verb's actions on one line."""
    text = json.dumps(make_table(), indent=1)
    return re.sub(r"\[\s+([^]]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text) + "\n"


if __name__ == "__main__":
    TABLE.write_text(write_table())
