"""Which image stands in a dataset, under which label, in which split and file: a pure function of its input.

Every choice depends on content alone (hashes, labels, votes), so any partitioning of the work gives the same plan, and
the plan's digest is the dataset's id.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract import ids, jsonio
from contract.counts import ORIGINS, UNNAMED
from contract.dataset_record import SPLITS
from contract.errors import EmptyData, shorten
from contract.samples import is_asked
from contract.settings import DatasetSettings
from contract.stores.store import may_be_key
from jobs.datasets.images import Look
from jobs.datasets.near_duplicates import find_near

FILE_BYTES = 128 << 20  # of a file, roughly: there are more files than `dataset.files` where these would be larger
SPLIT_BY = ("u = first 16 hex digits of the image's sha256 / 2^64; holdout if u < holdout_share, validation if u < "
            "holdout_share + validation_share, else train; an image of the parent dataset keeps its split")
DIGESTED = ("image_sha256", "label", "label_index", "origin", "votes", "agreeing", "selection_probability",
            "prediction_id", "day")

NOT_A_PLACE = "image_uri is no place under the root"
NOT_REPLAYED = "not replayed"
ADDED = ("replay_share",)  # settings that came later: at their default they leave the id as it was
OVERRULED = "conflicting label overruled"  # of a picture that is in the dataset; all other reasons name one that is not
Row = dict[str, Any]


@dataclass
class Plan:
    """Rows (contract.dataset_record.INDEX) by (split, file, hash), and what was left out or is worth knowing."""

    classes: list[str]
    rows: list[Row]
    listed: list[dict[str, str]] = field(default_factory=list)

    def files(self) -> dict[tuple[str, int], list[Row]]:
        """The rows of each (split, file), in order."""
        found: dict[tuple[str, int], list[Row]] = defaultdict(list)
        for row in self.rows:
            found[row["split"], row["file"]].append(row)
        return found

    def counts(self) -> dict[str, dict[str, int]]:
        """split -> label -> rows; every class in every split."""
        found = {split: dict.fromkeys(self.classes, 0) for split in SPLITS}
        for row in self.rows:
            found[row["split"]][row["label"]] += 1
        return found


def digest_rows(rows: Iterable[Row]) -> str:
    """sha256 over the sorted hashes of the rows: independent of their order and of how they are stored."""
    return jsonio.digest(sorted(jsonio.digest([row[name] for name in DIGESTED if _is_content(row, name)]) for row in rows))


def _is_content(row: Row, name: str) -> bool:
    """The day of an import says when the folder was read, not what is in it: imported again, it is the same dataset."""
    return name != "day" or row["prediction_id"] is not None


def make_dataset_id(plan: Plan, model: str, parent: str | None, settings: DatasetSettings) -> str:
    """The id by content: 16 hex digits over the row digests of all files, the classes, the parent and the settings.

    Without `suspects`: where it leaves rows out the digests tell.
    """
    digests = [[*place, digest_rows(rows)] for place, rows in plan.files().items()]
    return jsonio.digest({"model": model, "parent": parent, "classes": plan.classes, "files": digests,
                          "settings": name_settings(settings)})[:16]


def name_settings(settings: DatasetSettings) -> dict[str, Any]:
    """The settings as an id has them: those that came later only where they are set."""
    default = DatasetSettings()
    return {name: value for name, value in settings.model_dump(mode="json", exclude={"suspects"}).items()
            if name not in ADDED or value != getattr(default, name)}


def split_of(sha256: str, settings: DatasetSettings) -> str:
    """The split of an image, by its hash alone (SPLIT_BY)."""
    u = int(sha256[:16], 16) / 2**64
    if u < settings.holdout_share:
        return "holdout"
    return "validation" if u < settings.holdout_share + settings.validation_share else "train"


def choose_candidates(labelled: Sequence[Row], parent: Sequence[Row], settings: DatasetSettings, erased: set[str],
               present: Sequence[Row] = ()) -> tuple[list[Row], list[dict[str, str]]]:
    """One row per image of the labelled predictions and of the parent's index, and what is left out already.

    `present` says what people say today of the parent's predictions on other days (replay.find_present). A label of
    today wins over the parent's, and so does there being none; the split stays the parent's.
    """
    listed: list[dict[str, str]] = []
    known = {row["image_sha256"]: row for row in parent}
    replayed = {sha for sha, row in known.items() if is_replayed(row, settings)}
    today = [*labelled, *(row | {"came_with": known[row["image_sha256"]]["came_with"]} for row in present
                          if row["image_sha256"] in replayed)]
    withdrawn = {(row["day"], row["prediction_id"]) for row in today if row["label"] is None}
    rows = {sha: row for sha, row in known.items() if sha in replayed and not _is_withdrawn(row, withdrawn, listed)}
    listed += [_describe_left_out(sha, NOT_REPLAYED, "") for sha in known if settings.replay and sha not in replayed]
    for row in _choose_one_per_image([row for row in today if row["label"] is not None], known, listed):
        sha, old = row["image_sha256"], known.get(row["image_sha256"], {})
        kept = {name: old[name] for name in ("split", "width", "height", "bytes", "near") if old}
        if row.get("decoded_by") is None and old.get("decoded_by"):  # who sends its PNG once more needs no decoder
            kept["decoded_by"] = old["decoded_by"]
        rows[sha] = {"split": split_of(sha, settings), "came_with": None} | row | kept
        if row["label"] == UNNAMED:
            listed.append(_describe_left_out(sha, "wrong, class not named", row["prediction_id"] or ""))
            del rows[sha]
        elif row["agreeing"] < settings.min_agreement * row["votes"]:
            listed.append(_describe_left_out(sha, "agreement too low", f"{row['agreeing']} of {row['votes']} votes"))
            del rows[sha]
    gone = [sha for sha in rows if sha in erased]
    listed += [_describe_left_out(sha, "erased", "") for sha in gone]
    return [rows[sha] for sha in sorted(rows) if sha not in erased], listed


def is_replayed(row: Row, settings: DatasetSettings) -> bool:
    """Whether a parent's row is taken over: of its training rows the share `dataset.replay_share`, by a hash of the image's hash.

    A smaller share takes some of the rows of a larger one; and a row that was taken is taken again by the next dataset.
    """
    return settings.replay and (row["split"] != "train" or is_asked("replay:", row["image_sha256"], settings.replay_share))


def _is_withdrawn(row: Row, withdrawn: set[tuple[str, str]], listed: list[dict[str, str]]) -> bool:
    """Whether people took back all that they said of a parent's row; then it is listed."""
    found = bool(withdrawn) and (row["day"], row["prediction_id"]) in withdrawn
    if found:
        listed.append(_describe_left_out(row["image_sha256"], "label withdrawn", row["prediction_id"]))
    return found


def _choose_one_per_image(labelled: Sequence[Row], known: Mapping[str, Row], listed: list[dict[str, str]]) -> list[Row]:
    """Of several predictions of one image: the highest origin class, then the newest, then the first id."""
    of_image: dict[str, list[Row]] = defaultdict(list)
    for row in labelled:
        sha = row["image_sha256"] or ""
        uri = row["image_uri"] or (known[sha]["image_uri"] if sha in known else None)
        if uri and not may_be_key(uri):
            listed.append(_describe_left_out(sha, NOT_A_PLACE, f"{row['prediction_id'] or ''}: {shorten(uri)}"))
        elif uri and ids.is_sha256(sha):
            of_image[sha].append(row | {"image_uri": uri})
        else:
            listed.append(_describe_left_out(sha, "image not stored", row["prediction_id"] or ""))
    chosen = []
    for sha, rows in sorted(of_image.items()):
        first = min(rows, key=lambda r: (ORIGINS.index(r["origin"]), -r["labeled_at"], r["prediction_id"] or "", r["label"]))
        others = sorted({r["label"] for r in rows} - {first["label"]})
        if others:
            listed.append(_describe_left_out(sha, OVERRULED, f"{first['label']} over {', '.join(others)}"))
        chosen.append(first)
    return chosen


def _describe_left_out(sha256: str, reason: str, detail: str) -> dict[str, str]:
    return {"image_sha256": sha256, "reason": reason, "detail": detail}


def select_to_look_at(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """(sha256, uri) of the images that no earlier dataset has looked at."""
    return [(row["image_sha256"], row["image_uri"]) for row in rows if "near" not in row]


def finish(rows: Sequence[Row], listed: Sequence[dict[str, str]], looks: Mapping[str, Look], known: Sequence[str],
           settings: DatasetSettings) -> Plan:
    """The plan: usable images only, new classes admitted or waiting, near duplicates out, classes capped, files set.

    `known`: the live version's classes in order; empty for a first version, whose classes are all labels that come.
    EmptyData: a class has no training row, or fewer than the floor; or no row is held out.
    """
    listed = list(listed)
    rows = _select_usable(rows, looks, listed)
    rows = _leave_out_near(rows, settings.near_bits, listed)
    classes = _classes(rows, known, settings, listed)
    rows = _cap([row for row in rows if row["label"] in set(classes)], settings.class_cap, listed)
    for row in rows:
        row["label_index"] = classes.index(row["label"])
    _check_some(rows, listed)
    _check_floor(rows, classes, settings.class_floor)
    _check_holdout(rows)
    there = {row["image_sha256"] for row in rows}  # by another prediction of the same picture
    listed = [entry for entry in listed if entry["reason"] == OVERRULED or entry["image_sha256"] not in there]
    return Plan(classes, _assign_files(rows, settings), sorted(listed, key=lambda e: tuple(e.values())))


def _select_usable(rows: Sequence[Row], looks: Mapping[str, Look], listed: list[dict[str, str]]) -> list[Row]:
    usable = []
    for row in rows:
        look = looks.get(row["image_sha256"])
        if look is None:
            usable.append(dict(row))
        elif look.reason:
            listed.append(_describe_left_out(row["image_sha256"], look.reason, look.detail))
        else:
            usable.append(row | {"width": look.width, "height": look.height, "bytes": look.bytes, "near": look.near})
    return usable


def _leave_out_near(rows: list[Row], bits: int, listed: list[dict[str, str]]) -> list[Row]:
    """Leaves out the training pictures that are nearly the same as a held-out one."""
    train, held = ([r for r in rows if (r["split"] == "train") == side] for side in (True, False))
    places = find_near([r["near"] for r in train], [r["near"] for r in held], bits).tolist()
    listed += [_describe_left_out(row["image_sha256"], "nearly a held-out picture", held[place]["image_sha256"])
               for row, place in zip(train, places, strict=True) if place >= 0]
    return held + [row for row, place in zip(train, places, strict=True) if place < 0]


def _classes(rows: list[Row], known: Sequence[str], settings: DatasetSettings,
             listed: list[dict[str, str]]) -> list[str]:
    new = sorted({row["label"] for row in rows} - set(known), key=str.encode)
    if not known:
        return new
    entering = []
    for label in new:
        why = _find_reason_to_wait([row for row in rows if row["label"] == label], settings)
        if why:
            listed += [_describe_left_out(r["image_sha256"], "new class waits", f"{label}: {why}")
                       for r in rows if r["label"] == label]
        else:
            entering.append(label)
    return [*known, *entering]


def _find_reason_to_wait(rows: list[Row], settings: DatasetSettings) -> str | None:
    labelers = {person for row in rows for person in row.get("labelers") or ()}
    absent = [split for split in SPLITS if split not in {row["split"] for row in rows}]
    if len(rows) < settings.new_class_images:
        return f"{len(rows)} of {settings.new_class_images} images"
    if len(labelers) < settings.new_class_labelers:
        return f"{len(labelers)} of {settings.new_class_labelers} labelers"
    return f"none in {', '.join(absent)}" if absent else None


def _cap(rows: list[Row], cap: int | None, listed: list[dict[str, str]]) -> list[Row]:
    """Keeps at most `cap` training rows of a class: those whose hash's second half is smallest."""
    if cap is None:
        return rows
    kept: list[Row] = []
    seen: Counter[str] = Counter()
    for row in sorted(rows, key=lambda r: r["image_sha256"][32:]):
        seen[row["label"]] += row["split"] == "train"
        if row["split"] == "train" and seen[row["label"]] > cap:
            listed.append(_describe_left_out(row["image_sha256"], "class cap", row["label"]))
        else:
            kept.append(row)
    return kept


def _check_some(rows: list[Row], listed: list[dict[str, str]]) -> None:
    if rows:
        return
    reasons = Counter(entry["reason"] for entry in listed)
    why = f": {', '.join(f'{n} x {reason}' for reason, n in sorted(reasons.items()))}" if reasons else ""
    raise EmptyData(f"expected labelled predictions with stored images, got none{why}. Label some, or widen the window. Rows of "
                    f"other services need image_sha256, image_uri and the picture there.")


def _check_floor(rows: list[Row], classes: list[str], floor: int | None) -> None:
    count = Counter(row["label"] for row in rows if row["split"] == "train")
    small = [f"{label!r} has {count[label]}" for label in classes if count[label] < max(floor or 1, 1)]
    if small:
        raise EmptyData(f"expected at least {max(floor or 1, 1)} training images of every class; {'; '.join(small)}. "
                        f"Widen the window, label more of them, or replay the live version's dataset.")


def _check_holdout(rows: list[Row]) -> None:
    if not any(row["split"] == "holdout" for row in rows):
        raise EmptyData(f"expected held-out pictures, none of the {len(rows)} is: whatever is trained on them could not be "
                        f"compared with anything. Label more pictures, widen the window, or raise dataset.holdout_share.")


def _assign_files(rows: list[Row], settings: DatasetSettings) -> list[Row]:
    """Sets the file of each row, by its hash, and returns the rows in the order in which they are written."""
    size: Counter[str] = Counter()
    for row in rows:
        size[row["split"]] += row["bytes"]
    files = {split: max(settings.files if split == "train" else 1, math.ceil(size[split] / FILE_BYTES))
             for split in SPLITS}
    for row in rows:
        row["file"] = int(row["image_sha256"][16:32], 16) * files[row["split"]] >> 64
    return sorted(rows, key=lambda r: (SPLITS.index(r["split"]), r["file"], r["image_sha256"]))
