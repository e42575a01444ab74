"""The instances of the service: each with a folder for its outbox on a volume that stays, drained before it goes.

Every minute an instance tells CloudWatch the age of its outbox, which the alarm of alarms.py reads.
"""

from typing import Any

from contract.settings import Settings
from emr.access import SERVICE
from emr.template.alarms import NAMESPACE
from emr.template.network import list_subnets, make_group
from emr.template.parts import Resource, allow, arn, make_role, ref, sub

FOLDER = "/var/lib/trueup"
USER = 1000  # of the container (Dockerfile)
METRIC = "trueup_outbox_age_seconds"
IMAGE = "{{resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id}}"
DISK_GB = 30  # what the image of ECS asks for at the least
TELL = "/usr/local/bin/tell-outbox-age"
# A service that does not answer tells nothing: its missing readiness is the load balancer's to see.
TELL_SCRIPT = f"""#!/bin/bash
set -euo pipefail
age=$(curl -sf --max-time 10 http://127.0.0.1:PORT/metrics | awk '$1 == "{METRIC}" {{print $2}}')
[ -z "$age" ] && exit 0
aws cloudwatch put-metric-data --region REGION --namespace {NAMESPACE} --metric-name {METRIC} --unit Seconds --value "$age"
"""
SET_UP = f"""#!/bin/bash
install -d -o {USER} -g {USER} -m 0700 {FOLDER}
echo ECS_CLUSTER=${{ServiceCluster}} >> /etc/ecs/ecs.config
cat > {TELL} <<'END'
SCRIPT
END
chmod 0755 {TELL}
printf '[Unit]\\nAfter=ecs.service\\n[Service]\\nType=oneshot\\nExecStart={TELL}\\n' > /etc/systemd/system/outbox-age.service
printf '[Timer]\\nOnBootSec=60\\nOnUnitActiveSec=60\\n[Install]\\nWantedBy=timers.target\\n' \\
    > /etc/systemd/system/outbox-age.timer
systemctl daemon-reload
command -v aws || dnf install -y awscli-2
systemctl enable --now outbox-age.timer
"""


def make_resources(settings: Settings) -> dict[str, Resource]:
    """Makes the cluster, its group of instances, and the capacity provider that starts and drains them."""
    chosen = settings.emr
    vpc: Any = ref("Network") if chosen.create_network else chosen.service_vpc
    port, version = settings.serve.port, {"Fn::GetAtt": ["InstanceTemplate", "LatestVersionNumber"]}
    called = [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "SourceSecurityGroupId": ref("BalancerGroup")}]
    return {
        "ServiceCluster": Resource("AWS::ECS::Cluster", {"ClusterName": f"{chosen.stack}-{SERVICE}"}),
        "InstanceGroup": make_group(chosen, "instances", "Instances of the service: called by its load balancer", vpc, called),
        "InstanceRole": make_role(f"{chosen.stack}-instance", "ec2.amazonaws.com", make_instance_statements()),
        "InstanceProfile": Resource("AWS::IAM::InstanceProfile", {
            "InstanceProfileName": f"{chosen.stack}-instance", "Roles": [ref("InstanceRole")]}),
        "InstanceTemplate": Resource("AWS::EC2::LaunchTemplate", {"LaunchTemplateData": _make_template(settings)}),
        "Instances": Resource("AWS::AutoScaling::AutoScalingGroup", {
            "MinSize": "0", "MaxSize": str(2 * chosen.service_max),  # an update starts the new ones beside the old
            "NewInstancesProtectedFromScaleIn": True, "VPCZoneIdentifier": list_subnets(chosen),
            "LaunchTemplate": {"LaunchTemplateId": ref("InstanceTemplate"), "Version": version},
            "Tags": [{"Key": "Name", "Value": f"{chosen.stack}-{SERVICE}", "PropagateAtLaunch": True},
                     {"Key": "AmazonECSManaged", "Value": "true", "PropagateAtLaunch": True}]}),
        "ServiceCapacity": Resource("AWS::ECS::CapacityProvider", {"AutoScalingGroupProvider": {
            "AutoScalingGroupArn": ref("Instances"), "ManagedDraining": "ENABLED", "ManagedTerminationProtection": "ENABLED",
            "ManagedScaling": {"Status": "ENABLED", "TargetCapacity": 100}}}),
        "ServiceCapacities": Resource("AWS::ECS::ClusterCapacityProviderAssociations", {
            "Cluster": ref("ServiceCluster"), "CapacityProviders": [ref("ServiceCapacity")],
            "DefaultCapacityProviderStrategy": [{"CapacityProvider": ref("ServiceCapacity"), "Weight": 1}]})}


def make_instance_statements() -> list[dict[str, Any]]:
    """Allows ECS's agent its own cluster, and the age of the outbox to be told; images and logs are the execution role's.

    The division is that of aws-cdk's `Cluster.addCapacity`; AmazonEC2ContainerServiceforEC2Role allows all clusters.
    """
    ours = {"ArnEquals": {"ecs:cluster": arn("ServiceCluster")}}
    return [allow(["ecs:RegisterContainerInstance", "ecs:DeregisterContainerInstance", "ecs:Submit*"], [arn("ServiceCluster")]),
            allow(["ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState"], ["*"], ours),
            allow(["ecs:DiscoverPollEndpoint"], ["*"]),
            allow(["cloudwatch:PutMetricData"], ["*"], {"StringEquals": {"cloudwatch:namespace": NAMESPACE}})]


def write_tell_script(port: int, region: str) -> str:
    """Writes the script that tells CloudWatch the age of the outbox of the service on this machine."""
    return TELL_SCRIPT.replace("PORT", str(port)).replace("REGION", region)


def _make_template(settings: Settings) -> dict[str, Any]:
    script = SET_UP.replace("SCRIPT\n", write_tell_script(settings.serve.port, "${AWS::Region}"))
    return {
        "ImageId": IMAGE, "InstanceType": settings.emr.service_type, "SecurityGroupIds": [ref("InstanceGroup")],
        "IamInstanceProfile": {"Arn": arn("InstanceProfile")}, "UserData": {"Fn::Base64": sub(script)},
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        # The volume of an instance that died keeps its rows: attach it to another one and start `trueup serve` on it.
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {
            "VolumeSize": DISK_GB, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": False}}]}
