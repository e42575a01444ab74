"""What `trueup emr plan` prints; its arithmetic is in test_estimate.py."""

import json

from emr import cli, estimate
from tests.emr.test_estimate import RECORDED


def test_the_plan_says_the_very_requests(emr, s3_root, capsys):
    options = ["--root", s3_root, "--model", "digits", "--set", "emr.subnets=[subnet-1]", "--json"]
    assert cli.main(["plan", *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [s["stage"] for s in document["stages"]] == ["evaluate", "dataset", "train", "assess"]
    sent = document["stages"][2]["run_job_flow"]
    assert sent["Instances"]["InstanceFleets"][1]["InstanceTypeConfigs"][0]["InstanceType"] == "g5.xlarge"
    assert not document["packages"]["train"]["uploaded"] and emr.requests == []
    assert {q["code"]: (q["vcpus"], q["stages"]) for q in document["quotas"]}["L-DB2E81BA"] == (8, ["train"])


def test_the_plan_says_how_mlflow_hears_of_clusters(emr, s3_root, capsys):
    options = ["--root", s3_root, "--model", "digits", "--set", "emr.subnets=[subnet-1]"]
    tracked = [*options, "--set", "track.mlflow=https://mlflow.example"]
    made = ["--root", s3_root, "--model", "digits", "--set", "emr.create_network=true", *tracked[-2:]]
    said = {}
    for name, words in (("none", options), ("named", tracked), ("inside", made)):
        assert cli.main(["plan", *words]) == 0
        said[name] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("MLflow ")]
    assert said["none"] == [] and "no way" not in said["named"][0] and "without name and password" in said["named"][0]
    assert "the network of the stack has no way to outside of itself" in said["inside"][0]


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
    assert "100,000 predictions and 200 labels a day, by the rates of 2 cores (a test) (2026-11-20)" in said
    assert "  evaluate  driver: 100,200 rows" in said and "    network       $0.00 to $32.85" in said
    assert "assumed: " in said and "to be checked" in said
