"""What is measured of a picture, and the fixed edges of each measure's histogram.

Bin k of a histogram holds the values v with edges[k-1] <= v < edges[k], the first all below edges[0] and the last all from
edges[-1] on. Edges never change under one VERSION, so histograms of days, of datasets and of machines add.
"""

from typing import NamedTuple

VERSION = "1"
SIDE = 256  # pixels of the longer side that a picture is measured at, at most


class Measure(NamedTuple):
    """A measure: its name, what people call it, the words for a low and a high value, its edges, in what unit.

    `scale`: values are added up as whole numbers of 1 / scale.
    """

    name: str
    title: str
    low: str
    high: str
    edges: tuple[float, ...]
    unit: str
    scale: int = 10**6


def _steps(first: int, last: int, of: float) -> tuple[float, ...]:
    return tuple(k / of for k in range(first, last + 1))


def _octaves(first: int, last: int) -> tuple[float, ...]:
    """Powers of the square root of 2: half octaves."""
    return tuple(2.0 ** (k / 2) for k in range(first, last + 1))


# Of a grey picture the share of a channel is 1/3, which no edge is near.
_SHARES = (0.1, 0.2, 0.24, 0.27, 0.29, 0.3, 0.31, 0.317, 0.324, 0.33, 0.337, 0.344, 0.352, 0.36, 0.37, 0.385, 0.41, 0.45, 0.55)
# No edge is near 3:4, 2:3, 9:16, 1:1 and their inverses.
_ASPECTS = (0.25, 0.36, 0.45, 0.53, 0.6, 0.64, 0.71, 0.79, 0.85, 0.95, 1.05, 1.18, 1.27, 1.4, 1.55, 1.67, 1.88, 2.2, 2.8, 4.0)

MEASURES = (
    Measure("brightness", "Brightness", "darker", "brighter", _steps(1, 23, 24), "mean luma, 0 black to 1 white"),
    Measure("contrast", "Contrast", "flatter", "more contrasting", _steps(1, 19, 40), "standard deviation of luma, 0 to 0.5"),
    Measure("sharpness", "Sharpness", "blurrier", "sharper", _octaves(-16, 12),
            "variance of the Laplacian by that of luma, 0 to 64"),
    Measure("red", "Share of red", "less red", "redder", _SHARES, "red of red + green + blue"),
    Measure("blue", "Share of blue", "less blue", "bluer", _SHARES, "blue of red + green + blue"),
    Measure("pixels", "Size", "smaller", "larger", _octaves(12, 52), "pixels, width x height", 1),
    Measure("aspect", "Aspect", "narrower", "wider", _ASPECTS, "width by height"),
    Measure("bytes", "Size of the file", "in smaller files", "in larger files", _octaves(14, 50), "bytes", 1),
)
BY_NAME = {measure.name: measure for measure in MEASURES}
# How the live version's network sees pictures (contract/measured/embedded.py): has a distance, and no values of its own.
EMBEDDING = Measure("embedding", "What the network sees", "otherwise for the network", "otherwise for the network", (),
                    "the network's last layer but one")
NAMED = {**BY_NAME, EMBEDDING.name: EMBEDDING}
OF_PIXELS = ("brightness", "contrast", "sharpness", "red", "blue")  # the others are known of pictures that are not stored, too
