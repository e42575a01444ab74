"""The page of a search: what is drawn where, of trials in every state."""

import re

import pytest

from contract.tuning.documents import Search, Tuning
from jobs.reports import tuning as page

SPACE = {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "augment": ["none", "<b>light</b>"]}
ENDED = {1: ("completed", [0.9, 0.5]), 2: ("pruned", [2.0]), 3: ("completed", [0.8, 0.25]), 4: ("failed", []),
         5: ("running", [0.7]), 6: ("completed", [0.9, 0.4]), 7: ("lost", []), 8: ("stopped", [1.0])}


def make(objective="loss", ended=ENDED, best=3):
    search = Search(model="digits & co", dataset="d", parent=None, networks=["tiny"], size=32, grey=False, epochs=2,
                    pruner="none", objective=objective, sampler="random", seed=1, startup=4, points=3, space=SPACE, settings={})
    judged = ("completed", "pruned", "stopped")
    trials = [{"trial": n, "state": state, "config": {"lr": 10 ** -(1 + n % 4), "augment": SPACE["augment"][n % 2]},
               "epochs": [{"epoch": e, "loss": v, "accuracy": 1 - v / 4} for e, v in enumerate(values, 1)], "seconds": 1.0,
               "value": (values[-1] if objective == "loss" else 1 - values[-1] / 4) if state in judged else None,
               "attempts": 1, "error": "loss <nan>" if state == "failed" else None} for n, (state, values) in ended.items()]
    return Tuning(study=search.id, search=search, at="2026-11-20T08:00:00.000000Z", trials=trials, best=best,
                  importance={"lr": 0.75, "augment": 0.25}, seconds=8.0)


@pytest.mark.parametrize("objective", ["loss", "accuracy"])
def test_better_is_higher_and_the_line_is_the_best_so_far(objective):
    drawn = page.draw_order(make(objective))
    places = {q["text"].split(":")[0]: q["y"] for q in drawn["points"]}
    assert sorted(places, key=places.get) == ["trial 3", "trial 6", "trial 1", "trial 8", "trial 2"]
    assert [q["best"] for q in drawn["points"]] == [False, False, True, False, False]
    line = [tuple(map(float, pair.split(","))) for pair in drawn["path"].split()]
    # From trial 1 on; it rises at trial 3 and never falls: pruned and stopped trials have no say.
    heights = [y for _, y in line]
    assert heights == [places["trial 1"]] * 2 + [places["trial 3"]] * 3
    assert all(a < b for (a, _), (b, _) in zip(line, line[1:], strict=False))
    assert all(page.LEFT <= q["x"] <= page.WIDE - page.RIGHT and page.TOP <= q["y"] <= page.HEIGHT - page.BOTTOM
               for q in drawn["points"])


def test_a_logarithmic_range_has_even_decades_and_choices_even_places():
    drawn = page.draw_setting(make(), "lr")
    of = {q["text"].split(":")[0]: q["x"] for q in drawn["points"]}
    left, right = page.LEFT, page.NARROW - page.RIGHT
    assert of["trial 8"] == right and of["trial 3"] == left
    assert of["trial 2"] == pytest.approx(left + (right - left) / 3, abs=0.1)
    choices = {q["x"] for q in page.draw_setting(make(), "augment")["points"]}
    assert choices == {left + (right - left) / 4, left + (right - left) * 3 / 4}


def test_curves_are_of_all_that_ended_an_epoch_with_the_best_on_top():
    drawn = page.draw_curves(make())
    assert [line["trial"] for line in drawn["lines"]] == [1, 2, 5, 6, 8, 3]
    assert len(drawn["lines"][-1]["path"].split()) == 2 and drawn["ends"][0][1] == "0.2500"


def test_the_page_escapes_what_people_wrote_and_shows_every_trial():
    html = page.render(make())
    assert "<b>light" not in html and "&lt;b&gt;light" in html and "loss &lt;nan&gt;" in html and "digits &amp; co" in html
    assert len(re.findall(r'<tr><th scope="row" data-v=', html)) == len(ENDED)
    assert "lr 75%, augment 25%" in html and "Trial 3 of 8" in html


@pytest.mark.parametrize("ended", [{}, {1: ("failed", [])}, {1: ("running", [0.5])}, {1: ("completed", [0.5, 0.0])}])
def test_few_trials_make_a_page_too(ended):
    best = 1 if ended.get(1, ("",))[0] == "completed" else None
    html = page.render(make(ended=ended, best=best))
    assert ("No trial was completed" in html) == (best is None)
