"""What `trueup emr plan` prints, and its arithmetic."""

import json

import pytest

from command.load_settings import load
from contract.errors import UsageError
from emr import cli, estimate
from emr.estimate import Load, Prices, Recorded, read_prices

RECORDED = {"machine": "a test", "date": "2026-11-20", "evaluation_rows_per_s": 1000.0, "training_rows_per_s": 50.0}
ROOT = ["--root", "s3://my-bucket/pre", "--model", "digits"]


def of(load_=None, settings=None, **rates):
    chosen = settings or load(root="s3://b/p", model="digits", env={})
    return estimate.estimate(chosen, load_ or Load(10_000_000, 200), Recorded(**{**RECORDED, **rates}), read_prices())


@pytest.mark.parametrize(("rate", "stage"), [("evaluation_rows_per_s", "evaluate"), ("training_rows_per_s", "train")])
def test_doubling_a_rate_halves_the_hours(rate, stage):
    slow, fast = of(), of(**{rate: 2 * RECORDED[rate]})
    assert fast["stages"][stage]["hours"] == slow["stages"][stage]["hours"] / 2
    assert fast["month"]["dollars_at_most"] < slow["month"]["dollars_at_most"]


def test_the_arithmetic_is_rows_over_rate():
    found = of(Load(3_600_000, 0, start_minutes=0))
    assert found["stages"]["evaluate"]["hours"] == 1.0
    prices = read_prices()
    hour = prices.price_hour(("m5.xlarge",)) + 2 * max(prices.price_hour(("m5.2xlarge",)), prices.price_hour(("m5a.2xlarge",)))
    assert found["stages"]["evaluate"]["dollars"] == pytest.approx(hour / 2, abs=1e-4)  # two nodes, half an hour


def test_training_reads_the_windows_labels_once_an_epoch():
    settings = load(root="s3://b/p", model="digits", env={}, overrides=["train.epochs=5", "evaluate.days=10"])
    assert of(Load(1000, 100), settings)["stages"]["train"]["rows"] == 5 * 10 * 100


def test_a_price_that_is_missing_is_named():
    table = Prices(source="x", as_of="2026-01", ec2={"m5.xlarge": 1.0}, emr={"m5.xlarge": 0.1})
    with pytest.raises(UsageError, match="expected a price of p4d.24xlarge, found none"):
        table.price_hour(("m5.xlarge", "p4d.24xlarge"))


def test_every_default_type_has_a_price():
    chosen, prices = load(env={}).emr, read_prices()
    assert prices.price_hour((*chosen.primary_types, *chosen.core_types, *chosen.gpu_types)) > 0


def test_the_plan_says_the_very_requests(emr, s3_root, capsys):
    options = ["--root", s3_root, "--model", "digits", "--set", "emr.subnets=[subnet-1]", "--json"]
    assert cli.main(["plan", *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [s["stage"] for s in document["stages"]] == ["evaluate", "dataset", "train", "assess"]
    sent = document["stages"][2]["run_job_flow"]
    assert sent["Instances"]["InstanceFleets"][1]["InstanceTypeConfigs"][0]["InstanceType"] == "g5.xlarge"
    assert not document["packages"]["train"]["uploaded"] and emr.requests == []


def test_an_account_without_a_bucket_can_be_planned_for(emr, moto_server, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    options = ["--root", "s3://not-there-yet/pre", "--model", "digits", "--set", "emr.subnets=[subnet-1]"]
    assert cli.main(["plan", *options]) == 0
    assert "(not uploaded yet: trueup emr deploy)" in capsys.readouterr().out


def test_an_estimate_needs_recorded_rates(emr, s3_root, capsys, monkeypatch, tmp_path):
    options = ["--root", s3_root, "--model", "digits", "--set", "emr.subnets=[subnet-1]", "--predictions-per-day", "100000"]
    monkeypatch.setattr(estimate, "RECORDED", tmp_path / "recorded.json")
    assert cli.main(["plan", *options]) == 1
    assert "Record them on this machine: make bench" in capsys.readouterr().err
    (tmp_path / "recorded.json").write_text(json.dumps(RECORDED))
    assert cli.main(["plan", *options]) == 0
    said = capsys.readouterr().out
    assert "100,000 predictions and 200 labels a day, by the rates of a test (2026-11-20)" in said
    assert "assumed: " in said and "to be checked" in said
