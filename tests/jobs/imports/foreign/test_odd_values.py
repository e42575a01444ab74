"""Whatever stands in a file of another system: rows, or an error that names the file; never anything else."""

import copy
import json
import random
import re

import pytest

from contract.errors import ForeignSchema, TrueupError
from contract.storage import open_root
from jobs import import_table
from jobs.imports.foreign import formats, json_files
from jobs.imports.found import Asked
from tests.jobs.imports.bring import COLUMNS, bring, put
from tests.jobs.imports.foreign.test_documented_formats import FILE, PAGE, PREDICTED

ROUNDS = 40
ODD = [None, "", "a", 0, -1, 7.0, 1e400, float("nan"), 10**30, True, [], {}, [[]], ["a", 1], {"a": {}}, "\ud800", "\0", "/",
       "9" * 400, "2026-11-18", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "s3://[", "\u2260", "JSON", "[",
       "a,b\n\"", "AAAA"]


def places(value, path=()):
    """The path of everything in a JSON value."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield from places(one, (*path, key))


def changed(rng, value):
    value = copy.deepcopy(value)
    for _ in range(rng.randrange(1, 3)):
        path = rng.choice(list(places(value))[1:] or [()])
        if not path:
            return rng.choice(ODD)
        within = value
        for key in path[:-1]:
            within = within[key]
        if rng.random() < 0.15:
            del within[path[-1]]
        else:
            within[path[-1]] = rng.choice(ODD)
    return value


@pytest.mark.parametrize("form", formats.FORMATS, ids=lambda form: form.name)
def test_odd_values_are_taken_or_named(tmp_path, tmp_root, form):
    rng = random.Random(form.name)
    predicted = put(tmp_path / "p.csv", PREDICTED, COLUMNS)
    assert bring(tmp_root, "predictions", predicted) == 0
    storage, classes = open_root(tmp_root), put(tmp_path / "classes.txt", ["cat", "dog"])
    asked = Asked(fill={"model": "shop", "model_version": "3"}, classes=classes) if form.table == "predictions" else Asked()
    name, content = next((n, c) for n, c in FILE.findall(PAGE.read_text()) if form.matches(put(tmp_path / n, [c.rstrip()])))
    whole = name.endswith(".json")
    original = json.loads(content) if whole else [json.loads(line) for line in content.splitlines()]
    path, outcomes = tmp_path / name, {"rows": 0, "error": 0}
    for _ in range(ROUNDS):
        value = changed(rng, original)
        lines = value if isinstance(value, list) else [value]
        put(path, [json.dumps(value)] if whole else [json.dumps(line) for line in lines])
        try:
            import_table.import_file(storage, form.table, path, asked, form=form.name)
            outcomes["rows"] += 1
        except TrueupError as error:
            outcomes["error"] += 1
            assert re.search(rf"^{path}: |--", str(error), re.M), error
    assert min(outcomes.values()) > 5, outcomes


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '[{"x": {"choices": ["cat"], "choices": ["dog"]}}]', "[NaN]", "[1e999]"])
def test_json_that_could_mean_two_things_is_an_error(text):
    with pytest.raises(ForeignSchema, match="export.json: expected JSON, got "):
        json_files.parse(text, "export.json")
