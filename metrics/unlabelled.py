"""Accuracy of predictions that nobody has labelled, estimated from their confidence: an estimate, and marked as one.

This is NannyML's CBPE (confidence-based performance estimation, github.com/NannyML/nannyml), with the confidence bins of
the counts as calibrator.

Of labelled predictions in a confidence bin some share was right; unlabelled ones of the bin are taken to be right as
often. That holds while confidence means what it meant, so it is said to be not valid under drift, and it is checked:
what the earlier half of the days would have said of the later half stands beside what the labels there say.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.confidence import NO_BIN
from contract.counts import BINS
from contract.documents.version_figures import Check, Promised, UnlabelledEstimate
from contract.texts.figures import write_figure
from metrics import calibration
from metrics.cells import Cells
from metrics.figure import missing, share
from metrics.intervals import z_of

if TYPE_CHECKING:
    import pyarrow as pa

Bins = tuple[np.ndarray, np.ndarray]  # (rows, right) of each of the 20 confidence bins
DRIFTED_PSI = 0.1  # what practice calls a moderate shift; in a large log every day differs from the last to a test
NOTHING = "no unlabelled row in a bin that has labels"


def estimate_unlabelled(cells: Cells, level: float, drift: Mapping[str, Any] | None = None,
                        check: Check | None = None) -> UnlabelledEstimate:
    """{"value", "low", "high", "count", "covered", "valid", "check"} of one version; null with a reason.

    `count` unlabelled rows have a bin, `covered` of them one that has labels. `valid` is False under drift or when the
    check failed; `reason` says so then.
    """
    open_ = cells.where(~cells.labelled & (cells.bin != NO_BIN))
    waiting = np.bincount(open_.bin, open_.n, BINS)
    known, right = count_labelled_bins(cells)
    why = describe_drift(drift or {}) or (check["failed"] if check else None)
    made: UnlabelledEstimate = {**carry_over(known, right, waiting, level), "count": int(waiting.sum()), "check": check,
                                "valid": why is None}
    if made["value"] is None:
        return {**made, "valid": False}
    return {**made, "reason": f"not valid under drift: {why}"} if why else made


def count_labelled_bins(cells: Cells) -> Bins:
    """Returns (rows, right) of the labelled rows in each of the 20 bins."""
    known = calibration.select_known(cells)
    right = np.where(known.right, known.n, 0)
    return np.bincount(known.bin, known.n, BINS), np.bincount(known.bin, right, BINS)


def bins_by_version(table: "pa.Table") -> dict[str, Bins]:
    """Arrow cells -> what `count_labelled_bins` says of each version, without the rest of its columns."""
    import pyarrow.compute as pc

    known = pc.and_(pc.is_valid(table.column("label")), pc.is_valid(table.column("confidence_bin")))
    part = table.filter(known).combine_chunks()
    n = part.column("n").to_numpy()
    right = np.where(pc.equal(part.column("label"), part.column("predicted")).to_numpy(), n, 0)
    found: dict[str, Bins] = {}
    for version in pc.unique(part.column("model_version")).to_pylist():
        mine = pc.equal(part.column("model_version"), version).to_numpy()
        place = part.column("confidence_bin").to_numpy()[mine]
        found[version] = (np.bincount(place, n[mine], BINS), np.bincount(place, right[mine], BINS))
    return found


def carry_over(n: np.ndarray, right: np.ndarray, rows: np.ndarray, level: float) -> Promised:
    """What `right` of `n` in each bin promises for `rows`: the share right, with its interval.

    The interval is of a mean of independent shares; a share's own spread is taken with Agresti and Coull's two rows more
    of either kind, so that a bin of three right ones is not certain.
    """
    covered = np.where(n > 0, rows, 0)
    total = covered.sum()
    if not total:
        return {**missing(NOTHING), "covered": 0}
    part, smooth = covered / total, (right + 2) / (n + 4)
    value = float((part * right / np.maximum(n, 1)).sum())
    half = z_of(level) * math.sqrt(float((part**2 * smooth * (1 - smooth) / np.maximum(n, 1)).sum()))
    return {"value": value, "low": max(value - half, 0.0), "high": min(value + half, 1.0), "covered": int(total)}


def describe_drift(drift: Mapping[str, Any]) -> str | None:
    """What the drift figures say against it, or None: PSI above its 95% value and above 0.1."""
    for name, what in (("confidence", "confidence"), ("predicted", "predicted classes")):
        found = drift.get(name) or {}
        if found.get("psi") is not None and found["psi"] > max(found["psi_95"], DRIFTED_PSI):
            return f"PSI of {what} is {found['psi']:.2f}"
    return None


def check_on_later(days: Sequence[tuple[str, Bins]], level: float) -> Check | None:
    """What the labels of the earlier half of the days promised for the later half, and what labels there say.

    `days`: (day, `count_labelled_bins` of one version), oldest first. None with fewer than two days that have labels with a bin,
    or when their bins do not meet. `failed` is a sentence when the two intervals do not meet, else None.
    """
    judged = [(day, bins) for day, bins in days if bins[0].any()]
    half = len(judged) // 2
    if not half:
        return None
    earlier, later = (np.sum([bins for _, bins in part], axis=0) for part in (judged[:half], judged[half:]))
    promised = carry_over(earlier[0], earlier[1], later[0], level)
    if promised["low"] is None or promised["high"] is None:
        return None
    # Only rows of bins that the earlier days know: of the others nothing was promised.
    met = earlier[0] > 0
    said = share(later[1][met].sum(), later[0][met].sum(), level, NOTHING)
    if said["low"] is None or said["high"] is None:
        return None
    apart = promised["low"] > said["high"] or promised["high"] < said["low"]
    failed = f"it promised {write_figure(promised)} from {judged[half][0]} on, labels say {write_figure(said)}"
    return {"learnt_until": judged[half - 1][0], "checked_from": judged[half][0], "promised": promised, "labels": said,
            "failed": failed if apart else None}
