"""Batches: pictures written straight into their memory, cropped where the seed says, in order whoever decodes them."""

import hashlib
import multiprocessing
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from contract.documents.card import Preprocess
from contract.documents.manifest import DataFile
from contract.errors import BadImage, Mismatch
from contract.storage import open_root
from inference.model.preprocess import normalise, to_uint8
from tests.inference.made_pictures import picture
from training.feed import augment, plan
from training.feed.crop import crop_picture
from training.feed.feed import Feed
from training.feed.normalise import Normaliser
from training.feed.plan import MAX_LENT
from training.feed.reader import Sample

P = Preprocess(resize=30, crop=24)
BOTH = pytest.mark.parametrize("forked", [False, True])


def samples(n, kind="JPEG"):
    files = [picture(i, kind) for i in range(n)]
    return [Sample(hashlib.sha256(f).hexdigest(), f, "a", i, "import", "2026-11-20", None) for i, f in enumerate(files)]


class Files:
    """Rows as files of 16 rows at most, in row groups of `group`; `empty`: and row groups without a row around them."""

    def __init__(self, folder, rows, group=5, empty=False):
        self.rows, self.storage, self.files = rows, open_root(str(folder), create=True), []
        for low in range(0, len(rows), 16):
            part, key = rows[low:low + 16], f"part-{low:05d}.parquet"
            columns = {name: [getattr(row, name) for row in part] for name in Sample._fields}
            table = pa.table(columns).cast(pa.schema([(n, pa.float64() if n == "selection_probability" else t.type)
                                                      for n, t in zip(columns, pa.table(columns).schema, strict=True)]))
            with pq.ParquetWriter(self.storage.path(key), table.schema, use_dictionary=False) as writer:
                for at in range(0, len(part), group):
                    for _ in range(1 + at % 3 if empty else 0):
                        writer.write_table(table.slice(0, 0))
                    writer.write_table(table.slice(at, group), row_group_size=group)
            self.files.append(DataFile(key=key, split="train", rows=len(part), row_groups=1, size=1, sha256="", row_digest=""))

    def batches(self, sizes, how=P, threads=2, windows=None, forked=False, low=0):
        with self.feed(how, threads, forked) as feed:
            yield from feed.batches(self.files, low, sizes, windows)

    def feed(self, how=P, threads=2, forked=False):
        return Feed(self.storage, how, threads, forked)

    def one(self, row, windows=None):
        return next(self.batches([1], P, 1, windows, False, row)).images[0]


@BOTH
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("how", [P, Preprocess(resize=30, crop=None), Preprocess(resize=8, crop=24, grey=True)])
def test_the_pixels_are_those_that_are_served(tmp_path, how, kind, forked):
    rows = samples(40, kind)
    made = list(Files(tmp_path, rows).batches([9, 0, 11, 13], how, 3, None, forked, low=4))
    images = [image for batch in made for image in batch.images]
    assert [len(batch.hashes) for batch in made] == [len(batch.labels) for batch in made] == [9, 0, 11, 13]
    assert [h for batch in made for h in batch.hashes] == [row.image_sha256 for row in rows[4:37]]
    assert [n for batch in made for n in batch.labels.tolist()] == list(range(4, 37))
    assert all(torch.equal(image, to_uint8(row.image, how)) for image, row in zip(images, rows[4:37], strict=True))


@BOTH
@pytest.mark.parametrize("threads", [1, 8])
def test_a_row_is_cropped_at_the_same_place_in_any_batch(tmp_path, threads, forked):
    found, windows = Files(tmp_path, samples(20)), augment.make_crop_windows(augment.find_strength("crop"), 3, 1)
    alone = [found.one(row, windows) for row in range(20)]
    together = next(found.batches([20], P, threads, windows, forked)).images
    assert all(map(torch.equal, together, alone))
    other = next(found.batches([20], P, threads, augment.make_crop_windows(augment.find_strength("crop"), 3, 2), forked)).images
    assert sum(map(torch.equal, together, other)) < 3


@BOTH
@pytest.mark.parametrize("group", [1, 7, 16])
@pytest.mark.parametrize("chunk_rows", [3, 256])
@pytest.mark.parametrize("sizes", [[1] * 50, [50], [20, 0, 0, 3, 27]])
def test_row_groups_steps_and_workers_of_any_number(tmp_path, monkeypatch, group, chunk_rows, sizes, forked):
    monkeypatch.setattr(plan, "CHUNK_ROWS", chunk_rows)
    monkeypatch.setattr(plan, "WHOLE_GROUP_ROWS", 16 if chunk_rows > 3 else 6)
    rows = samples(50)
    made = list(Files(tmp_path, rows, group).batches(sizes, P, 3, None, forked))
    assert [len(batch.images) for batch in made] == sizes
    assert [h for batch in made for h in batch.hashes] == [row.image_sha256 for row in rows]
    images = [image for batch in made for image in batch.images]
    assert all(torch.equal(image, to_uint8(row.image, P)) for image, row in zip(images, rows, strict=True))


@BOTH
@pytest.mark.parametrize(("threads", "low"), [(1, 0), (2, 3), (3, 0), (5, 11)])
def test_row_groups_without_rows_are_passed_over(tmp_path, threads, low, forked):
    rows = samples(60)
    made = list(Files(tmp_path, rows, 4, empty=True).batches([17, 0, 20], P, threads, None, forked, low))
    assert [h for batch in made for h in batch.hashes] == [row.image_sha256 for row in rows[low:low + 37]]


def test_memory_does_not_grow_with_steps_that_have_no_rows(tmp_path):
    found = Files(tmp_path, samples(2))
    with found.feed() as feed:
        made = feed.batches(found.files, 0, [1] + [0] * 70_000 + [1])
        assert [n for batch in made for n in batch.labels.tolist()] == [0, 1]
        assert feed.buffers.count < 10


def test_only_one_is_taken_at_a_time(tmp_path):
    found = Files(tmp_path, samples(60))
    with found.feed() as feed:
        first = feed.batches(found.files, 0, [10] * 6)
        next(first)
        with pytest.raises(RuntimeError, match="one at a time|still busy"):
            next(feed.batches(found.files, 0, [10]))
        assert [batch.labels.tolist()[0] for batch in first] == [10, 20, 30, 40, 50]
        assert len(next(feed.batches(found.files, 0, [10])).images) == 10


@BOTH
def test_a_picture_late_in_the_epoch_that_cannot_be_decoded_is_named_too(tmp_path, forked):
    rows = samples(200)
    rows[150] = rows[150]._replace(image=b"no picture")
    with pytest.raises(BadImage, match="none of them"):
        for _ in Files(tmp_path, rows).batches([5] * 40, P, 2, None, forked):
            time.sleep(0.005)


@BOTH
def test_a_batch_that_is_kept_is_not_written_over_and_memory_that_is_let_go_is_used_again(tmp_path, forked):
    rows = samples(60)
    found = Files(tmp_path, rows)
    kept = list(found.batches([3, 4, 3] * 6, P, 3, None, forked))
    images = [image for batch in kept for image in batch.images]
    assert all(torch.equal(image, to_uint8(row.image, P)) for image, row in zip(images, rows, strict=True))
    assert len({batch.images.untyped_storage().data_ptr() for batch in kept}) == len(kept)
    lent, held = [], []
    with found.feed(P, 1, forked) as feed:
        for batch in feed.batches(found.files, 0, [2] * 30):
            lent.append(batch.images.data_ptr())
            held = [*held, batch][-2:]
        # Three chunks of five rows fill eight steps at most, chunks before them one; two are held, which gives no copies.
        assert len(set(lent)) <= feed.buffers.count <= 8 + 1 + MAX_LENT


@BOTH
def test_a_picture_that_cannot_be_decoded_is_an_error_here(tmp_path, forked):
    rows = samples(20)
    rows[13] = rows[13]._replace(image=b"no picture")
    made = Files(tmp_path, rows).batches([10, 10], P, 2, None, forked)
    with pytest.raises(BadImage, match="no picture|none of them"):
        list(made)
    assert multiprocessing.active_children() == []


@BOTH
def test_batches_that_nobody_takes_leave_nothing_behind(tmp_path, forked):
    made = Files(tmp_path, samples(60)).batches([10] * 6, P, 2, None, forked)
    next(made)
    made.close()
    assert multiprocessing.active_children() == []


@BOTH
def test_workers_stay_from_epoch_to_epoch_and_are_started_again_after_an_error(tmp_path, forked):
    rows = samples(60)
    found = Files(tmp_path, rows)
    with found.feed(forked=forked) as feed:
        for sizes in ([10] * 6, [2] * 20, [30, 30], [10] * 6):  # other steps, larger batches, the same again
            made = list(feed.batches(found.files, 0, sizes))
            assert [h for batch in made for h in batch.hashes] == [row.image_sha256 for row in rows[:sum(sizes)]]
            runners = [worker.runner for worker in feed.workers]
        list(feed.batches(found.files, 5, [10]))
        assert [worker.runner for worker in feed.workers] == runners and all(runner.is_alive() for runner in runners)
        next(feed.batches(found.files, 0, [10] * 6)).images.sum()
        assert [batch.labels.tolist() for batch in feed.batches(found.files, 7, [2, 1])] == [[7, 8], [9]]
        held = list(feed.batches(found.files, 0, [3] * 20))
    images = [image for batch in held for image in batch.images]
    assert all(torch.equal(image, to_uint8(row.image, P)) for image, row in zip(images, rows, strict=True))
    assert not any(runner.is_alive() for runner in runners)


def test_processes_are_started_where_there_is_much_to_decode_and_stay(tmp_path, monkeypatch):
    found = Files(tmp_path, samples(60))
    monkeypatch.setattr("training.feed.feed.FORK_FROM", 40)
    with found.feed(forked=None) as feed:
        for sizes, forked in (([30], False), ([30, 10], True), ([30], True)):
            assert sum(len(batch.hashes) for batch in feed.batches(found.files, 0, sizes)) == sum(sizes)
            assert feed.workers[0].forked == forked
        assert len(multiprocessing.active_children()) == 2
    assert multiprocessing.active_children() == []


def test_fewer_rows_than_asked_for_are_a_mismatch(tmp_path):
    found = Files(tmp_path, samples(20))
    with pytest.raises(Mismatch, match="files of 24 rows at least, got 2 that have 20"):
        list(found.batches([12, 12]))
    pq.write_table(pq.ParquetFile(found.storage.path(found.files[1].key)).read().slice(1), found.storage.path(found.files[1].key))
    with pytest.raises(Mismatch, match=r"part-00016.*expected 4 rows by the manifest, got 3"):
        list(found.batches([20]))


class Places:
    """The same places for any pictures."""

    def __init__(self, places):
        self.places = places

    def __call__(self, hashes):
        return self.places[:len(hashes)]


def test_crops_made_in_decoding_are_those_of_the_whole_picture(tmp_path):
    rows = samples(12)
    places = augment.make_crop_windows(augment.find_strength("crop"), 5, 2)([row.image_sha256 for row in rows])
    made = next(Files(tmp_path, rows, 16).batches([12], P, 2, Places(places))).images
    whole = [to_uint8(row.image, Preprocess(resize=30, crop=None)) for row in rows]
    cropped = [crop_picture(pixels, 24, *place) for pixels, place in zip(whole, places, strict=True)]
    assert all(map(torch.equal, made, cropped)) and len(made) == len(cropped)
    assert 0 < sum(place[2] >= 0.5 for place in places) < 12


def test_a_crop_reaches_every_edge_and_mirrors():
    pixels = torch.arange(3 * 6 * 5).reshape(3, 6, 5)
    assert torch.equal(crop_picture(pixels, 4, 0, 0, 0), pixels[:, :4, :4])
    assert torch.equal(crop_picture(pixels, 4, 0.999, 0.999, 0), pixels[:, 2:, 1:])
    assert torch.equal(crop_picture(pixels, 4, 0, 0, 0.5), pixels[:, :4, :4].flip(2))
    assert crop_picture(pixels, 8, 0.5, 0.5, 0).shape == (3, 8, 8)  # smaller than the crop: black around it


def test_normalised_bits_do_not_depend_on_the_layout_in_memory_nor_on_whose_it_is(tmp_path):
    batch = next(Files(tmp_path, samples(5)).batches([5])).images
    assert batch.permute(0, 2, 3, 1).is_contiguous()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (P.mean, P.std))
    expected = (batch.to(torch.float32) / 255 - mean) / std
    assert torch.equal(normalise(batch, P), expected) and torch.equal(normalise(batch.contiguous(), P), expected)
    assert torch.equal(normalise(batch[0], P), expected[0])
    normaliser = Normaliser(P)
    for images in (batch, batch.contiguous(), batch[:2], batch.float()):
        assert torch.equal(normaliser(images), expected[:len(images)])


def test_floats_that_are_kept_are_not_written_over_and_others_are():
    normaliser = Normaliser(P)
    batch = torch.arange(2 * 4 * 4 * 3, dtype=torch.uint8).reshape(2, 4, 4, 3).permute(0, 3, 1, 2)
    first = normaliser(batch)
    part, expected = first[1:], first[1:].clone()
    del first
    second = normaliser(255 - batch)
    assert torch.equal(part, expected) and len(normaliser.arrays) == 2
    del second
    normaliser(batch[:1])
    assert torch.equal(part, expected) and len(normaliser.arrays) == 2


def test_crop_changes_nothing_once_it_is_decoded():
    images = torch.arange(48, dtype=torch.uint8).reshape(1, 3, 4, 4)
    strong = augment.find_strength("crop")
    assert torch.equal(augment.apply(images, strong, augment.draw_uniforms(1, 0, ["a"])), images)
    assert augment.make_crop_windows(augment.find_strength("light"), 1, 0) is None
