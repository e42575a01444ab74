"""Batches: pictures laid straight into their memory, cut where the seed says, in order whatever the threads do."""

import hashlib

import pytest
import torch

from contract.card import Preprocess
from inference.preprocess import normalise, to_uint8
from tests.inference.pictures import picture
from training import augment
from training.batches import AHEAD, batches, cut
from training.reader import Sample

P = Preprocess(resize=30, crop=24)


def samples(n, kind="JPEG"):
    files = [picture(i, kind) for i in range(n)]
    return [Sample(hashlib.sha256(f).hexdigest(), f, "a", i, "import", "2026-11-20", None) for i, f in enumerate(files)]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("how", [P, Preprocess(resize=30, crop=None), Preprocess(resize=8, crop=24, grey=True)])
def test_the_pixels_are_those_that_are_served(how, kind):
    rows = samples(20, kind)
    made = list(batches(iter(rows), [9, 0, 11], how, threads=3))
    images = [image for batch in made for image in batch.images]
    assert [len(batch.hashes) for batch in made] == [9, 0, 11]
    assert all(torch.equal(image, to_uint8(row.image, how)) for image, row in zip(images, rows, strict=True))


@pytest.mark.parametrize("threads", [1, 8])
def test_a_row_is_cut_at_the_same_place_in_any_batch(threads):
    rows, windows = samples(20), augment.windows(augment.strength("crop"), 3, 1)
    alone = [next(batches(iter([row]), [1], P, 1, windows)).images[0] for row in rows]
    together = next(batches(iter(rows), [20], P, threads, windows)).images
    assert all(map(torch.equal, together, alone))
    other = next(batches(iter(rows), [20], P, threads, augment.windows(augment.strength("crop"), 3, 2))).images
    assert sum(map(torch.equal, together, other)) < 3


def test_a_batch_that_is_kept_is_not_written_over_and_one_that_is_let_go_is():
    rows = samples(60)
    kept = list(batches(iter(rows), [3, 4, 3] * 6, P, threads=3))
    images = [image for batch in kept for image in batch.images]
    assert all(torch.equal(image, to_uint8(row.image, P)) for image, row in zip(images, rows, strict=True))
    seen = [batch.images.data_ptr() for batch in batches(iter(rows), [3] * 20, P, threads=3)]
    assert len(set(seen)) <= AHEAD + 3


def test_quick_and_slow_cuts_are_the_same():
    rows = samples(12)
    places = augment.windows(augment.strength("crop"), 5, 2)([row.image_sha256 for row in rows])
    made = next(batches(iter(rows), [12], P, 2, lambda _: places)).images
    whole = [to_uint8(row.image, Preprocess(resize=30, crop=None)) for row in rows]
    assert all(torch.equal(image, cut(pixels, 24, *place)) for image, pixels, place in zip(made, whole, places, strict=True))
    assert 0 < sum(place[2] >= 0.5 for place in places) < 12


def test_a_cut_reaches_every_edge_and_mirrors():
    pixels = torch.arange(3 * 6 * 5).reshape(3, 6, 5)
    assert torch.equal(cut(pixels, 4, 0, 0, 0), pixels[:, :4, :4])
    assert torch.equal(cut(pixels, 4, 0.999, 0.999, 0), pixels[:, 2:, 1:])
    assert torch.equal(cut(pixels, 4, 0, 0, 0.5), pixels[:, :4, :4].flip(2))
    assert cut(pixels, 8, 0.5, 0.5, 0).shape == (3, 8, 8)  # smaller than the cut: black around it


def test_normalised_bits_do_not_depend_on_the_layout_in_memory():
    batch = next(batches(iter(samples(5)), [5], P)).images
    assert batch.permute(0, 2, 3, 1).is_contiguous()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (P.mean, P.std))
    expected = (batch.to(torch.float32) / 255 - mean) / std
    assert torch.equal(normalise(batch, P), expected) and torch.equal(normalise(batch.contiguous(), P), expected)
    assert torch.equal(normalise(batch[0], P), expected[0])


def test_crop_changes_nothing_once_it_is_decoded():
    images = torch.arange(48, dtype=torch.uint8).reshape(1, 3, 4, 4)
    strong = augment.strength("crop")
    assert torch.equal(augment.apply(images, strong, augment.uniforms(1, 0, ["a"])), images.float())
    assert augment.windows(augment.strength("light"), 1, 0) is None
