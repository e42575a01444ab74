"""The dashboard and the alert rules ask for what the service exposes: every query is parsed, its names are looked up."""

import asyncio
import json
import re
from pathlib import Path

import promql_parser as promql
import pytest
import yaml

from inference.monitoring import show
from inference.monitoring.show import FILES
from tests.inference.asgi import ask
from tests.inference.monitoring.scraped import make_app, read_series

OF_PROMETHEUS = {"instance", "job"}  # labels that it adds to all it scrapes
VARIABLES = {"$model": ".*", "$__rate_interval": "5m"}
LEGEND = re.compile(r"\{\{ ?\$?(?:labels\.)?(\w+)")


def rules() -> list[dict]:
    return [rule for group in yaml.safe_load(FILES["alerts"].read_text())["groups"] for rule in group["rules"]]


def dashboard_targets() -> list[dict]:
    board = json.loads(FILES["dashboard"].read_text())
    return [target for panel in board["panels"] for target in panel.get("targets", [])] + board["annotations"]["list"]


def queries() -> list[tuple[str, list[str]]]:
    """(query, names of labels that its texts show), of every rule and panel."""
    made = [(rule["expr"], LEGEND.findall(" ".join(re.findall(r"\{\{ \$labels\.\w+", str(rule["annotations"])))))
            for rule in rules()]
    for target in dashboard_targets():
        query = target["expr"]
        for name, value in VARIABLES.items():
            query = query.replace(name, value)
        made.append((query, LEGEND.findall(target.get("legendFormat", target.get("titleFormat", "")))))
    return made


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    app = make_app(tmp_path_factory.mktemp("scraped"))

    async def scrape():
        await ask(app, "GET", b"/health/live")  # so that a request is counted
        return await ask(app, "GET", b"/metrics")

    return read_series(asyncio.run(scrape()).text)


def nodes(expression):
    found = []
    promql.walk(expression, lambda node: found.append(node))
    return found


def selectors(expression):
    made = [node.vector_selector if isinstance(node, promql.MatrixSelector) else node for node in nodes(expression)]
    return [node for node in made if isinstance(node, promql.VectorSelector)]


def result_labels(node, series) -> set[str]:
    """The labels that the result of a query has, as far as the query fixes them: those of its outermost grouping."""
    if isinstance(node, promql.AggregateExpr):
        if node.modifier is None:
            return result_labels(node.expr, series) if "topk" in str(node.op) else set()
        return set(node.modifier.labels)
    if isinstance(node, promql.VectorSelector):
        return set(series[node.name]) | OF_PROMETHEUS
    if isinstance(node, promql.Call):
        labels = set().union(*(result_labels(argument, series) for argument in node.args))
        return labels - {"le"} if node.func.name == "histogram_quantile" else labels
    for part in ("expr", "lhs", "vector_selector"):
        if hasattr(node, part):
            return result_labels(getattr(node, part), series)
    return set()


@pytest.mark.parametrize(("query", "shown"), queries(), ids=range(len(queries())))
def test_a_query_parses_and_asks_for_what_there_is(query, shown, series):
    expression = promql.parse(query)
    assert selectors(expression), query
    for selector in selectors(expression):
        assert selector.name in series, f"{query}: the service exposes no {selector.name}"
        there = series[selector.name]
        for matcher in selector.matchers.matchers:
            assert matcher.name in there, f"{query}: {selector.name} has no label {matcher.name}"
            if matcher.op == promql.MatchOp.Equal:
                assert matcher.value in there[matcher.name], f"{query}: {matcher.name} is never {matcher.value!r}"
    for node in nodes(expression):
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            known = OF_PROMETHEUS.union(*(series[s.name] for s in selectors(node.expr)))
            assert set(node.modifier.labels) <= known, f"{query}: groups by {node.modifier.labels}"


@pytest.mark.parametrize(("query", "shown"), [q for q in queries() if q[1]], ids=range(sum(bool(q[1]) for q in queries())))
def test_a_text_shows_labels_that_the_result_of_its_query_has(query, shown, series):
    assert set(shown) <= result_labels(promql.parse(query), series), query


def test_every_metric_of_the_service_is_on_the_dashboard_or_in_a_rule(series):
    used = {s.name for query, _ in queries() for s in selectors(promql.parse(query))}
    base = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in used}
    left = {re.sub(r"_(bucket|sum|count|total|created)$", "", name) for name in series} - base
    assert left == set()


def test_every_alert_says_what_it_means_and_how_grave_it_is():
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule
        assert rule["annotations"]["summary"] and rule["annotations"]["description"], rule
    assert len({rule["alert"] for rule in rules()}) == len(rules()) >= 10


def test_panels_do_not_overlap_and_have_titles():
    panels, taken = json.loads(FILES["dashboard"].read_text())["panels"], set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert panel["title"] and not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("what", FILES)
def test_a_command_prints_the_files(what, capsys):
    assert show.main([what]) == 0
    assert capsys.readouterr().out == FILES[what].read_text()


def test_the_page_names_every_metric_with_its_labels(series):
    page = (Path(__file__).resolve().parents[3] / "docs/monitoring.md").read_text()
    rows = re.findall(r"^\| (`trueup_[^|]*)\|([^|]*)\|", page, re.M)
    named = {name: labels for cell, labels in rows for name in re.findall(r"`(\w+)`", cell)}
    plain = {re.sub(r"_(bucket|sum|count|created)$", "", name): set(labels) - {"le"} for name, labels in series.items()
             if not name.endswith("_created")}
    assert set(named) == set(plain)
    assert [name for name, labels in plain.items() if not labels <= set(re.findall(r"\w+", named[name]))] == []
