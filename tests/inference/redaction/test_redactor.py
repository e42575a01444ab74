"""A hook's pixels and nothing else go on; whatever else a hook does, nothing comes of it, and it runs where it is listed."""

import hashlib
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.errors import BadImage, RedactionFailed, UsageError
from inference.model import network, redaction
from inference.model.preprocess import decode
from inference.model.strip_metadata import strip_metadata
from tests.inference.made_pictures import encode, picture, pixels
from tests.inference.redaction import hooks

HOOKS = "tests.inference.redaction.hooks"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_goes_on_is_a_png_of_the_hooks_pixels_and_nothing_else(kind):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    data = encode(pixels(2), kind, exif=exif, icc_profile=b"profile of somebody")
    redacted = redaction.load(f"{HOOKS}:blank").redact(data)
    assert redacted[:4] == b"\x89PNG" and b"description" not in redacted and b"profile" not in redacted
    assert strip_metadata(redacted)[0] == redacted
    before, after = np.asarray(decode(data)), np.asarray(Image.open(io.BytesIO(redacted)))
    assert after.shape == before.shape == (48, 36, 3)  # upright
    assert not after[:, :18].any() and (after[:, 18:] == before[:, 18:]).all()


def test_an_array_that_is_not_contiguous_is_written_as_it_reads():
    data = picture(4, "PNG")
    redacted = np.asarray(decode(redaction.load(f"{HOOKS}:inverted").redact(data)))
    assert (redacted == (255 - np.asarray(decode(data)))[:, ::-1]).all()


@pytest.mark.parametrize("n", range(len(hooks.NOT_A_PICTURE) + len(hooks.ENDINGS)))
def test_whatever_else_a_hook_does_nothing_comes_of_it_and_nothing_of_the_picture_is_said(n):
    image = pixels(1)
    image.putpixel((0, 0), (n, 0, 0))
    with pytest.raises(RedactionFailed) as caught:
        redaction.load(f"{HOOKS}:moody").redact(encode(image, "PNG"))
    assert HOOKS in str(caught.value) and "\\x" not in str(caught.value) and len(str(caught.value)) < 250
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_what_is_no_picture_is_no_fault_of_the_hook():
    with pytest.raises(BadImage):
        redaction.load(f"{HOOKS}:blank").redact(picture(1)[:-200])


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("name", "message"), [
    (f"{HOOKS}:broken", r"raised ValueError \(hooks.py, line \d+\), of a made-up picture"),
    (f"{HOOKS}:later", "got coroutine, of a"), (f"{HOOKS}:absent", "expected it to be importable"),
    (f"{HOOKS}:not_callable", "expected a function, got str"),
    ("os:remove", "expected the module os in the setting `allow_modules`"), ("blank", "expected package.module:function"),
    ("tests.absent:blank", "expected it to be importable"), ("testsuite:x", "expected the module testsuite in"),
    ("a b:c", "expected package.module:function"), ("tests/../x:y", "expected package.module:function")])
def test_a_hook_that_cannot_be_used_is_an_error_at_the_start(name, message):
    with pytest.raises(UsageError, match=message):
        redaction.load(name)


def test_its_name_changes_with_its_source(tmp_path, monkeypatch):
    source = Path(hooks.__file__).read_bytes()
    assert redaction.load(f"{HOOKS}:blank").name == f"{HOOKS}:blank@{hashlib.sha256(source).hexdigest()[:12]}"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "[mine_a, mine_b]")
    (tmp_path / "mine_a.py").write_text("def hide(pixels):\n    return pixels\n")
    (tmp_path / "mine_b.py").write_text("def hide(pixels):\n    pixels[:] = 0\n    return pixels\n")
    a, b = (redaction.load(f"{name}:hide").name for name in ("mine_a", "mine_b"))
    assert a.partition("@")[2] != b.partition("@")[2]


@pytest.mark.parametrize(("allowed", "module", "runs"), [
    ("", "planted", False), ("[other]", "planted", False), ("[planted]", "planted", True), ("[other, planted]", "planted", True),
    ("[plant]", "planted", False), ("[planted.deeper]", "planted", False)])
def test_what_a_card_names_runs_only_where_it_is_listed_here(tmp_path, monkeypatch, allowed, module, runs):
    """A card lies in the bucket: whoever writes there must not choose what is imported."""
    touched = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    (tmp_path / "planted.py").write_text(f"{touched}def build(n): raise SystemExit\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", allowed)
    with pytest.raises(UsageError, match="ended with SystemExit" if runs else "write `allow_modules: "):
        network.build(f"{module}:build", 2)
    assert (tmp_path / "ran").exists() is runs
    sys.modules.pop("planted", None)


def test_a_list_that_is_none_is_said(monkeypatch):
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "[a/b]")
    with pytest.raises(UsageError, match="TRUEUP_ALLOW_MODULES: expected modules"):
        network.build("tests.inference.own_network:build", 2)
