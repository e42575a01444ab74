"""A picture is fetched in bounds of time, size and redirects, from listed hosts alone, and nothing of the caller's is sent."""

import gzip
import ssl
import time

import pytest

from contract.errors import UsageError
from inference.auth import Refused
from inference.fetching.fetcher import make_tls
from tests.inference.fetching.web import HOST, Names, answer, fetch, make_certificate, redirect, web

PICTURE = b"\xff\xd8 as bytes go"
HERE = {"url_networks": ["127.0.0.1"], "url_http": True}


def drip(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(300):
        time.sleep(0.05)
        connection.sendall(b"x")


def drip_headers(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for n in range(300):
        time.sleep(0.05)
        connection.sendall(f"X-{n}: 1\r\n".encode())


def endless(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")


def endless_informational(connection):
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def endless_head(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: " + b"y" * 65536 + b"\r\n")


PAGES = {
    "/p": answer(PICTURE), "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
    "/identity": answer(PICTURE, "Content-Encoding: identity"), "/until-close": answer(PICTURE, length=False),
    "/r": redirect("/p"), "/loop": redirect("/loop"), "/away": redirect("http://elsewhere.test/p"), "/cookie": answer(
        b"", "Set-Cookie: a=b", "Location: /p", status="302 Found"),
    "/nowhere": answer(b"", status="302 Found"), "/file": redirect("file:///etc/passwd"), "/user": redirect("http://a:b@pictures.test/"),
    "/404": answer(b"", status="404 Not Found"), "/206": answer(b"abc", status="206 Partial Content"),
    "/gzip": answer(gzip.compress(bytes(10 << 20)), "Content-Encoding: gzip"), "/br": answer(b"abc", "Content-Encoding: br"),
    "/long": answer(b"x" * 2001), "/lies": b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\nabc",
    "/unlike": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "/garbage": b"\0\1\2 hello\r\n\r\n",
    "/empty": b"", "/drip": drip, "/drip-head": drip_headers, "/endless": endless, "/endless-head": endless_head,
    "/endless-1xx": endless_informational, "/most": answer(b"x" * 2000),
}


@pytest.fixture(scope="module")
def server():
    with web(PAGES) as made:
        yield made


@pytest.fixture
def get(server):
    """Fetches a path of the server, by the name that only the test's resolver knows; `get.names` is that resolver."""
    names = Names(pictures_test=["127.0.0.1"])

    def run(path, **settings):
        server.requests.clear()
        return fetch(f"http://{HOST}:{server.port}{path}", names, **{
            "urls": [f"{HOST}:{server.port}"], "max_bytes": 2000, "url_seconds": 5.0} | HERE | settings)

    run.names, run.port, run.requests = names, server.port, server.requests
    return run


@pytest.mark.parametrize(("path", "expected"), [
    ("/p", PICTURE), ("/p?secret=1", PICTURE), ("/chunked", b"abcd"), ("/identity", PICTURE), ("/until-close", PICTURE),
    ("/r", PICTURE), ("/most", b"x" * 2000)])
def test_a_picture_is_fetched(get, path, expected):
    fetched = get(path)
    assert fetched.data == expected and fetched.source_uri == f"http://{HOST}:{get.port}{path.partition('?')[0]}"


def test_nothing_of_the_caller_and_no_credential_is_sent(get, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text(f"machine {HOST} login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    get("/cookie")
    assert [head.splitlines()[0] for head in get.requests] == ["GET /cookie HTTP/1.1", "GET /p HTTP/1.1"]
    for head in get.requests:
        assert sorted(line.partition(":")[0] for line in head.split("\r\n")[1:] if line) == [
            "Accept", "Accept-Encoding", "Connection", "Host", "User-Agent"]
        assert f"\r\nHost: {HOST}:{get.port}\r\n" in head and "Accept-Encoding: identity" in head


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_proxies_of_the_environment_are_not_asked(get, monkeypatch, variable):
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy")
    with web({}) as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        assert get("/p").data == PICTURE and proxy.requests == []


@pytest.mark.parametrize(("path", "reason"), [
    ("/404", "status 404"), ("/206", "status 206"), ("/nowhere", "status 302"), ("/loop", "more than 3 redirects"),
    ("/away", "elsewhere.test, port 80, is not in serve.urls"), ("/file", "expected"), ("/user", "no user"),
    ("/gzip", "compressed"), ("/br", "compressed"), ("/long", "2,001 bytes, more than"), ("/lies", "RemoteProtocolError"),
    ("/unlike", "RemoteProtocolError"), ("/garbage", "RemoteProtocolError"), ("/empty", "RemoteProtocolError"),
    ("/endless", "more than 2,000 bytes"), ("/endless-head", "RemoteProtocolError")])
def test_what_is_wrong_at_the_other_end_is_a_reason(get, path, reason):
    assert reason in get(path)


@pytest.mark.parametrize("path", ["/drip", "/drip-head", "/endless-1xx"])
def test_all_of_it_must_come_in_time(get, path):
    began = time.monotonic()
    assert "not all of it came within 0.5 s" in get(path, url_seconds=0.5)
    assert time.monotonic() - began < 2


def test_a_resolver_that_hangs_has_no_more_time_either(get):
    get.names.names[HOST] = lambda: time.sleep(3)
    began = time.monotonic()
    assert "not all of it came within 0.3 s" in get("/p", url_seconds=0.3)
    assert time.monotonic() - began < 1.5


def test_no_redirects_and_many_by_setting(get):
    assert get("/r", url_redirects=0) == "more than 0 redirects"
    assert get("/loop", url_redirects=20) == "more than 20 redirects" and len(get.requests) == 21


@pytest.mark.parametrize("addresses", [
    ["10.0.0.5"], ["169.254.169.254"], ["::1"], ["::ffff:127.0.0.2"], ["64:ff9b::7f00:2"], ["fe80::1%eth0"],
    ["127.0.0.1", "10.0.0.5"], ["8.8.8.8", "127.0.0.2"], ["0.0.0.0"], []])
def test_a_name_of_which_one_address_is_not_public_is_not_asked(get, addresses):
    get.names.names[HOST] = addresses
    assert ("not public" in (reason := get("/p")) or "no address" in reason) and get.requests == []


def test_the_machine_itself_is_not_public_without_being_listed(get):
    assert "127.0.0.1 is not public" in get("/p", url_networks=[]) and get.requests == []


def test_the_address_that_was_checked_is_connected_to(get):
    """Rebinding: the second answer of the resolver would be another one, and is never asked for."""
    get.names.names[HOST] = [["127.0.0.1"], ["169.254.169.254"]]
    assert get("/p").data == PICTURE and get.names.asked == [HOST]
    get.names.names[HOST], get.names.asked = [["127.0.0.1"], ["169.254.169.254"]], []
    assert "169.254.169.254 is not public" in get("/r") and get.names.asked == [HOST, HOST]
    assert len(get.requests) == 1


def test_the_next_address_is_tried_when_one_does_not_answer(get):
    get.names.names[HOST] = ["127.0.0.3", "127.0.0.1"]
    assert get("/p", url_networks=["127.0.0.0/8"]).data == PICTURE


def test_a_redirect_to_a_private_address_is_not_followed(get):
    """Listed hosts alone are asked; and a listed one that became private is not."""
    inside = Names(pictures_test=["127.0.0.1"], elsewhere_test=["127.0.0.9"])
    reason = fetch(f"http://{HOST}:{get.port}/away", inside, urls=[f"{HOST}:{get.port}", "elsewhere.test"], **HERE)
    assert "127.0.0.9 is not public" in reason and inside.asked == [HOST, "elsewhere.test"]


@pytest.mark.parametrize(("url", "reason"), [
    ("http://other.test/p", "other.test, port 80, is not in"), ("http://127.0.0.1:{port}/p", "127.0.0.1, port"),
    ("http://pictures.test/p", "port 80, is not in"), ("http://pictures.test.evil.test:{port}/p", "is not in"),
    ("http://evil.test:{port}#pictures.test:{port}/p", "is not in"), ("http://[::1]:{port}/p", "is not in"),
    ("http://2130706433:{port}/p", "four decimal"),
    ("s3://bucket/key", "is not in serve.urls"), ("http://pictures.test:{port}@evil/", "no user")])
def test_hosts_that_are_not_listed_are_not_even_resolved(get, url, reason):
    assert reason in fetch(url.format(port=get.port), get.names, urls=[f"{HOST}:{get.port}"], **HERE)
    assert get.names.asked == []


def test_http_is_taken_by_setting_alone(get):
    assert get("/p", url_http=False) == "http is taken only with serve.url_http"


def test_memory_is_reserved_before_a_byte_is_read(get):
    asked, of = [], {"urls": [f"{HOST}:{get.port}"], "max_bytes": 2000} | HERE
    for path in ("/p", "/chunked"):
        fetch(f"http://{HOST}:{get.port}{path}", get.names, reserve=asked.append, **of)
    assert asked == [len(PICTURE), 2000]

    def refuse(size):
        raise Refused(503, "queue_full", "no room")

    with pytest.raises(Refused, match="no room"):
        fetch(f"http://{HOST}:{get.port}/endless", get.names, reserve=refuse, **of)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    return {"right": make_certificate(folder, [HOST], "right"),
            "wrong": make_certificate(folder, ["other.test", "127.0.0.1"], "wrong"),
            "old": make_certificate(folder, [HOST], "old", days=-1)}


@pytest.mark.parametrize(("which", "believed", "expected"), [
    ("right", "right", PICTURE), ("wrong", "wrong", "CERTIFICATE_VERIFY_FAILED"), ("old", "old", "CERTIFICATE_VERIFY_FAILED"),
    ("right", "wrong", "CERTIFICATE_VERIFY_FAILED"), ("right", None, "CERTIFICATE_VERIFY_FAILED")])
def test_tls_is_of_the_name_although_the_address_is_connected_to(authority, which, believed, expected):
    (tls, _), ca = authority[which], authority[believed][1] if believed else None
    named = []
    tls.sni_callback = lambda connection, name, context: named.append(name)
    with web({"/p": answer(PICTURE)}, tls) as server:
        found = fetch(f"https://{HOST}:{server.port}/p", Names(pictures_test=["127.0.0.1"]), urls=[f"{HOST}:{server.port}"],
                      url_networks=["127.0.0.1"], url_ca_file=ca)
    assert named == [HOST]
    assert expected in found if isinstance(expected, str) else found.data == expected


def test_a_file_of_authorities_that_is_none(tmp_path):
    (tmp_path / "ca").write_text("no certificate")
    for path in (tmp_path / "ca", tmp_path / "absent"):
        with pytest.raises(UsageError, match="expected a PEM file"):
            make_tls(str(path))
    assert make_tls(None).verify_mode is ssl.CERT_REQUIRED and make_tls(None).check_hostname
