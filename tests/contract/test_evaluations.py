"""`evaluation.json` as readers get it: of this version, of an older and a newer one, damaged, not there."""

import json

import pytest

from contract import jsonio, layout
from contract.errors import Mismatch, NotFound
from contract.evaluations import find_evaluation, newest, read_evaluation
from contract.storage import open_root
from tests.figures import cell, day, document


@pytest.fixture
def storage(tmp_root):
    return open_root(tmp_root, create=True)


def put(storage, data, name="20261120T000000Z-aaaaaaaa"):
    storage.put(layout.evaluation("m", name) + "evaluation.json", data if isinstance(data, bytes) else jsonio.dumps(data))
    return name


def test_what_was_written_is_read(storage):
    written = document(day([cell("a", "a", 0.9, n=40), cell("a", "b", 0.4)]))
    assert read_evaluation(storage, "m", put(storage, written)) == written


def test_fields_of_a_newer_writer_are_left_out(storage):
    written = document(day([cell("a", "a")]))
    newer = jsonio.loads(jsonio.dumps(written))
    newer["mood"] = newer["versions"]["1"]["mood"] = newer["versions"]["1"]["accuracy"]["mood"] = "good"
    assert read_evaluation(storage, "m", put(storage, newer)) == written


def test_an_older_document_lacks_what_was_added_since(storage):
    older = jsonio.loads(jsonio.dumps(document(day([cell("a", "a", 0.9)]))))
    del older["consensus"], older["since_dataset"], older["versions"]["1"]["unlabelled_estimate"]["check"]
    for figures in (older["versions"]["1"], *older["trend"]):
        for name in ("unbiased", "rests_on", "response_rate"):
            del figures["estimate"][name]
    older["rules"] = "0"
    found = read_evaluation(storage, "m", put(storage, older))
    assert (found["consensus"], found["since_dataset"], found["rules"]) == (None, None, "0")
    estimate = found["trend"][0]["estimate"]
    assert (estimate["unbiased"], estimate["rests_on"], estimate["response_rate"]) == (False, "", None)


WHOLE = jsonio.dumps(document(day([cell("a", "a")])))


@pytest.mark.parametrize(("data", "said"), [
    (WHOLE[:len(WHOLE) // 2], "Invalid JSON"), (b"", "Invalid JSON"), (b"[]", "document: Input should be an object"),
    (WHOLE.replace(b'"schema": "1"', b'"schema": "2"'), "schema: Input should be '1'"),
    (jsonio.dumps({k: v for k, v in json.loads(WHOLE).items() if k != "trend"}), "trend: Field required")])
def test_a_damaged_document_is_named_with_its_first_wrong_field(storage, data, said):
    name = put(storage, data)
    with pytest.raises(Mismatch, match=rf"evaluations/m/{name}/evaluation.json: expected an Evaluation document; .*{said}"):
        read_evaluation(storage, "m", name)


def test_one_that_is_not_there_names_the_newest(storage):
    names = [put(storage, WHOLE, f"2026112{i}T000000Z-aaaaaaaa") for i in range(4)]
    assert find_evaluation(storage, "m", "x") is None and newest(storage, "m") == names[-1]
    with pytest.raises(NotFound, match=rf"model 'm' has no evaluation 'x'; the newest are: {', '.join(names[1:])}\. Make"):
        read_evaluation(storage, "m", "x")
