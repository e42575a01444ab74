"""The service in the template: drained, one task an instance, an outbox that stays, and who may do what."""

import http.server
import json
import os
import subprocess
import threading

import pytest

from command.load_settings import load
from contract.errors import UsageError
from contract.settings import EmrSettings
from emr.template import service_instances
from tests.emr.everything import ROOT, resources_of

IMAGE = ["emr.service_image=123456789012.dkr.ecr.us-east-1.amazonaws.com/service:1"]
OWN = [*IMAGE, "emr.create_network=true"]
CERTIFICATE = "emr.service_certificate=arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
PUBLIC = [*OWN, CERTIFICATE, "emr.service_public=true"]
BROUGHT = [*IMAGE, "emr.subnets=[subnet-0123456789abcdef0]", "emr.service_vpc=vpc-0123456789abcdef0",
           "emr.service_balancer_subnets=[subnet-0123456789abcdef1, subnet-0123456789abcdef2]"]


def made(*overrides):
    return {name: resource["Properties"] for name, resource in resources_of(*overrides).items()}


def test_an_instance_is_drained_before_it_goes_and_its_volume_stays():
    found = made(*OWN)
    provider = found["ServiceCapacity"]["AutoScalingGroupProvider"]
    assert provider["ManagedDraining"] == provider["ManagedTerminationProtection"] == "ENABLED"
    assert found["Instances"]["NewInstancesProtectedFromScaleIn"] is True
    data = found["InstanceTemplate"]["LaunchTemplateData"]
    assert data["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"] is False
    assert "install -d -o 1000 -g 1000 -m 0700 /var/lib/trueup" in data["UserData"]["Fn::Base64"]["Fn::Sub"]
    assert found["ServiceTask"]["Volumes"] == [{"Name": "outbox", "Host": {"SourcePath": "/var/lib/trueup"}}]
    assert found["Service"]["PlacementConstraints"] == [{"Type": "distinctInstance"}]
    assert found["ServiceTask"]["NetworkMode"] == "host"


@pytest.mark.parametrize(("stop", "deadline"), [(60, 30), (300, 45.5)])
def test_ecs_waits_longer_than_the_service_takes_to_stop(stop, deadline):
    found = made(*OWN, f"serve.stop_seconds={stop}", f"serve.deadline_seconds={deadline}")
    (container,) = found["ServiceTask"]["ContainerDefinitions"]
    assert container["StopTimeout"] > stop + deadline + 10
    delay = {a["Key"]: a["Value"] for a in found["Targets"]["TargetGroupAttributes"]}["deregistration_delay.timeout_seconds"]
    assert deadline <= int(delay) <= deadline + 1


def test_a_rolling_update_waits_for_readiness():
    found = made(*OWN)
    assert found["Targets"]["HealthCheckPath"] == "/health/ready"
    assert found["Service"]["DeploymentConfiguration"]["MinimumHealthyPercent"] == 100
    assert int(found["Instances"]["MaxSize"]) == 8 and found["Service"]["LoadBalancers"][0]["ContainerPort"] == 8080


def test_the_container_knows_its_root_region_and_balancer():
    (container,) = made(*PUBLIC, "serve.max_batch=3")["ServiceTask"]["ContainerDefinitions"]
    environment = {e["Name"]: e["Value"] for e in container["Environment"]}
    assert environment.pop("AWS_REGION") == {"Ref": "AWS::Region"}
    settings = load(env=environment)
    assert (settings.root, settings.model, settings.serve.max_batch) == (ROOT, "digits", 3)
    assert settings.serve.trusted_proxies == ["10.77.0.0/16"]


def test_none_desired_stops_all():
    found = made(*OWN, "emr.service_min=0", "emr.service_max=0")
    assert found["Service"]["DesiredCount"] == found["ServiceScaling"]["MaxCapacity"] == 0
    assert "DesiredCount" not in made(*OWN)["Service"]  # an update leaves autoscaling's number


def test_https_where_there_is_a_certificate():
    found = made(*PUBLIC)
    assert (found["Listener"]["Protocol"], found["Balancer"]["Scheme"]) == ("HTTPS", "internet-facing")
    assert found["PlainListener"]["DefaultActions"][0]["Type"] == "redirect"
    assert found["Balancer"]["Subnets"] == [{"Ref": "PublicSubnet1"}, {"Ref": "PublicSubnet2"}]
    assert made(*OWN)["Balancer"]["Scheme"] == "internal"


@pytest.mark.parametrize(("more", "says"), [
    (IMAGE, "expected emr.subnets for its instances"), ([*OWN, "emr.service_public=true"], "expected emr.service_certificate"),
    ([*BROUGHT, CERTIFICATE], "expected serve.trusted_proxies")])
def test_what_would_not_work_is_refused(more, says):
    with pytest.raises(UsageError, match=says):
        made(*more)


def test_more_at_the_least_than_at_the_most_is_refused():
    with pytest.raises(ValueError, match="expected at most service_max"):
        EmrSettings(service_min=5)


def test_the_instance_role_reaches_its_own_cluster_only_and_no_bucket():
    found = made(*OWN)
    statements = found["InstanceRole"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert "ManagedPolicyArns" not in found["InstanceRole"]
    actions = {a for s in statements for a in s["Action"]}
    assert not [a for a in actions if not a.startswith("ecs:") and a != "cloudwatch:PutMetricData"]
    open_to_all = {a for s in statements if s["Resource"] == ["*"] and "Condition" not in s for a in s["Action"]}
    assert open_to_all == {"ecs:DiscoverPollEndpoint"}
    assert found["ServiceTask"]["TaskRoleArn"] == {"Fn::GetAtt": ["ServeRole", "Arn"]}


@pytest.mark.parametrize(("body", "told"), [("trueup_outbox_age_seconds 4000.5\n", "4000.5"), ("other 1\n", None), (None, None)])
def test_an_instance_tells_the_age_that_the_alarm_reads(tmp_path, body, told):
    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if body and self.path == "/metrics" else 503)
            self.end_headers()
            self.wfile.write(f"# HELP trueup_outbox_age_seconds Age.\n{body}".encode())

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "aws").write_text(f"#!/bin/sh\nprintf '%s\\n' \"$*\" >> {tmp_path}/asked\n")
    (tmp_path / "aws").chmod(0o755)
    script = service_instances.write_tell_script(server.server_port, "eu-central-1")
    ended = subprocess.run(["bash", "-c", script], env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}, check=False)
    server.shutdown()
    server.server_close()
    asked = (tmp_path / "asked").read_text() if (tmp_path / "asked").exists() else ""
    assert (ended.returncode == 0) is (body is not None)
    alarm = made(*OWN)["OutboxAge"]
    expected = f"--namespace {alarm['Namespace']} --metric-name {alarm['MetricName']} --unit Seconds --value {told}"
    assert (expected in asked and "eu-central-1" in asked) if told else asked == ""
    assert json.dumps(script.splitlines()[2])[1:-1].replace(str(server.server_port), "8080") in json.dumps(
        made(*OWN)["InstanceTemplate"]["LaunchTemplateData"]["UserData"])
