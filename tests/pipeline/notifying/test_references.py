"""Addresses and secrets are references: a value in the settings is refused and not shown; what a reference holds is read late."""

import json

import boto3
import pytest
from moto import mock_aws

from command.load_settings import load, with_options
from contract.errors import UsageError
from pipeline import config
from pipeline.notifying.references import resolve
from pipeline.notifying.sending import check_address
from tests.pipeline.notifying.conftest import targets

HOOK = "https://hooks.slack.example/services/T0/B0/7Kq2secretpath"


@pytest.mark.parametrize("setting", [
    {"name": "a", "kind": "slack", "url": HOOK}, {"name": "a", "url": "env:A", "secret": "7Kq2secretpath words"},
    {"name": "a", "kind": "slack", "url": "env:A", "address": HOOK}, {"name": HOOK, "kind": "slack", "url": "env:A"},
    {"name": "a", "url": "env:7Kq2secretpath-"}, HOOK, {"name": "a", "url": "env:A", "events": [HOOK]}])
def test_a_value_in_place_of_a_reference_is_refused_and_not_shown(setting):
    with pytest.raises(UsageError, match=r"setting 'notify\.targets") as refused:
        load(env={}, overrides=[f"notify.targets={json.dumps([setting])}"])
    assert "secretpath" not in str(refused.value) and refused.value.__cause__ is None


@pytest.mark.parametrize("overrides", [[f"notify={HOOK}"], [f"notfiy={HOOK}"], [f"notify.url={HOOK}"],
                                       [f"notify={HOOK}", "notify.days=3"], [f"notfiy={HOOK}", "notfiy.days=3"]])
def test_nor_is_it_by_a_setting_that_there_is_not(overrides):
    with pytest.raises(UsageError, match="setting 'not(ify|fiy)") as refused:
        load(env={}, overrides=overrides)
    assert "secretpath" not in str(refused.value)


def test_the_message_says_how_it_is_done():
    with pytest.raises(UsageError, match=r"expected a reference, .*env:NAME, file:/path or aws-secret:NAME"):
        load(env={}, overrides=[f'notify.targets=[{{"name": "a", "kind": "slack", "url": "{HOOK}"}}]'])


@pytest.mark.parametrize(("wrong", "message"), [
    ({"name": "a", "url": "env:A"}, "expected a secret beside the url of a webhook"),
    ({"name": "a", "kind": "slack", "url": "env:A", "events": ["verdicts"]}, "expected some of verdict, published"),
    ({"name": "A b", "kind": "slack", "url": "env:A"}, "expected a name of small letters"),
])
def test_other_mistakes_are_named(wrong, message):
    with pytest.raises(UsageError, match=message):
        load(env={}, overrides=[f"notify.targets={json.dumps([wrong])}"])
    with pytest.raises(UsageError, match=message):
        with_options(load(env={}), notify__targets=[wrong])


def test_trueup_config_prints_references(capsys):
    assert config.main(["--json", *targets()]) == 0
    rows = json.loads(capsys.readouterr().out)["settings"]
    value = next(row["value"] for row in rows if row["setting"] == "notify.targets")
    assert (value[0]["url"], value[0]["secret"]) == ("env:OPS_URL", "env:OPS_SECRET")


def test_a_variable_and_a_file_are_read_without_blanks(monkeypatch, tmp_path):
    monkeypatch.setenv("HOOK", f" {HOOK}\n")
    (tmp_path / "hook").write_text(f"{HOOK}\n")
    assert resolve("env:HOOK") == resolve(f"file:{tmp_path}/hook") == HOOK
    for missing in ("env:NONE", f"file:{tmp_path}/none"):
        with pytest.raises(UsageError, match=missing):
            resolve(missing)


def test_a_secret_of_aws_is_read_by_name_arn_or_field():
    with mock_aws():
        client = boto3.client("secretsmanager")
        arn = client.create_secret(Name="trueup/slack", SecretString=HOOK)["ARN"]
        client.create_secret(Name="trueup/ops", SecretString=json.dumps({"url": HOOK, "key": "k"}))
        assert {resolve("aws-secret:trueup/slack"), resolve(f"aws-secret:{arn}"), resolve("aws-secret:trueup/ops#url")} == {HOOK}
        with pytest.raises(UsageError, match="aws-secret:none cannot be read: ResourceNotFoundException"):
            resolve("aws-secret:none")
        with pytest.raises(UsageError, match="expected a JSON object with the field 'url'") as refused:
            resolve("aws-secret:trueup/slack#url")
    assert "secretpath" not in str(refused.value)


@pytest.mark.parametrize(("address", "here"), [(HOOK, False), ("http://127.0.0.1:80/x", True), ("http://localhost/x", True),
                                               ("http://[::1]:9/x", True), ("https://10.0.0.1/x", False)])
def test_https_is_taken_and_http_on_this_machine(address, here):
    assert check_address(address) is here


@pytest.mark.parametrize("address", ["http://hooks.example/secretpath", "ftp://a/secretpath", "file:///etc/secretpath",
                                     "secretpath", "https://a b/secretpath", "https://me:pw@a/secretpath", "https://a:x/secretpath",
                                     "https:///secretpath", "https://[a/secretpath", "http://127.0.0.1.example/secretpath",
                                     "https://a/\nsecretpath", "https://a/sécretpath"])
def test_other_addresses_are_refused_and_not_shown(address):
    with pytest.raises(UsageError, match="expected an address https://host/path") as refused:
        check_address(address)
    assert "cretpath" not in str(refused.value)
