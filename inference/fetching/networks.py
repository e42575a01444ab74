"""Which addresses are public: those that everybody on the internet reaches, so that fetching from them reveals nothing.

By the registries of special addresses (IANA; RFC 6890 and its successors), as the module ipaddress has them, and what that
leaves out. An IPv6 address that stands for an IPv4 one is judged as that one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# 6to4 relays; Azure's platform, which has a public address within each machine of a customer; IETF protocol assignments.
NOT_PUBLIC_4 = tuple(map(ipaddress.IPv4Network, ("192.88.99.0/24", "168.63.129.16/32", "192.0.0.0/24")))
# IETF protocols with Teredo, documentation, 6to4, documentation.
NOT_PUBLIC_6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))


def find_meant(ip: Ip) -> Ip:
    """Returns the IPv4 address that an IPv6 one stands for (::ffff:1.2.3.4, 64:ff9b::1.2.3.4), else the address itself."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return ip.ipv4_mapped
        if ip in NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def is_public(ip: Ip) -> bool:
    """Says whether an address is one of the internet's: no private, local, shared, reserved or multicast one."""
    ip = find_meant(ip)
    if isinstance(ip, ipaddress.IPv4Address):
        special = ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback or ip.is_link_local
        return ip.is_global and not special and not any(ip in network for network in NOT_PUBLIC_4)
    return ip in GLOBAL_UNICAST and ip.is_global and not any(ip in network for network in NOT_PUBLIC_6)


def may_be_asked(ip: Ip, listed: Sequence[Network]) -> bool:
    """Says whether an address is public, or in one of the listed networks. One with a zone (fe80::1%eth0) is neither."""
    if isinstance(ip, ipaddress.IPv6Address) and ip.scope_id is not None:
        return False
    meant = find_meant(ip)
    return is_public(ip) or any(meant in network or ip in network for network in listed)
