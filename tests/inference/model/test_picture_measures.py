"""Measures of pictures against OpenCV and against arithmetic by hand."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFilter

from contract.measured.measures import BY_NAME, MEASURES
from inference.model.picture_measures import measure_picture, shrink
from inference.model.preprocess import decode


def make(seed: int, height: int, width: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 7, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("seed", range(4))
def test_of_a_small_picture_they_are_opencvs(seed):
    pixels = make(seed, 100, 140)
    found = measure_picture(Image.fromarray(pixels))
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float64)  # BT.601, rounded: within one level of Pillow's
    assert found["brightness"] == pytest.approx(grey.mean() / 255, abs=2e-3)
    assert found["contrast"] == pytest.approx(grey.std() / 255, abs=2e-3)
    pillow = np.asarray(Image.fromarray(pixels).convert("L"), np.float64)
    laplacian = cv2.Laplacian(pillow, cv2.CV_64F)[1:-1, 1:-1]
    assert found["sharpness"] == pytest.approx(laplacian.var() / pillow.var(), abs=1e-6)
    share = pixels.reshape(-1, 3).sum(0) / pixels.sum()
    assert (found["red"], found["blue"]) == pytest.approx((share[0], share[2]), abs=1e-6)


def test_a_large_picture_is_averaged_over_areas_as_opencv_does():
    pixels = make(7, 512, 1024)
    small = np.asarray(shrink(Image.fromarray(pixels)))
    assert small.shape == (128, 256, 3)
    theirs = cv2.resize(pixels, (256, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - theirs).max() <= 1
    assert shrink(Image.new("RGB", (4000, 3))).size == (256, 1)


def test_darkening_keeps_sharpness_and_blur_keeps_brightness():
    image = Image.fromarray(make(3, 200, 200))
    noisy = Image.fromarray(np.clip(np.asarray(image, float) + np.random.default_rng(0).normal(0, 12, (200, 200, 1)), 0,
                                    255).astype(np.uint8))
    whole, dark = measure_picture(noisy), measure_picture(noisy.point(lambda v: v * 0.5))
    assert dark["brightness"] == pytest.approx(whole["brightness"] / 2, abs=3e-3)
    assert dark["sharpness"] == pytest.approx(whole["sharpness"], rel=0.1)
    blurred = measure_picture(noisy.filter(ImageFilter.GaussianBlur(2)))
    assert blurred["brightness"] == pytest.approx(whole["brightness"], abs=5e-3)
    assert blurred["sharpness"] < whole["sharpness"] / 10


def test_what_a_picture_does_not_have_is_null():
    assert measure_picture(Image.new("RGB", (50, 50))) == {"brightness": 0, "contrast": 0, "sharpness": None, "red": None,
                                                           "blue": None}
    assert measure_picture(Image.new("RGB", (2, 40), "white"))["sharpness"] is None
    for step, has_one in ((1, False), (3, True)):  # halves that lie one level or three apart: variance 1/4, 9/4
        halves = np.full((40, 40, 3), 100, np.uint8)
        halves[20:] += step
        assert (measure_picture(Image.fromarray(halves))["sharpness"] is not None) == has_one


def test_a_grey_file_and_one_with_an_orientation_are_measured_as_the_network_sees_them():
    sink = io.BytesIO()
    Image.fromarray(make(1, 30, 40)).convert("L").save(sink, "PNG")
    found = measure_picture(decode(sink.getvalue()))
    assert found["red"] == pytest.approx(1 / 3, abs=1e-6) == found["blue"]


def test_edges_rise_and_common_values_lie_inside_bins():
    for measure in MEASURES:
        assert list(measure.edges) == sorted(set(measure.edges))
    inside = {"aspect": [4 / 3, 3 / 4, 3 / 2, 2 / 3, 16 / 9, 9 / 16, 1.0], "red": [1 / 3], "blue": [1 / 3]}
    for name, values in inside.items():
        assert all(min(abs(value / edge - 1) for edge in BY_NAME[name].edges) > 0.008 for value in values)
