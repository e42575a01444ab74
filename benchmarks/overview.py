"""How long `/overview` takes at years of history: the first look after a start, and those after it.

    python -m benchmarks.overview [--days 1000] [--classes 10] [--models 1]

A root of one judged evaluation a day, each of 28 days, is made in a temporary folder; the page is asked for in this process.
"""

import argparse
import json
import re
import tempfile
import time
from datetime import date, timedelta

from contract import layout
from contract.storage import open_root
from inference.auth import NoAuth
from tests import figures
from tests.inference.overview import years
from tests.inference.small_service import MODEL, SmallService, application
from tests.inference.versions.client import Client

WINDOW = 28
DAY = re.compile(rb"20\d\d-\d\d-\d\d")


def write_days(storage, days: int, classes: int, models: int) -> None:
    """Writes one evaluation and decision for each day, moved copies of one that was computed."""
    names = [f"c{i}" for i in range(classes)]
    cells = [figures.cell(name, names[i - wrong], 0.9, "audit", 0.5, n=4) for i, name in enumerate(names) for wrong in (0, 1)]
    last = [(years.LAST - timedelta(days=n)).isoformat() for n in reversed(range(WINDOW))]
    made = years.write_evaluation(storage, [figures.day(cells, day) for day in last], "pass")
    evaluation, decision = (storage.read(key(MODEL, made)) for key in (layout.evaluation_document, layout.decision))
    for back in range(days):
        name = f"{years.LAST + timedelta(days=1 - back):%Y%m%d}T120000Z-00000000"
        moved = [_move(data, back).replace(made.encode(), name.encode()) for data in (evaluation, decision)]
        for n in range(models):
            model = MODEL if n == 0 else f"{MODEL} {n}"
            storage.put(layout.evaluation_document(model, name), moved[0])
            storage.put(layout.decision(model, name), moved[1])


def _move(data: bytes, back: int) -> bytes:
    return DAY.sub(lambda found: (date.fromisoformat(found[0].decode()) - timedelta(days=back)).isoformat().encode(), data)


def measure(root: str, path: str) -> list[tuple[int, int]]:
    """(Elapsed, of a processor) milliseconds of three looks at a page by a service that was just started."""
    client, taken = Client(application(SmallService(root), NoAuth())), []
    for _ in range(3):
        began, worked = time.perf_counter(), time.process_time()
        page = client.get(path)
        taken.append((round((time.perf_counter() - began) * 1000), round((time.process_time() - worked) * 1000)))
        assert page.status_code == 200, page.text
    return taken


def main() -> None:
    """Prints one JSON line a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=1000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--models", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        storage = open_root(f"{folder}/root", create=True)
        write_days(storage, options.days, options.classes, options.models)
        Client(application(SmallService(f"{folder}/root"), NoAuth())).get("/login")  # templates are compiled, types are built
        for path in ("/overview", "/models"):
            print(json.dumps(vars(options) | {"page": path, "ms_and_cpu_ms": measure(f"{folder}/root", path)}))


if __name__ == "__main__":
    main()
