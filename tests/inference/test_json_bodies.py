"""JSON that means one thing is read, everything else is refused, and a large body holds nobody else up."""

import asyncio
import json
import time

import pytest

from inference import upload
from inference.upload import MOST_JSON, parse_json


@pytest.mark.parametrize("data", [
    b'{"a": [1, 2.5, -0, 1e308, "\xc3\xa9", null, true]}', b'\xef\xbb\xbf{"a": 1}', b'"\\ud83d\\ude00"', b'{"a": {"a": 1}}',
    b'"\\\\ud800"'])
def test_what_means_one_thing_is_read(data):
    assert parse_json(data) == json.loads(data)


@pytest.mark.parametrize("data, said", [
    (b'{"a": 1, "a": 1}', "'a' stands twice"), (b"[NaN]", "NaN is no number"), (b"[-Infinity]", "-Infinity is no number"),
    (b"[1e999]", "too large"), (b'"\\ud800"', "surrogate"), (b'{"\\udfff": 1}', "surrogate"), (b'"\xed\xa0\x80"', "utf-8"),
    ('{"a": 1}'.encode("utf-16"), "utf-8"), (b"1" * 5000, "digits"), (b"", "Expecting value"), (b"[1] 2", "Extra data")])
def test_what_means_two_things_or_none_is_refused(data, said):
    with pytest.raises(ValueError, match=said):
        parse_json(data)


class Body:
    """A request that brings these bytes in pieces."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def stream(self):
        for at in range(0, len(self.data), 1 << 16):
            yield self.data[at:at + (1 << 16)]


HALF = '{"prediction_id": "01a1f8d3-ea00-7108-909a-007e5c57f9ce", "label": "%s"}'
LABELS = ('{"labels": [' + ",".join([HALF % ("x" * 190)] * 10_000) + "]}").encode()


async def measure_longest_pause(data: bytes) -> float:
    """Reads a body beside a task that wants to run every millisecond; returns how many seconds that had to wait at most."""
    waits, last, done = [0.0], time.perf_counter(), False

    async def tick() -> None:
        nonlocal last
        while not done:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            waits.append(now - last)
            last = now

    beside = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    try:
        await upload.read_json_body(Body(data))
    except upload.Refused:
        pass
    done = True
    await beside
    return max(waits)


@pytest.mark.parametrize("data", [
    LABELS, b"[" + b"[]," * (MOST_JSON // 3 - 2) + b"0]", b"[" + b"0," * 990_000 + b"0]", b'["' + b"x" * (MOST_JSON - 4) + b'"]',
    b"[" + b'"",' * 990_000 + b'""]', b"[" * 1_900_000, b'{"a":' * 400_000],
    ids=["labels", "arrays", "numbers", "text", "texts", "deep", "deep objects"])
def test_a_large_body_is_parsed_beside_the_event_loop(data):
    pause = min(asyncio.run(measure_longest_pause(data)) for _ in range(2))  # the better of two: others use this machine, too
    print(f"{len(data) / 1e6:.1f} MB: {pause * 1000:.0f} ms")
    assert pause < 0.25
