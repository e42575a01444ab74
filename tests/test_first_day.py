"""A first day on an S3, by the commands of its own: `make test-slow K=s3`."""

import pytest

from contract import clock, layout
from contract.registry import Registry
from contract.storage import open_root
from pipeline.demo import first_day


@pytest.mark.slow("s3")
def test_a_first_day_leaves_what_a_turn_retrains_on(s3_root, capfd):
    storage = open_root(s3_root, create=True)
    assert first_day.main(["--root", s3_root, "--model", "few", "--size", "0.1", "--json"]) == 0
    assert '"predictions": 50' in capfd.readouterr().out and Registry(storage, "few").live() == "1"
    day = clock.day_of(clock.now())
    assert all(list(storage.list(layout.day_folder(table, day))) for table in (layout.PREDICTIONS, layout.LABELS))
    assert len(list(storage.list("images/"))) > 50
