"""Production traffic: image files sent over HTTP at a steady rate, and every answer kept."""

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import httpx

from command.progress import progress
from command.spans import TRAFFIC, span
from contract.errors import TrueupError
from contract.ids import uuid7
from pipeline.demo.digits import Picture


@dataclass(frozen=True)
class Answer:
    """What the service said of one picture, and what the picture really shows."""

    picture: str
    truth: str
    prediction_id: str
    version: str
    label: str
    top: list[dict[str, Any]]

    @property
    def right(self) -> bool:
        """Tells whether the first label is the truth."""
        return self.label == self.truth

    def to_dict(self) -> dict[str, Any]:
        """Returns it for JSON, in the demo's state."""
        return asdict(self)


class TrafficFailed(TrueupError):
    """A request was not answered with 200."""


def send(url: str, key: str, pictures: Sequence[Picture], rate: float, what: str, at: datetime) -> list[Answer]:
    """Sends all pictures, `rate` a second, and returns the answers in order. TrafficFailed: one was not answered.

    Each request brings a prediction id made from the moment `at` and the picture: sent again after a crash, it is counted once.
    """
    with span(TRAFFIC), progress(what, len(pictures), "requests") as shown:
        return asyncio.run(_send(url, key, pictures, rate, lambda answer: shown.advance(), at=at))


async def _send(url: str, key: str, pictures: Sequence[Picture], rate: float, done: Callable[[Answer], None],
                stop: threading.Event | None = None, at: datetime | None = None) -> list[Answer]:
    start = time.monotonic()
    limits = httpx.Limits(max_connections=32)
    async with httpx.AsyncClient(base_url=url, headers=make_authorization(key), timeout=30, limits=limits) as client:

        async def send_one(picture: Picture) -> Answer:
            answer = await ask(client, picture, at)
            done(answer)
            return answer

        sent = []
        for i, picture in enumerate(pictures):  # one at a time, so that a stop is heard at the next and waits for no other
            await asyncio.sleep(max(0.0, start + i / rate - time.monotonic()))
            if stop is not None and stop.is_set():
                break
            sent.append(asyncio.create_task(send_one(picture)))
        results = await asyncio.gather(*sent, return_exceptions=True)
    for answer in results:
        if isinstance(answer, Exception):
            raise answer
    return [a for a in results if isinstance(a, Answer)]


async def ask(client: httpx.AsyncClient, picture: Picture, at: datetime | None = None) -> Answer:
    """Sends one request; TrafficFailed with the service's own message when it is not answered with 200."""
    headers = {"Content-Type": "image/jpeg", "X-Request-Id": picture.name, "X-Attributes": '{"camera": "door-1"}'}
    if at is not None:
        headers["X-Prediction-Id"] = uuid7(at, hashlib.sha256(picture.data).digest()[:10])
    try:
        response = await client.post("/v1/predictions?top_k=5", content=picture.data, headers=headers)
    except httpx.HTTPError as error:
        raise TrafficFailed(f"{picture.name}: no answer ({type(error).__name__}: {error}).") from error
    if response.status_code != 200:
        raise TrafficFailed(f"{picture.name}: expected 200, got {response.status_code}: {response.text[:300]}")
    document = response.json()
    return Answer(picture.name, picture.truth, document["prediction_id"], document["model_version"],
                  document["predictions"][0]["label"], document["predictions"])


def make_authorization(key: str) -> dict[str, str]:
    """Makes the header that carries an API key."""
    return {"Authorization": f"Bearer {key}"}


class Steady:
    """Traffic in the background, at a steady rate, until the block ends; a failure in it is raised at the end."""

    def __init__(self, url: str, key: str, pictures: Sequence[Picture], rate: float) -> None:
        self.answers: list[Answer] = []
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._arguments = (url, key, pictures, rate)
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def _run(self) -> None:
        url, key, pictures, rate = self._arguments
        try:
            while not self._stop.is_set():
                asyncio.run(_send(url, key, pictures, rate, self.answers.append, self._stop))
        except Exception as error:  # handed to the thread that waits for us
            self._error = error

    def __enter__(self) -> "Steady":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None and exc[0] is None:
            raise self._error

    def wait_for(self, version: str, count: int, seconds: float) -> None:
        """Returns when `count` answers came from a version. TrafficFailed: they did not within `seconds`."""
        deadline = time.monotonic() + seconds
        while sum(a.version == version for a in list(self.answers)) < count:
            if self._error is not None:
                raise self._error
            if time.monotonic() > deadline:
                seen = sorted({a.version for a in self.answers})
                raise TrafficFailed(f"expected answers of version {version} within {seconds:.0f} s, got only {seen}.")
            time.sleep(0.05)
