"""Which URLs are taken, as whose address, and which hosts, objects and addresses may be asked."""

import ipaddress
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.sections.urls import Bucket, Place, UrlSettings, parse_place
from inference.fetching.address import Address, Object, follow, is_listed, is_listed_object, parse_host, parse_url
from inference.fetching.errors import NotFetched
from inference.fetching.networks import is_public, may_be_asked


@pytest.mark.parametrize(("text", "expected"), [
    ("https://a.example/p.jpg", Address("https", "a.example", 443, "/p.jpg")),
    ("HTTPS://A.Example.:443/p.jpg?sig=1#part", Address("https", "a.example", 443, "/p.jpg?sig=1")),
    ("http://a.example:8080", Address("http", "a.example", 8080, "/")),
    ("https://a.example?x=1", Address("https", "a.example", 443, "/?x=1")),
    ("https://bücher.example/ü", Address("https", "xn--bcher-kva.example", 443, "/%C3%BC")),
    ("https://[2001:DB8:0::1]/x", Address("https", "2001:db8::1", 443, "/x")),
    ("https://[::ffff:127.0.0.1]/x", Address("https", "::ffff:7f00:1", 443, "/x")),
    ("https://１２７.0.0.1/x", Address("https", "127.0.0.1", 443, "/x")),  # as browsers read it; then judged as that
    ("https://127。0。0。1/x", Address("https", "127.0.0.1", 443, "/x")),
    ("https://a_b.example/x", Address("https", "a_b.example", 443, "/x")),
    ("https://a.example//x/../y", Address("https", "a.example", 443, "//x/../y")),
    ("s3://bucket/some/key.jpg", Object("bucket", "some/key.jpg")),
])
def test_a_url_is_taken_apart(text, expected):
    assert parse_url(text) == expected


@pytest.mark.parametrize("text", [
    "", "p.jpg", "//a.example/x", "https:///x", "https://", "https:a.example/x", "ftp://a.example/x", "file:///etc/passwd",
    "gopher://a.example/", "data:image/png;base64,AA", "javascript:alert(1)",
    "https://user@a.example/x", "https://user:pass@a.example/x", "https://a.example@evil.example/x",
    "https://a.example%40evil.example/x", "https://a.example\\@evil.example/x", "https://evil.example\\.a.example/x",
    "https://a.example:443@evil.example/", "https://a.example%2eevil.example/", "https://a.example:0/x",
    "https://a.example:65536/", "https://a.example:x/", "https://a.example:-1/", "https://a.example: 80/", "https://a.example:/x:y@z/",
    "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://017700000001/", "https://0177.0.0.1/",
    "https://127.1/", "https://127.0.1/", "https://127.0.0.1.2/", "https://127.0.0.0x1/", "https://127.0.0.1e/../@x y",
    "https://[::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[::1]x/", "https://[::1", "https://::1/", "https://[127.0.0.1]/",
    "https://a..example/", "https://.example/", f"https://{'a' * 64}.example/", f"https://{'a.' * 130}example/",
    "https://a.example/\r\nHost: b", "https://a.example/\tx", "https://a.example/\0", "https://a.example/ x", " https://a.example/",
    "https://a.example/<x>", "https://a.exa\u200bmple/", "https://a.example|/", f"https://a.example/{'x' * 9000}",
    "s3://bucket", "s3://bucket/", "s3://b/key", "s3://Bucket/key", "s3://bucket/a/../b", "s3://bucket//a", "s3://bucket/a/",
    "s3://bucket/key?versionId=1", "s3://user@bucket/key",
])
def test_what_could_be_read_in_two_ways_is_no_url(text):
    with pytest.raises(NotFetched):
        found = parse_url(text)
        assert found is None, found


def test_what_is_kept_of_a_url_holds_no_credential():
    assert parse_url("https://A.example:8443/p.jpg?X-Amz-Signature=abc#f").source_uri == "https://a.example:8443/p.jpg"
    assert parse_url("https://[2001:db8::1]:444/p?x").source_uri == "https://[2001:db8::1]:444/p"


PIECES = ["https", "http", "s3", "file", "://", ":/", "//", "/", "\\", "@", ":", "443", "80", "%40", "%2e", "%00", "[", "]",
          "::1", "?", "#", ".", "..", "a.example", "evil.example", "127.0.0.1", "127.1", "0x7f", "2130706433", "user", "。", "\t",
          "\n", " ", "é", "１", "-", "&"]
TEXTS = st.one_of(st.text(max_size=60).map(lambda text: f"https://{text}"),
                  st.lists(st.sampled_from(PIECES), max_size=9).map("".join),
                  st.lists(st.sampled_from(PIECES), max_size=9).map(lambda pieces: "https://a.example" + "".join(pieces)))


@given(TEXTS)
@settings(max_examples=600)
def test_what_is_taken_means_the_same_host_to_other_parsers(text):
    """Two parsers that disagree are how a list of hosts is got around: urllib's and httpx's are asked about what ours takes."""
    try:
        found = parse_url(text)
    except NotFetched:
        return
    if isinstance(found, Object):
        assert text.lower().startswith(f"s3://{found.bucket}/")
        return
    assert found.host.isascii() and not set(found.host) & set("\r\n\t \0\\@#/?") and not set(found.target) & set("\r\n\t \0\\#")
    assert parse_url(found.source_uri).host == found.host
    plain = urlsplit(text)
    assert parse_host(f"[{plain.hostname}]" if ":" in (plain.hostname or "") else plain.hostname or "") == found.host
    assert (plain.port or {"http": 80, "https": 443}[found.scheme]) == found.port and plain.username is None
    with suppress(httpx.InvalidURL):
        assert parse_host(f"[{httpx.URL(text).host}]" if ":" in httpx.URL(text).host else httpx.URL(text).host) == found.host


@pytest.mark.parametrize(("location", "expected"), [
    ("/other?x=1", "https://a.example:444/other"), ("next.jpg", "https://a.example:444/d/next.jpg"),
    ("//b.example/x", "https://b.example/x"), ("http://b.example/x", "http://b.example/x"),
    ("https://user@b.example/", None), ("file:///etc/passwd", None), ("s3://bucket/key", None), ("https://[::1/", None),
    ("\\\\b.example/x", None), ("https://2130706433/", None), ("http:\\\\b.example", None)])
def test_a_redirect_is_read_as_a_url_is(location, expected):
    base = parse_url("https://a.example:444/d/p.jpg?secret=1")
    if expected is None:
        with pytest.raises(NotFetched):
            follow(base, location)
    else:
        assert follow(base, location).source_uri == expected


@pytest.mark.parametrize(("url", "listed"), [
    ("https://a.example/", True), ("https://a.example./", True), ("https://a.example:444/", False), ("http://a.example/", True),
    ("https://b.a.example/", False), ("https://a.example.evil.example/", False), ("https://x.wild.example/", True),
    ("https://x.y.wild.example/", True), ("https://wild.example/", False), ("https://evilwild.example/", False),
    ("https://port.example:8443/", True), ("https://port.example/", False), ("http://port.example:8443/", True),
    ("https://10.1.2.3/", True), ("https://10.1.2.4/", False), ("https://[2001:db8::5]/", True),
    ("https://[2001:db8:0::5]/", True)])
def test_hosts_are_listed_with_their_ports(url, listed):
    places = [parse_place(text) for text in ("a.example", "*.wild.example", "port.example:8443", "10.1.2.3", "[2001:db8::5]")]
    assert is_listed(parse_url(url), places) is listed


@pytest.mark.parametrize(("key", "listed"), [
    ("in/a.jpg", True), ("in/root/x.jpg", False), ("in/root-2/x.jpg", True), ("inside/a.jpg", False), ("a.jpg", False),
    ("in", False)])
def test_objects_are_listed_by_the_beginning_of_their_keys_and_never_of_the_root(key, listed):
    assert is_listed_object(Object("bucket", key), [parse_place("s3://bucket/in")], "s3://bucket/in/root") is listed
    assert not is_listed_object(Object("bucket", key), [parse_place("s3://bucket")], "s3://bucket")
    assert not is_listed_object(Object("other", key), [parse_place("s3://bucket")], "/folder")


@pytest.mark.parametrize("entry", ["*", "*.org", "https://a.example", "A.example", "a.example/", "a..b", "", "a.example:0",
                                   "a.example:70000", "bücher.example", "s3://B/x", "s3://", "user@a.example", "-a.example"])
def test_entries_that_mean_nothing_are_refused(entry):
    with pytest.raises(ValidationError, match="expected a"):
        UrlSettings(urls=[entry])


def test_entries_of_both_kinds():
    assert parse_place("s3://bucket/some/prefix") == Bucket("bucket", "some/prefix")
    assert parse_place("*.a.example:81") == Place("a.example", True, 81)
    with pytest.raises(ValidationError, match="expected an address or a network"):
        UrlSettings(url_networks=["10.0.0.1/8"])


# The special ranges as their registries and the clouds' manuals name them; at least one address of each, and its neighbours.
PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1",
    "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255",
    "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::127.0.0.1", "64:ff9b::a00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:1:2:3:4:5:6", "2001:db8::1", "2002:7f00:1::",
    "2002:a00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fd12::1", "fe80::1", "fec0::1", "ff02::1"]
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1",
    "168.63.129.15", "169.253.0.1", "172.15.255.255", "172.32.0.1", "192.167.0.1", "192.169.0.1", "198.17.0.1",
    "198.20.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888", "::ffff:8.8.8.8",
    "64:ff9b::808:808"]


def test_which_addresses_are_public():
    assert [text for text in PRIVATE if is_public(ipaddress.ip_address(text))] == []
    assert [text for text in PUBLIC if not is_public(ipaddress.ip_address(text))] == []


def test_listed_networks_count_as_public_and_zones_never_do():
    listed = [ipaddress.ip_network(text) for text in ("10.1.0.0/16", "fd00:1::/32", "fe80::/10")]
    for text, asked in (("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("64:ff9b::10.1.2.3", True), ("10.2.0.1", False),
                        ("fd00:1::5", True), ("fd00:2::5", False), ("fe80::1%eth0", False), ("8.8.8.8", True)):
        assert may_be_asked(ipaddress.ip_address(text), listed) is asked, text
