"""The inference service (`emr.service_image`): ECS on EC2 behind a load balancer, one task an instance.

An answer of the service means that its row is durable in the outbox, so the outbox lies on the instance's own volume
(service_instances.py), and a task ends only after it shipped: the load balancer stops sending, SIGTERM, `serve` ships.
"""

import math
from typing import Any

from contract.errors import UsageError
from contract.settings import Settings
from emr.access import SERVICE
from emr.template import service_instances
from emr.template.network import PUBLIC, WORLD, make_group
from emr.template.parts import REGION, Resource, arn, make_role, ref, sub
from emr.template.schedule import LOG_RETENTION_DAYS, make_environment

OUTBOX = "/outbox"
END_SECONDS, MARGIN_SECONDS = 10, 20  # of `serve` after its own limits (inference/serve.py), and ours beside them
START_SECONDS = 180  # a model is read and tried before the first good answer of /health/ready
TLS = "ELBSecurityPolicy-TLS13-1-2-2021-06"
PROXIES = "serve.trusted_proxies"


def make_resources(root: str, settings: Settings) -> dict[str, Resource]:
    """Makes the service with its load balancer and instances; nothing without an image of it."""
    chosen = settings.emr
    if chosen.service_image is None:
        return {}
    _check(settings)
    resources = {
        "ServiceLogs": Resource("AWS::Logs::LogGroup", {"LogGroupName": f"/trueup/{chosen.stack}-{SERVICE}",
                                                        "RetentionInDays": LOG_RETENTION_DAYS}),
        "ServiceExecutionRole": make_role(
            f"{chosen.stack}-{SERVICE}-execution", "ecs-tasks.amazonaws.com", [],
            [sub("arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy")]),
        "ServiceTask": Resource("AWS::ECS::TaskDefinition", {
            "Family": f"{chosen.stack}-{SERVICE}", "NetworkMode": "host", "RequiresCompatibilities": ["EC2"],
            "TaskRoleArn": arn("ServeRole"), "ExecutionRoleArn": arn("ServiceExecutionRole"),
            "Volumes": [{"Name": "outbox", "Host": {"SourcePath": service_instances.FOLDER}}],
            "ContainerDefinitions": [_make_container(root, settings)]}),
        "Service": _make_service(settings)}
    return resources | _make_balancer(settings) | _make_scaling(settings) | service_instances.make_resources(settings)


def needs_public_subnets(settings: Settings) -> bool:
    """Tells whether the load balancer of a made network answers the internet."""
    return settings.emr.service_image is not None and settings.emr.service_public


def compute_stop_seconds(settings: Settings) -> int:
    """Computes how long ECS waits after SIGTERM: longer than `serve` takes at the most."""
    return math.ceil(settings.serve.stop_seconds + settings.serve.deadline_seconds) + END_SECONDS + MARGIN_SECONDS


def make_outputs(settings: Settings) -> dict[str, Any]:
    """Makes the address that the service answers at, for a name of one's own to point to."""
    found = {"Fn::GetAtt": ["Balancer", "DNSName"]}
    return {"ServiceAddress": {"Value": found}} if settings.emr.service_image else {}


def _check(settings: Settings) -> None:
    chosen = settings.emr
    settings.need_model()
    if not chosen.create_network and not (chosen.subnets and chosen.service_vpc and len(chosen.service_balancer_subnets) > 1):
        raise UsageError("emr.service_image is set: expected emr.subnets for its instances, emr.service_vpc and two of "
                         "emr.service_balancer_subnets as well. Name them, or set emr.create_network.")
    if chosen.service_public and not chosen.service_certificate:
        raise UsageError("emr.service_public: expected emr.service_certificate beside it, since keys would travel in the open. "
                         "Ask ACM for a certificate and name its ARN.")
    if chosen.service_certificate and not chosen.create_network and PROXIES not in settings.origins:
        raise UsageError("emr.service_certificate: expected serve.trusted_proxies to name the networks of the load balancer's "
                         "subnets, e.g. [10.0.0.0/16]: only from there X-Forwarded-Proto is believed.")


def _make_container(root: str, settings: Settings) -> dict[str, Any]:
    chosen = settings.emr
    variables = {name: value for name, value in make_environment(root, settings).items() if not name.startswith("TRUEUP_EMR_")}
    if chosen.create_network and PROXIES not in settings.origins:
        variables["TRUEUP_SERVE_TRUSTED_PROXIES"] = f'["{chosen.network_cidr}"]'
    # Agents of before 2026-04 give a task no region (aws/containers-roadmap#1611).
    environment = [{"Name": name, "Value": value} for name, value in sorted(variables.items())] + [
        {"Name": "AWS_REGION", "Value": REGION}]
    logs = {"awslogs-group": ref("ServiceLogs"), "awslogs-region": REGION, "awslogs-stream-prefix": SERVICE}
    return {
        "Name": SERVICE, "Image": chosen.service_image, "Essential": True, "Memory": chosen.service_memory,
        "StopTimeout": compute_stop_seconds(settings), "Environment": environment,
        "Command": ["serve", "--host", "0.0.0.0", "--port", str(settings.serve.port), "--outbox", OUTBOX],
        "PortMappings": [{"ContainerPort": settings.serve.port, "HostPort": settings.serve.port, "Protocol": "tcp"}],
        "MountPoints": [{"SourceVolume": "outbox", "ContainerPath": OUTBOX}],
        "LogConfiguration": {"LogDriver": "awslogs", "Options": logs}}


def _make_service(settings: Settings) -> Resource:
    stopped = {"DesiredCount": 0} if settings.emr.service_max == 0 else {}  # else autoscaling's, which an update leaves alone
    return Resource("AWS::ECS::Service", {
        "ServiceName": f"{settings.emr.stack}-{SERVICE}", "Cluster": ref("ServiceCluster"), "TaskDefinition": ref("ServiceTask"),
        "CapacityProviderStrategy": [{"CapacityProvider": ref("ServiceCapacity"), "Weight": 1}], **stopped,
        "PlacementConstraints": [{"Type": "distinctInstance"}],  # no two share an outbox
        "HealthCheckGracePeriodSeconds": START_SECONDS,
        # A new task is ready on a new instance before an old one goes; a version that never is ready is rolled back.
        "DeploymentConfiguration": {"MinimumHealthyPercent": 100, "MaximumPercent": 200,
                                    "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True}},
        "LoadBalancers": [{"ContainerName": SERVICE, "ContainerPort": settings.serve.port, "TargetGroupArn": ref("Targets")}]},
        after=("Listener", "ServiceCapacities"))


def _make_balancer(settings: Settings) -> dict[str, Resource]:
    chosen = settings.emr
    vpc: Any = ref("Network") if chosen.create_network else chosen.service_vpc
    own = [ref(name) for name in (PUBLIC if chosen.service_public else ("PrivateSubnet1", "PrivateSubnet2"))]
    group = make_group(settings.emr, "balancer", "Load balancer", vpc, [
        {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": chosen.service_from} for port in _list_ports(settings)])
    to = {"IpProtocol": "tcp", "FromPort": settings.serve.port, "ToPort": settings.serve.port, "CidrIp": WORLD}
    return {
        "BalancerGroup": Resource(group.kind, {**group.properties, "SecurityGroupEgress": [to]}),
        "Balancer": Resource("AWS::ElasticLoadBalancingV2::LoadBalancer", {
            "Type": "application", "Scheme": "internet-facing" if chosen.service_public else "internal",
            "Subnets": own if chosen.create_network else list(chosen.service_balancer_subnets),
            "SecurityGroups": [ref("BalancerGroup")],
            "LoadBalancerAttributes": [{"Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true"}]},
            after=("PublicRoute",) if chosen.create_network and chosen.service_public else ()),
        "Targets": Resource("AWS::ElasticLoadBalancingV2::TargetGroup", {
            "Protocol": "HTTP", "Port": settings.serve.port, "VpcId": vpc, "TargetType": "instance",
            "HealthCheckPath": "/health/ready", "HealthCheckIntervalSeconds": 10, "HealthCheckTimeoutSeconds": 5,
            "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 3, "Matcher": {"HttpCode": "200"},
            "TargetGroupAttributes": [{"Key": "deregistration_delay.timeout_seconds",
                                       "Value": str(math.ceil(settings.serve.deadline_seconds))}]}),
        **_make_listeners(settings)}


def _list_ports(settings: Settings) -> tuple[int, ...]:
    return (443, 80) if settings.emr.service_certificate else (80,)


def _make_listeners(settings: Settings) -> dict[str, Resource]:
    forward = [{"Type": "forward", "TargetGroupArn": ref("Targets")}]
    listener: dict[str, Any] = {"LoadBalancerArn": ref("Balancer"), "DefaultActions": forward}
    if not settings.emr.service_certificate:
        return {"Listener": Resource("AWS::ElasticLoadBalancingV2::Listener", {**listener, "Port": 80, "Protocol": "HTTP"})}
    secure = {"Port": 443, "Protocol": "HTTPS", "SslPolicy": TLS, "Certificates": [
        {"CertificateArn": settings.emr.service_certificate}]}
    moved = [{"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}]
    return {"Listener": Resource("AWS::ElasticLoadBalancingV2::Listener", listener | secure),
            "PlainListener": Resource("AWS::ElasticLoadBalancingV2::Listener", {
                **listener, "Port": 80, "Protocol": "HTTP", "DefaultActions": moved})}


def _make_scaling(settings: Settings) -> dict[str, Resource]:
    chosen = settings.emr
    target = {"MinCapacity": chosen.service_min, "MaxCapacity": chosen.service_max, "ServiceNamespace": "ecs",
              "ScalableDimension": "ecs:service:DesiredCount",
              "ResourceId": sub(f"service/${{ServiceCluster}}/{chosen.stack}-{SERVICE}")}
    label = sub("${Balancer.LoadBalancerFullName}/${Targets.TargetGroupFullName}")
    return {
        "ServiceScaling": Resource("AWS::ApplicationAutoScaling::ScalableTarget", target, after=("Service",)),
        "ServicePolicy": Resource("AWS::ApplicationAutoScaling::ScalingPolicy", {
            "PolicyName": f"{chosen.stack}-{SERVICE}", "PolicyType": "TargetTrackingScaling",
            "ScalingTargetId": ref("ServiceScaling"), "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": chosen.service_requests, "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}}})}
