"""The bin that a confidence falls into (docs/design.md#rule-5-confidence-bins), for a value and for a whole column.

Whatever draws samples, lists predictions, decides by thresholds or assesses a candidate must put a row into the bin that
counting puts it into, so all of it calls this module, and calibration (metrics/calibration.py) takes its edges. The engines
count by code of their own, so that each checks the others; tests/contract/test_confidence.py holds them to it.
"""

from typing import TYPE_CHECKING

from contract.counts import BINS

if TYPE_CHECKING:
    import numpy as np

NO_BIN = -1
# The doubles k / 20 for k = 0 … 20. A confidence is compared with them and never multiplied: 20 * 0.44999999999999996,
# the largest double below 0.45, rounds to 9.0, and the row would land one bin too high.
EDGES = tuple(k / BINS for k in range(BINS + 1))


def confidence_bins(confidence: "np.ndarray") -> "np.ndarray":
    """Returns, for each element, the largest k of 0…19 with k/20 <= confidence, as int64.

    NO_BIN (-1) for NaN (a null) and for values outside [0, 1].
    """
    import numpy as np

    values = np.asarray(confidence, np.float64)
    bins = np.minimum(np.searchsorted(EDGES, values, side="right") - 1, BINS - 1)
    return np.where((values >= 0) & (values <= 1), bins, NO_BIN)


def confidence_bin(confidence: float | None) -> int | None:
    """Returns the bin of one value, as `confidence_bins` has it; None without one."""
    import numpy as np

    found = int(confidence_bins(np.asarray([np.nan if confidence is None else confidence]))[0])
    return None if found == NO_BIN else found
