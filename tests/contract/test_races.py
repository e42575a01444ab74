"""Raced publishers: in every race one wins, no number is used twice, and every record of the history is true."""

import threading

import pytest

from contract.documents.card import Card, Preprocess
from contract.errors import PointerMoved
from contract.registry import Registry, file_sha256
from contract.storage import open_root

FRESH = 10  # in every so many races the publishers are new: they have to find where the history stands


def raced(root, folder, races, publishers=3):
    """So many races of publishers, each with a version of its own, all having seen the same version live."""
    (folder / "w").write_bytes(b"w")
    digest, winners, numbers = file_sha256(folder / "w"), [], []

    def publish(registry, live, barrier):
        barrier.wait()
        number = registry.claim(by="race")
        numbers.append(number)
        registry.write_version(Card(model="digits", version=number, created_at="t", network="n", classes=["a"],
                                    preprocess=Preprocess(), weights_sha256=digest, weights_bytes=1), folder / "w")
        barrier.wait()
        try:
            record = registry.promote(number, by=f"publisher of {number}", reason="race", expected_live=live)
            winners.append((live, number, record.seq))
        except PointerMoved:
            pass

    for n in range(races):
        if n % FRESH == 0:  # a publisher shares nothing with the others but the store
            registries = [Registry(open_root(root), "digits") for _ in range(publishers)]
        live, barrier = winners[-1][1] if winners else None, threading.Barrier(publishers)
        threads = [threading.Thread(target=publish, args=(registry, live, barrier)) for registry in registries]
        [t.start() for t in threads]
        [t.join() for t in threads]
    return winners, numbers


def check(root, winners, numbers, races, publishers=3):
    registry = Registry(open_root(root), "digits")
    assert len(winners) == races and sorted(map(int, numbers)) == list(range(1, publishers * races + 1))
    told = [(r.change["replaces"], r.change["version"], r.seq) for r in registry.history()]
    assert told == winners and [r.seq for r in registry.history()] == list(range(1, races + 1))
    assert all(r.state.live == r.change["version"] and r.change["by"] == f"publisher of {r.state.live}"
               for r in registry.history())


def test_forty_races_on_disk(tmp_root, tmp_path):
    open_root(tmp_root, create=True)
    check(tmp_root, *raced(tmp_root, tmp_path, 40), 40)


@pytest.mark.slow("kills")
def test_a_thousand_races_on_disk(tmp_root, tmp_path):
    open_root(tmp_root, create=True)
    check(tmp_root, *raced(tmp_root, tmp_path, 1000), 1000)


@pytest.mark.slow("s3")
@pytest.mark.timeout(1200)  # 30,000 requests: 4 minutes on a quiet machine
def test_a_thousand_races_on_s3(s3_root, tmp_path):
    open_root(s3_root, create=True)
    check(s3_root, *raced(s3_root, tmp_path, 1000, publishers=2), 1000, publishers=2)
