"""What an estimate rests on: a documented and answered sample, or not."""

import pytest

from contract import samples
from tests.figures import DAY, cell, day, document


def audit(p=0.5, when=DAY):
    return samples.draw("m", when, "audit", samples.Design("random-audit", "salt", p=p))


def estimated(*cells, drawn=None):
    drawn = {} if drawn is None else {"audit": {DAY: drawn}}
    return document(day(list(cells)), samples=drawn)["versions"]["1"]["estimate"]


def answers(n, right=0.8, p=0.5):
    return cell("a", "a", origin="audit", p=p, n=round(n * right)), cell("a", "b", origin="audit", p=p, n=n - round(n * right))


def test_an_answered_audit_is_unbiased_and_says_its_rate():
    found = estimated(*answers(480), cell("a", n=520), drawn=audit())
    assert found["origin"] == "audit" and found["unbiased"] and found["response_rate"] == pytest.approx(0.96)
    assert found["rests_on"] == "audit sample, 480 answers: 96% of about 500 drawn items"


@pytest.mark.parametrize(("n", "unbiased"), [(400, False), (420, False), (445, True), (500, True)])
def test_below_90_percent_it_is_not_but_for_what_chance_explains(n, unbiased):
    # 1,000 predictions at p = 0.5: 500 asked, give or take 15.8; 0.9 * 500 - 1.645 * 15.8 = 424.
    assert estimated(*answers(n), cell("a", n=1000 - n), drawn=audit())["unbiased"] is unbiased


def test_without_a_sample_document_it_is_still_the_one_shown_and_says_so():
    found = estimated(*answers(50), cell("a", "a", origin="feedback", n=900))
    assert found["origin"] == "audit" and not found["unbiased"]
    assert found["rests_on"] == "audit labels, 50 of 50 of days without a sample document"


def test_an_answered_review_comes_before_an_audit_that_nobody_answered():
    review = samples.draw("m", DAY, "review", samples.Design("by-class", "salt", p=0.5), {samples.Cell("a", None): 1000})
    cells = [*answers(10), cell("a", "a", origin="review", p=0.5, n=500), cell("a", n=490)]
    drawn = {"audit": {DAY: audit()}, "review": {DAY: review}}
    found = document(day(cells), samples=drawn)["versions"]["1"]["estimate"]
    assert found["origin"] == "review" and found["unbiased"]


def test_the_trend_asks_each_day_for_its_own_sample():
    found = document(day(list(answers(100)), "2026-11-19"), day([*answers(100)]), samples={"audit": {DAY: audit(1.0)}})
    assert [row["estimate"]["unbiased"] for row in found["trend"]] == [False, True]
    assert not found["versions"]["1"]["estimate"]["unbiased"]
