"""A version is checked: its card and weights, the dataset behind it, the run that made it, and what its assessment says.

The figures of an assessment are computed again from the paired counts that stand in it, and the promotion is decided again.
What was counted from the pictures themselves needs torch and the pictures, and is named as not recomputed.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contract import jsonio, layout
from contract.documents.card import Card
from contract.documents.history import HistoryEntry
from contract.documents.rests_on import ASSESSMENT, check_hashes, list_run_documents
from contract.documents.verification import DIFFERS, EQUAL, MISSING, TOLD, UNKNOWN, Finding, compare, say
from contract.errors import DamagedDocument, NotFound, TrueupError
from contract.policy import GatePolicy
from contract.registry import Registry
from contract.runs import Plan, parse_number
from contract.stores.hashing import hash_object
from contract.stores.store import Storage
from metrics.judging.promotion import judge_assessment
from metrics.significance.paired import Paired
from pipeline.verifying.dataset import verify_dataset
from pipeline.verifying.history import Chain
from pipeline.verifying.shadow import verify_shadow

COUNTS = ("both", "only_live", "only_candidate", "neither")
OF_PAIRS = ("n", *COUNTS, "live", "candidate", "difference", "mcnemar")
NEEDS_PICTURES = ("each version's own figures, the weighted difference, latencies, the trial and the leakage check need the "
                  "pictures and torch: trueup assess makes them again")


@dataclass(frozen=True)
class Place:
    """Where a version lies, and what its model's history says."""

    storage: Storage
    model: str
    chain: Chain

    def find_promotion(self, version: str) -> HistoryEntry | None:
        """The first record that made a version live by a run, else the first at all; None: it never was."""
        made = [r for r in self.chain.records.values() if r.change.get("version") == version and "replaces" in r.change]
        return next((r for r in made if r.change.get("run")), made[0] if made else None)


def verify_version(storage: Storage, model: str, version: str, chain: Chain) -> list[Finding]:
    """Checks a version. NoSuchVersion names those that there are."""
    place, key = Place(storage, model, chain), layout.card(model, version)
    if not storage.exists(key) and version not in _list_known(chain):
        Registry(storage, model).card(version)
    findings: list[Finding] = []
    for ancestor in _walk(place, version, findings):
        if ancestor.version == version:
            findings += _check_weights(place, ancestor)
            findings += verify_dataset(storage, ancestor)
    findings += [*_check_format(place, version), *_check_run(place, version)]
    return findings


def _list_known(chain: Chain) -> set[str]:
    return {version for record in chain.records.values() for version in record.state.cards}


def _walk(place: Place, version: str, findings: list[Finding]) -> Iterator[Card]:
    """Yields the card of a version and of those that it descends from, as far as they can be read; says what is found."""
    waiting, seen = [version], set[str]()
    while waiting:
        number = waiting.pop(0)
        if number in seen:
            continue
        seen.add(number)
        found, card = _check_card(place, number)
        findings += found
        if card is not None:
            yield card
            waiting += [card.parent] if card.parent else []


def _check_card(place: Place, version: str) -> tuple[list[Finding], Card | None]:
    key = layout.card(place.model, version)
    try:
        data = place.storage.read(key)
    except NotFound:
        return [say(key, MISSING, "the card of a version, and not there")], None
    got, newest = hashlib.sha256(data).hexdigest(), place.chain.newest
    expected = newest.state.cards.get(version) if newest else None
    if expected is not None and got != expected:
        return [say(key, DIFFERS, f"the history says the sha256 {expected}, got {got}")], None
    try:
        value = jsonio.parse(data, place.storage.uri(key))
        card = Card.parse(value, place.storage.uri(key))
    except DamagedDocument as error:
        return [say(key, DIFFERS, str(error))], None
    if (card.model, card.version) != (place.model, version) or jsonio.dumps(value) != data:
        return [say(key, DIFFERS, f"expected the card of version {version} as it is written, got other bytes")], None
    if expected is None:
        return [say(key, UNKNOWN, "no history record vouches for this card: the version was never live, or before that was noted")
                ], card
    return [say(key, EQUAL, f"the history says its sha256, {got}")], card


def _check_weights(place: Place, card: Card) -> Iterator[Finding]:
    yield from _check_file(place, card, layout.weights(place.model, card.version), card.weights_sha256)
    if card.converted is not None:
        yield from _check_file(place, card, layout.network(place.model, card.version, card.runtime), card.converted.sha256)


def _check_file(place: Place, card: Card, key: str, expected: str) -> Iterator[Finding]:
    newest = place.chain.newest
    try:
        got = hash_object(place.storage, key)
    except (NotFound, OSError) as error:
        deleted = newest is not None and card.version in newest.state.deleted
        yield say(key, TOLD if deleted else MISSING, "deleted, as the history says; the card stays" if deleted else str(error))
        return
    yield say(key, EQUAL, f"the card says its sha256, {got}") if got == expected else say(
        key, DIFFERS, f"the card says the sha256 {expected}, got {got}")


def _check_format(place: Place, version: str) -> Iterator[Finding]:
    """The comparison by which a version was let in as a format of another one (`trueup model convert`)."""
    for record in place.chain.records.values():
        if record.change["kind"] == "format" and record.change.get("version") == version:
            yield from check_hashes(place.storage, record.change.get("rests_on") or {}, set())


def _check_run(place: Place, version: str) -> Iterator[Finding]:
    """What the record that made it live rests on, and the assessment and the decision of its run, computed again."""
    record = place.find_promotion(version)
    if record is None:
        yield say(layout.card(place.model, version), TOLD, "never made live: no record says by what comparison")
        return
    rests_on = record.change.get("rests_on") or {}
    yield from check_hashes(place.storage, rests_on, set())
    n = parse_number(str(record.change.get("run") or ""))
    if not n:
        yield say(layout.history(place.model).format(record.seq), TOLD, "made live without a run: no assessment")
        return
    if not rests_on:
        yield say(layout.run(place.model, n), TOLD, "no history record vouches for the documents of this run: an earlier release")
    found, n = verify_shadow(place.storage, place.model, n)
    yield from found
    try:
        plan, *_ = (Plan.load(place.storage, key) for key in list_run_documents(place.model, n)[:1])
        assessment, promotion = (jsonio.parse_object(place.storage.read(key), place.storage.uri(key)) for key in (
            layout.stage(place.model, n, name) for name in (ASSESSMENT, "promotion")))
    except NotFound as error:
        yield say(layout.run(place.model, n), MISSING, str(error))
        return
    except DamagedDocument as error:
        yield say(layout.run(place.model, n), DIFFERS, str(error))
        return
    yield verify_assessment(layout.stage(place.model, n, ASSESSMENT), assessment)
    yield say(layout.stage(place.model, n, ASSESSMENT), TOLD, NEEDS_PICTURES)
    yield _verify_promotion(layout.stage(place.model, n, "promotion"), plan, assessment, promotion)
    yield from _check_agreement(place, n, version)


def verify_assessment(key: str, assessment: Mapping[str, Any]) -> Finding:
    """Computes all figures of an assessment again that follow from paired counts in it."""
    told: dict[str, Any] = {}
    now: dict[str, Any] = {}
    for path, pairs in _find_pairs(assessment):
        try:
            made = Paired.of(pairs).to_dict()
        except (ValueError, TypeError) as error:
            return say(key, DIFFERS, f"{path}: expected whole numbers of pairs, got {error}")
        told[path] = {name: pairs[name] for name in OF_PAIRS if name in pairs}
        now[path] = jsonio.loads(jsonio.dumps({name: made[name] for name in told[path]}))
    for side in ("live", "candidate"):  # counted twice: of pairs, and of each version's own rows
        own = (assessment.get("versions") or {}).get(side, {}).get("accuracy")
        if own and "overall" in told:
            told[f"versions.{side}.accuracy"], now[f"versions.{side}.accuracy"] = own["value"], now["overall"][side]["value"]
    return compare(key, told, now, "figures that follow from its counts")


def _find_pairs(value: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        if all(name in value for name in COUNTS):
            yield path, value
            return
        for name, inner in value.items():
            yield from _find_pairs(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _find_pairs(inner, f"{path}[{n}]")


def _verify_promotion(key: str, plan: Plan, assessment: Mapping[str, Any], promotion: Mapping[str, Any]) -> Finding:
    asked = plan.settings.get("promotion") or {}
    try:
        again = judge_assessment(GatePolicy(**plan.settings["gates"]), assessment, asked.get("min_accuracy"),
                              max_ece=asked.get("max_ece"))
    except (TrueupError, ValueError, KeyError, TypeError, AttributeError) as error:
        return say(key, UNKNOWN, f"not decided again: {type(error).__name__}: {error}")
    return compare(key, promotion, jsonio.loads(jsonio.dumps(again)))


def _check_agreement(place: Place, n: int, version: str) -> Iterator[Finding]:
    """The stages of a run name the same version, and the gate's the decision that lies beside the evaluation."""
    read = {}
    for name in ("train", "gate"):
        try:
            key = layout.stage(place.model, n, name)
            read[name] = jsonio.parse_object(place.storage.read(key), place.storage.uri(key))
        except NotFound:
            yield say(key, MISSING, "a stage of the run, and not there")
        except DamagedDocument as error:
            yield say(key, DIFFERS, str(error))
    if "train" in read and read["train"].get("version") != version:
        yield say(layout.stage(place.model, n, "train"), DIFFERS, f"of version {read['train'].get('version')}, not {version}")
    if "gate" not in read:
        return
    key = layout.decision(place.model, str(read["gate"].get("evaluation")))
    try:
        decision = jsonio.parse_object(place.storage.read(key), place.storage.uri(key))
    except NotFound:
        yield say(key, MISSING, "the decision that the run began with, and not there")
        return
    except DamagedDocument as error:
        yield say(key, DIFFERS, str(error))
        return
    found = compare(layout.stage(place.model, n, "gate"), read["gate"], {name: decision.get(name) for name in read["gate"]})
    yield found | {"said": f"{found['said']} with {key}; check that one too: trueup verify {decision.get('evaluation')}"}
