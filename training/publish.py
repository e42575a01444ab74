"""Publishes a network trained elsewhere: read safely, checked, stored as safetensors, made live.

    trueup publish --root R --model M --network resnet18 --weights FILE --classes FILE [--check FOLDER --expect 0.9]
    trueup publish … --network package.module:build      a callable that takes the number of classes
    python -m training.publish …

The preprocessing is that of torchvision's own weights for the network unless options say otherwise; it is printed.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract import clock, labels, layout
from contract.documents.card import Card, Preprocess
from contract.errors import GATE_SAYS_NO, BadImage, BadLabel, BadWeights, EmptyData, NoSuchModel, UsageError
from contract.registry import Registry, file_sha256
from contract.settings import Settings
from contract.storage import open_root
from training.fit import weights_file

if TYPE_CHECKING:
    from inference.model.predictor import Predictor

BATCH = 32


@stage_command("publish", help="Bring a network trained elsewhere and make it live.")
@click.option("--model", help="Name of the model.")
@click.option("--network", required=True, help="A torchvision network by name, or package.module:build.")
@click.option("--weights", required=True, type=click.Path(path_type=Path), help="safetensors, or a state_dict file.")
@click.option("--classes", required=True, type=click.Path(path_type=Path), help="One class a line, or a JSON list.")
@click.option("--size", type=int, help="Side of the network's input: sets resize and crop.")
@click.option("--resize", type=int, help="Pixels of the shorter side.")
@click.option("--crop", type=int, help="Side of the centre crop.")
@click.option("--mean", help="Three numbers, comma-separated.")
@click.option("--std", help="Three numbers, comma-separated.")
@click.option("--interpolation", type=click.Choice(["nearest", "bilinear", "bicubic"]))
@click.option("--grey", is_flag=True, help="Pictures are converted to grey first.")
@click.option("--runtime", type=click.Choice(["auto", "torch", "torchscript"]), default="torch", show_default=True,
              help="How it is computed. torchscript: faster on a CPU. auto: torchscript where it gives the same answers.")
@click.option("--number-format", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True,
              help="Numbers it is computed in; bfloat16 is faster on some processors. Assess it like any version.")
@click.option("--check", type=click.Path(path_type=Path), help="Folder of class folders; its accuracy is printed first.")
@click.option("--expect", type=float, help="Refuse (exit code 3) when the accuracy on --check is below.")
@click.option("--by", default="trueup publish", show_default=True, help="Who publishes, for the history.")
@click.option("--reason", default="brought from outside", show_default=True, help="Why, for the history.")
def command(settings: Settings, model: str | None, network: str, weights: Path, classes: Path, check: Path | None,
            expect: float | None, by: str, reason: str, runtime: str, number_format: str, **look: Any) -> Outcome:
    """Checks, writes the version, promotes it."""
    if expect is not None and check is None:
        raise UsageError("--expect needs --check FOLDER, a folder of class folders to be right on.")
    settings = with_options(settings, model=model)
    storage = open_root(settings.need_root(), create=True)
    registry = Registry(storage, settings.need_model())
    live = _live(registry)
    names = read_classes(classes)
    preprocess = preprocess_of(network, **look)
    print(f"preprocessing: {json.dumps(preprocess.to_dict())}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="trueup-publish-") as folder:
        file = Path(folder, "weights.safetensors")
        _convert(weights, network, len(names), file)
        card = _card(registry.model, "0", network, names, preprocess, file, weights.name)
        card = as_computed(card, file.read_bytes(), runtime, number_format)
        print(f"runtime: {card.runtime}, {card.number_format}", file=sys.stderr)
        found = check_on(card, file.read_bytes(), check) if check else None
        if found and expect is not None and found["accuracy"] < expect:
            return _refuse(found, expect)
        number = registry.claim(by)
        card = card.model_copy(update={"version": number, "metrics": {"check": found} if found else {}})
        registry.write_version(card, file)
    registry.promote(number, by, reason, expected_live=live)
    document = {"model": registry.model, "version": number, "replaces": live, "network": network, "classes": names,
                "runtime": card.runtime, "number_format": card.number_format,
                "weights_sha256": card.weights_sha256, "preprocess": preprocess.to_dict(), "check": found}
    return Outcome(document=document, text=_text(document))


def _live(registry: Registry) -> str | None:
    try:
        return registry.live()
    except NoSuchModel:
        return None


def _convert(weights: Path, network_name: str, classes: int, file: Path) -> None:
    from safetensors.torch import save_file

    from inference.model import network

    state = network.drop_auxiliary_heads(weights_file.read(weights))
    weights_file.check_fits(state, network.build(network_name, classes).state_dict(), f"{weights} for {network_name}")
    weights_file.check_finite(state, str(weights))
    save_file({name: tensor.contiguous().clone() for name, tensor in sorted(state.items())}, str(file))


def _card(model: str, version: str, network: str, classes: list[str], preprocess: Preprocess, file: Path,
          brought: str) -> Card:
    return Card(model=model, version=version, created_at=clock.iso(clock.now()), network=network, classes=classes,
                preprocess=preprocess, weights_sha256=file_sha256(file), weights_bytes=file.stat().st_size,
                made_from=f"brought from outside ({brought}); its training set is unknown",
                code_version=installed("trueup"))


def as_computed(card: Card, weights: bytes, runtime: str, number_format: str) -> Card:
    """The card with its runtime and number format; what was asked for and cannot be is a UsageError or BadWeights."""
    from inference.model.predictor import TORCH, TORCHSCRIPT, Predictor

    card = card.model_copy(update={"number_format": number_format, "runtime": TORCH if runtime == TORCH else TORCHSCRIPT})
    try:
        Predictor(card, weights)
    except (UsageError, BadWeights) as error:
        if runtime != "auto":
            raise
        print(f"computed by torch: {error}", file=sys.stderr)
        card = card.model_copy(update={"runtime": TORCH})
    return card


def read_classes(path: Path) -> list[str]:
    """The class list of a file: a JSON list, or one a line (empty lines at the end are ignored)."""
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--classes {path}: expected a text file with one class a line or a JSON list, got {error}.") from None
    try:
        found = json.loads(content) if content.lstrip().startswith("[") else content.rstrip().splitlines()
        names = [labels.normalise_class(str(name)) for name in found]
    except (ValueError, BadLabel) as error:
        raise UsageError(f"--classes {path}: {error}") from None
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise UsageError(f"--classes {path}: expected distinct classes, got {twice[0]!r} twice." if twice else
                         f"--classes {path}: expected at least one class, got none.")
    return names


def preprocess_of(network: str, size: int | None = None, resize: int | None = None, crop: int | None = None,
                  mean: str | None = None, std: str | None = None, interpolation: str | None = None,
                  grey: bool = False) -> Preprocess:
    """The transform of torchvision's weights for the network (ImageNet's usual one for others), with options over it."""
    options: dict[str, Any] = {"resize": resize or size, "crop": crop or size, "interpolation": interpolation,
                               "mean": _three("--mean", mean), "std": _three("--std", std), "grey": grey or None}
    return Preprocess(**(_own_transform(network) | {k: v for k, v in options.items() if v is not None}))


def _own_transform(network: str) -> dict[str, Any]:
    if ":" in network:
        return {}
    from torchvision import models

    try:
        transform = models.get_model_weights(network).DEFAULT.transforms()
    except ValueError:
        return {}
    resize, crop = list(transform.resize_size), transform.crop_size[0]
    return {"resize": resize[0] if len(resize) == 1 else resize, "crop": crop, "mean": list(transform.mean),
            "std": list(transform.std), "interpolation": transform.interpolation.value,
            "antialias": bool(transform.antialias)}


def _three(option: str, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != 3:
        raise UsageError(f"{option} {text!r}: expected three numbers, for example 0.5,0.5,0.5.")
    return found


def check_on(card: Card, weights: bytes, folder: Path) -> dict[str, Any]:
    """Accuracy on a folder of class folders. A folder that names no class is an error; a damaged picture counts wrong."""
    from inference.model.predictor import Predictor
    from metrics.figure import share
    from metrics.intervals import CONFIDENCE

    files = [(path, labels.normalise_class(path.parent.name)) for path in sorted(folder.glob("*/*"))
             if path.suffix.lower() in layout.PICTURES]
    unknown = sorted({label for _, label in files} - set(card.classes))
    if not files or unknown:
        raise EmptyData(f"--check {folder}: expected folders named by classes with pictures in them, got "
                        f"{'the unknown class ' + repr(unknown[0]) if unknown else 'no picture'}.")
    predictor = Predictor(card, weights)
    right = sum(_count_right(predictor, files[at:at + BATCH]) for at in range(0, len(files), BATCH))
    accuracy = share(right, len(files), CONFIDENCE, "no picture")
    return {"accuracy": accuracy["value"], "low": accuracy["low"], "high": accuracy["high"], "right": right,
            "images": len(files)}


def _count_right(predictor: "Predictor", files: Sequence[tuple[Path, str]]) -> int:
    import torch

    tensors, wanted = [], []
    for path, label in files:
        try:
            tensors.append(predictor.prepare(path.read_bytes()))
            wanted.append(label)
        except BadImage as error:
            print(f"{path}: {error}", file=sys.stderr)
    if not tensors:
        return 0
    rows = predictor.probabilities(torch.stack(tensors))
    return sum(predictor.top(row, 1)[0][0] == label for row, label in zip(rows, wanted, strict=True))


def _refuse(found: dict[str, Any], expect: float) -> Outcome:
    said = (f"refused: {found['right']} of {found['images']} pictures right, an accuracy of {found['accuracy']:.4f}, "
            f"expected {expect} or more. Nothing was published; check classes (their order), size, mean and std.")
    return Outcome(GATE_SAYS_NO, {"refused": said, "check": found, "expect": expect}, said)


def _text(document: dict[str, Any]) -> str:
    found = document["check"]
    checked = f"; {found['right']} of {found['images']} check pictures right ({found['accuracy']:.4f})" if found else ""
    return (f"version {document['version']} of {document['model']} is live ({document['network']}, "
            f"{len(document['classes'])} classes){checked}")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup publish`."""
    return run(command, argv, prog_name="trueup publish")


if __name__ == "__main__":
    end_with(main)
