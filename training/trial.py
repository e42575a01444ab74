"""A candidate in a real service: `python -m inference.serve` on a root of its own, asked a few pictures over HTTP.

What must work before anything is made live: the process starts with these weights, answers, and says what the
assessment said. The root is a temporary folder in which the candidate is live, so nobody else notices.

    python -m training.trial --root R --model M --version V [--json]      asks a version of a root, as a rollback does
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from command.child import is_setting
from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract.documents.card import Card
from contract.errors import TrialFailed
from contract.registry import Registry, check_version
from contract.settings import Settings
from contract.storage import open_root

HERE = Path(__file__).resolve().parents[1]
START_S, ANSWER_S, LAST_WORDS = 180.0, 60.0, 2000
AGREE = 0.01  # of a probability; batches of another size differ in the last digits only


class Trial:
    """A service that answers with one version; ends with the `with` block."""

    def __init__(self, card: Card, weights: bytes, converted: bytes | None = None) -> None:
        self.card, self.weights, self.converted = card, weights, converted
        self.began = time.monotonic()

    def __enter__(self) -> "Trial":
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trueup-trial-")))
            self._publish()
            self.process = self._start()
            stack.callback(self._stop)
            self._closing = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _publish(self) -> None:
        registry = Registry(open_root(str(self.folder / "root"), create=True), self.card.model)
        file = self.folder / "weights"
        file.write_bytes(self.weights)
        network = self.folder / "network" if self.converted is not None else None
        if network is not None and self.converted is not None:
            network.write_bytes(self.converted)
        registry.write_version(self.card, file, network)
        registry.promote(self.card.version, by="trial", reason="asked before it is promoted", expected_live=None)

    def _start(self) -> subprocess.Popen:
        command = [sys.executable, "-m", "inference.serve", "--root", str(self.folder / "root"), "--model", self.card.model,
                   "--port", "0", "--no-auth", "--outbox", str(self.folder / "outbox"), "--ready-file",
                   str(self.folder / "ready")]
        env = {name: value for name, value in os.environ.items() if not is_setting(name)}
        # A network of the user's own is found where this process finds it, although the service works in another folder.
        env["PYTHONPATH"] = os.pathsep.join((str(HERE), *(os.path.abspath(place) for place in _own_places())))
        with open(self.folder / "log", "wb") as log:
            return subprocess.Popen(command, cwd=self.folder, env=env, stdout=log, stderr=log)

    def _stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def check(self, images: Sequence[bytes], expected: Sequence[tuple[str, float]]) -> dict[str, Any]:
        """Asks the pictures and compares with (label, probability) of the assessment; TrialFailed on any difference."""
        url, worst = self._url(), 0.0
        for image, (label, probability) in zip(images, expected, strict=True):
            answer = self._ask(url, image)
            said = {row["label"]: row["probability"] for row in answer["predictions"]}
            if answer["model_version"] != self.card.version or abs(said.get(label, -1.0) - probability) > AGREE:
                raise TrialFailed(f"{self._name()}: expected {label!r} with {probability:.4f}, as assessed, the service said "
                                  f"{answer}. It is not promoted; see whether what is served is what was assessed.")
            worst = max(worst, abs(said[label] - probability))
        return {"service": "python -m inference.serve", "images": len(images), "largest_difference": worst,
                "seconds": round(time.monotonic() - self.began, 1)}

    def ask(self, images: Sequence[bytes]) -> dict[str, Any]:
        """Asks the pictures; TrialFailed unless each is answered with a probability for every class."""
        url = self._url()
        for image in images:
            answer = self._ask(url, image)
            said = [row["probability"] for row in answer["predictions"]]
            if answer["model_version"] != self.card.version or len(said) != len(self.card.classes) or not all(
                    map(math.isfinite, said)):
                raise TrialFailed(f"{self._name()}: expected a probability for each of {len(self.card.classes)} classes, the "
                                  f"service said {str(answer)[:LAST_WORDS]}.")
        return {"service": "python -m inference.serve", "images": len(images),
                "seconds": round(time.monotonic() - self.began, 1)}

    def _url(self) -> str:
        ready, until = self.folder / "ready", time.monotonic() + START_S
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > until:
                what = "ended" if self.process.poll() is not None else "did not"
                raise TrialFailed(f"{self._name()}: expected a service that answers within {START_S:g} s, it {what}. "
                                  f"Its last words: {self._read_log()}")
            time.sleep(0.05)
        return json.loads(ready.read_text())["url"]

    def _ask(self, url: str, image: bytes) -> Mapping[str, Any]:
        request = urllib.request.Request(f"{url}/v1/predictions?top_k={len(self.card.classes)}", image,
                                         {"Content-Type": "image/*"}, method="POST")
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=ANSWER_S) as answer:
                return json.load(answer)
        except (OSError, ValueError) as error:
            detail = error.read().decode(errors="replace") if hasattr(error, "read") else ""
            raise TrialFailed(f"{self._name()}: expected an answer of the service, got {error} {detail}. Its last words: "
                              f"{self._read_log()}") from error

    def _name(self) -> str:
        return f"{self.card.model} version {self.card.version}, tried in a service process"

    def _read_log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-LAST_WORDS:]


def _own_places() -> list[str]:
    """Where modules are found that neither Python nor its environment brought: PYTHONPATH, and the folder of `python -m`."""
    named = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    return [*named, *(place for place in sys.path[:1] if place in ("", os.getcwd()))]


@stage_command("trial", help="Ask a version in a service process of its own.")
@click.option("--model", help="Name of the model.")
@click.option("--version", required=True, help="The version that is asked.")
def command(settings: Settings, model: str | None, version: str) -> Outcome:
    """Asks a made-up picture; TrialFailed says why there is no answer."""
    from inference.model.trial_picture import make_trial_picture

    settings = with_options(settings, model=model)
    registry = Registry(open_root(settings.need_root()), settings.need_model())
    card = registry.card(check_version(version))
    with Trial(card, registry.weights(version), registry.load_converted(card)) as trial:
        made = trial.ask([make_trial_picture()])
    return Outcome(document={"model": card.model, "version": version} | made,
                   text=f"version {version} of {card.model} answers in a service process of its own")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m training.trial`."""
    return run(command, argv, prog_name="python -m training.trial")


if __name__ == "__main__":
    end_with(main)
