"""Decoders of the user's own stand in the card: part of what `preprocess_hash` hashes, and told where another one is in use."""

import pytest
from pydantic import ValidationError

from contract import jsonio
from contract.documents.card import Card, Preprocess, is_decoder
from contract.texts.decoders import explain_other_decoder

ONE, OTHER = "my_formats:read@0123456789ab", "my_formats:read@ba9876543210"


def make_card(*decoders):
    return Card(model="m", version="3", created_at="", network="resnet18", classes=["a"], weights_sha256="0", weights_bytes=1,
                preprocess=Preprocess(decoders=list(decoders)))


def test_they_are_hashed_and_a_card_without_keeps_the_hash_that_it_had():
    before = {name: value for name, value in Preprocess().to_dict().items() if name not in ("levels", "decoders")}
    assert Preprocess().hash() == jsonio.digest(before)[:16]
    hashes = [make_card(*of).preprocess.hash() for of in ((), (ONE,), (OTHER,), (ONE, OTHER))]
    assert len(set(hashes)) == 4


def test_steps_are_those_of_the_pixels_whatever_made_them():
    steps = make_card().preprocess.list_steps()
    assert make_card(ONE).preprocess.list_steps() == make_card(OTHER).preprocess.list_steps() == steps == Preprocess().facts()
    assert Preprocess(decoders=[ONE], crop=32).list_steps() != steps


def test_a_function_may_be_called_what_python_lets_it():
    name = "my_formats:l\N{LATIN SMALL LETTER A WITH DIAERESIS}s@0123456789ab"
    assert name.partition(":")[2].partition("@")[0].isidentifier() and is_decoder(name)
    assert Preprocess.model_validate_json(Preprocess(decoders=[name]).model_dump_json()).decoders == [name]


@pytest.mark.parametrize("name", ["my_formats:read", "read@0123456789ab", "a:b@0123456789AB", "a:b@0123", "a b:c@0123456789ab",
                                  f"{ONE}\n", ""])
def test_what_is_no_decoder_is_refused(name):
    assert not is_decoder(name) and not is_decoder(None)
    with pytest.raises(ValidationError):
        Preprocess(decoders=[name])


@pytest.mark.parametrize(("decoders", "here", "said"), [
    ((), None, None), ((), ONE, None), ((ONE,), ONE, None), ((ONE, OTHER), OTHER, None),
    ((ONE,), "my_formats:read", None),  # the digits of its source are not known
    ((ONE,), None, "here no pictures.decoder is set, so files of that format are refused"),
    ((ONE,), OTHER, f"here pictures.decoder is {OTHER}, the same function with another source, whose pixels may differ"),
    ((ONE,), "a:read@0123456789ab", "here pictures.decoder is a:read@0123456789ab, whose pixels may differ"),
    ((ONE,), "elsewhere:read", "here pictures.decoder is elsewhere:read, whose pixels may differ")])
def test_another_one_is_told(decoders, here, said):
    found = explain_other_decoder(make_card(*decoders), here)
    if said is None:
        assert found is None
    else:
        assert said in found and f"version 3 of 'm' is made for pictures of {decoders[0]}" in found
