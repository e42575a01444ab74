"""The gate `picture_drift`: the pictures of the newest day against those that the live version was trained on.

It reads the section `pictures` of the evaluation (docs/picture-drift.md), which an evaluation makes as soon as the policy has
the bound. A measure fails where its distance is beyond the bound by more than chance; each measure has its share of the error.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from contract.evidence.pictures import OfMeasure, PictureDay
from contract.measured.measures import NAMED
from contract.policy import GatePolicy
from contract.texts.gates import write_gate
from metrics.judging.verdicts import (
    FAIL,
    NO_BASELINE,
    PASS,
    TOO_FEW_PICTURES,
    UNDECIDED,
    judge_interval,
    make_undecided,
)

WORDS = {PASS: "they hold the bound", FAIL: "they are beyond the bound", UNDECIDED: "more pictures would decide"}


def judge_pictures(policy: GatePolicy, evaluation: Mapping[str, Any], same: Sequence[str]) -> list[dict[str, Any]]:
    """The gate, where the policy has a bound for it; `same`: the judged version, then others of its weights."""
    if policy.max_picture_drift is None:
        return []
    row = {"gate": "picture_drift", "bound": policy.max_picture_drift}
    section = (evaluation.get("evidence") or {}).get("pictures")
    if section is None:
        return [row | make_undecided(NO_BASELINE, "The evaluation did not measure pictures. Evaluate again: trueup evaluate "
                                                  "--evidence pictures.")]
    if section["reference"]["kind"] != "dataset" or section["version"] not in same:
        why = section["reference"]["reason"] or f"it has those of version {section['version']}"
        return [row | make_undecided(NO_BASELINE, f"The training pictures of version {same[0]} are not known: {why}.")]
    newest = _find_newest(section["days"])
    if newest is None:
        return [row | make_undecided(TOO_FEW_PICTURES, "No day has 30 pictures or more that could be measured.")]
    return [_judge(row | {"newest_day": newest["day"], "predictions": newest["pictures"]}, newest)]


def _find_newest(days: list[PictureDay]) -> PictureDay | None:
    """The newest day, if it has pictures enough: an older one says nothing of today."""
    return days[-1] if days and any(figure["js"] is not None for figure in days[-1]["figures"]) else None


def _judge(row: dict[str, Any], newest: PictureDay) -> dict[str, Any]:
    known = [figure for figure in newest["figures"] if figure["js"] is not None]
    verdicts = {figure["measure"]: _judge_measure(figure, row["bound"]) for figure in known}
    verdict = next(v for v in (FAIL, UNDECIDED, PASS) if v in verdicts.values())
    worst = max((figure for figure in known if verdicts[figure["measure"]] == verdict), key=_find_reach(verdict))
    found = {"value": worst["js"], "low": worst["low"], "high": worst["high"], "worst": worst["measure"],
             "judged": len(known), "failed": [name for name, v in verdicts.items() if v == FAIL],
             "undecided": [name for name, v in verdicts.items() if v == UNDECIDED]}
    value, between, bound = write_gate(row | found)
    title = NAMED[worst["measure"]].title.lower()
    sentence = (f"The pictures of {newest['day']} differ most in {title}, by {value} bits ({between or 'no less and no more'}); "
                f"the bound is {bound}: {WORDS[verdict]}.")
    reason = {"reason": TOO_FEW_PICTURES} if verdict == UNDECIDED else {}
    return row | found | {"verdict": verdict, **reason, "sentence": sentence}


def _find_reach(verdict: str) -> Any:
    """By what the worst measure is told: how far it surely is, of a failure; how far it may be, otherwise."""
    return lambda figure: figure["low"] if verdict == FAIL else figure["high"]


def _judge_measure(figure: OfMeasure, bound: float) -> str:
    return judge_interval(-(figure["high"] or 0.0), -(figure["low"] or 0.0), -bound)
