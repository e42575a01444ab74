"""A network from outside is asked before anything of it is written: in this process, and in a service of its own.

What its code or torch raises becomes an error that names the options which may cure it.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from contract.documents.card import Card, Preprocess
from contract.errors import BadWeights, TrialFailed, TrueupError, UsageError
from training.trial import Trial

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inference.model.predictor import Predictor

BATCHES = (1, 2)
MOST_SAID = 400
ADVICE = "Nothing was published; check --size (or --resize and --crop), and that the network takes [n, 3, height, width]."


def build_empty(network_name: str, classes: int, state: "Mapping[str, Tensor]") -> "nn.Module":
    """The network whose names and shapes the weights must have. TrialFailed: its code raises; UsageError: there is none."""
    from inference.model import network

    with _explained(f"network {network_name!r}: its code raised", "Try it alone: build it with this number of classes."):
        return network.build_empty(network_name, classes, like=state)


def load(card: Card, weights: bytes, runtime: str, number_format: str) -> "tuple[Card, Predictor]":
    """The card with its runtime and number format, and the version, which has answered made-up pictures.

    BadWeights, UsageError: what was asked for cannot be. NotFinite, TrialFailed: it does not answer.
    """
    from inference.model.predictor import TORCH, TORCHSCRIPT, Predictor

    card = card.model_copy(update={"number_format": number_format, "runtime": TORCH if runtime == TORCH else TORCHSCRIPT})
    with _explained(f"{card.network} does not answer a picture of {_describe_input(card.preprocess)}", ADVICE):
        try:
            predictor = Predictor(card, weights)
        except (UsageError, BadWeights) as error:
            if runtime != "auto":
                raise
            print(f"computed by torch: {error}", file=sys.stderr)
            predictor = Predictor(card.model_copy(update={"runtime": TORCH}), weights)
        for batch in BATCHES:
            predictor.run_trial(batch)
    return predictor.card, predictor


def ask_service(predictor: "Predictor", weights: bytes) -> dict[str, Any]:
    """What the trial in a service process found, which must answer as `predictor` does. TrialFailed."""
    from inference.model.trial_picture import make_trial_picture

    picture = make_trial_picture()
    row = predictor.probabilities(predictor.stack([predictor.prepare(picture)]))[0]
    with Trial(predictor.card, weights) as trial:
        return trial.check([picture], predictor.top(row, 1))


def _describe_input(p: Preprocess) -> str:
    side = p.crop or p.resize
    return f"{side} x {side} pixels" if isinstance(side, int) else f"{side} pixels" if side else "any size"


@contextmanager
def _explained(what: str, advice: str) -> Iterator[None]:
    """Turns what foreign code raises, SystemExit included, into an error that says what to do."""
    try:
        yield
    except TrueupError:
        raise
    except (Exception, SystemExit, GeneratorExit) as error:
        said = " ".join(str(error).split())[:MOST_SAID]
        raise TrialFailed(f"{what}: {type(error).__name__}{f': {said}' if said else ''}. {advice}") from error
