"""What an address asks for: everything is checked, and what is wrong is told with what was expected."""

import pytest

from contract.errors import UsageError
from contract.texts.pictures_link import FILTERS, link_to_pictures
from inference.pictures.question import Place, parse_question


def parse(**given):
    return parse_question([(name.replace("__", "."), value) for name, value in given.items()], "digits")


@pytest.mark.parametrize(("name", "value", "said"), [
    ("colour", "red", "filtered by model, version"), ("attribute.", "x", "attribute.<name>"), ("from", "yesterday", "YYYY-MM-DD"),
    ("verdict", "maybe", "right, wrong, unlabelled"), ("confidence_from", "50%", "from 0 to 1"), ("split", "1", "true, false"),
    ("confidence_to", "1.5", "from 0 to 1"), ("confidence_to", "nan", "from 0 to 1"), ("origin", "boss", "audit, review"),
    ("sort", "random", "newest, oldest"), ("after", "x", "Begin again"), ("after", "2026-11-20~nan~a", "Begin again"),
    ("similar", "ab", "64 hex digits"), ("label", "x" * 501, "at most 500"), ("to", "2026-02-30", "YYYY-MM-DD")])
def test_a_wrong_value_is_told_with_what_was_expected(name, value, said):
    with pytest.raises(UsageError, match=name.rstrip(".")) as error:
        parse_question([(name, value)], "digits")
    assert said in str(error.value)


@pytest.mark.parametrize(("given", "said"), [
    ([("from", "2026-11-21"), ("to", "2026-11-20")], "Swap"), ([("label", "a"), ("label", "b")], "one value"),
    ([("confidence_from", "0.9"), ("confidence_to", "0.1")], "Swap"),
    ([("verdict", "unlabelled"), ("origin", "audit")], "beside")])
def test_values_that_do_not_go_together(given, said):
    with pytest.raises(UsageError, match=said):
        parse_question(given, "digits")


def test_every_filter_that_links_are_written_with_is_taken_and_written_again():
    values = {"version": "2", "from": "2026-11-19", "to": "2026-11-20", "predicted": "cat & dog", "label": "≠",
              "verdict": "wrong", "confidence_from": "0.1", "confidence_to": "1", "labeler": "ana", "origin": "audit",
              "split": "true", "prediction_id": "x/y"}
    assert list(values) == list(FILTERS)
    question = parse_question([("model", "m"), *values.items(), ("attribute.camera", "door")], "digits")
    assert question.filters == values and question.attributes == {"camera": "door"}
    assert question.write_address() == link_to_pictures("m", values, {"camera": "door"})


def test_fields_that_a_form_leaves_empty_ask_for_nothing_and_a_place_comes_back_as_it_was():
    place = Place("2026-11-20", 1795860007251768.0, "a~b")
    question = parse(label="", verdict="", sort="oldest", after=place.write())
    assert question.filters == {} and question.after == place
    assert "sort=oldest" in question.write_query() and "after" not in question.write_query()
