"""The paired comparison of live and shadow equals a count by hand, on logs with every awkward case in them."""

import json
import random
from collections import Counter

import pytest
from scipy.stats import binomtest

from contract import clock
from contract.deciding import changes
from contract.records import PREDICTION
from contract.registry import Registry
from contract.storage import open_storage
from jobs import evaluate
from pipeline.verifying import command as verify
from tests import oracle
from tests.jobs import awkward
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows, rows, write_version

COUNTS = ("n", "both", "only_live", "only_candidate", "neither")


def write_log(root, seed):
    """An awkward log, in which most predictions have rows of both roles, from another awkward log."""
    found, others, r = awkward.rows_of(seed, 150), awkward.rows_of(seed + 100, 150), random.Random(seed)
    for day, tables in found.items():
        mine = tables["predictions"]
        tables["predictions"] = [row | {"role": r.choice((None, "live", "Live"))} for row in mine] + [
            other | {n: row[n] for n in ("prediction_id", "model")} | {"role": r.choice(("shadow", "SHADOW", "schatten"))}
            for row, other in zip(mine, others[day]["predictions"], strict=False) if r.random() < 0.8]
        r.shuffle(tables["predictions"])
    awkward.write(root, found, seed)


def run_evaluate(root, model, capsys, *options):
    assert evaluate.main(["--root", root, "--model", model, "--json", "--no-report", *options]) == 0
    return json.loads(capsys.readouterr().out)


def count_by_hand(root, roles):
    """(live version, shadow version) -> Counter of rows, agree, unnamed and (origin, who is right)."""
    found = {}
    for day in awkward.DAYS:
        judged = [oracle.judge(root, day, "m", awkward.AS_OF, role, None, roles)[3] for role in ("live", "shadow")]
        live, shadow = ({item["prediction"]["prediction_id"]: item for item in items} for items in judged)
        for id_ in live.keys() & shadow.keys():
            mine, other = live[id_]["prediction"], shadow[id_]["prediction"]
            of = found.setdefault((mine["model_version"], other["model_version"]), Counter())
            of["rows"] += 1
            of["agree"] += mine["predicted_label"] == other["predicted_label"]
            label = live[id_]["label"]
            if label == "≠":
                of["unnamed"] += 1
            elif label is not None:
                of[live[id_]["origin"], mine["predicted_label"] == label, other["predicted_label"] == label] += 1
    return found


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.slow("seeds"))])
def test_pairs_equal_a_count_by_hand(tmp_path, capsys, seed):
    root = str(tmp_path)
    write_log(root, seed)
    moment = clock.iso(clock.from_us(awkward.AS_OF))
    document = run_evaluate(root, "m", capsys, "--evidence", "shadow", "--as-of", moment,
                            "--set", "evaluate.roles={schatten: shadow}")
    section, expected = document["evidence"]["shadow"], count_by_hand(root, {"schatten": "shadow"})
    assert {(p["live"], p["shadow"]) for p in section["pairs"]} == expected.keys() and len(expected) > 2
    for pair in section["pairs"]:
        of = expected[pair["live"], pair["shadow"]]
        assert (pair["rows"], pair["agree"], pair["unnamed"]) == (of["rows"], of["agree"], of["unnamed"])
        origins = {key[0] for key in of if isinstance(key, tuple)}
        assert pair["by_origin"].keys() == origins
        for origin in origins:
            right = [of[origin, *who] for who in ((True, True), (True, False), (False, True), (False, False))]
            got = pair["by_origin"][origin]
            assert [got[name] for name in COUNTS] == [sum(right), *right]
            if right[1] + right[2]:
                assert got["mcnemar"]["two_sided"] == pytest.approx(binomtest(right[1], right[1] + right[2]).pvalue)
            classes = [row for row in pair["per_class_by_origin"] if row["origin"] == origin]
            assert [sum(row[name] for row in classes) for name in COUNTS] == [sum(right), *right]


def put_shadow(storage, registry, tmp_path, right, n=40, alias=True):
    """Version 2 in the role shadow beside version 1 of `make_root`: right about the first `right` labels."""
    if "2" not in registry.versions():
        write_version(registry, registry.claim(by="test"), tmp_path)
    predictions, labels = rows(n, n, n)
    told = {row["prediction_id"]: row["label"] for row in labels}
    for i, row in enumerate(predictions):
        label = told[row["prediction_id"]]
        row |= {"role": "shadow", "model_version": "2", "predicted_label": label if i < right else "ab".replace(label, "")}
    put_rows(storage, PREDICTION, "predictions", predictions, DAY, "s")
    if alias:
        changes.set_alias(registry, "shadow", "2", by="test", reason="test")


def test_an_evaluation_looks_for_the_shadow_that_the_history_names(tmp_path, capsys):
    root = make_root(str(tmp_path / "root"), right=40, n=40)
    storage = open_storage(root)
    registry = Registry(storage, MODEL)
    assert "evidence" not in run_evaluate(root, MODEL, capsys)
    put_shadow(storage, registry, tmp_path, right=30, alias=False)
    assert "evidence" not in run_evaluate(root, MODEL, capsys)
    changes.set_alias(registry, "shadow", "2", by="test", reason="test")
    (pair,) = run_evaluate(root, MODEL, capsys)["evidence"]["shadow"]["pairs"]
    assert (pair["rows"], pair["agree"], pair["by_origin"]["audit"]["only_live"]) == (40, 30, 10)
    assert [row["labeler"] for row in pair["without"]] == ["ana"] and pair["without"][0]["by_origin"] == {}
    assert "evidence" not in run_evaluate(root, MODEL, capsys, "--role", "shadow")


def test_the_section_is_equal_when_it_is_computed_again(tmp_path, capsys):
    root = make_root(str(tmp_path / "root"), right=40, n=40)
    registry = Registry(open_storage(root), MODEL)
    put_shadow(registry.storage, registry, tmp_path, right=30)
    made = run_evaluate(root, MODEL, capsys)["id"]
    assert verify.main([made, "--root", root, "--model", MODEL, "--in-process"]) == 0
    assert "everything is equal" in capsys.readouterr().out
