"""The report of an evaluation with every section: each is in the contents, the deciding figure is named, who decides is too."""

import re

import pytest

from jobs.evidence.sections import SECTIONS
from pipeline import status
from pipeline.verifying import command as verify
from tests.jobs.evidence.all_sections import MODEL, POISONER, make, read_report


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(root, id of the evaluation)."""
    root = str(tmp_path_factory.mktemp("all") / "root")
    return root, make(root)


def read_text(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", re.sub(r"(?s)<(style|script)>.*?</\1>", "", html)))


def test_each_section_is_in_the_contents_in_the_order_of_the_page(made):
    html = read_report(*made)
    contents = re.findall(r'href="#(s-[^"]+)"', html.partition("<main>")[0])
    heads = [id_ for id_ in re.findall(r'<h[23] id="([^"]+)"', html) if id_ in contents]
    assert heads == contents and {f"s-evidence-{name}" for name in SECTIONS} <= set(heads)
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    regions = re.findall(r'role="region" aria-label="([^"]+)"', html)
    assert len(regions) == len(set(regions)) > 10, "of two alike nobody who hears them knows which one it is"


def test_the_report_names_the_figure_that_decides_and_the_one_beside_it(made):
    text = read_text(read_report(*made))
    assert "Combined estimate, which the gate judges: from" in text and "The audit alone: " in text
    assert "Accuracy by the combined estimate is" in text and "accuracy, combined estimate" in text


def test_who_alone_decides_is_named_where_the_verdict_is(made, capsys):
    said = f"Fragile: this fail rests on labeler {POISONER}: without the "
    assert said in read_text(read_report(*made))
    assert status.main(["--root", made[0]]) == 0 and said in capsys.readouterr().out


def test_a_decision_that_rests_on_recounts_is_equal_when_computed_again(made, capsys):
    assert verify.main([made[1], "--root", made[0], "--model", MODEL, "--in-process"]) == 0
    assert "everything is equal" in capsys.readouterr().out
