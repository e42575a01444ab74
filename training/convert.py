"""Makes a version of the same weights in another runtime or number format; `trueup model convert` then has it assessed.

    python -m training.convert --root R --model M --version V --runtime openvino --number-format float32|bfloat16|int8 [--json]

The converted network is stored beside the weights and named, with its hash, by the card. float32 must give the logits of torch's
network on made-up batches, or nothing is written. int8: its ranges are measured on training pictures of the parent's dataset,
never on held-out ones. The same conversion again finds the version that there is.
"""

import hashlib
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract import clock
from contract.documents import manifest
from contract.documents.card import Card, Converted
from contract.errors import BadWeights, EmptyData, UsageError
from contract.registry import Registry, check_version
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage

OPENVINO, INT8 = "openvino", "int8"
FORMATS = ("float32", "bfloat16", INT8)


@stage_command("convert", help="Make a version of the same weights in another runtime and number format.")
@click.option("--model", help="Name of the model.")
@click.option("--version", required=True, help="The version that is converted.")
@click.option("--runtime", type=click.Choice([OPENVINO]), default=OPENVINO, show_default=True)
@click.option("--number-format", type=click.Choice(FORMATS), required=True)
@click.option("--dataset", help="Whose training pictures int8 is measured on. [default: the version's]")
@click.option("--by", default="trueup model convert", help="Who converts, for the claim of the number.")
def command(settings: Settings, model: str | None, version: str, runtime: str, number_format: str, dataset: str | None,
            by: str) -> Outcome:
    """Converts and writes the version."""
    settings = with_options(settings, model=model)
    registry = Registry(open_root(settings.need_root()), settings.need_model())
    made, is_new = convert(registry, check_version(version), number_format, dataset, settings.convert.pictures, by)
    said = f"version {made.version} of {made.model}: {made.made_from}"
    document = {"model": made.model, "version": made.version, "parent": made.parent, "new": is_new, "card": made.to_dict()}
    return Outcome(document=document, text=said if is_new else f"{said} (it was there already)")


def convert(registry: Registry, version: str, number_format: str, dataset: str | None, pictures: int,
            by: str) -> tuple[Card, bool]:
    """The card of the converted version, and whether it is new. EmptyData: int8 without training pictures; UsageError: the
    version is a conversion itself, or cannot be converted; BadWeights: it would compute otherwise."""
    parent, weights = registry.load(version)
    if parent.converted is not None:
        raise UsageError(f"{parent.model} version {version} was converted from version {parent.parent}: convert that one.")
    measured = _find_dataset(parent, dataset) if number_format == INT8 else None
    made_with = _list_libraries(number_format)
    if (there := _find_same(registry, parent, number_format, measured, pictures, made_with)) is not None:
        return there, False
    data, used = _make(registry.storage, parent, weights, number_format, measured, pictures)
    converted = Converted(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), made_with=made_with, dataset=measured,
                          pictures=used)
    card = _describe(parent, number_format, converted, pictures)
    _try(card, weights, data)
    card = _calibrate(registry.storage, card, weights, data)
    return _write(registry, card, weights, data, by), True


def _find_dataset(parent: Card, dataset: str | None) -> str:
    if (of := dataset or parent.dataset) is None:
        raise EmptyData(f"{parent.model} version {parent.version} names no dataset, and int8 is measured on training pictures: "
                        f"name one with --dataset (trueup dataset makes one), or convert to float32 or bfloat16.")
    return of


def _list_libraries(number_format: str) -> dict[str, str]:
    """The libraries that convert, with their versions."""
    found = {}
    for name in ("torch", "openvino", *(["nncf"] if number_format == INT8 else [])):
        try:
            found[name] = installed(name)
        except PackageNotFoundError:
            found[name] = "not installed"  # an error says so where it is imported
    return found


def _find_same(registry: Registry, parent: Card, number_format: str, dataset: str | None, pictures: int,
               made_with: dict[str, str]) -> Card | None:
    newest, _ = registry.newest_known()
    deleted = newest.state.deleted if newest else []
    for version in registry.versions():
        card = registry.card(version)
        of = card.converted
        if (of is not None and version not in deleted and card.parent == parent.version and card.runtime == OPENVINO
                and card.number_format == number_format and of.made_with == made_with and of.dataset == dataset
                and card.settings.get("pictures") == (pictures if dataset else None)):
            return card
    return None


def _make(storage: Storage, parent: Card, weights: bytes, number_format: str, dataset: str | None,
          pictures: int) -> tuple[bytes, int | None]:
    """The converted network's file, and on how many pictures int8 was measured."""
    from inference.model import network, openvino_network
    from inference.model.predictor import find_input_size

    who, side = f"{parent.model} version {parent.version}", find_input_size(parent.preprocess)
    if side is None:
        raise UsageError(f"{who}: the runtime openvino needs pictures of one size, and its card names no crop and no size. "
                         f"Publish the weights with --crop or --size first.")
    openvino_network.import_openvino()
    original = network.load(parent, weights).requires_grad_(False)
    try:
        model = openvino_network.convert(original, (3, *side))
    except RuntimeError as error:  # what torch and OpenVINO raise for whatever cannot be traced or has no counterpart
        raise UsageError(f"{who}: {parent.network} cannot be converted: {' '.join(str(error).split())[:300]} Serve it with torch "
                         f"or torchscript.") from error
    _compare(who, parent, original, model, side)
    if dataset is None:
        return openvino_network.pack(model), None
    from training.quantise import quantise

    prepared = _read_pictures(storage, parent, dataset, pictures)
    return openvino_network.pack(quantise(model, parent.network, prepared)), len(prepared)


def _compare(who: str, parent: Card, original: Any, model: Any, side: tuple[int, int]) -> None:
    import torch

    from inference.model import openvino_network
    from inference.model.predictor import find_other_answer

    n = find_other_answer(original, openvino_network.OpenvinoNetwork(model, "float32"), side, torch.device("cpu"))
    if n is not None:
        raise BadWeights(f"{who}: {parent.network} computes otherwise in openvino than in torch, for a batch of {n}: what it "
                         f"computes may depend on what it sees. Serve it with torch.")


def _read_pictures(storage: Storage, parent: Card, dataset: str, pictures: int) -> list[Any]:
    """The first training pictures of a dataset, whose rows are in random order, as the network gets them."""
    from inference.model import preprocess
    from training.feed import reader

    made = manifest.load(storage, dataset)
    if not (rows := min(pictures, made.rows["train"])):
        raise EmptyData(f"dataset {dataset}: expected training pictures to measure int8 on, it has none.")
    return [preprocess.to_tensor(bytes(row.image), parent.preprocess)[None].numpy()
            for row in reader.read_rows(storage, made.split("train"), 0, rows)]


def _describe(parent: Card, number_format: str, converted: Converted, pictures: int) -> Card:
    measured = f", measured on {converted.pictures} training pictures of dataset {converted.dataset}" if converted.dataset else ""
    return parent.model_copy(update={
        "created_at": clock.iso(clock.now()), "runtime": OPENVINO, "number_format": number_format, "converted": converted,
        "parent": parent.version, "made_from": f"version {parent.version} converted to OpenVINO in {number_format}{measured}",
        "settings": {"pictures": pictures} if converted.dataset else {}, "metrics": {},
        "code_version": installed("trueup")})


def _calibrate(storage: Storage, card: Card, weights: bytes, data: bytes) -> Card:
    """The card of int8 with a calibration of its own, where its parent has one and the dataset validation rows; else inherited:
    outputs of float32 and bfloat16 are the parent's to some digits, those of int8 are not."""
    from training.calibrate import calibrate_trained

    if card.number_format != INT8 or card.calibration is None or card.converted is None or card.converted.dataset is None:
        return card
    made = manifest.load(storage, card.converted.dataset)
    found = calibrate_trained(storage, made, card, weights, card.calibration.method, data)
    return card.model_copy(update={"calibration": found or card.calibration})


def _try(card: Card, weights: bytes, data: bytes) -> None:
    """Lets the version answer made-up pictures, as a service would before it is ready."""
    from inference.model.predictor import Predictor

    Predictor(card, weights, "cpu", data).warm_up(2)


def _write(registry: Registry, card: Card, weights: bytes, data: bytes, by: str) -> Card:
    card = card.model_copy(update={"version": registry.claim(by)})
    with tempfile.TemporaryDirectory(prefix="trueup-convert-") as folder:
        files = Path(folder, "weights"), Path(folder, "network")
        for file, content in zip(files, (weights, data), strict=True):
            file.write_bytes(content)
        registry.write_version(card, *files)
    return registry.card(card.version)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m training.convert`."""
    return run(command, argv, prog_name="python -m training.convert")


if __name__ == "__main__":
    end_with(main)
