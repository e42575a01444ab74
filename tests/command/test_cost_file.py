"""Costs of mistakes come from a file or stand in the settings; what is no cost is refused with its place."""

import json

import pytest

from command.child import write_settings
from command.load_settings import load, with_options
from command.settings_file import LARGEST
from contract.errors import UsageError
from contract.settings import Settings


def read(tmp_path, name, text):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(overrides=[f"gates.costs={tmp_path / name}"], env={}).gates.costs


@pytest.mark.parametrize(("name", "text"), [
    ("costs.csv", "label,predicted,cost\ndog,cat,5\ndog,owl,2.5\n≠,cat,1\n"),
    ("costs.csv", b"\xef\xbb\xbfcost,label,predicted\r\n5,dog,cat\r\n2.5,dog,owl\r\n\r\n1,\xe2\x89\xa0,cat\r\n"),
    ("costs.json", json.dumps({"dog": {"cat": 5, "owl": 2.5}, "≠": {"cat": 1}})),
    ("costs.yaml", "dog: {cat: 5, owl: 2.5}\n≠: {cat: 1}\n"),
])
def test_a_table_is_read_from_each_kind_of_file(tmp_path, name, text):
    assert read(tmp_path, name, text) == {"dog": {"cat": 5.0, "owl": 2.5}, "≠": {"cat": 1.0}}


@pytest.mark.parametrize(("name", "text", "message"), [
    ("c.csv", "label,predicted\na,b\n", "line 1: expected the columns label, predicted, cost, got 'label, predicted'"),
    ("c.csv", "label,predicted,cost\na,b,-1\n", "line 2: expected a cost of 0 or more, got '-1'"),
    ("c.csv", "label,predicted,cost\na,b,nan\n", "line 2: expected a cost of 0 or more, got 'nan'"),
    ("c.csv", "label,predicted,cost\na,b,inf\n", "line 2: expected a cost of 0 or more"),
    ("c.csv", "label,predicted,cost\na,b,much\n", "line 2: expected a cost of 0 or more, got 'much'"),
    ("c.csv", "label,predicted,cost\na,b,1\na,b,2\n", "line 3: expected each pair once"),
    ("c.csv", "label,predicted,cost\n,b,1\n", "line 2: expected a label and a predicted class"),
    ("c.csv", "label,predicted,cost\na,b\n", "line 2: expected 3 values, got 2"),
    ("c.csv", b"label,predicted,cost\n\xff,b,1\n", "expected CSV in UTF-8"),
    ("c.json", '{"a": {"b": -3}}', r"gates\.costs\.a\.b.*expected at least 0, got -3"),
    ("c.json", '{"a": 3}', r"gates\.costs\.a.*expected `name: value` lines, got 3"),
    ("c.yaml", "a: {b: .nan}\n", r"gates\.costs\.a\.b.*expected a finite number"),
])
def test_what_is_no_table_of_costs_is_refused(tmp_path, name, text, message):
    with pytest.raises(UsageError, match=message):
        read(tmp_path, name, text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="expected a file with costs .* cannot be read"):
        load(overrides=[f"gates.costs={tmp_path / 'none.csv'}"], env={})


def test_settings_that_are_saved_need_no_file(tmp_path):
    (tmp_path / "costs.csv").write_text("label,predicted,cost\na,b,2\n")
    settings = with_options(Settings(), gates__costs=str(tmp_path / "costs.csv"))
    (tmp_path / "costs.csv").unlink()
    assert with_options(settings, model="m").gates.costs == {"a": {"b": 2.0}}
    assert settings.gates.has_costs and not Settings().gates.has_costs


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_stages_get_a_table_that_is_larger_than_settings_in_yaml_may_be(tmp_path, ending):
    costs = {f"class {a}": {f"class {b}": 2.5 for b in range(250) if a != b} for a in range(250)}
    lines = "".join(f"{label},{predicted},{cost}\n" for label, row in costs.items() for predicted, cost in row.items())
    text = json.dumps(costs) if ending == "json" else f"label,predicted,cost\n{lines}"
    assert len(text) > LARGEST
    (tmp_path / f"costs.{ending}").write_text(text)
    chosen = load(overrides=[f"gates.costs={tmp_path}/costs.{ending}"], env={})
    with write_settings(chosen.dump_for_stages()) as path:
        assert load(path=path, env={}).gates.costs == chosen.gates.costs == costs


def test_costs_may_stand_in_the_settings(tmp_path):
    (tmp_path / "t.yaml").write_text("gates:\n  costs:\n    dog: {cat: 5}\n  default_cost: 2\n  review_cost: 0.5\n")
    gates = load(path=str(tmp_path / "t.yaml"), env={}).gates
    assert (gates.costs, gates.default_cost, gates.review_cost) == ({"dog": {"cat": 5.0}}, 2.0, 0.5)
    with pytest.raises(UsageError, match=r"review_cost.*expected at least 0"):
        load(overrides=["gates.review_cost=-1"], env={})
