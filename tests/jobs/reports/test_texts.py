"""Reports speak to people, and a figure leads to its pictures where there is a service to show them."""

import re

import numpy as np
import pytest

from contract.texts.figures import write_chance, write_count
from contract.texts.gates import say_test
from contract.texts.words import name_top_k
from jobs.reports import page
from jobs.reports.compare import compare
from jobs.reports.heatmap import cluster
from tests.figures import cell, day, document
from tests.jobs.test_report import DECISION, text


@pytest.mark.parametrize(("p", "said"), [(1.0, "over 99.9%"), (0.00014, "0.014%"), (0.0231, "2.3%"), (0.0, "under 0.01%"),
                                         (0.5, "50%")])
def test_a_probability_is_written_in_percent(p, said):
    assert write_chance(p) == said


def test_a_gates_test_is_a_sentence():
    gate = {"gate": "accuracy", "p": 1.0, "level": 0.00014, "level_high": 0.853}
    assert say_test(gate) == ("Test: were it as good as its bound and no better, a result as bad as this would come with a "
                              "probability of over 99.9%; it fails at 0.014% or less: that is, when the interval of that level, "
                              "which now reaches up to 85.3%, lies below the bound.")
    assert say_test({"gate": "freshness"}) == ""


def test_counts_and_names():
    assert (write_count(1, "label"), write_count(2, "class"), write_count(2, "person", "people")) == (
        "1 label", "2 classes", "2 people")
    assert (name_top_k(1), name_top_k(5)) == ("Label is the first guess", "Label is among the first 5 guesses")


@pytest.fixture(scope="module")
def html():
    cells = [cell("a", "a", 0.97, n=9), cell("a", "b", 0.97, n=3), cell("b", "b", 0.3, n=4), cell("b", "a & c", 0.3)]
    return page.render(document(day(cells)), DECISION)


@pytest.mark.parametrize("filters", [
    "label=b&amp;verdict=wrong", "predicted=a&amp;verdict=wrong", "label=b", "predicted=a",  # a class's row
    "predicted=a&amp;label=b", "predicted=b&amp;label=a+%26+c",  # cells and mistakes
    "predicted=a&amp;confidence_from=0.95&amp;confidence_to=1",
    "predicted=a&amp;verdict=wrong&amp;confidence_from=0.95&amp;confidence_to=1",
    "confidence_from=0.3&amp;confidence_to=0.35", ""])
def test_every_figure_names_its_pictures(html, filters):
    address = "/pictures?model=m&amp;version=1&amp;from=2026-11-20&amp;to=2026-11-20" + (f"&amp;{filters}" if filters else "")
    assert f'data-to="{address}"' in html


def test_a_file_by_itself_has_no_dead_links(html):
    """The script adds them under /reports/ of the service; whoever opens the file elsewhere meets figures."""
    links = re.findall(r'href="[^"]*', html)
    assert len(links) > 5 and all(link.startswith('href="#') for link in links)


def test_classes_with_most_mistakes_come_first_and_the_rest_is_folded():
    cells = [cell(f"c{i:02}", f"c{i:02}", n=50) for i in range(40)] + [cell("c39", "c38", n=9), cell("c07", "c38", n=2)]
    html = page.render(document(day(cells)))
    table = html[html.index('<table class="sortable classes"'):]
    rows = re.findall(r'<tr( class="rest")?><th scope="row" data-v="(\w+)"', table)
    assert [label for _, label in rows][:3] == ["c38", "c39", "c07"] and len(rows) == 40
    assert [bool(folded) for folded, _ in rows] == [False] * 20 + [True] * 20
    assert "Show all 40 classes" in text(html)


def test_a_comparisons_headline_is_of_the_figures_that_its_cards_show():
    sides = [{"id": name, "version": name, "window": {"from": "2026-11-20", "to": "2026-11-20"}, "as_of": "2026-11-21T00:00:00Z",
              "confidence": 0.95, "file": "report.html", "figures": document(day(cells))["versions"]["1"]}
             for name, cells in (("1", [cell("a", "a", origin="audit", n=60), cell("a", "b", origin="audit", n=40)]),
                                 ("2", [cell("a", "a", origin="audit", n=90), cell("a", "b", origin="audit", n=10),
                                        cell("b", "a", origin="feedback", n=100)]))]
    shown = text(page.render_template("compare.html", {"c": compare(*sides), "model": "m", "most": 200}))
    assert "Accuracy went from 60% to 90%: a change of +30.0 points (+18.3 to +40.8) , which is more than chance." in shown
    assert "Before: version 1 60%" in shown and "After: version 2 90%" in shown
    assert "Over all labels, of whatever origin, it went from 60% to 45%" in shown


def test_confused_classes_stand_together():
    table = np.eye(6, dtype=int) * 20
    table[0, 5] = table[5, 0] = 15
    table[1, 3] = 12
    order = cluster(table)
    assert sorted(order) == list(range(6))
    assert abs(order.index(0) - order.index(5)) == abs(order.index(1) - order.index(3)) == 1
