"""Which image stands where: rules that depend on content alone."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import EmptyData
from contract.settings import DatasetSettings
from jobs.datasets import plan as dataset_plan
from jobs.datasets.images import UNDECODABLE, Look

SETTINGS = DatasetSettings(near_bits=0, new_class_images=6)


def sha(n) -> str:
    return hashlib.sha256(f"{n}".encode()).hexdigest()


def row(n, label="a", **more):
    return {"image_sha256": sha(n), "image_uri": f"images/{n}.png", "label": label, "origin": "import", "votes": 1,
            "agreeing": 1, "labelers": ["ann"], "labeled_at": n, "selection_probability": None, "prediction_id": f"p{n}",
            "day": "2026-11-20"} | more


def look(n, **more) -> Look:
    return Look(**{"width": 8, "height": 8, "bytes": 100, "near": n} | more)


def plan(rows, known=(), settings=SETTINGS, parent=(), looks=None):
    found, listed = dataset_plan.choose_candidates(rows, list(parent), settings, set())
    places = {r["image_sha256"]: n for n, r in enumerate(found)}
    looks = looks or {h: look(n << 20) for h, n in places.items()}
    return dataset_plan.finish(found, listed, looks, known, settings)


def reasons(found) -> dict:
    return {e["image_sha256"]: e["reason"] for e in found.listed}


@given(st.integers(0, 10**6))
def test_the_split_is_a_pure_function_of_the_hash(n):
    u = int(sha(n)[:16], 16) / 2**64
    expected = "holdout" if u < 0.2 else "validation" if u < 0.3 else "train"
    assert dataset_plan.split_of(sha(n), SETTINGS) == expected


@given(st.permutations(range(40)))
def test_the_order_of_rows_changes_nothing(order):
    one, other = plan([row(n) for n in range(40)]), plan([row(n) for n in order])
    assert one == other
    ids = [dataset_plan.make_dataset_id(p, "m", None, SETTINGS) for p in (one, other)]
    assert ids[0] == ids[1] and len(ids[0]) == 16


def test_the_day_of_an_import_is_no_content_and_that_of_a_prediction_is():
    def found(**more):
        return dataset_plan.make_dataset_id(plan([row(n, **more) for n in range(40)]), "m", None, SETTINGS)

    imported = {"prediction_id": None, "labeled_at": 5}
    assert found(**imported) == found(**imported | {"day": "2026-12-24", "labeled_at": 9})
    assert found(prediction_id="p") != found(prediction_id="p", day="2026-12-24")


def test_one_image_predicted_often_is_one_row_under_the_highest_origin_then_the_newest():
    rows = [row(1, "a", labeled_at=9), row(1, "b", origin="audit", labeled_at=5), row(1, "c", origin="audit", labeled_at=7)]
    found, listed = dataset_plan.choose_candidates(rows, [], SETTINGS, set())
    assert [r["label"] for r in found] == ["c"]
    assert [e["detail"] for e in listed] == ["c over a, b"]


def test_what_cannot_be_used_is_left_out_and_listed():
    rows = [row(n) for n in range(30)]
    rows += [row(100, votes=5, agreeing=2), row(101, image_uri=None), row(102, image_sha256="x"), row(103)]
    looks = {sha(n): look(n << 20) for n in range(30)} | {sha(103): Look(reason=UNDECODABLE)}
    found = plan(rows, looks=looks)
    assert reasons(found) == {sha(100): "agreement too low", sha(101): "image not stored", "x": "image not stored",
                              sha(103): UNDECODABLE}
    assert len(found.rows) == 30


def test_a_training_picture_nearly_the_same_as_a_held_out_one_is_left_out():
    held = next(n for n in range(99) if dataset_plan.split_of(sha(n), SETTINGS) == "holdout")
    train = [n for n in range(99) if dataset_plan.split_of(sha(n), SETTINGS) == "train"][:3]
    looks = {sha(held): look(0b1011), sha(train[0]): look(0b1000), sha(train[1]): look(0b0100), sha(train[2]): look(-1)}
    settings = SETTINGS.model_copy(update={"near_bits": 2})
    found = plan([row(n) for n in (held, *train)], settings=settings, looks=looks)
    assert reasons(found) == {sha(train[0]): "nearly a held-out picture"}
    assert {r["image_sha256"] for r in found.rows} == {sha(held), sha(train[1]), sha(train[2])}


@pytest.mark.parametrize(("count", "labelers", "said"), [
    (5, ["ann", "bob"], "5 of 6 images"), (40, ["ann"], "1 of 2 labelers"), (40, ["ann", "bob"], None)])
def test_a_new_class_waits_until_it_has_images_and_labelers(count, labelers, said):
    rows = [row(n) for n in range(40)]
    rows += [row(100 + n, "new", labelers=[labelers[n % len(labelers)]]) for n in range(count)]
    found = plan(rows, known=["a"])
    assert found.classes == (["a"] if said else ["a", "new"])
    waiting = [e["detail"] for e in found.listed if e["reason"] == "new class waits"]
    assert waiting == ([f"new: {said}"] * count if said else [])


def test_an_empty_known_class_is_an_error_that_names_it():
    with pytest.raises(EmptyData, match="'b' has 0"):
        plan([row(n) for n in range(40)], known=["a", "b"])
    with pytest.raises(EmptyData, match="at least 99 training images of every class; 'a' has"):
        plan([row(n) for n in range(40)], settings=SETTINGS.model_copy(update={"class_floor": 99}))
    with pytest.raises(EmptyData, match="got none"):
        plan([])


def test_a_cap_leaves_out_training_rows_only():
    found = plan([row(n) for n in range(99)], settings=SETTINGS.model_copy(update={"class_cap": 10}))
    assert found.counts()["train"] == {"a": 10}
    assert found.counts()["holdout"] == plan([row(n) for n in range(99)]).counts()["holdout"]


def test_replayed_rows_keep_their_side_and_a_new_label_wins():
    first = plan([row(n) for n in range(40)])
    held = next(r for r in first.rows if r["split"] == "holdout")
    parent = [r | {"came_with": "d1"} for r in first.rows]
    moved = SETTINGS.model_copy(update={"holdout_share": 0.01, "validation_share": 0.01})
    again = dict(held, label="a", agreeing=1, labelers=["bob"], labeled_at=99)
    found, listed = dataset_plan.choose_candidates([again, row(500)], parent, moved, {parent[0]["image_sha256"]})
    sides = {r["image_sha256"]: r["split"] for r in found}
    assert sides[held["image_sha256"]] == "holdout" and sides[sha(500)] == "train"
    assert len(found) == 40 and [e["reason"] for e in listed] == ["erased"]
    assert dataset_plan.select_to_look_at(found) == [(sha(500), "images/500.png")]


def replayed(today, present=(), **more):
    """A dataset of 40 pictures, and the one after it: what people say today of some, in the window and before it."""
    parent = [r | {"came_with": "d1", "labelers": None} for r in plan([row(n) for n in range(40)]).rows]
    settings = SETTINGS.model_copy(update=more)
    found, listed = dataset_plan.choose_candidates(list(today), parent, settings, set(), list(present))
    made = dataset_plan.finish(found, listed, {}, ["a"], settings)
    return {r["image_sha256"]: r for r in made.rows}, reasons(made)


NO_VOTE = {"label": None, "votes": 0, "agreeing": 0, "labelers": [], "labeled_at": None, "origin": None}


@pytest.mark.parametrize("place", ["today", "present"])
def test_a_withdrawn_label_is_not_trained_on_through_replay(place):
    rows, listed = replayed(**{"today": []} | {place: [row(3, **NO_VOTE)]})
    assert sha(3) not in rows and listed == {sha(3): "label withdrawn"} and len(rows) == 39


def test_a_corrected_label_is_replayed_as_it_is_today_on_the_side_it_was():
    before, _ = replayed([])
    rows, listed = replayed([], [row(3, "a", origin="audit", votes=3, agreeing=2, labeled_at=99)])
    assert (rows[sha(3)]["origin"], rows[sha(3)]["votes"], rows[sha(3)]["came_with"]) == ("audit", 3, "d1")
    assert rows[sha(3)]["split"] == before[sha(3)]["split"] and listed == {}


def test_a_replayed_picture_whose_people_now_disagree_is_listed_and_left_out():
    rows, listed = replayed([], [row(3, votes=5, agreeing=2)])
    assert sha(3) not in rows and listed == {sha(3): "agreement too low"}
    rows, listed = replayed([row(3, votes=5, agreeing=2)])
    assert sha(3) not in rows and listed == {sha(3): "agreement too low"}


def test_a_picture_withdrawn_in_one_place_and_labelled_in_another_is_in():
    rows, listed = replayed([row(3, prediction_id="other", labeled_at=99)], [row(3, **NO_VOTE)])
    assert rows[sha(3)]["prediction_id"] == "other" and listed == {}


def test_a_picture_listed_as_left_out_is_not_in_the_dataset():
    """Predicted again by a service that stores no pictures: the picture is there from before."""
    rows, listed = replayed([row(3, image_uri=None, prediction_id="again", labeled_at=99), row(4, "≠")],
                            [row(5, **NO_VOTE), row(6, votes=9, agreeing=1)])
    assert rows[sha(3)]["image_uri"] == "images/3.png"
    assert listed == {sha(4): "wrong, class not named", sha(5): "label withdrawn", sha(6): "agreement too low"}
    assert not listed.keys() & rows.keys()


def test_labels_of_other_pictures_on_days_outside_the_window_bring_none_in():
    rows, _ = replayed([], [row(500)])
    assert sha(500) not in rows


def test_an_empty_holdout_is_an_error_before_training():
    train = [row(n) for n in range(40) if dataset_plan.split_of(sha(n), SETTINGS) != "holdout"]
    with pytest.raises(EmptyData, match=f"expected held-out pictures, none of the {len(train)} is"):
        plan(train)


def replay_of(n, split="train"):
    return row(n) | {"split": split, "came_with": "d0", "near": n << 20, "width": 8, "height": 8, "bytes": 100}


@given(st.sets(st.integers(0, 10**6), max_size=60), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_smaller_share_replays_some_of_the_rows_of_a_larger_one(numbers, one, other):
    def replayed(share):
        settings = DatasetSettings(replay_share=share)
        found, _ = dataset_plan.choose_candidates([], [replay_of(n) for n in numbers], settings, set())
        return {r["image_sha256"] for r in found}

    small, large = sorted((one, other))
    assert replayed(small) <= replayed(large) <= replayed(1.0) == {sha(n) for n in numbers}
    by_hand = {sha(n) for n in numbers if int(hashlib.sha256(f"replay:{sha(n)}".encode()).hexdigest()[:16], 16) < small * 2**64}
    assert replayed(small) == by_hand


def test_the_share_is_about_that_of_the_training_rows_and_all_other_rows_are_replayed():
    parent = [replay_of(n, split) for n, split in enumerate(["train"] * 2000 + ["holdout"] * 50 + ["validation"] * 30)]
    found, listed = dataset_plan.choose_candidates([], parent, DatasetSettings(replay_share=0.25), set())
    splits = [r["split"] for r in found]
    assert 430 < splits.count("train") < 570 and (splits.count("holdout"), splits.count("validation")) == (50, 30)
    assert [entry["reason"] for entry in listed] == ["not replayed"] * (2000 - splits.count("train"))


def test_what_is_not_replayed_does_not_come_back_by_its_label_of_today_unless_it_lies_in_the_window():
    parent = [replay_of(n) for n in range(200)]
    settings = DatasetSettings(replay_share=0.3)
    present = [row(n) for n in range(200)]
    rest, _ = dataset_plan.choose_candidates([], parent, settings, set(), present)
    assert {r["image_sha256"] for r in rest} == {
        r["image_sha256"] for r in dataset_plan.choose_candidates([], parent, settings, set())[0]}
    inside, listed = dataset_plan.choose_candidates([row(n) for n in range(200)], parent, settings, set())
    assert len(inside) == 200
    assert {r["came_with"] for r in inside if r["image_sha256"] in {e["image_sha256"] for e in listed}} == {None}


def test_the_share_of_replay_changes_an_id_only_where_it_is_set():
    """Ids that were given before the setting existed are given again."""
    found, at_one = plan([row(n) for n in range(40)]), DatasetSettings()
    old = {k: v for k, v in at_one.model_dump(mode="json").items() if k not in ("replay_share", "suspects")}
    assert dataset_plan.name_settings(at_one) == old
    ids = [dataset_plan.make_dataset_id(found, "m", "d0", DatasetSettings(replay_share=share)) for share in (1.0, 0.5, 0.25)]
    assert len(set(ids)) == 3 and ids[0] == dataset_plan.make_dataset_id(found, "m", "d0", at_one)


@pytest.mark.parametrize(("said", "kept"), [(None, "own:read@0123456789ab"), ("own:read@ba9876543210", "own:read@ba9876543210")])
def test_of_a_picture_that_comes_again_as_a_png_the_decoder_that_made_it_stays_known(said, kept):
    old = row(1, split="train", came_with="d", width=8, height=8, bytes=100, near=1, decoded_by="own:read@0123456789ab")
    [found], _ = dataset_plan.choose_candidates([row(1, decoded_by=said)], [old], SETTINGS, set())
    assert found["decoded_by"] == kept
