"""Near duplicates: the search by parts finds what comparing everything finds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from inference.model.perceptual_hash import phash
from jobs.datasets.near_duplicates import find_near

WORDS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30)


@given(WORDS, WORDS, st.integers(0, 16), st.randoms(use_true_random=False))
def test_the_same_as_comparing_every_pair(hashes, held, bits, random):
    hashes = hashes + [h ^ (1 << random.randrange(63)) for h in held]  # some that are near
    found = find_near(hashes, held, bits).tolist()
    for h, place in zip(hashes, found, strict=True):
        distances = [bin((h ^ other) & (2**64 - 1)).count("1") for other in held]
        best = min(distances, default=65)
        assert place == (distances.index(best) if best <= bits else -1)


def test_saved_again_a_picture_keeps_its_hash_within_a_few_bits_and_another_does_not():
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
    picture = small.resize((128, 96), Image.Resampling.BICUBIC)
    softer = picture.filter(ImageFilter.GaussianBlur(1)).resize((100, 75))
    other = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((128, 96), Image.Resampling.BICUBIC)
    assert find_near([phash(softer)], [phash(picture)], 4).tolist() == [0]
    assert find_near([phash(other)], [phash(picture)], 8).tolist() == [-1]
