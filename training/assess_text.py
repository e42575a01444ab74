"""An assessment for people: both versions in a table, their difference, the verdict, and the command that comes next."""

from collections.abc import Mapping
from shlex import quote
from typing import Any

from command.terminal import align, colour_verdict, escape
from contract.settings import Settings
from contract.texts.figures import write_figure, write_number, write_percent, write_points
from metrics.judging.promotion import BETTER, WORSE
from metrics.judging.verdicts import FAIL, PASS, UNDECIDED

COLUMNS = ("", "version", "network", "accuracy", "macro F1", "weighted F1", "MiB", "ms")
COMPARED = {BETTER: "the candidate is better", WORSE: "the candidate is worse",
            UNDECIDED: "which of the two is better cannot be told"}


def write_text(found: dict[str, Any]) -> str:
    """The comparison for people, with its verdict where it was judged."""
    overall, versions = found["overall"], found["versions"]
    lines = [f"{found['rows']} held-out rows of dataset {found['dataset']}, none of them trained on"]
    rows = [_row(side, versions[side]) for side in ("live", "candidate")]
    lines += [f"  {line}" for line in align(COLUMNS, rows).splitlines()]
    said = ", ".join(f"{side} {_say_calibration(versions[side])}" for side in ("live", "candidate"))
    lines.append(f"  calibration error: {said}")
    lines.append(f"  difference {write_points(overall['difference'])}, McNemar p = {overall['mcnemar']['two_sided']:.3g}")
    lines.append(f"  a service process with the candidate gave the same answers to {found['trial']['images']} of them")
    lines += _write_first(found["first"])
    unknown = found["leakage"]["unknown_training_set"]
    if unknown:
        lines.append(f"  the training set of version {', '.join(unknown)} is unknown: it may have seen these rows")
    lines += _write_judged(found["judged"]) if "judged" in found else []
    return "\n".join(lines)


def _row(side: str, v: dict[str, Any]) -> list[str]:
    return [side, v["version"], v["network"], write_figure(v["accuracy"]), write_figure(v["macro"]["f1"]),
            write_figure(v["weighted"]["f1"]), write_number(v["weights_bytes"] / 2**20, 1), write_number(v["latency_ms"], 1)]


def _say_calibration(v: dict[str, Any]) -> str:
    raw = v["uncalibrated"]
    before = f" (as the network says it: {write_percent(raw['ece'], 1)})" if raw else ""
    return f"{write_percent(v['calibration_error'], 1)}{before}"


def _write_first(first: dict[str, Any] | None) -> list[str]:
    if first is None:
        return []
    if first["overall"] is None:
        return [f"  of the first dataset, {first['dataset']}, nothing can be told: {first['reason']}"]
    listed = ", ".join(f"version {row['version']} {write_figure(row['accuracy'])}" for row in first["versions"])
    return [f"  on the {first['rows']} held-out rows of the first dataset, {first['dataset']}: {listed}; "
            f"candidate minus live {write_points(first['overall']['difference'])}"]


def _write_judged(judged: Mapping[str, Any]) -> list[str]:
    decision = judged["decision"]
    return [f"by the difference over all held-out rows {COMPARED[judged['compared']]}",
            f"promotion gate: {colour_verdict(decision['verdict'])}. {escape(decision['sentence'])}",
            f"next: {judged['next']}"]


def choose_next(settings: Settings, found: Mapping[str, Any], verdict: str, serving: str | None) -> str:
    """Chooses the command that follows the promotion gate's verdict, as the cycle goes on by the same settings.

    `serving`: the version that is live, None for none. Better than another one is no reason to take its place.
    """
    of = f"{_write_root(settings)}--model {quote(found['model'])}"
    candidate, compared = (found["versions"][side]["version"] for side in ("candidate", "live"))
    if serving == candidate:
        return f"trueup status {of}   # version {candidate} is live already"
    if verdict == PASS and serving not in (None, compared):
        return f"trueup assess {of} --candidate {candidate}   # against version {serving}, which is live"
    if verdict == FAIL:
        return f"trueup dataset {of}   # and trueup train: this candidate is not promoted"
    if verdict == UNDECIDED:
        return f"trueup review sample {of} --p 0.05   # more audit labels decide; then trueup dataset, train and assess"
    if settings.gates.shadow_labels:
        return f"trueup model alias shadow {candidate} {of}   # it must hold on real traffic first (gates.shadow_labels)"
    if settings.promotion.how == "canary":
        return f"trueup model canary start {candidate} {of}"
    return f"trueup model promote {candidate} {of} --reason 'passed on held-out pictures'"


def _write_root(settings: Settings) -> str:
    """The option for the root, where it came as one: file and environment name it to the next command, too."""
    return f"--root {quote(settings.need_root())} " if settings.origins.get("root") == "option" else ""
