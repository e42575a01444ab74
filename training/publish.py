"""Publishes a network trained elsewhere: read safely, checked, asked in a real service, stored as safetensors, made live.

    trueup publish --root R --model M --network resnet18 --weights FILE --classes FILE [--check FOLDER --expect 0.9]
    trueup publish … --network resnet18 --weights-name DEFAULT      torchvision's own weights and classes, fetched
    trueup publish … --network package.module:build      a callable that takes the number of classes
    python -m training.publish …

The preprocessing is that of torchvision's own weights for the network unless options say otherwise; it is printed. Nothing
is written before the version answered in a service process of its own.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from command.tracking.tracking import tell, write_told
from command.tracking.versions import mirror_state
from contract import clock
from contract.documents.card import Card, Preprocess
from contract.errors import GATE_SAYS_NO, NoSuchModel, RootError, UsageError
from contract.registry import Registry, file_sha256
from contract.settings import Settings
from contract.storage import open_root
from contract.texts.figures import write_bound, write_percent
from inference.model.own_decoder import load_chosen
from training import ask_first, check_folder
from training.class_file import read_classes
from training.fit import old_names, pretrained, weights_file
from training.look import choose_preprocess, decide_transform_input, read_levels

SIDE = click.IntRange(1, 8192)


@stage_command("publish", help="Bring a network trained elsewhere and make it live.")
@click.option("--model", help="Name of the model.")
@click.option("--network", required=True, help="A torchvision network by name, or package.module:build.")
@click.option("--weights", type=click.Path(path_type=Path), help="safetensors, or a state_dict file.")
@click.option("--weights-name", help="torchvision's weights of this name (DEFAULT, IMAGENET1K_V1): fetched, with their classes "
              "and preprocessing. With --weights: what that file holds, or was fine-tuned from.")
@click.option("--classes", type=click.Path(path_type=Path), help="One class a line, or JSON: a list, pairs, an object. "
              "[default with --weights-name: torchvision's]")
@click.option("--size", type=SIDE, help="Side of the network's input: sets resize and crop.")
@click.option("--resize", type=SIDE, help="Pixels of the shorter side.")
@click.option("--crop", type=SIDE, help="Side of the centre crop.")
@click.option("--mean", help="Three numbers of 0 to 1, comma-separated.")
@click.option("--std", help="Three numbers of 0 to 1, comma-separated.")
@click.option("--interpolation", type=click.Choice(["nearest", "bilinear", "bicubic"]))
@click.option("--grey", is_flag=True, help="Pictures are converted to grey first.")
@click.option("--levels", metavar="BLACK,WHITE", help="Of grey pictures of 16 bits: the values that become black and white, e.g. "
              "0,4095. [default: 0,65535 by their upper 8 bits]")
@click.option("--transform-input/--no-transform-input", default=None, help="googlenet and inception_v3: whether the network was "
              "made with transform_input=True, as torchvision's weights are. A file of weights does not tell.")
@click.option("--runtime", type=click.Choice(["auto", "torch", "torchscript"]), default="torch", show_default=True,
              help="How it is computed. torchscript: faster on a CPU. auto: torchscript where it gives the same answers.")
@click.option("--number-format", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True,
              help="Numbers it is computed in; bfloat16 is faster on some processors. Assess it like any version.")
@click.option("--check", type=click.Path(path_type=Path), help="Folder of class folders; its accuracy is printed first.")
@click.option("--expect", type=float, help="Refuse (exit code 3) when the accuracy on --check is below.")
@click.option("--calibrate", type=click.Path(path_type=Path), help="Folder of class folders, of pictures that the network was "
              "not trained on (30 at least): a temperature is fitted on them, which makes its probabilities come true.")
@click.option("--by", default="trueup publish", show_default=True, help="Who publishes, for the history.")
@click.option("--reason", default="brought from outside", show_default=True, help="Why, for the history.")
def command(settings: Settings, model: str | None, network: str, weights: Path | None, weights_name: str | None,
            classes: Path | None, check: Path | None, expect: float | None, by: str, reason: str, runtime: str,
            number_format: str, transform_input: bool | None, calibrate: Path | None, levels: str | None, **look: Any) -> Outcome:
    """Checks, asks, writes the version, promotes it."""
    if expect is not None and check is None:
        raise UsageError("--expect needs --check FOLDER, a folder of class folders to be right on.")
    settings = with_options(settings, model=model)
    name, root = settings.need_model(), settings.need_root()
    live = _live(root, name)
    brought = bring(network, weights, weights_name, classes)
    transform_input = decide_transform_input(network, transform_input, brought.weights_name)
    preprocess = choose_preprocess(network, **look, weights_name=brought.weights_name, transform_input=transform_input,
                               levels=read_levels(levels))
    if (decoder := load_chosen()) is not None:  # through it pictures come to it, --check's too
        preprocess = preprocess.model_copy(update={"decoders": [decoder.name]})
    print(f"preprocessing: {json.dumps(preprocess.facts())}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="trueup-publish-") as folder:
        file = Path(folder, "weights.safetensors")
        _convert(brought, network, file)
        card = _card(name, network, brought, preprocess, file)
        card, predictor = ask_first.load(card, file.read_bytes(), runtime, number_format)
        print(f"runtime: {card.runtime}, {card.number_format}", file=sys.stderr)
        if calibrate is not None:
            predictor.take_calibration(check_folder.calibrate_on(predictor, calibrate))
            card = predictor.card
        found = check_folder.check_on(predictor, check) if check else None
        if found and expect is not None and found["accuracy"] < expect:
            return _refuse(found, expect)
        trial = ask_first.ask_service(predictor, file.read_bytes())
        registry = Registry(open_root(root, create=True), name)
        number = registry.claim(by)
        card = card.model_copy(update={"version": number, "metrics": {"check": found} if found else {}})
        registry.write_version(card, file)
    registry.promote(number, by, reason, expected_live=live)
    told = tell(settings.track, lambda store: mirror_state(store, registry))
    document = {"model": registry.model, "version": number, "replaces": live, "network": network, "classes": card.classes,
                "runtime": card.runtime, "number_format": card.number_format, "transform_input": transform_input,
                "weights_name": brought.weights_name, "weights_sha256": card.weights_sha256,
                "preprocess": preprocess.to_dict(), "check": found, "trial": trial,
                "calibration": card.calibration.to_dict() if card.calibration else None}
    return Outcome(document=document | ({"tracking": told} if told else {}), text=_text(document) + write_told(told))


def _live(root: str, model: str) -> str | None:
    """What is live when the work begins: a version that others publish meanwhile is not replaced unseen."""
    try:
        return Registry(open_root(root), model).live()
    except (NoSuchModel, RootError):  # a root that cannot be used is an error when it is written to
        return None


@dataclass(frozen=True)
class Brought:
    """Weights as they were brought: tensors by name, the class of each output, where they are from.

    `weights_name`: of torchvision's weights that they are, or were fine-tuned from; None: of unknown ones.
    """

    state: dict[str, Any]
    classes: list[str]
    origin: str
    weights_name: str | None


def bring(network: str, weights: Path | None, weights_name: str | None, classes: Path | None) -> Brought:
    """Reads weights and classes from files, or takes torchvision's. UsageError, BadWeights."""
    if weights is None and weights_name is None:
        raise UsageError("expected --weights FILE, or --weights-name NAME of torchvision (for example DEFAULT), got neither.")
    named: Any = pretrained.find_weights(network, weights_name) if weights_name else None
    recognised = pretrained.recognise(network, weights) if weights and not weights_name else None
    if recognised:
        print(f"{weights}: taken for torchvision's {recognised}, which is handed out in a file of that name", file=sys.stderr)
        named = pretrained.find_weights(network, recognised)
    if classes is None and named is None:
        raise UsageError("expected --classes FILE: one class a line, in the order of the network's outputs, or JSON.")
    names = read_classes(classes) if classes else list(named.meta["categories"])
    if len(names) < 2:
        raise UsageError(f"--classes {classes}: expected two classes or more, got {len(names)}: a network with one output says "
                         f"the same of every picture. For a network of one logit, add an output that is always 0.")
    state = weights_file.read(weights) if weights else pretrained.load_named(network, weights_name or "")
    origin = weights.name if weights else _describe_weights(named)
    return Brought(state, names, origin, named.name if named is not None else None)


def _describe_weights(named: Any) -> str:
    licence = named.meta.get("license")
    if licence:
        print(f"licence of these weights: {licence}", file=sys.stderr)
    return f"torchvision's {named}{f', licence {licence}' if licence else ''}"


def _convert(brought: Brought, network_name: str, file: Path) -> None:
    """Writes the weights as they are served: today's names, float32, nothing that the network has not."""
    from safetensors.torch import save_file

    what = f"{brought.origin} for {network_name}"
    expected = ask_first.build_empty(network_name, len(brought.classes), brought.state).state_dict()
    state = weights_file.widen(old_names.translate(network_name, brought.state, expected))
    weights_file.check_fits(state, expected, what)
    weights_file.check_finite(state, what)
    save_file({name: tensor.contiguous().clone() for name, tensor in sorted(state.items())}, str(file))


def _card(model: str, network: str, brought: Brought, preprocess: Preprocess, file: Path) -> Card:
    return Card(model=model, version="1", created_at=clock.iso(clock.now()), network=network, classes=brought.classes,
                preprocess=preprocess, weights_sha256=file_sha256(file), weights_bytes=file.stat().st_size,
                made_from=f"brought from outside ({brought.origin}); its training set is unknown",
                code_version=installed("trueup"))


def _refuse(found: dict[str, Any], expect: float) -> Outcome:
    said = (f"refused: {found['right']} of {found['images']} pictures right, an accuracy of "
            f"{write_percent(found['accuracy'], 1)}, expected {write_bound(expect)} or more. Nothing was published; check "
            f"classes (their order), size, mean and std.")
    return Outcome(GATE_SAYS_NO, {"refused": said, "check": found, "expect": expect}, said)


def _text(document: dict[str, Any]) -> str:
    found = document["check"]
    checked = (f"; {found['right']} of {found['images']} check pictures right ({write_percent(found['accuracy'], 1)})"
               if found else "")
    calibrated = document["calibration"]
    corrected = f"; temperature {calibrated['temperature']:g} from {calibrated['rows']} pictures" if calibrated else ""
    return (f"version {document['version']} of {document['model']} is live ({document['network']}, "
            f"{len(document['classes'])} classes){checked}{corrected}")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup publish`."""
    return run(command, argv, prog_name="trueup publish")


if __name__ == "__main__":
    end_with(main)
