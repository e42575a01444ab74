"""A service on a terminal begins with its address and, where there are no keys, the first administrator's link."""

import re

from contract.errors import RootError
from contract.storage import open_root
from inference.auth import NoAuth
from inference.keys import KeyRing
from inference.serve import welcome

URL = "http://127.0.0.1:8080"


def test_the_first_administrator_has_a_link_that_works(tmp_root, capsys):
    ring = KeyRing(open_root(tmp_root, create=True), cache_seconds=0)
    welcome(URL, ["digits", "animals"], ring)
    said = capsys.readouterr().err
    assert said.splitlines()[:3] == ["Trueup serves digits, animals", "", f"  {URL}"] and "\x1b" not in said
    assert ring.is_invited(re.search(r"/login\?invite=(\S+)", said)[1])


def test_where_there_are_keys_nobody_is_invited(tmp_root, capsys):
    ring = KeyRing(open_root(tmp_root, create=True), cache_seconds=0)
    ring.add("ada", ["admin"])
    welcome(URL, ["digits"], ring)
    said = capsys.readouterr().err
    assert "invite" not in said and "Log in with a key" in said


def test_without_keys_it_says_so(capsys):
    welcome(URL, ["digits"], NoAuth())
    assert "Without keys" in capsys.readouterr().err


def test_a_store_that_is_away_keeps_no_service_from_starting(tmp_root, capsys, monkeypatch):
    ring = KeyRing(open_root(tmp_root, create=True))
    monkeypatch.setattr(ring, "invite", lambda: (_ for _ in ()).throw(RootError("the store is away")))
    welcome(URL, ["digits"], ring)
    assert "not known: RootError: the store is away" in capsys.readouterr().err
