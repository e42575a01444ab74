"""The fit of labelers that an evaluation was made with: held against what the evaluation says of it, and against its votes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from contract import layout
from contract.counts import WEIGHT_SCALE
from contract.documents.evaluation import Evaluation
from contract.documents.verification import DIFFERS, TOLD, Finding, compare, say
from contract.stores.recorded import RecordedReads
from contract.stores.store import Storage
from jobs.verifying.counts import Options
from jobs.verifying.fit_again import fit_again

if TYPE_CHECKING:
    from jobs.engines.scores import LabelerScores


def check_fit(storage: Storage, evaluation: Evaluation, findings: list[Finding], read: set[str], engine: str | None,
              options: Options) -> LabelerScores | None:
    """Returns the scores of the evaluation's fit, None where it has none, and tells `findings` and `read` of it.

    The fit is made again where it is small and its votes are still there. NotFound, Mismatch, DamagedDocument: it cannot be read.
    """
    consensus = evaluation["consensus"]
    if consensus is None or consensus["fit"] is None:
        return None
    key = layout.fit_document(evaluation["model"], consensus["fit"])
    weighed = consensus["rule"] == "majority"
    if weighed and key not in evaluation.get("rests_on", {}):  # weights of the settings, and only a name
        return None
    from contract.documents.labeler_fit import load_fit
    from jobs.labelers.use import read_scores, read_weights

    seen = RecordedReads(storage)
    fit = load_fit(seen, evaluation["model"], consensus["fit"])
    scores = None
    if weighed:
        findings.append(_compare_weights(key, consensus["labeler_weights"], read_weights(seen, fit)))
    elif fit.form != "full":
        findings.append(say(key, DIFFERS, f"expected a fit of the full form, which has scores, got the form {fit.form}"))
    else:
        scores = read_scores(seen, fit)
    reason = fit_again(seen, fit, evaluation["roles"], engine, options, findings, read)
    if reason is not None:
        findings.append(_say_taken(key, seen.seen, evaluation.get("rests_on", {}), reason))
    read |= set(seen.seen)
    return scores


def _compare_weights(key: str, told: Mapping[str, float], made: Mapping[str, int]) -> Finding:
    """The weights that stand in the evaluation, as whole numbers, against those of the fit."""
    mine = {who: round(weight * WEIGHT_SCALE) for who, weight in told.items()}
    return compare(key, {"labeler_weights": mine}, {"labeler_weights": dict(made)}, "weights of labelers")


def _say_taken(key: str, seen: Mapping[str, str], named: Mapping[str, str], reason: str) -> Finding:
    folder = key.rpartition("/")[0] + "/"
    mine = {read: sha256 for read, sha256 in seen.items() if read.startswith(folder)}
    vouched = ("hash equal" if all(named.get(read) == sha256 for read, sha256 in mine.items()) else
               "no hash in the evaluation vouches for it" if key not in named else "hashes differ")
    return say(key, TOLD, f"the fit of labelers is taken as it is, {vouched}; not made again: {reason}")
