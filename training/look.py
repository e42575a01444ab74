"""What a network gets to see: torchvision's own preprocessing of the network's weights, with options over it, checked.

torchvision's googlenet and inception_v3 may scale their input once more (`transform_input`), which no state_dict tells.
That is folded into mean and standard deviation here, so that the card says all that is done to a picture.
"""

import math
from collections.abc import Sequence
from typing import Any

from contract.documents.card import Preprocess
from contract.errors import UsageError
from training.fit import pretrained

TRANSFORMING = ("googlenet", "inception_v3")
# What `transform_input` does to a channel that was normalised: x * scale + shift (torchvision's _transform_input).
IMAGENET_MEAN, IMAGENET_STD, HALF = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 0.5
OF_255 = 255
WHITE = 65_535


def choose_preprocess(network: str, size: int | None = None, resize: int | None = None, crop: int | None = None,
                  mean: str | None = None, std: str | None = None, interpolation: str | None = None,
                  grey: bool = False, weights_name: str | None = None, transform_input: bool = False,
                  levels: Sequence[int] | None = None) -> Preprocess:
    """The transform of torchvision's weights for the network (ImageNet's usual one for others), with options over it.

    `weights_name`: of these weights instead of torchvision's default ones. `transform_input`: the network scales its input
    as torchvision's googlenet does; mean and std of the result hold that, too. `levels`: the values of grey pictures of
    16 bits that become black and white. UsageError: an impossible value.
    """
    options: dict[str, Any] = {"resize": resize or size, "crop": crop or size, "interpolation": interpolation,
                               "mean": _three("--mean", mean), "std": _three("--std", std), "grey": grey or None,
                               "levels": levels}
    made = Preprocess(**(_own_transform(network, weights_name) | {k: v for k, v in options.items() if v is not None}))
    _check_mean("--mean", made.mean)
    _check_std("--std", made.std)
    return fold_transform_input(made) if transform_input else made


def fold_transform_input(p: Preprocess) -> Preprocess:
    """The preprocessing that gives at once what `p` and then torchvision's `transform_input` give, to the last digit or two."""
    mean, std = [], []
    for m, s, own_m, own_s in zip(p.mean, p.std, IMAGENET_MEAN, IMAGENET_STD, strict=True):
        scale, shift = own_s / HALF, (own_m - HALF) / HALF
        mean.append(round(m - shift * s / scale, 9))
        std.append(round(s / scale, 9))
    return p.model_copy(update={"mean": mean, "std": std})


def decide_transform_input(network: str, asked: bool | None, weights_name: str | None) -> bool:
    """Whether the network scales its input once more. UsageError where only a person can know, or the network never does."""
    if network not in TRANSFORMING:
        if asked is not None:
            raise UsageError(f"--transform-input: expected it beside --network {' or '.join(TRANSFORMING)}, got {network}, "
                             f"which has no such thing. Leave it out.")
        return False
    if asked is None and weights_name is None:
        raise UsageError(f"--network {network}: expected --transform-input or --no-transform-input, got neither. torchvision "
                         f"hands out this network's weights for {network}(transform_input=True), and without weights makes "
                         f"it with False; a file of weights does not tell, and the wrong one costs accuracy. Give "
                         f"--transform-input for torchvision's weights and what was fine-tuned from them, "
                         f"--no-transform-input for a network that was made with weights=None; --check shows which is right.")
    return asked is not False


def _own_transform(network: str, weights_name: str | None) -> dict[str, Any]:
    if weights_name is None and not pretrained.is_of_torchvision(network):
        return {}
    weights = pretrained.find_weights(network, weights_name or "DEFAULT")
    if weights is None:
        return {}
    transform = weights.transforms()
    resize, crop = list(transform.resize_size), transform.crop_size[0]
    return {"resize": resize[0] if len(resize) == 1 else resize, "crop": crop, "mean": list(transform.mean),
            "std": list(transform.std), "interpolation": transform.interpolation.value,
            "antialias": bool(transform.antialias)}


def read_levels(text: str | None) -> list[int] | None:
    """The values of 16 bits that become black and white, of "BLACK,WHITE"; None of None. UsageError."""
    if text is None:
        return None
    parts = text.split(",")
    found = [int(part) for part in parts if part.strip().isascii() and part.strip().isdecimal()]
    if len(parts) != len(found) or len(found) != 2 or not found[0] < found[1] <= WHITE:
        raise UsageError(f"--levels {text!r}: expected the values of black and of white, 0 to {WHITE}, for example 0,4095 for "
                         f"pictures of 12 bits in 16.")
    return found


def _three(option: str, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != 3 or not all(map(math.isfinite, found)):
        raise UsageError(f"{option} {text!r}: expected three numbers, for example 0.5,0.5,0.5.")
    return found


def _check_mean(option: str, mean: Sequence[float]) -> None:
    """Raises UsageError for a mean that pixels of 0 to 1 cannot have."""
    if all(0 <= m <= 1 for m in mean):
        return
    raise UsageError(f"{option} {_join(mean)}: expected the mean of pixels that were scaled to 0-1, so 0 to 1 each, got "
                     f"{_join(mean)}. {_advise(mean)}")


def _check_std(option: str, std: Sequence[float]) -> None:
    """Raises UsageError for a standard deviation to divide by that is none of pixels of 0 to 1."""
    if all(0 < s <= 1 for s in std):
        return
    said = _advise(std) if min(std) > 0 else "Pixels are divided by it: give 1,1,1 for no scaling."
    raise UsageError(f"{option} {_join(std)}: expected the standard deviation of pixels that were scaled to 0-1, so above 0 "
                     f"and at most 1 each, got {_join(std)}. {said}")


def _advise(values: Sequence[float]) -> str:
    if min(values) >= 0 and 1 < max(values) <= OF_255:
        return f"These belong to pixels of 0 to 255: give {_join([v / OF_255 for v in values])}."
    return "Give the numbers that the network was trained with, on pixels of 0 to 1."


def _join(values: Sequence[float]) -> str:
    return ",".join(f"{value:.6g}" for value in values)
