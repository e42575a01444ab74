"""How many labels it takes to teach the demo's network the drifted camera, when pictures are picked and when they are drawn.

    nice python -m benchmarks.picks [--seeds 1 2 3 4 5] [--whole [--epochs 10] | --replay] [--draws 10] [--ways WAY …]
                                    [--keep FOLDER]

Version 1 (ResNet-18, 32 px) learns 450 clean digits. It looks at 947 unlabelled pictures of the drifted camera, some are
labelled, and its last layer is trained on these alone (`train.freeze_backbone`); with --whole all of it is fine-tuned (batches
of 16 and so many epochs that there are 80 steps, otherwise the product's defaults: with more labels there would be more steps,
too, which in the product replayed pictures even out). With --replay all of it is fine-tuned as the product does it: on the 450
clean pictures and these, by its defaults (8 epochs of steps of two ranks with 32 pictures each); picks are trained --draws
times, too, each time from another seed of training, because one training differs from the next by as much as ways of choosing.
Accuracy is that on 400 held-out pictures of the drifted camera, which no way of choosing sees. Pictures are drawn at random; or
picked at once by what version 1 makes of them; or 30 at a time, each time by the version that learnt the labels until then, as
`trueup review pick` does from cycle to cycle: by its own function, with embeddings and with perceptual hashes. "classes known"
is no strategy: as many of each class by the true labels. Each run is another cut of the digits. Aim: picked pictures reach with
60% of the labels what random ones reach. --keep: a folder from which a stopped run goes on.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as f

from benchmarks import drifted_digits
from benchmarks.drifted_digits import Digits, Weights, answer, make_digits, measure_accuracy, measure_head, train_head
from benchmarks.picks_text import summarise, text
from contract.settings import TrainSettings
from inference.model.perceptual_hash import phash
from inference.model.preprocess import decode
from jobs.picking.choose import choose, make_look_of_hashes, weigh

RANDOM, SURE, SPREAD, ONCE, ROUNDS, HASHED, BOUND = ("random", "least sure, at once", "clusters, at once", "diverse, at once",
                                                     "diverse, in rounds", "by hash, in rounds", "classes known")
DRAWN, PICKED = (30, 50, 60, 100, 120, 200), (30, 60, 120)  # labels; 60% of 50, 100 and 200 are what is picked
DRAWN_OF_WHOLE = (30, 50, 100, 200)
ROUND = 30
TOP, NEAR_BITS = 5, 2
BATCH, STEPS = 16, 80  # of a fine-tuning of all of the network without replay


@dataclass(frozen=True)
class Version:
    """A version's accuracy on held-out pictures; `ask` says what it makes of the pool: probabilities [n, classes], embeddings."""

    accuracy: float
    ask: Callable[[], tuple[np.ndarray, np.ndarray]]

    @cached_property
    def of_pool(self) -> tuple[np.ndarray, np.ndarray]:
        """What it makes of the pool, asked once."""
        return self.ask()

    @property
    def look(self) -> np.ndarray:
        """Embeddings [n, size] of the pool."""
        return self.of_pool[1]

    @property
    def unsure(self) -> np.ndarray:
        """1 - margin [n], by the probabilities that a service logs."""
        top = np.sort(self.of_pool[0], 1)[:, ::-1][:, :TOP]
        return 1 - (top[:, 0] - top[:, 1])


@dataclass(frozen=True)
class Plan:
    """What is compared, and how it is trained: the last layer, or the whole network by so many epochs (None: by STEPS), or as the
    product does, beside the pictures of version 1."""

    ways: Sequence[str]
    draws: int
    whole: bool
    epochs: int | None
    replay: bool
    keep: Path | None

    @property
    def how(self) -> str:
        """Names how it is trained, in files of --keep."""
        return "replay" if self.replay else f"whole-{self.epochs}" if self.whole else "head"


Teacher = Callable[[Sequence[int]], Version]  # places in the pool -> the version that learnt them
Chooser = Callable[[Version, list[int], int], list[int]]  # the newest version, places with labels, how many more


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a line for each way of choosing, how many random labels do as well, and whether the aim is reached."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="of the runs")
    parser.add_argument("--whole", action="store_true", help="fine-tune all of the network: minutes a run")
    parser.add_argument("--epochs", type=int, help="of each such fine-tuning, however many steps that is")
    parser.add_argument("--replay", action="store_true", help="fine-tune all of the network as the product does")
    parser.add_argument("--draws", type=int, default=10, help="of random pictures, whose accuracies are averaged")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="of picking, beside random pictures")
    parser.add_argument("--keep", type=Path, help="folder of what is done already")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    plan = Plan(given.ways, given.draws, given.whole, given.epochs, given.replay, given.keep)
    rows = [row for seed in given.seeds for row in measure(seed, plan)]
    found = summarise(rows, given.ways, RANDOM, PICKED)
    print(json.dumps(found) if given.json else text(found, given.seeds))
    return 0


def measure(seed: int, plan: Plan) -> list[dict[str, Any]]:
    """Trains version 1 of a seed, and teaches it by each way of choosing: a row for each number of labels."""
    parts = make_digits(seed)
    one = drifted_digits.train_first(seed, parts, plan.keep)
    first = Version(measure_accuracy(one, parts.drifted), lambda: answer(one, parts.pool))
    rows = [{"seed": seed, "how": "version 1", "labels": 0, "accuracy": first.accuracy}]
    near = np.array([phash(decode(data)) for data in parts.pool.data], np.int64)

    def teach_by(way: str, draw: int) -> list[dict[str, Any]]:
        teach = make_teacher(seed, draw, one, parts, plan)
        if way == RANDOM:
            order = np.random.default_rng([seed, 7 + draw]).permutation(len(near)).tolist()
            found = {n: teach(order[:n]).accuracy for n in (DRAWN_OF_WHOLE if plan.whole or plan.replay else DRAWN)}
        else:
            chooser, in_rounds = WAYS[way]
            pick = chooser(near, parts.pool.truth.numpy())
            found = teach_in_steps(teach, first, pick, range(ROUND, PICKED[-1] + 1, ROUND)) if in_rounds else {
                n: teach(pick(first, [], n)).accuracy for n in PICKED}
        return [{"seed": seed, "how": way, "draw": draw, "labels": n, "accuracy": accuracy} for n, accuracy in found.items()]

    repeated = [(way, draw) for way in (RANDOM, *plan.ways) for draw in range(plan.draws if way == RANDOM or plan.replay else 1)]
    for way, draw in repeated:
        name = f"{seed}-{way}-{draw}-{plan.how}"
        rows += _keep_rows(plan.keep, name, partial(teach_by, way, draw))
    return rows


def teach_in_steps(teach: Teacher, version: Version, pick: Chooser, steps: Sequence[int]) -> dict[int, float]:
    """Labels -> the accuracy of the version that learnt so many, picked step by step by the version before."""
    known, found = list[int](), {}
    for n in steps:
        known += pick(version, known, n - len(known))
        version = teach(known)
        found[n] = version.accuracy
    return found


def make_teacher(seed: int, draw: int, one: Weights, parts: Digits, plan: Plan) -> Teacher:
    """Makes what trains version 1 on some pictures of the pool, and measures it on the held-out ones; `draw`: of which draw."""
    def teach_whole(places: Sequence[int]) -> Version:
        epochs = plan.epochs or math.ceil(STEPS / math.ceil(len(places) / BATCH))
        settings = TrainSettings(batch=BATCH, epochs=epochs, seed=seed)
        made = drifted_digits.train(one, parts.pool.take(places), settings)
        return Version(measure_accuracy(made, parts.drifted), lambda: answer(made, parts.pool))

    def teach_beside(places: Sequence[int]) -> Version:
        settings = TrainSettings(seed=seed + 1000 * draw)
        settings = settings.model_copy(update={"batch": settings.batch * settings.ranks})
        made = drifted_digits.train(one, parts.first.join(parts.pool.take(places)), settings)
        return Version(measure_accuracy(made, parts.drifted), lambda: answer(made, parts.pool))

    if plan.replay or plan.whole:
        return teach_beside if plan.replay else teach_whole
    look, held, truth = answer(one, parts.pool)[1], answer(one, parts.drifted)[1], parts.pool.truth.numpy()

    def teach_head(places: Sequence[int]) -> Version:
        head = train_head(one, look[list(places)], truth[list(places)])
        return Version(measure_head(head, held, parts.drifted.truth.numpy()), lambda: (
            f.linear(torch.from_numpy(look).float(), *head).softmax(1).double().numpy(), look))

    return teach_head


def take_least_sure(near: np.ndarray, truth: np.ndarray) -> Chooser:
    """Takes what the version is least sure of, alike or not."""
    return lambda version, known, n: np.argsort(-version.unsure, kind="stable")[:n].tolist()


def take_centres(near: np.ndarray, truth: np.ndarray) -> Chooser:
    """Takes the picture nearest to the centre of each cluster of embeddings (k-means), however sure the version is."""
    return lambda version, known, n: _find_centres(version.look, n)


def take_centres_of_classes(near: np.ndarray, truth: np.ndarray) -> Chooser:
    """Takes as many from each class, by the true labels, which no strategy knows: a mark to measure strategies by."""
    def pick(version: Version, known: list[int], n: int) -> list[int]:
        classes = [np.flatnonzero(truth == k) for k in np.unique(truth)]
        return [int(mine[place]) for mine in classes for place in _find_centres(version.look[mine], n // len(classes))]

    return pick


def _find_centres(look: np.ndarray, n: int) -> list[int]:
    from sklearn.cluster import KMeans

    distances = KMeans(n, n_init=1, random_state=1).fit_transform(look)
    return [int(np.where(distances.argmin(1) == k, distances[:, k], np.inf).argmin()) for k in range(n)]


def take_diverse(near: np.ndarray, truth: np.ndarray) -> Chooser:
    """Takes what `trueup review pick` takes."""
    return lambda version, known, n: _choose(version, version.look, near, known, n)


def take_diverse_by_hash(near: np.ndarray, truth: np.ndarray) -> Chooser:
    """Takes what it takes without embeddings."""
    return lambda version, known, n: _choose(version, make_look_of_hashes(near), near, known, n)


def _choose(version: Version, look: np.ndarray, near: np.ndarray, known: list[int], n: int) -> list[int]:
    left = np.setdiff1d(np.arange(len(look)), known)
    weight = weigh(version.unsure[left], bool(known))
    return left[choose(look[left], weight, near[left], n, NEAR_BITS, look[known])].tolist()


WAYS = {SURE: (take_least_sure, False), SPREAD: (take_centres, False), ONCE: (take_diverse, False), ROUNDS: (take_diverse, True),
        HASHED: (take_diverse_by_hash, True), BOUND: (take_centres_of_classes, False)}


def _keep_rows(keep: Path | None, name: str, work: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Returns the rows of an earlier run, or does the work, says on standard error how long it took, and keeps its rows."""
    file = keep / f"{name}.json" if keep else None
    if file and file.exists():
        return list(json.loads(file.read_text()))
    began = time.process_time()
    found = work()
    print(f"{name}: {time.process_time() - began:.1f} s of processor", file=sys.stderr, flush=True)
    if file:
        file.write_text(json.dumps(found))
    return found


if __name__ == "__main__":
    sys.exit(main())
