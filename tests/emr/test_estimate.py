"""Hours and dollars of a load: held against the same bill written down by hand, and its behaviour at the edges."""

import json

import pytest

from command.load_settings import load
from contract.errors import UsageError
from emr import cli, estimate
from emr.costs import standing, starts
from emr.costs.prices import count_vcpus
from emr.estimate import Load, Prices, Recorded, read_prices
from emr.quotas import list_quota_needs

RECORDED = {"machine": "2 cores (a test)", "date": "2026-11-20", "evaluation_rows_per_s": 1000.0, "training_rows_per_s": 50.0}
CLUSTER = ["emr.here_bytes=0"]


def settings(*overrides):
    given = ["emr.subnets=[subnet-1]", "emr.driver_image=x", *overrides]
    return load(root="s3://b/p", model="digits", env={}, overrides=given)


def of(load_=None, overrides=(), **rates):
    recorded = Recorded(**{**RECORDED, **rates})
    return estimate.estimate(settings(*overrides), load_ or Load(10_000_000, 200), recorded, read_prices())


def close(span, low, high, digits=2):
    assert span["low"] == pytest.approx(low, abs=10 ** -digits) and span["high"] == pytest.approx(high, abs=10 ** -digits)


def test_a_small_months_bill_is_the_one_written_down_by_hand():
    """1 million predictions and 1,000 labels a day, counted in the driver; at most 4 retrainings on two g5.xlarge."""
    found = of(Load(1_000_000, 1000, start_minutes=10, picture_kib=100, row_bytes=300, image_gib=1))
    fargate = 0.04048 + 4 * 0.004445
    core_dear, first = 0.384 + 0.096, 0.192 + 0.048
    trained = 1000 * 30 * 8  # labels of the window, once in each of eight epochs
    train = [1 / 6 + trained / rate / 3600 / 2 for rate in (1200, 143)]
    disk = (128 + 40) * 0.08 / 730
    turn_high = (first + 2 * core_dear) / 6 + (first + 2 * 1.2575) * train[1] + core_dear / 6
    counted = 1_001_000 / 1000 / 3600  # hours of two cores; one vCPU may need twice as long
    parts = found["month"]["parts"]
    close(parts["driver"], fargate * (120 / 60 + 30 * counted),
          fargate * (120 * 3 / 60 + 120 * 2 * counted + 4 * (1 / 6 + train[1] + 1 / 6)))
    close(parts["clusters"], 0, 4 * turn_high)
    close(parts["disks"], 0, 4 * disk * (3 / 6 + 3 * train[1] + 1 / 6))
    close(parts["serverless"], 0, 0)
    close(parts["network"], 0, 730 * 0.045)
    close(parts["transfer"], 0, 0.045 * (4 * (3 + 3 + 1) * 2.93 + 120 * 1.073741824))
    stored = 30 * (1_000_000 * 102400 + 1_001_000 * 300) / 1e9 * 0.023
    close(parts["storage"], stored / 2 + 2.93 * 0.023 + 0.1, stored + 2.93 * 0.023 + 0.1)
    close(parts["requests"], (30e6 + 30 * 96 + 120 * 30 * 3) * 5e-6, (30e6 + 30 * 96 + 120 * 30 * 3) * 5e-6 + 4 * 30000 * 4e-7)
    assert parts["logs"]["low"] == parts["logs"]["high"] == round(120 * 1e-4 * 0.53, 2) > 0
    assert set(parts) == {"driver", "clusters", "serverless", "disks", "network", "transfer", "storage", "requests", "logs",
                          "alarms"}
    close(found["month"]["dollars"], *(sum(part[bound] for part in parts.values()) for bound in ("low", "high")), digits=1)


def test_serverless_stages_are_priced_as_serverless():
    found = of(Load(3_600_000, 0), ["emr.compute=serverless", "emr.serverless_image=x", *CLUSTER])
    stage, hour = found["stages"]["evaluate"], 5 * (4 * 0.052624 + 16 * 0.0057785)
    assert stage["where"] == "serverless" and stage["nodes"] == {"workers": 4, "driver": 1}
    close(stage["parts"]["serverless"], hour * (1 / 60 + 0.5 / 4), hour * (3 / 60 + 1 / 4), 4)
    close(found["month"]["parts"]["serverless"], 30 * stage["parts"]["serverless"]["low"],
          120 * stage["parts"]["serverless"]["high"] + 4 * hour * 3 / 60, 1)
    assert found["stages"]["train"]["where"] == found["stages"]["assess"]["where"] == "cluster"


def test_a_day_that_fits_is_counted_in_the_driver_and_a_larger_one_on_a_cluster():
    just = (4 << 30) // 300
    assert [of(Load(n, 0))["stages"]["evaluate"]["where"] for n in (just, just + 1)] == ["driver", "cluster"]


@pytest.mark.parametrize(("rate", "stage", "overrides"), [
    ("evaluation_rows_per_s", "evaluate", []), ("evaluation_rows_per_s", "evaluate", CLUSTER),
    ("training_rows_per_s", "train", ["emr.gpu_types=[]"])])
def test_doubling_a_rate_halves_the_hours(rate, stage, overrides):
    slow, fast = of(overrides=overrides), of(overrides=overrides, **{rate: 2 * RECORDED[rate]})
    for bound in ("low", "high"):
        assert fast["stages"][stage]["hours"][bound] == pytest.approx(slow["stages"][stage]["hours"][bound] / 2, rel=1e-3)
    assert fast["month"]["dollars"]["high"] < slow["month"]["dollars"]["high"]


def test_a_gpus_rate_is_a_range_until_it_was_measured():
    declared, measured = of(), of(gpu_training_rows_per_s=600.0)
    rows = 200 * 30 * 8
    close(declared["stages"]["train"]["hours"], rows / 1200 / 3600, rows / 143 / 3600, 5)
    close(measured["stages"]["train"]["hours"], rows / 600 / 3600, rows / 600 / 3600, 5)
    said = {name: " ".join(found["assumed"]) for name, found in (("declared", declared), ("measured", measured))}
    assert "143 to 1200 pictures a second: not measured" in said["declared"]
    assert "600 pictures a second (recorded)" in said["measured"]


def test_training_reads_the_windows_labels_once_an_epoch():
    assert of(Load(1000, 100), ["train.epochs=5", "evaluate.days=10"])["stages"]["train"]["rows"] == 5 * 10 * 100


def test_standing_costs_are_those_of_the_very_template(monkeypatch):
    """A network of the stack's own: endpoints by subnet, none for S3's gateway, no NAT unless it is made."""
    endpoint = {"Type": "AWS::EC2::VPCEndpoint", "Properties": {"VpcEndpointType": "Interface", "SubnetIds": ["a", "b"]}}
    gateway = {"Type": "AWS::EC2::VPCEndpoint", "Properties": {"VpcEndpointType": "Gateway"}}
    made = {"E1": endpoint, "E2": endpoint, "S3": gateway, "N": {"Type": "AWS::EC2::NatGateway"},
            "K": {"Type": "AWS::KMS::Key"}, "L": {"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer"},
            "A": {"Type": "AWS::CloudWatch::Alarm"}, "M": {"Type": "AWS::Logs::MetricFilter"}}
    monkeypatch.setattr(estimate, "make_template", lambda *_: {"Resources": made})
    monkeypatch.setattr(standing, "makes_network", lambda _: True)
    parts = of()["month"]["parts"]
    close(parts["network"], 730 * (4 * 0.01 + 0.045), 730 * (4 * 0.01 + 0.045))
    close(parts["transfer"], 0, 0)
    close(parts["alarms"], 0.1, 0.4)
    close(parts["key"], 1, 1)
    close(parts["load balancer"], 730 * 0.0225, 730 * 0.0225)


def test_pictures_that_are_not_stored_cost_nothing():
    kept, dropped = of(), of(overrides=["serve.store_images=false"])
    assert dropped["month"]["parts"]["requests"]["high"] < 0.1 < kept["month"]["parts"]["requests"]["low"]
    assert dropped["month"]["parts"]["storage"]["high"] < kept["month"]["parts"]["storage"]["high"] / 50


@pytest.mark.parametrize(("schedule", "count"), [
    ("rate(6 hours)", 120), ("rate(1 day)", 30), ("rate(45 minutes)", 960), ("cron(0 6 * * ? *)", 30),
    ("cron(0/20 * * * ? *)", 2160), ("cron(15,45 8-17 ? * MON-FRI *)", 600), ("cron(5 */6 * * ? *)", 120)])
def test_a_schedules_starts_are_counted(schedule, count):
    assert starts.count_starts(schedule) == count


@pytest.mark.parametrize("schedule", ["at(2026-11-20T00:00:00)", "rate(0 hours)", "cron(x 6 * * ? *)", "often"])
def test_a_schedule_that_cannot_be_counted_is_an_error(schedule):
    with pytest.raises(UsageError, match=r"emr\.schedule"):
        starts.count_starts(schedule)


def test_a_price_that_is_missing_is_named(emr, s3_root, capsys, tmp_path):
    table = Prices(source="x", as_of="2026-01", ec2={"m5.xlarge": 1.0, "p5.48xlarge": 50.0}, emr={"m5.xlarge": 0.1})
    with pytest.raises(UsageError, match=r"expected a price of p4d\.24xlarge with EMR, found none"):
        table.price_hour(("m5.xlarge", "p4d.24xlarge"))
    assert table.price_hour(("p5.48xlarge",), emr=False) == 50.0  # without EMR on it
    with pytest.raises(UsageError, match=r"expected services\.nat_hour, found none"):
        table.price("nat_hour")
    with pytest.raises(UsageError, match=r"expected gpu_rows_per_s of p5, found none"):
        table.find_gpu_rate(("p5.48xlarge",))
    (tmp_path / "rates.json").write_text(json.dumps(RECORDED))
    options = ["--root", s3_root, "--model", "m", "--set", "emr.subnets=[s]", "--set", "emr.core_types=[z9.large]",
               "--predictions-per-day", "1000", "--recorded", str(tmp_path / "rates.json")]
    assert cli.main(["plan", *options]) == 2
    assert "expected a price of z9.large with EMR, found none" in capsys.readouterr().err


def test_every_default_type_has_a_price_and_the_table_says_where_from():
    chosen, prices = load(env={}).emr, read_prices()
    assert prices.price_hour((*chosen.primary_types, *chosen.core_types, *chosen.gpu_types)) > 0
    assert prices.source and prices.as_of and prices.region == "us-east-1" and set(prices.emr) <= set(prices.ec2)
    assert {kind.partition(".")[0] for kind in prices.ec2} >= {"c5", "m5", "g4dn", "p3", "c7i", "m7i", "g5", "g6", "p4d", "p5"}
    assert all(count_vcpus(kind) for kind in prices.ec2)


@pytest.mark.parametrize(("overrides", "needs"), [
    ([], {"L-1216C47A": 20, "L-DB2E81BA": 8, "L-3032A538": 1}),
    (["emr.spot_nodes=4", "train.ranks=3", "emr.gpu_types=[g4dn.2xlarge, p3.2xlarge]"],
     {"L-1216C47A": 20, "L-34B43A08": 32, "L-DB2E81BA": 24, "L-417A185B": 24, "L-3032A538": 1}),
    (["emr.compute=serverless", "emr.gpu_types=[]"], {"": 20, "L-1216C47A": 20, "L-3032A538": 1}),
    (["emr.core_types=[m5.metal]", "emr.gpu_types=[]"], {"L-1216C47A": 4, "L-3032A538": 1})])
def test_a_turn_asks_so_many_vcpus_of_each_quota(overrides, needs):
    assert {need.quota.code: need.vcpus for need in list_quota_needs(settings(*overrides))} == needs
