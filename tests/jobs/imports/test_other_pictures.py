"""Grey of 16 bits and a format of somebody's own, in class folders: what is taken, and the whole way to an assessed version."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from contract.documents import manifest
from contract.errors import DONE, USAGE
from contract.registry import Registry
from contract.sections.pictures import choose_decoder
from contract.storage import open_root
from inference.model import own_decoder, preprocess
from jobs import import_images
from jobs.imports import pictures
from tests.inference import own_formats
from tests.training.loop_root import digits

FORMAT = "tests.jobs.imports.test_other_pictures:decode_any"


@pytest.fixture(autouse=True)
def _none_is_chosen_afterwards():
    yield
    choose_decoder(None)


def twelve_bits(pixels):
    return (pixels.astype(np.uint16) * 16).astype(np.uint16)


def save(folder, number, values):
    """The same kind of picture as a PNG, a TIFF, numpy's file or the made format, by turns."""
    folder.mkdir(parents=True, exist_ok=True)
    out = io.BytesIO()
    kind = ("png", "tif", "npy", "trim")[number % 4]
    if kind == "npy":
        np.save(out, values)
    elif kind == "trim":
        out.write(own_formats.encode(values))
    else:
        Image.fromarray(values).save(out, {"png": "PNG", "tif": "TIFF"}[kind])
    (folder / f"{number}.{kind}").write_bytes(out.getvalue())


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "sorted"
    for number in range(8):
        save(made / "ab"[number // 4], number, np.random.default_rng(number).integers(0, 4096, (20, 30), dtype=np.uint16))
    return made


def test_all_are_taken_with_all_their_bits(folder):
    choose_decoder(FORMAT)
    found = pictures.look_at(folder)
    assert found.refused == [] and len(found.taken) == 8
    decoders = {name for name in found.converted if name.startswith(f"{FORMAT}@")}
    assert sum(found.converted[name] for name in decoders) == 6  # all but the PNGs, which never reach it
    root = open_root(str(folder.parent / "root"), create=True)
    for row, taken in zip(pictures.store(found, root, "ann", 0), found.taken, strict=True):
        kept = preprocess.decode_wide(root.read(row["image_uri"]))
        number = int(taken.file.stem)
        assert (kept == np.random.default_rng(number).integers(0, 4096, (20, 30), dtype=np.uint16)).all()


def decode_any(data):
    """A decoder gets TIFFs, too, once it is named."""
    if data.startswith(b"\x93NUMPY"):
        return own_formats.decode_npy(data)
    return own_formats.decode(data) if data.startswith(b"TRIM") else np.array(Image.open(io.BytesIO(data)))


def test_without_a_decoder_they_are_listed_and_tiffs_keep_their_bits(folder):
    found = pictures.look_at(folder)
    assert sorted(entry["file"].rpartition(".")[2] for entry in found.refused) == ["npy", "npy", "trim", "trim"]
    assert found.converted == {"tiff": 2}


def test_one_that_is_not_listed_imports_nothing(folder, tmp_root, monkeypatch, capsys):
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "[elsewhere]")
    argv = [str(folder), "--root", tmp_root, "--model", "m", "--set", "pictures.decoder=other_formats:read"]
    assert import_images.main(argv) == USAGE
    assert "in the setting `allow_modules`" in capsys.readouterr().err


@pytest.mark.slow("spark")
def test_from_class_folders_to_an_assessed_version(spark, tmp_path, tmp_root, capsys):
    """Digits of 12 bits: by the levels a version learns them as those of 8 bits are learnt."""
    from training import assess, train

    values, labels = digits()
    for number, (pixels, label) in enumerate(zip(values[:500], labels[:500], strict=True)):
        save(tmp_path / "sorted" / label, number, twelve_bits(pixels))
    own = ["--set", f"pictures.decoder={FORMAT}"]
    common = ["--root", tmp_root, "--model", "m", "--json"]
    assert import_images.main([str(tmp_path / "sorted"), *common, *own]) == DONE
    dataset = json.loads(capsys.readouterr().out)["dataset"]
    quick = [part for name, value in (("launcher", "process"), ("threads", "1"), ("lr", "0.01"), ("augment", "none"))
             for part in ("--set", f"train.{name}={value}")]
    for epochs in ("1", "12"):
        argv = [*common, *quick, "--dataset", dataset, "--parent", "none", "--network", "tests.training.tiny:build", "--size",
                "32", "--levels", "0,4095", "--epochs", epochs]
        assert train.main(argv) == DONE
    registry = Registry(open_root(tmp_root), "m")
    registry.promote("1", by="test", reason="test", expected_live=None)
    made = manifest.load(open_root(tmp_root), dataset)
    assert registry.card("2").preprocess.levels == [0, 4095]
    assert registry.card("2").preprocess.decoders == list(made.decoders) == [own_decoder.load(FORMAT).name]
    assert made.decoders[own_decoder.load(FORMAT).name] > 300  # all but the PNGs, of which some rows are left out
    capsys.readouterr()
    assert assess.main([*common, "--candidate", "2"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert found["trial"]["largest_difference"] < 1e-4
    assert found["versions"]["candidate"]["accuracy"]["value"] > 0.8
