"""The API fuzzed from its own OpenAPI description: no answer of 5xx, and every answer in the documented form.

    make test-slow K=fuzz                     FUZZ_EXAMPLES=1000 for more of them per operation and mode
"""

import os
from collections import Counter

import hypothesis
import pytest

from tests.inference.published import publish_tiny
from tests.inference.serving import serving

pytestmark = [pytest.mark.slow("fuzz"), pytest.mark.timeout(3600)]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))


def fuzz(operation, mode, url: str) -> Counter:
    """How often each status was answered."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import response_schema_conformance

    seen: Counter = Counter()

    @hypothesis.settings(max_examples=EXAMPLES, deadline=None, database=None,
                         suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        answer = case.call(base_url=url)
        seen[answer.status_code] += 1
        case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])

    try:
        ask()
    except hypothesis.errors.Unsatisfiable:
        pass  # nothing that could be wrong, such as a GET without parameters
    return seen


def test_whatever_the_description_allows_or_forbids_is_answered_properly(tmp_root, tmp_path):
    import schemathesis
    from schemathesis import GenerationMode

    publish_tiny(tmp_root)
    with serving(tmp_root, tmp_path / "outbox") as client:
        url = str(client.base_url).rstrip("/")
        operations = [found.ok() for found in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations()]
        counts = {f"{o.method.upper()} {o.path} {mode.name.lower()}": fuzz(o, mode, url)
                  for o in operations for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)}
        assert client.get("/health/ready").status_code == 200
    print({name: dict(seen) for name, seen in counts.items()})
    assert sum(map(Counter.total, counts.values())) > 2 * EXAMPLES
    assert {200, 422} <= set().union(*counts.values())
