"""What people put into trueup.yaml, --set and other options by mistake: a clear error, never a traceback."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from command.child import write_settings
from command.load_settings import load
from command.settings_file import LARGEST, parse_settings
from contract import clock
from contract.errors import TrueupError, UsageError
from inference import keys, review
from jobs import evaluate, lineage
from pipeline import config, status

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
WRONG = {
    "latin-1": (b"model: digits\nroot: /data/b\xfccher\n", r"line 2: expected text in UTF-8, got the byte 0xfc\. Save the file"),
    "tab": (b"train:\n\tepochs: 3\n", r"line 2: it is no YAML: .*A tab is no indentation"),
    "NUL": (b"model: a\0b\n", "is no YAML: .*special characters are not allowed"),
    "twice": (b"model: a\ntrain: {epochs: 1}\nmodel: b\n", "line 3: it is no YAML: 'model' stands there, and in line 1"),
    "twice below": (b"train:\n  epochs: 1\n  lr: 0.1\n  epochs: 2\n", "line 4: .*'epochs' stands there, and in line 2"),
    "deep list": (b"a: " + b"[" * 500, "it is nested more than 50 deep"),
    "deep map": (b"a: " + b"{a: " * 500 + b"1" + b"}" * 500, "it is nested more than 50 deep"),
    "list": (b"- a\n- b\n", "expected `name: value` lines, got list"),
    "text": (b"digits", "expected `name: value` lines, got str"),
    "number as a name": (b"7: a\n", "expected names of settings, got 7"),
    "two documents": (b"model: a\n---\nmodel: b\n", "line 2: it is no YAML"),
    "tag": (b"model: !!python/object/apply:os.system [id]\n", "line 1: it is no YAML"),
    "day": (b"model: 2026-02-30\n", "holds a value that cannot be read: day is out of range"),
    "NaN": (b"train: {lr: .nan}\n", r"setting 'train.lr' .*got nan"),
    "infinity": (b"cycle:\n  takeover_seconds: .inf\n", "'cycle.takeover_seconds' .*finite"),
    "1e999": (b"train: {weight_decay: 1.0e+999}\n", "'train.weight_decay' .*finite"),
    "too many days": (b"gates: {max_age_days: 1.0e+300}\n", "max_age_days: expected at most 36,500"),
    "too many seconds": (b"serve: {poll_seconds: 1.0e+30}\n", "poll_seconds: expected at most 1,000,000,000"),
    "too many rows": (b"train: {batch: 99999999999999999999}\n", "batch: expected at most"),
    "a section that is none": (b"train: 5\n", "setting 'train' "),
    "origins": (b"origins: {a: b}\n", "setting 'origins': there is no such setting"),
    "bomb": (BOMB.encode(), "there is no such setting"),
    "bomb as a value": (BOMB.encode() + b"model: *i\n", "."),
    "endless": (b"model: &a [*a]\n", "setting 'model'"),
    "twice in JSON": (b'{"model": "a",\n "model": "b"}', "line 2: .*'model' stands there, and in line 1"),
    "NaN in JSON": (b'{"train": {"lr": NaN}}', r"setting 'train.lr' .*got 'NaN'"),
    "deep JSON": (b'{"a": ' * 60 + b"1" + b"}" * 60, "it is nested more than 50 deep"),
    "no JSON": (b'{"model": "a",\n "root": }}', "line 2: it is no YAML"),
    "large": (b"#" * (2 << 20), "expected at most 1,048,576 bytes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_settings_file_that_cannot_be_meant_is_one_line_that_says_where(tmp_path, capsys, name):
    data, said = WRONG[name]
    (tmp_path / "t.yaml").write_bytes(data)
    with pytest.raises(UsageError, match=said) as error:
        load(path=str(tmp_path / "t.yaml"), env={})
    assert len(str(error.value)) < 700
    assert config.main(["--config", str(tmp_path / "t.yaml"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "UsageError"


@pytest.mark.parametrize("data", ["\ufeffmodel: é\n".encode(), "\ufeffmodel: é\n".encode("utf-16-le"), "model: é\r\n".encode()])
def test_what_an_editor_adds_is_read(data):
    assert parse_settings(data, "x") == {"model": "é"}


def test_empty_settings_and_a_runs_own_are_read():
    assert parse_settings(b"", "x") == parse_settings(b"# nothing\n", "x") == {}
    assert parse_settings(b"a: &x {b: 1}\nc: {<<: *x, d: 2}\n", "x")["c"] == {"b": 1, "d": 2}
    with write_settings(load(env={}).model_dump(mode="json")) as path:
        assert load(path=path, env={}).train.lr == 0.001


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(st.none() | st.booleans() | st.integers() | FLOATS | st.text(),
                           lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(st.dictionaries(st.text(), JSON_VALUES))
@example({"a class": "\N{OWL} 1e-7"})
@profile(max_examples=50)
def test_what_a_command_writes_for_its_stages_is_read_as_it_was(content):
    with write_settings(content) as path:
        assert parse_settings(Path(path).read_bytes(), "x") == content


LONG = json.dumps({f"class {n}": n for n in range(60_000)}, indent=1)  # more than YAML may have


def test_long_json_is_read_also_with_what_an_editor_puts_before_it():
    assert len(LONG) > LARGEST
    assert parse_settings(b"\xef\xbb\xbf" + LONG.encode(), "x") == parse_settings(LONG.encode(), "x") == json.loads(LONG)


@pytest.mark.parametrize(("wrong", "said"), [
    ('{"class 7": 1,' + LONG[1:], "the name 'class 7' stands twice"), (LONG.replace("59999", "NaN"), "NaN is no JSON"),
    (LONG.rstrip("}\n") + ",\n}", "line 60002"), ('{"a": ' + "[" * 60 + "]" * 60 + "," + LONG[1:], "more than 50 levels deep")])
def test_what_is_wrong_with_json_that_is_too_long_for_yaml_is_said(wrong, said):
    with pytest.raises(UsageError, match=rf"expected at most 1,048,576 bytes .* It may be longer as JSON, and is none: .*{said}"):
        parse_settings(wrong.encode(), "x")


@pytest.mark.parametrize("path", ["folder", "folder/none.yaml/x", "x" * 300, "a\0b"])
def test_a_path_that_is_no_file_is_a_usage_error(tmp_path, path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "none.yaml").write_text("")
    with pytest.raises(UsageError, match="settings file"):
        load(path=str(tmp_path / path), env={})


@pytest.mark.parametrize("override", ["train=5", "train.epochs.more=1", "origins=1", "origins.x=1", "=1", "train.lr=.nan", ".=1",
                                      "train.lr=1e999", "evaluate.days=" + "9" * 5000, "x\0=1"])
def test_an_override_that_cannot_be_meant_is_a_usage_error(override):
    with pytest.raises(UsageError, match="setting"):
        load(env={"TRUEUP_TRAIN_EPOCHS": "3"}, overrides=[override])


def test_values_that_yaml_stumbles_over_are_text():
    assert load(env={"TRUEUP_MODEL": "2026-02-30"}).model == "2026-02-30"
    assert load(env={}, overrides=["model=" + "[" * 200]).model == "[" * 200


USAGE = [
    (status, ["--root", "a\0b"], "argument 'a.x00b': expected text in UTF-8"),
    (status, ["--root", "\udcff"], "expected text in UTF-8"),
    (status, ["--root", "s3://["], "expected"),
    (status, ["--root", "x", "--model", "\udc80"], "argument .*: expected text in UTF-8"),
    (lineage, ["x", "--root", "ROOT", "--day", "2026-02-30"], "'2026-02-30' is no day"),
    (lineage, ["x", "--root", "ROOT", "--day", "../../.."], "is no day"),
    (evaluate, ["--root", "ROOT", "--model", "m", "--from", "2026-02-30"], "is no day"),
    (evaluate, ["--root", "ROOT", "--model", "m", "--as-of", "garbage"], "is no moment"),
    (evaluate, ["--root", "ROOT", "--model", "m", "--as-of", "9999-12-31"], "is no moment"),
    (evaluate, ["--root", "ROOT", "--model", "m", "--as-of", "0001-01-01T00:00:00+14:00"], "is no moment"),
    (evaluate, ["--root", "ROOT", "--model", "x" * 300], "at most 255 bytes"),
    (review, ["sample", "--root", "ROOT", "--model", "m", "--p", "nan"], "expected a finite number"),
    (review, ["sample", "--root", "ROOT", "--model", "m", "--p", "1e999"], "range"),
    (review, ["sample", "--root", "ROOT", "--model", "m", "--p", "0"], "range"),
    (review, ["sample", "--root", "ROOT", "--model", "m", "--items", "99999999999999999999"], "range"),
    (review, ["sample", "--root", "ROOT", "--model", "m", "--p", "0.1", "--second-share", "nan"], "expected a finite number"),
    (keys, ["add", "x", "--role", "label", "--rate", "inf", "--root", "ROOT"], "expected a finite number"),
    (keys, ["add", "x" * 200, "--role", "label", "--root", "NEW"], "1 to 100 characters"),
    (keys, ["add", " ", "--role", "label", "--root", "NEW"], "the name of a key: expected"),
]


@pytest.mark.parametrize(("command", "arguments", "said"), USAGE)
def test_an_option_that_cannot_be_meant_is_an_error_and_leaves_nothing(tmp_path, capsys, command, arguments, said):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "trueup.json").write_text('{"schema": "1"}')
    before = sorted(tmp_path.rglob("*"))
    places = {"ROOT": str(tmp_path / "root"), "NEW": str(tmp_path / "new")}
    assert command.main([*(places.get(a, a) for a in arguments), "--json"]) == 2
    message = json.loads(capsys.readouterr().out)["error"]["message"]
    assert re.search(said, message), message
    assert sorted(tmp_path.rglob("*")) == before


YAMLISH = "ab:-[]{}&*!|>#'\"\n\t .0123456789en~?,%@\\é\0"


@given(st.one_of(st.binary(max_size=60), st.text(alphabet=YAMLISH, max_size=60).map(str.encode)))
@profile(max_examples=150)
def test_no_bytes_are_a_traceback(data):
    try:
        assert isinstance(parse_settings(data, "mine.yaml"), dict)
    except TrueupError as error:
        assert "mine.yaml" in str(error)


@given(st.text(max_size=30) | st.from_regex(r"[0-9-]{8,12}T?[0-9:+.Z]{0,15}", fullmatch=True))
@profile(max_examples=150)
def test_no_text_is_a_traceback_as_a_moment_or_a_day(text):
    for parse in (clock.parse_moment, clock.parse_day):
        try:
            parse(text)
        except UsageError:
            pass
