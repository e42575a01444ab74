"""A real Prometheus scrapes a service, answers every query and raises the alerts; promtool reads rules and metrics."""

import subprocess
from contextlib import contextmanager

import httpx
import pytest
import yaml

from inference.monitoring.show import FILES
from tests.daemons import find_port
from tests.inference.monitoring.scraped import make_app
from tests.inference.monitoring.test_dashboard import queries
from tests.inference.serving import until
from tests.inference.small_service import serving
from tests.prerequisites import need

pytestmark = pytest.mark.slow("prometheus")


@contextmanager
def prometheus(folder, target: str):
    """Prometheus on a free port, which scrapes that address each second; yields a client of its API."""
    rules = yaml.safe_load(FILES["alerts"].read_text())
    (folder / "alerts.yaml").write_text(yaml.safe_dump(rules))
    (folder / "prometheus.yml").write_text(yaml.safe_dump({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(folder / "alerts.yaml")],
        "scrape_configs": [{"job_name": "trueup", "static_configs": [{"targets": [target]}]}]}))
    port = find_port()
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([*need("prometheus"), f"--config.file={folder}/prometheus.yml",
                                    f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"],
                                   stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)


def is_up(client) -> bool:
    try:
        found = client.get("/query", params={"query": "count_over_time(up[1m]) > 3"})
        return found.status_code == 200 and bool(found.json()["data"]["result"])
    except httpx.HTTPError:
        return False


def test_queries_answer_and_the_alert_of_a_failing_gate_is_raised(tmp_path):
    app = make_app(tmp_path, bad_from=3)
    with serving(app) as address, prometheus(tmp_path, address.removeprefix("http://")) as client:
        until(lambda: is_up(client), 60)
        with_result = set()
        for query, _ in queries():
            answer = client.get("/query", params={"query": query}).json()
            assert answer["status"] == "success", (query, answer)
            with_result |= {query} if answer["data"]["result"] else set()
        assert 'max by (model, version, verdict) (trueup_verdict{model=~".*"}) == 1' in with_result
        assert len(with_result) > 20, with_result
        until(lambda: "TrueupGateFailed" in list_alerts(client), 30)
        raised = list_alerts(client)
        assert (raised["TrueupGateFailed"]["model"], raised["TrueupGateFailed"]["severity"]) == ("digits", "critical")
        assert "TrueupLogStale" in raised and "TrueupDown" not in raised and "TrueupCannotTell" not in raised


def list_alerts(client) -> dict[str, dict[str, str]]:
    return {a["labels"]["alertname"]: a["labels"] for a in client.get("/alerts").json()["data"]["alerts"]}


def test_promtool_reads_the_rules_and_finds_nothing_against_the_names(tmp_path):
    checked = subprocess.run([*need("promtool"), "check", "rules", str(FILES["alerts"])], capture_output=True, text=True)
    written = sum(len(group["rules"]) for group in yaml.safe_load(FILES["alerts"].read_text())["groups"])
    assert checked.returncode == 0 and f"{written} rules found" in checked.stdout, checked.stdout + checked.stderr
    with serving(make_app(tmp_path)) as address:
        text = httpx.get(f"{address}/metrics", trust_env=False).content
    linted = subprocess.run([*need("promtool"), "check", "metrics"], input=text, capture_output=True)
    assert linted.returncode == 0 and linted.stderr == b"", linted.stderr.decode()
