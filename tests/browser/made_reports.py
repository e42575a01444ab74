"""Reports with few, many and no classes, from made counts, and one with every section of evidence."""

import random
import tempfile
from functools import cache

from jobs.reports import page
from metrics.tables import class_days
from metrics.window import by_class
from tests.figures import cell, day, document
from tests.jobs.evidence import all_sections
from tests.jobs.test_report import DECISION

LONG = "a class with a rather long name and-one-very-long-word-without-a-space"
CLASSES = ("1", "3", "10", "100", "1000")
NAMES = (*CLASSES, "no labels", "one label", "no data", "all sections")


def make_days(classes, labelled=0.8):
    """Six days of 40 predictions a class, most of them right, mistaken for a neighbour otherwise."""
    rng, names = random.Random(1), [LONG, *(f"class {i:04}" for i in range(1, classes))]
    def one(i):
        other = names[(i + rng.choice([1, 2])) % classes]
        label = names[i] if rng.random() < 0.85 else other
        label = label if rng.random() < labelled else None
        return cell(names[i], label, rng.random() ** 0.3, origin="audit", n=rng.randint(1, 9))
    return [day([one(i) for i in range(classes) for _ in range(4)], f"2026-11-{d}",
                people=[{"labeler": LONG, "votes": 9, "agreements": 8}]) for d in range(10, 16)]


@cache
def make_report(name):
    """The HTML of the report of that name."""
    if name in CLASSES:
        days = make_days(int(name))
        of_class = class_days({d.day: by_class(d.tables["cells"]) for d in days})
        return page.render(document(*days), DECISION, {"class_days": of_class})
    if name == "all sections":
        with tempfile.TemporaryDirectory() as folder:
            return all_sections.read_report(f"{folder}/root", all_sections.make(f"{folder}/root"))
    days = {"no labels": lambda: make_days(3, labelled=0), "no data": lambda: [],
            "one label": lambda: [day([cell("cat", "dog", 0.9), cell("cat", n=30)])]}[name]()
    return page.render(document(*days))
