"""What gates count: right and labelled rows of one version, by origin and, over trusted origins, by class and slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract.counts import summed


@dataclass(frozen=True)
class Share:
    """`right` of `n` rows."""

    right: int = 0
    n: int = 0

    def __add__(self, other: "Share") -> "Share":
        return Share(self.right + other.right, self.n + other.n)


@dataclass(frozen=True)
class Tally:
    """Whole numbers of one model version over a window. All but `origins` rest on the trusted origins alone.

    `windows` holds the newest so many days of it, `slices` is by (slice, value), `baseline` what the policy compares
    with (None: it names nothing), `calibration` is {"ece", "margin"} and `drift` {"js", "js_95"}, each null with a reason.
    """

    predictions: int = 0
    origins: dict[str, Share] = field(default_factory=dict)
    recall: dict[str, Share] = field(default_factory=dict)
    precision: dict[str, Share] = field(default_factory=dict)
    windows: dict[int, "Tally"] = field(default_factory=dict)
    slices: dict[tuple[str, str], Share] = field(default_factory=dict)
    baseline: Share | None = None
    calibration: Mapping[str, Any] = field(default_factory=dict)
    drift: Mapping[str, Any] = field(default_factory=dict)

    @property
    def labelled(self) -> int:
        """Predictions with a consensus label, of whatever origin."""
        return sum(share.n for share in self.origins.values())

    def of(self, origins: Sequence[str]) -> Share:
        """Right and labelled over some origins; plain counts, which add exactly."""
        return sum((self.origins.get(o, Share()) for o in origins), Share())


def tally(cells: Any, version: str, trusted: Sequence[str], classes: Sequence[str] = ()) -> Tally:
    """The tally of one version from Arrow cells (contract.counts.CELLS); `classes` are listed even without rows."""
    origins: dict[str, Share] = {}
    recall, precision = ({name: Share() for name in classes} for _ in range(2))
    predictions = 0
    for row in _rows(cells, version):
        predictions += row["n"]
        if row["label"] is None:
            continue
        share = Share(row["n"] if row["label"] == row["predicted"] else 0, row["n"])
        _put(origins, row["origin"], share)
        if row["origin"] in trusted:
            _put(recall, row["label"], share)
            _put(precision, row["predicted"], share)
    return Tally(predictions, origins, recall, precision)


def _rows(cells: Any, version: str) -> list[dict[str, Any]]:
    import pyarrow.compute as pc

    ours = cells.filter(pc.equal(cells["model_version"], version))
    return summed(ours, ["origin", "label", "predicted"]).to_pylist()


def _put(shares: dict[str, Share], key: str, share: Share) -> None:
    shares[key] = shares.get(key, Share()) + share
