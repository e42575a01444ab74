"""One estimate of each version from all labels and all traffic (metrics/selection/combined.py), for a window of days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from contract import counts_store, layout, samples
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.evidence.combined_estimate import Combined, CombinedVersion, CombinedWindow
from contract.runs import Runs
from contract.samples import Sample
from contract.stores.store import Storage
from contract.texts.figures import write_count, write_figure, write_percent
from jobs.evidence.collect import Material
from metrics.selection.basis import Basis, basis_of
from metrics.selection.combined_version import Assessed, describe_version
from metrics.strata.make import ITEM_COLUMNS, make_strata
from metrics.window import DayFigures, WindowCounts


def make(material: Material) -> Combined:
    """Makes the section. Days of which only counts are left have no items, so a window with such a day has no estimate."""
    drawn, assessed = read_samples(material), find_assessed(material.storage, material.document["model"], material.counts)
    versions = estimate_window(material, material.counts, drawn, assessed)
    windows: list[CombinedWindow] = []
    if material.request.windows:
        days = counts_store.load_all(material.storage, material.document)
        last = material.document["window"]["to"]
        for n in material.request.windows:
            counts = WindowCounts.of(day for day in days if _find_first(last, n) <= day.day <= last)
            windows.append({"days": n, "versions": estimate_window(material, counts, drawn, assessed)})
    return {"sentence": say(versions), "versions": versions, "windows": windows}


def _find_first(last: str, n: int) -> str:
    """The first of the n days that end with `last`."""
    return (date.fromisoformat(last) - timedelta(days=n - 1)).isoformat()


def estimate_window(material: Material, counts: WindowCounts, drawn: Mapping[str, Sample],
                    assessed: Mapping[str, Assessed]) -> dict[str, CombinedVersion]:
    """Version -> its estimate over the days that were counted."""
    if not counts.days:
        return {}
    there = [day for day in counts.days if day.day in material.items]
    strata = make_strata(counts.total("bins"), (material.spoken[day.day].select(ITEM_COLUMNS) for day in there))
    basis = basis_of("audit", {day.day: drawn[day.day] for day in counts.days if day.day in drawn}, counts.days)
    refused = explain_refusal(basis, [day for day in counts.days if day not in there])
    return {version: describe_version(found, material.document["confidence"], basis.rests_on, refused,
                                      count_without_audit(version, counts.days, drawn), assessed.get(version))
            for version, found in sorted(strata.items())}


def explain_refusal(basis: Basis, gone: Sequence[DayFigures]) -> str | None:
    """Says why the audit cannot be the basis of an estimate; None where it can."""
    if gone:
        return f"rows of {write_count(len(gone), 'day')} are not there any more, so what feedback says of them is not known"
    return None if basis.unbiased else f"the audit is no sample of known probabilities: {basis.rests_on}"


def count_without_audit(version: str, days: Sequence[DayFigures], drawn: Mapping[str, Sample]) -> int:
    """Predictions of a version on days without a sample document."""
    return sum(sums.n for day in days if day.day not in drawn for sums in day.origins.get(version, {}).values())


def read_samples(material: Material) -> dict[str, Sample]:
    """Day -> the audit sample that was drawn of predictions of the role that is counted."""
    question, found = material.request.question, {}
    folders = material.storage.folders(layout.samples(question.model, question.role))
    drawn = {layout.day_of(folder) for folder in folders}
    for day in (d.day for d in material.counts.days if d.day in drawn):
        sample = samples.read(material.storage, question.model, day, "audit", question.role)
        if sample is not None:
            found[day] = sample
    return found


def find_assessed(storage: Storage, model: str, counts: WindowCounts) -> dict[str, Assessed]:
    """Version -> its newest assessment, for versions of the window without any label. Runs are read from the newest on."""
    unlabelled = {version for version, origins in counts.origins.items() if set(origins) <= {""}}
    found: dict[str, Assessed] = {}
    runs = Runs(storage, model)
    newest = runs.newest() if unlabelled else None
    for n in range(newest.n if newest else 0, 0, -1):
        try:
            document = runs.get(n).stage("assess") or {}
        except (DamagedDocument, NotFound) as error:
            pass_over(error)
            continue
        for side in document.get("versions", {}).values():
            if side["version"] in unlabelled and side.get("strata"):
                found.setdefault(side["version"], Assessed(document["dataset"], side["strata"]))
        if unlabelled <= set(found):
            break
    return found


def say(versions: Mapping[str, CombinedVersion]) -> str:
    """Says each version's estimate in words."""
    said = " ".join(f"Version {name}: {_say_version(found)}" for name, found in versions.items())
    return said or "No prediction lies in the window."


def _say_version(found: CombinedVersion) -> str:
    if found["value"] is None:
        return f"none, {found.get('reason')}."
    what = "audit labels" if found["origin"] == "audit" else "held-out rows of its own assessment"
    narrower = found["narrower"] or 0.0
    gains = found["origin"] == "audit" and narrower > 0
    less = f", {write_percent(narrower)} narrower than from the audit alone" if gains else ""
    return f"{write_figure(found)} over {found['predictions']:,} predictions, from {found['labels']:,} {what}{less}."
