"""What is paid for whether anything runs or not: counted in the very template that `trueup emr deploy` would send."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from contract.settings import Settings
from emr.costs.prices import Prices
from emr.costs.span import NOTHING, Span
from emr.costs.stages import MONTH_HOURS


def count_resources(template: Mapping[str, Any]) -> Counter[str]:
    """Counts a template's resources by type; an interface endpoint once for each of its subnets, as it is paid for."""
    counts: Counter[str] = Counter()
    for resource in template["Resources"].values():
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind == "AWS::EC2::VPCEndpoint":
            if properties.get("VpcEndpointType") == "Interface":
                counts["interface endpoints"] += max(1, len(properties.get("SubnetIds", ())))
        else:
            counts[kind] += 1
    return counts


def price_network(counts: Mapping[str, int], settings: Settings, prices: Prices) -> Span:
    """Prices a month of NAT gateways and interface endpoints.

    In a network of one's own the template makes none: it has endpoints that are paid for already, or pays one NAT gateway.
    """
    made = Span.of(MONTH_HOURS * (counts.get("AWS::EC2::NatGateway", 0) * prices.price("nat_hour")
                                  + counts.get("interface endpoints", 0) * prices.price("endpoint_hour")))
    return made if makes_network(settings) else made + Span(0.0, MONTH_HOURS * prices.price("nat_hour"))


def makes_network(settings: Settings) -> bool:
    """Tells whether the stack makes its own network, with a gateway endpoint for S3."""
    return settings.emr.create_network


def price_watching(counts: Mapping[str, int], prices: Prices) -> Span:
    """Prices a month of alarms, and of the metrics made of logs, which are paid for in hours with data only."""
    alarms = counts.get("AWS::CloudWatch::Alarm", 0) * prices.price("alarm_month")
    return Span(alarms, alarms + counts.get("AWS::Logs::MetricFilter", 0) * prices.price("metric_month"))


def price_others(counts: Mapping[str, int], prices: Prices) -> dict[str, Span]:
    """Prices what only some settings make: a load balancer, a key. Nothing of either: no line."""
    kinds = {"load balancer": ("AWS::ElasticLoadBalancingV2::LoadBalancer", MONTH_HOURS * prices.price("load_balancer_hour")),
             "key": ("AWS::KMS::Key", prices.price("kms_key_month"))}
    return {name: NOTHING + Span.of(counts[kind] * each) for name, (kind, each) in kinds.items() if counts.get(kind)}
