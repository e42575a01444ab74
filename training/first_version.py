"""What is said of a version that starts from nothing: its network, and how it looks at pictures.

    --parent none --network resnet18 --size 32 --grey --levels 0,4095

`trueup train` and `trueup tune` take these options from here, so that a search looks at pictures as its candidate will.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any

import click

from contract.documents.card import Preprocess
from training.look import TRANSFORMING, choose_preprocess, read_levels

NETWORK, SIDE = "resnet18", 224


@dataclass(frozen=True)
class FirstVersion:
    """A version without a parent from which it would have network and preprocessing; what is not said is None.

    `size`: side of the network's input, in pixels; `grey`: pictures are converted to grey; `levels`: of grey pictures of 16
    bits the values that become black and white.
    """

    network: str | None = None
    size: int | None = None
    grey: bool = False
    levels: list[int] | None = None

    def is_said(self) -> bool:
        """Tells whether anything is said, which nobody may of a version with a parent."""
        return self != FirstVersion()

    def list_looks(self) -> dict[str, Any]:
        """Returns how it looks at pictures, by the field's name: all but the network."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "network"}

    def make_preprocess(self) -> Preprocess:
        """Makes the preprocessing of a network with random weights, which is as good with any."""
        side = self.size or SIDE
        return Preprocess(resize=side, crop=side, grey=self.grey, levels=self.levels)

    def make_preprocess_of_weights(self, weights_name: str | None) -> Preprocess:
        """Makes that of weights brought from outside, which want pictures as they had them. UsageError: unknown weights."""
        network = self.network or NETWORK
        transforms = bool(weights_name) and network in TRANSFORMING  # torchvision's own weights of these networks do
        return choose_preprocess(network, **self.list_looks(), weights_name=weights_name, transform_input=transforms)

    def write_options(self) -> str:
        """Writes it as options of a command, each with a space before it."""
        return "".join([f" --network {self.network}" if self.network else "", f" --size {self.size}" if self.size else "",
                        " --grey" if self.grey else "", f" --levels {','.join(map(str, self.levels))}" if self.levels else ""])


def with_first_version(network_default: str = NETWORK) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the options of a first version to a command's function, which gets them as `first`."""
    options = (
        click.option("--network", help=f"First version: a torchvision network, or package.module:build. [default: "
                     f"{network_default}]"),
        click.option("--size", type=click.IntRange(8, 4096), help=f"First version: side of the network's input, in pixels. "
                     f"[default: {SIDE}]"),
        click.option("--grey", is_flag=True, help="First version: pictures are converted to grey."),
        click.option("--levels", metavar="BLACK,WHITE", help="First version: of grey pictures of 16 bits the values that become "
                     "black and white, e.g. 0,4095."))

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def gathered(*arguments: Any, network: str | None, size: int | None, grey: bool, levels: str | None,
                     **others: Any) -> Any:
            return function(*arguments, first=FirstVersion(network, size, grey, read_levels(levels)), **others)

        for option in reversed(options):
            gathered = option(gathered)
        return gathered

    return decorate
