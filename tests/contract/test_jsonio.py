"""One content, one form: readable while people may read it, compact beyond."""

import json

import pytest

from contract import jsonio


@pytest.mark.parametrize("many", [1, 50_000])
def test_the_same_content_gives_the_same_bytes(many):
    one, other = {"b": [1] * many, "a": "é"}, {"a": "é", "b": [1] * many}
    assert jsonio.dumps(one) == jsonio.dumps(other) and jsonio.loads(jsonio.dumps(one)) == one
    assert jsonio.dumps(one).endswith(b"\n") and jsonio.digest(one) == jsonio.digest(other)


def test_only_small_documents_are_indented():
    assert jsonio.dumps({"a": [1]}).count(b"\n") == 5
    large = jsonio.dumps([{"a": n} for n in range(20_000)])
    assert large.count(b"\n") == 1 and b" " not in large


def test_what_json_cannot_say_is_an_error():
    with pytest.raises(ValueError, match="not JSON compliant"):
        jsonio.dumps({"a": float("nan")})
    assert json.loads(jsonio.dumps({"a": None})) == {"a": None}
