"""The example of docs/redaction.md, on a photograph that matplotlib brings: an officer's portrait, in the public domain."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib import get_data_path
from PIL import Image

from inference.model import redaction
from inference.model.preprocess import decode
from tests.inference.made_pictures import encode

PAGE = Path(__file__).parents[3] / "docs" / "redaction.md"


@pytest.fixture
def hook(tmp_path, monkeypatch):
    """The page's code, as a module that is listed."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    (tmp_path / "blurring.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "[blurring]")
    return redaction.load("blurring:blur_faces")


def find_faces(pixels):
    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_alt2.xml")  # another one than the page's
    return cascade.detectMultiScale(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), 1.1, 3)


def test_a_face_is_blurred_and_the_rest_stays(hook):
    portrait = Image.open(Path(get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")
    before = np.asarray(portrait)
    (x, y, width, height), = find_faces(before)
    after = np.asarray(decode(hook.redact(encode(portrait, "PNG"))))
    assert len(find_faces(after)) == 0 and after.shape == before.shape
    face = (slice(y + height // 4, y + 3 * height // 4), slice(x + width // 4, x + 3 * width // 4))
    # Flat within each of the patches: a sixteenth of the face is one colour.
    assert len(np.unique(after[face].reshape(-1, 3), axis=0)) <= 16 < len(np.unique(before[face].reshape(-1, 3), axis=0))
    assert (after[:60] == before[:60]).all() and (after[-120:] == before[-120:]).all()


def test_a_picture_without_faces_stays_as_it_is(hook):
    flat = Image.new("RGB", (200, 150), (40, 90, 200))
    assert np.array_equal(np.asarray(decode(hook.redact(encode(flat, "PNG")))), np.asarray(flat))
