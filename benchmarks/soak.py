"""A recorded long run of the service: kills under load with a store that fails, swaps under load, damaged images.

    python -m benchmarks.soak [--rows N] [--kills K] [--swaps S] [--requests R] [--images I] [--http-images H]
                              [--kill-rate P] [--store folder|s3] [--shadow] [--canary SHARE] [--minutes M --record FILE]

Four parts; 0 leaves one out. `--rows` acknowledged rows (predictions and labels) over `--kills` SIGKILLs, then every
acknowledged row is looked for in the bucket: exactly once, or the run fails; `--kill-rate P` predictions a second (0: as
many as it answers, beside which a shadow has no time and is not seen). `--requests` requests at `--rate` a second,
half of them over `--swaps` changes of the live version: none may fail, and the longest gap between answers is compared
with the half without swaps. `--images` damaged files through the service's own functions, `--http-images` over HTTP:
none may crash it or be answered with 5xx. With `--shadow` a third version computes beside the live one all the while:
its rows may be fewer, and none may come twice. With `--canary SHARE` a fourth answers that share; every swap ends it,
and it is started anew beside the version that is live then. Each acknowledged prediction must then lie in the bucket
once, under the version that its answer named and in the role that this version had, and each canary must have answered.
Memory is looked at over the requests of the swaps: what the last quarter holds beyond the first must be little. With
`--store s3` the store is moto's server behind a proxy that fails in 5% of the requests. With `--minutes` each part ends
after that time with what it reached; `--record FILE` keeps the figures of every run, and the next run with the same file
does what is missing. Prints one JSON line per part, then the totals;
exit code 1 when one does not hold or is not yet complete.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import pyarrow.parquet as pq

from benchmarks import soak_images
from benchmarks.soak_beside import CANARY, add_beside, find_misplaced, list_salts, start_canary, sum_canaries
from benchmarks.soak_load import Load, store
from benchmarks.soak_memory import Memory
from contract.deciding.names import SHADOW
from contract.registry import Registry
from contract.storage import open_root
from tests.inference.published import publish_tiny
from tests.inference.serving import ServiceProcess, until

ALLOWED_GAP_S, ALLOWED_GROWTH = 0.25, 0.1
# Names of the figures that add up over the runs of one record, by part; the first is the option that asks for it.
TOTALS = {"kills": ("acknowledged", "kills", "lost", "twice"), "swaps": ("requests", "swaps", "failed"),
          "images": ("files", "lots"), "images over HTTP": ("files",)}
# On a busy machine a start takes minutes.
START_S = 900


def kills(root: str, fail, folder: Path, rows: int, kills_: int, callers: int, labels: int, ends: float,
          canary: str | None = None, rate: float = 0.0, shadow: bool = False) -> dict:
    """Acknowledged rows over kills, each found exactly once; with a `canary`, where and as what it was answered; with a `shadow`,
    that some of its rows came."""
    predictions, judgements, refused, lives, began = {}, [], [], 0, time.monotonic()
    fail(True)
    while (len(predictions) + len(judgements) < rows or lives < kills_) and time.monotonic() < ends:
        service = process(root, folder)
        load = Load(service.url(START_S), callers, labels, rate)
        left = rows - len(predictions) - len(judgements)
        wanted, moment = max(left // max(kills_ - lives, 1), 1), random.Random(lives).uniform(0.3, 3)
        until(lambda load=load, wanted=wanted: load.rows() >= wanted or time.monotonic() > ends, START_S)
        time.sleep(moment)
        service.end(signal.SIGKILL)
        load.end()
        lives += 1
        predictions |= load.versions
        judgements += load.labels
        refused += [text for text in load.refused if text[0].isdigit()]  # answers; what a kill cut off begins with a name
    fail(False)
    last = process(root, folder)
    last.url(START_S)
    until(lambda: not has_waiting_rows(last.url()), START_S)
    clean = last.end(signal.SIGTERM)
    found = {"predictions": compare(root, "predictions", "prediction_id", predictions),
             "labels": compare(root, "labels", "label_id", judgements)}
    lost, twice = (sum(f[what] for f in found.values()) for what in ("lost", "twice"))
    beside, seen = check_canary(root, canary, predictions), not shadow or found["predictions"]["beside"] > 0
    return {"part": "kills", "holds": clean == lost == twice == len(refused) == 0 and beside.get("holds", True) and seen,
            "kills": lives, "lost": lost, "twice": twice, "refused": len(refused), "first_refused": refused[:3],
            "acknowledged": len(predictions) + len(judgements), **found, "canary": beside,
            "seconds": round(time.monotonic() - began)}


def has_waiting_rows(url: str) -> bool:
    """Whether rows are left in the outbox."""
    lines = httpx.get(f"{url}/metrics", timeout=120).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("trueup_outbox_rows ")) > 0


def compare(root: str, table: str, key: str, acknowledged: Collection[str]) -> dict[str, int]:
    """How many acknowledged rows are not in the bucket, and how many rows are there twice."""
    there, beside = [], []
    for id_, role, _ in read_rows(root, table, key):
        (beside if role == SHADOW else there).append(id_)
    return {"acknowledged": len(acknowledged), "in_bucket": len(there), "lost": len(set(acknowledged) - set(there)),
            "beside": len(beside), "twice": len(there) - len(set(there)) + len(beside) - len(set(beside))}


def read_rows(root: str, table: str, key: str) -> Iterator[tuple[str, str | None, str | None]]:
    """Yields key, role and version of every row in the bucket; the last two are null for labels."""
    storage = open_root(root)
    filesystem, base = storage.arrow()
    for entry in storage.list(f"{table}/"):
        with filesystem.open_input_file(f"{base}/{entry.key}") as file:
            for row in pq.ParquetFile(file).read([key, *["role", "model_version"] * (table == "predictions")]).to_pylist():
                yield row[key], row.get("role"), row.get("model_version")


def check_canary(root: str, canary: str | None, answered: Mapping[str, str], before: Sequence[str] = ()) -> dict:
    """Where the canary's answers lie; nothing without one. `answered`: prediction -> the version that its answer named; `before`:
    salts of canaries of an earlier part, which are not looked at."""
    if canary is None:
        return {}
    rows = {id_: (version, role) for id_, role, version in read_rows(root, "predictions", "prediction_id") if role != SHADOW}
    misplaced, mine = find_misplaced(rows, answered, canary), sum(version == canary for version in answered.values())
    counted = sum_canaries(Registry(open_root(root), "m"), before)
    return {"holds": mine > 0 and not misplaced and not counted["silent"] and not counted["stopped"], "acknowledged": mine,
            "share": round(mine / max(len(answered), 1), 4), "rows": sum(role == CANARY for _, role in rows.values()),
            "misplaced": len(misplaced), "first_misplaced": misplaced[:3], **counted}


def process(root: str, folder: Path) -> ServiceProcess:
    """The service as `trueup serve` starts it, with an outbox that stays."""
    return ServiceProcess(root, folder, "--no-auth", "--outbox", str(folder / "outbox"), "--set", "serve.ship_seconds=2",
                          "--set", "serve.poll_seconds=0.5")


def swaps(root: str, folder: Path, requests: int, swaps_: int, callers: int, rate: float, ends: float,
          canary: str | None = None, share: float = 0.0) -> dict:
    """Half of the requests without swaps, then as many or more until all swaps are done; gaps of both are compared."""
    registry, service = Registry(open_root(root), "m"), process(root, folder)
    url, before = service.url(START_S), []
    if canary:
        start_canary(registry, canary, share, url)
        before = list_salts(registry)[:-1]
    load = Load(url, callers, rate=rate)
    until(lambda: len(load.at) > 200, START_S)
    half = (ends - (began := time.monotonic())) / 2
    memory = Memory(service.process.pid)
    first = len(load.at)
    reach(load, first + requests // 2, began + half)
    calm, each = gaps(load.at[first:]), requests // 2 // swaps_
    first = len(load.at)
    for n in range(swaps_):
        live = registry.newest().state.live
        registry.promote(other := "2" if live == "1" else "1", by="soak", reason="soak", expected_live=live)
        until(lambda other=other: serves(url) == other, START_S)
        if canary:
            start_canary(registry, canary, share, url)
        reach(load, first + each * (n + 1), began + half + half * (n + 1) / swaps_)
    moved, seconds = gaps(load.at[first:]), time.monotonic() - began
    held = memory.end()
    load.end()
    clean = service.end(signal.SIGTERM)
    found = compare(root, "predictions", "prediction_id", load.versions)
    beside = check_canary(root, canary, load.versions, before)
    good = (not load.refused and moved["longest"] - calm["longest"] <= ALLOWED_GAP_S and held["grown"] <= ALLOWED_GROWTH
            and clean == found["lost"] == found["twice"] == 0 and beside.get("holds", True))
    return {"part": "swaps", "holds": good, "requests": len(load.at), "failed": len(load.refused), "swaps": swaps_,
            "gap_s_without_swaps": calm, "gap_s_with_swaps": moved, "per_second": round(len(load.at) / seconds),
            "memory_mb": held, "predictions": found, "canary": beside, "first_failures": load.refused[:3]}


def serves(url: str) -> str:
    """The version that answers."""
    return httpx.get(f"{url}/v1/models", timeout=120).json()["models"][0]["model_version"]


def reach(load: Load, requests: int, ends: float) -> None:
    """Waits until so many were answered, or until the time comes."""
    while len(load.at) < requests and time.monotonic() < ends:
        time.sleep(0.05)


def gaps(at: list[float]) -> dict[str, float]:
    """Longest time between two answers, and the tenth longest, in seconds."""
    longest = sorted((b - a for a, b in zip(sorted(at), sorted(at)[1:], strict=False)), reverse=True)
    return {"longest": round(longest[0], 3), "tenth": round(longest[9], 3)}


def missing(record: Path | None, part: str, wanted: dict[str, int]) -> dict[str, int]:
    """What is left to do of `wanted` (name of a figure -> how many), after the runs of the record."""
    done = [line for line in read_records(record) if line["part"] == part]
    return {name: max(many - sum(line[name] for line in done), 0) for name, many in wanted.items()}


def read_records(record: Path | None) -> list[dict]:
    """The figures of earlier runs."""
    return [json.loads(line) for line in record.read_text().splitlines()] if record and record.exists() else []


def totals(lines: list[dict], part: str) -> dict:
    """The sum over all runs of a part; the longest growth of a gap for swaps."""
    of = [line for line in lines if line["part"] == part]
    grown = [line["gap_s_with_swaps"]["longest"] - line["gap_s_without_swaps"]["longest"] for line in of if part == "swaps"]
    return {"total": part, "runs": len(of), "holds": all(line["holds"] for line in of),
            **{name: sum(line[name] for line in of) for name in TOTALS[part]},
            **({"gap_grew_by_s": round(max(grown), 3)} if grown else {})}


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rows", 1_000_000), ("kills", 50), ("swaps", 10), ("requests", 100_000), ("images", 1_000_000),
                          ("http-images", 20_000), ("callers", 8), ("labels", 200)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rate", type=float, default=150)
    parser.add_argument("--kill-rate", type=float, default=0)
    parser.add_argument("--minutes", type=float, default=24 * 60)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--store", choices=["folder", "s3"], default="s3")
    parser.add_argument("--shadow", action="store_true")
    parser.add_argument("--canary", type=float, default=0.0, metavar="SHARE")
    return parser.parse_args()


def run(asked: argparse.Namespace, root: str, fail, folder: Path, canary: str | None = None):
    """Runs what is missing of each part, and yields its figures."""
    seconds, record = asked.minutes * 60, asked.record
    left = missing(record, "kills", {"acknowledged": asked.rows, "kills": asked.kills})
    if asked.rows and any(left.values()):
        if canary:
            start_canary(Registry(open_root(root), "m"), canary, asked.canary)
        yield kills(root, fail, folder, left["acknowledged"], left["kills"], asked.callers, asked.labels,
                    time.monotonic() + seconds, canary, asked.kill_rate, asked.shadow)
    left = missing(record, "swaps", {"requests": asked.requests, "swaps": asked.swaps})
    if asked.swaps and any(left.values()):
        # An interrupted run has both halves, too: a share of the swaps that fits the time.
        fits = max(1, min(left["swaps"] or 1, round(asked.swaps * seconds * asked.rate / asked.requests)))
        yield swaps(root, folder, left["requests"], fits, asked.callers, asked.rate, time.monotonic() + seconds,
                    canary, asked.canary)
    done = totals(read_records(record), "images")
    if asked.images > done["files"]:
        yield soak_images.in_process(asked.images - done["files"], done["lots"], time.monotonic() + seconds)
    left = missing(record, "images over HTTP", {"files": asked.http_images})["files"]
    if left:
        service = process(root, folder)
        yield soak_images.attack_http(service, service.url(START_S), left, left, time.monotonic() + seconds)


def main() -> int:
    """Runs the parts; 1 when one does not hold."""
    asked, results = options(), []
    wanted = {"kills": asked.rows, "swaps": asked.swaps and asked.requests, "images": asked.images,
              "images over HTTP": asked.http_images}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trueup-soak-")))
        root, fail = stack.enter_context(store(asked.store, folder))
        publish_tiny(root, seed=1)
        publish_tiny(root, seed=2)
        canary = add_beside(root, asked.shadow, asked.canary)
        for result in run(asked, root, fail, folder, canary):
            results.append(result)
            print(json.dumps(result), flush=True)
            if asked.record:
                with open(asked.record, "a") as file:
                    file.write(json.dumps(result) + "\n")
    whole = [totals(read_records(asked.record) or results, part) for part, many in wanted.items() if many]
    print("\n".join(map(json.dumps, whole)))
    return 0 if all(of["holds"] and of[TOTALS[of["total"]][0]] >= wanted[of["total"]] for of in whole) else 1


if __name__ == "__main__":
    sys.exit(main())
