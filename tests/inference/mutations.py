"""Damaged image files, endless and seeded: bytes changed, cut, repeated and mixed; headers that lie; two files in one."""

import random
import struct
from collections.abc import Iterator

from tests.inference.made_pictures import encode, pixels

SIZES = ((48, 36), (1, 1), (17, 5))


def whole() -> list[bytes]:
    """Good files of every format and of the rarer kinds."""
    made = []
    for n, (width, height) in enumerate(SIZES):
        image = pixels(n, width, height)
        made += [encode(image), encode(image, progressive=True, quality=60), encode(image.convert("L")),
                 encode(image.convert("CMYK")), encode(image, "PNG"), encode(image.convert("P"), "PNG"),
                 encode(image.convert("RGBA"), "PNG"), encode(image.convert("I;16"), "PNG"),
                 encode(image, "WEBP"), encode(image, "WEBP", lossless=True), encode(image, "GIF"),
                 encode(image, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")]
    return made


def mutated(many: int, seed: int) -> Iterator[bytes]:
    """`many` damaged files; the same seed gives the same files."""
    chance, seeds = random.Random(seed), whole()
    for _ in range(many):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            chance.choice(WAYS)(data, chance, seeds)
        yield bytes(data)


def _change(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice((0, 0xFF, 0x7F, 0x80, chance.randrange(256)))


def _flip(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _cut(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    if data:
        del data[chance.randrange(len(data)):]


def _drop(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    del data[at:at + chance.randrange(1, 40)]


def _repeat(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = data[at:at + chance.randrange(1, 200)] * chance.choice((1, 1, 20))


def _mix(data: bytearray, chance: random.Random, seeds: list[bytes]) -> None:
    other = chance.choice(seeds)
    at = chance.randrange(len(data) + 1)
    data[at:] = other[chance.randrange(len(other)):]


def _number(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    """A length or a dimension that lies."""
    if len(data) > 8:
        at, value = chance.randrange(len(data) - 4), chance.choice((0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 65_535, 40_000))
        data[at:at + 4] = struct.pack(chance.choice("<>") + "I", value)


WAYS = (_change, _change, _flip, _cut, _drop, _repeat, _mix, _number)
