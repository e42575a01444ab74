"""What CloudFormation's resource handlers declare to call, out of the schemas that cfn-lint ships.

    python -m tests.emr.handlers        writes emr/policy/handlers.json anew, for every type of the template

CloudFormation publishes a schema for each resource type; `handlers.create.permissions` and its kin name the actions that its
handler uses in the name of whoever deploys ("Resource type definition schema" in CloudFormation's user guide for extensions).
"""

import json
import re
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from emr.policy.declared import TABLE
from tests.emr.everything import VARIANTS, resources_of

TAGGING = "tagging"
VERBS = ("create", "read", "update", "delete")  # `list` is for scans of an account, not for stacks


def list_types():
    return sorted({r["Type"] for more in VARIANTS.values() for r in resources_of(*more).values()})


@cache
def find_schemas():
    """The folder of cfn-lint's schemas, and the file of each type in it."""
    folder = files("cfnlint") / "data/schemas"
    names = json.loads((folder / "providers/us-east-1.json").read_text())
    return folder / "resources", names


@cache
def read_handlers(kind):
    """Verb -> the actions that a type's handler declares, as IAM spells services; and what the stack's own tags need."""
    folder, names = find_schemas()
    schema = json.loads((folder / f"{names[kind]}.json").read_text())
    handlers = {**schema.get("handlers", {}), TAGGING: schema.get(TAGGING, {})}
    declared = {verb: handlers.get(verb, {}).get("permissions") for verb in (*VERBS, TAGGING)}
    return {verb: sorted({spell(a) for a in actions}) for verb, actions in declared.items() if actions is not None}


def spell(action):
    service, _, name = action.partition(":")
    return f"{service.lower()}:{name}"


def make_table():
    schemas = json.loads((files("cfnlint") / "data/schemas/version.json").read_text())["schema_date"]
    source = "handlers.*.permissions and tagging.permissions of CloudFormation's resource schemas, of us-east-1, in cfn-lint "
    return {"source": source + version("cfn-lint"), "published": schemas[:10], "written_by": "python -m tests.emr.handlers",
            "types": {kind: read_handlers(kind) for kind in list_types()}}


def write_table():
    """The table as text, a verb's actions on one line."""
    text = json.dumps(make_table(), indent=1)
    return re.sub(r"\[\s+([^]]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text) + "\n"


if __name__ == "__main__":
    TABLE.write_text(write_table())
