"""The cache: batches of any epochs are those of workers that cache nothing, and what is cached is not read again."""

import os
import random
import signal

import numpy as np
import pytest
import torch

from contract.documents.card import Preprocess
from contract.errors import BadImage, Mismatch, UsageError
from inference.model.preprocess import decode_and_resize
from tests.training.feed.test_feed import BOTH, Files, P, samples
from training.errors import RankGone
from training.feed import augment
from training.feed.cache import CachedRow, CacheWriter, PictureCache
from training.feed.crop import crop_picture
from training.feed.feed import Feed

ALL = 1 << 20


def test_pictures_lie_one_after_the_other_until_there_is_no_room():
    cache, rng, names = PictureCache(1000, 3), np.random.default_rng(1), iter("abc")
    for worker in (1, 0):  # of two: the second has segment 1, the first 0 and 2
        writer, found = CacheWriter(cache.segments, cache.assign_segments(worker, 2)), []
        for height, width in [(5, 4), (9, 9), (3, 10), (8, 8), (3, 1)]:
            pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            if place := writer.write(pixels):
                found.append((place, pixels))
        assert all(np.array_equal(place.view(cache.segments), pixels) for place, pixels in found)
        cache.add((next(names), 0), 2, [CachedRow(7, "h", place) for place, _ in found])
        assert {segment: cache.used[segment] for segment in writer.used} == writer.used
    assert [row and row.pixels for row in cache.find(("a", 0), 0, 6)] == [
        None, None, (1, 0, 5, 4), (1, 60, 9, 9), (1, 303, 3, 1), None]
    assert [row.pixels for row in cache.find(("b", 0), 2, 7)] == [
        (0, 0, 5, 4), (0, 60, 9, 9), (2, 0, 3, 10), (2, 90, 8, 8), (0, 303, 3, 1)]
    assert cache.used == [312, 312, 282]
    assert cache.find(("b", 1), 0, 2) == cache.find(("g", 0), 0, 2) == [None, None]


def test_without_room_nothing_is_remembered():
    cache = PictureCache(0, 2)
    assert CacheWriter(cache.segments, cache.assign_segments(1, 2)).write(np.zeros((1, 1, 3), np.uint8)) is None
    cache.add(("f", 0), 0, [None, None])
    assert cache.rows == {}


def test_memory_that_cannot_be_had_names_its_setting(monkeypatch):
    def refused(*_):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("training.feed.cache.mmap.mmap", refused)
    with pytest.raises(UsageError, match="train.cache_mib: .* 64 MiB cannot be had"):
        PictureCache(64 << 20, 2)


@BOTH
@pytest.mark.parametrize("room", [0, 30_000, ALL])
@pytest.mark.parametrize("seed", [1, 2])
def test_batches_are_those_that_are_decoded_anew(tmp_path, seed, room, forked):
    """Files in any order, any rows of them, steps of any size, cut anywhere or in the middle: whatever was cached before."""
    rng, found = random.Random(seed), Files(tmp_path, samples(60), 5, empty=seed == 2)
    pixels = {row.image_sha256: torch.from_numpy(decode_and_resize(row.image, P)).permute(2, 0, 1) for row in found.rows}
    rows = dict(zip([file.key for file in found.files], [found.rows[n:n + 16] for n in range(0, 60, 16)], strict=True))
    with Feed(found.storage, P, 3, forked, room) as feed:
        for epoch in range(8):
            files = rng.sample(found.files, len(found.files))
            low, high = sorted(rng.sample(range(61), 2)) if epoch % 3 else (0, 60)
            cuts = sorted([low, high, *rng.choices(range(low, high + 1), k=rng.choice([0, 3, 20]))])
            sizes = [b - a for a, b in zip(cuts, cuts[1:], strict=False)]
            windows = augment.make_crop_windows(augment.find_strength(rng.choice(["crop", "none"])), 1, epoch)
            batches = list(feed.batches(files, low, sizes, windows))
            expected = [row for file in files for row in rows[file.key]][low:high]
            hashes = [row.image_sha256 for row in expected]
            assert [len(batch.images) for batch in batches] == [len(batch.hashes) for batch in batches] == sizes
            assert [h for batch in batches for h in batch.hashes] == hashes
            assert [n for batch in batches for n in batch.labels.tolist()] == [row.label_index for row in expected]
            places = windows(hashes) if windows else [(0.5, 0.5, 0)] * len(hashes)  # of 7 places the middle one is 3
            images = [image for batch in batches for image in batch.images]
            for image, h, place in zip(images, hashes, places, strict=True):
                assert torch.equal(image, crop_picture(pixels[h], P.crop, *place))


@BOTH
def test_what_is_cached_is_not_read_again(tmp_path, forked):
    found = Files(tmp_path, samples(60))
    with Feed(found.storage, P, 2, forked, ALL) as feed:
        first = torch.cat([batch.images.clone() for batch in feed.batches(found.files, 0, [10] * 6)])
        for file in found.files:
            found.storage.path(file.key).unlink()
        # Larger batches need other memory and so other workers, which have what was cached, too.
        for sizes in ([10] * 6, [30, 30], [60]):
            assert torch.equal(torch.cat([batch.images for batch in feed.batches(found.files, 0, sizes)]), first)
        with pytest.raises(StopIteration):
            next(feed.batches(found.files, 0, []))


def test_a_part_that_is_cached_is_not_decoded_again(tmp_path, monkeypatch):
    found, decoded = Files(tmp_path, samples(60)), []
    monkeypatch.setattr("training.feed.decode.decode_picture",
                        lambda data, how: decoded.append(1) or decode_and_resize(data, how))
    with Feed(found.storage, P, 2, False, ALL) as feed:
        list(feed.batches(found.files, 3, [10, 10]))
        whole = list(feed.batches(found.files, 0, [30, 30]))
    assert [h for batch in whole for h in batch.hashes] == [row.image_sha256 for row in found.rows]
    assert len(decoded) == 60


@BOTH
def test_few_workers_fill_the_room_of_many(tmp_path, forked):
    found = Files(tmp_path, samples(16), 8)  # two row groups, so two workers of eight
    pixels = sum(decode_and_resize(row.image, P).size for row in found.rows)
    with Feed(found.storage, P, 8, forked, 2 * pixels) as feed:
        list(feed.batches(found.files, 0, [16]))
        assert all(feed.cache.find((found.files[0].key, 0), 0, 8) + feed.cache.find((found.files[0].key, 1), 0, 8))
        assert sum(segment.size for segment in feed.cache.segments) <= 2 * pixels


@BOTH
def test_batches_that_are_not_taken_to_the_end_leave_nothing_wrong(tmp_path, forked):
    found = Files(tmp_path, samples(60))
    with Feed(found.storage, P, 3, forked, ALL) as feed:
        expected = torch.cat([batch.images.clone() for batch in feed.batches(found.files, 0, [10] * 6)])
        for low in (0, 20, 7):
            cache, part = feed.cache, feed.batches(found.files, low, [10, 10, 10])
            next(part)
            part.close()
            assert feed.cache is None and cache.segments == []
            assert torch.equal(torch.cat([b.images.clone() for b in feed.batches(found.files, 0, [10] * 6)]), expected)
        cache, made = feed.cache, feed.batches(found.files, 0, [20, 20, 20])
        for _ in range(3):
            next(made)
        made.close()
        assert feed.cache is cache  # all were taken


@BOTH
def test_a_picture_that_cannot_be_decoded_is_an_error_each_time(tmp_path, forked):
    rows = samples(40)
    rows[25] = rows[25]._replace(image=b"no picture")
    found = Files(tmp_path, rows)
    with Feed(found.storage, P, 2, forked, ALL) as feed:
        list(feed.batches(found.files, 0, [20]))
        for _ in range(2):
            with pytest.raises(BadImage, match="none of them"):
                list(feed.batches(found.files, 0, [20, 20]))
        assert len(next(feed.batches(found.files, 30, [10])).images) == 10


def test_after_a_killed_worker_all_is_decoded_anew(tmp_path):
    found = Files(tmp_path, samples(60))
    with Feed(found.storage, P, 2, True, ALL) as feed:
        expected = torch.cat([batch.images.clone() for batch in feed.batches(found.files, 0, [10] * 6)])
        os.kill(feed.workers[1].runner.pid, signal.SIGKILL)
        with pytest.raises(RankGone):
            list(feed.batches(found.files, 0, [10] * 6))
        assert torch.equal(torch.cat([b.images for b in feed.batches(found.files, 0, [30, 30])]), expected)


def test_a_file_that_is_replaced_meanwhile_is_an_error(tmp_path):
    found = Files(tmp_path, samples(32), 5)
    with Feed(found.storage, P, 2, False) as feed:
        list(feed.batches(found.files, 0, [32]))
        Files(tmp_path, found.rows, 4)
        with pytest.raises(Mismatch, match="was replaced while it was read"):
            list(feed.batches(found.files, 0, [32]))


def test_whole_pictures_are_not_cached(tmp_path):
    found = Files(tmp_path, samples(20))
    with Feed(found.storage, Preprocess(resize=30, crop=None), 2, False, ALL) as feed:
        for _ in range(2):
            assert [len(batch.images) for batch in feed.batches(found.files, 0, [20])] == [20]
        assert feed.cache.rows == {}
