"""What a start of the schedule costs that finds too few labels: `trueup cycle --runner emr` on a bucket, as the container
of the schedule runs it.

    python -m benchmarks.schedule [--rows 20000] [--days 30] [--repeats 3] [--json]

Whole processes, on moto's S3 over HTTP. The first start counts all days; each later one finds one label more, which is
too few, and asks for no cluster (there is no account here, so asking for one would fail).
"""

import argparse
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

from moto.server import ThreadedMotoServer

from benchmarks.incremental import add_late_label, bucket, make_day
from benchmarks.timed import Case, alternate, table, trueup
from contract.errors import CANNOT_TELL
from contract.storage import open_root
from contract.stores.store import Storage
from tests.conftest import FAKE_AWS
from tests.fakes.s3 import make_bucket
from tests.inference.published import publish_tiny

MODEL = "m"


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000, help="predictions a day")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    found = measure(given.days, given.rows, given.repeats)
    print(json.dumps(found) if given.json else text(found))
    return 0


def measure(days: int, rows: int, repeats: int) -> dict[str, dict[str, float]]:
    """{"first" | "later": {"wall", "cpu"}} in seconds; of the later starts the median."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, FAKE_AWS | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}):
        make_bucket("schedule")
        storage = open_root("s3://schedule/root", create=True)
        publish_tiny(storage, MODEL)
        local = bucket(Path(folder), make_day(Path(folder), rows), days)
        upload(local, storage)
        first = Case("first", command(storage.root))
        later = Case("later", command(storage.root), before=lambda: (add_late_label(local), upload(local, storage)))
        alternate([first], 1)
        alternate([later], repeats)
    server.stop()
    return {case.name: {"wall": case.median("wall"), "cpu": case.median("cpu")} for case in (first, later)}


def upload(local: Path, storage: Storage) -> None:
    """Brings what is not in the bucket yet."""
    for path in sorted(local.glob("*/dt=*/*.parquet")):
        key = path.relative_to(local).as_posix()
        if not storage.exists(key):
            storage.put_file(key, path)


def command(root: str) -> list[str]:
    """One start; too few labels is the outcome that is wanted, and any other fails."""
    start = trueup("cycle", "--runner", "emr", "--root", root, "--model", MODEL, "--set", "gates.min_new_labels=100000000")
    return ["bash", "-c", f'"$@"; code=$?; [ $code = {CANNOT_TELL} ] || exit $((code + 100))', "start", *start]


def text(found: dict[str, dict[str, float]]) -> str:
    """The table, for people."""
    rows = [(name, f"{row['wall']:.1f}", f"{row['cpu']:.1f}") for name, row in found.items()]
    return table([("start of the schedule", "seconds", "of processor"), *rows])


if __name__ == "__main__":
    sys.exit(main())
