"""Every route, asked what nobody should ask: answers of 4xx in the form of all refusals, never a 500 and no traceback.

    make test-slow K=fuzz                     FUZZ_EXAMPLES=1000 for more random texts per route
"""

import asyncio
import json
import os
import random
from collections import Counter

import pytest

from command.load_settings import load
from contract import samples
from contract.storage import find_root_id, open_root
from inference.app import create_app
from inference.auth import NoAuth, make_csrf_token, sign_session
from inference.keys import KeyRing
from inference.outbox.outbox import Outbox
from inference.service import Service
from tests.inference import route_cases
from tests.inference.asgi import Answer, ask
from tests.inference.published import publish_tiny
from tests.inference.small_service import DAY, ship

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
QUICK = 900
NOISE = b"\x01\x7f\xff%=&;:/.\\\"'{[]}09azAZ- \xb2\xc3\xa4"
READY = "/health/ready"  # the one place where 503 is an answer like any other


class Site:
    """A service with its pages, keys and samples, and one without keys over the same root."""

    def __init__(self, root: str, folder) -> None:
        publish_tiny(root)
        storage = open_root(root)
        ship(storage, 12, model="m", labels=["a", "b", "c"])
        for kind in samples.KINDS:
            samples.write(storage, samples.draw("m", DAY, kind, samples.Design("random-audit", kind, p=1.0)))
        self.ring = KeyRing(storage)
        self.token = self.ring.add("root", ["admin"])
        self.secret = self.ring.read_session_secret()
        self.box = Outbox(folder, storage.root, 1 << 30, find_root_id(storage))
        self.service = Service(storage, load(root=root, env={}), self.box, ["m"])
        self.keyed, self.free = create_app(self.service, self.ring), create_app(self.service, NoAuth())

    async def ask(self, case: route_cases.Case, n: int) -> Answer:
        """Sends a case as one of those who could: a program with a key, a browser with a session, somebody without keys."""
        cookie = sign_session(self.secret, self.token.partition(".")[0]).encode()
        session = [(b"cookie", b"trueup_session=" + cookie), (b"accept", b"text/html"),
                   (b"x-csrf-token", make_csrf_token(self.secret, cookie.decode()).encode())]
        who = [[(b"authorization", b"Bearer " + self.token.encode())], session, []][n % 3]
        if n % 6 == 1 and case.body and (b"content-type", route_cases.FORM) in case.headers:
            (_, token), body = session.pop(), case.body  # the token as a form's field instead
            case = case._replace(body=body + b"&csrf=" + token)
        given = {name for name, _ in case.headers}
        head = [*case.headers, *((name, value) for name, value in who if name not in given)]
        return await ask(self.free if n % 3 == 2 else self.keyed, case.method, case.target, head, case.body)


def explain(case: route_cases.Case, answer: Answer) -> str | None:
    """What is wrong with an answer; None when nothing is."""
    path = case.target.partition(b"?")[0].decode()
    if answer.status >= 500 and not (answer.status == 503 and path == READY):
        return f"{answer.status} {answer.body[:300]!r}"
    if answer.status >= 400 and case.method != "HEAD" and not path.startswith("/static"):
        try:
            if answer.headers["content-type"][0].startswith("text/html"):
                return None if "<main" in answer.text and not path.startswith("/v1/") else "a page that is none"
            named = set(json.loads(answer.body)["error"]) == {"code", "message"}
            return None if named else f"another form: {answer.body[:200]!r}"
        except (ValueError, KeyError, TypeError) as error:
            return f"{answer.status} in another form ({error!r}): {answer.body[:200]!r}"
    return "a traceback" if b"Traceback (most recent" in answer.body else None


def run_all(site: Site, cases: list[route_cases.Case]) -> Counter:
    """Asks them all, one after the other, and returns how often each status came; AssertionError names the first few bad ones."""
    wrong, seen = [], Counter()

    async def run() -> None:
        async with site.keyed.router.lifespan_context(site.keyed):
            for n, case in enumerate(cases):
                answer = await site.ask(case, n)
                seen[answer.status] += 1
                if (problem := explain(case, answer)) is not None:
                    wrong.append(f"{case}: {problem}")
            alive = await site.ask(route_cases.Case("GET", b"/health/live"), 0)
            assert alive.status == 200

    asyncio.run(run())
    assert wrong == [], f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong[:12])
    return seen


@pytest.fixture
def site(tmp_root, tmp_path):
    return Site(tmp_root, tmp_path / "outbox")


def make_all(site: Site) -> list[route_cases.Case]:
    routes = route_cases.list_routes(site.keyed.routes)
    return [case for method, path in routes for case in route_cases.make_cases(site.keyed, method, path)]


def test_the_cases_are_of_all_that_is_read(site):
    routes = {path for _, path in route_cases.list_routes(site.keyed.routes)}
    assert {"/", "/v1/labels", "/audit", "/login", "/images/{sha256}", "/static/{below}", "/openapi.json", READY} <= routes
    assert {b"model", b"day", b"batch", b"labeler", b"size", b"next", b"format"} <= set(route_cases.QUERIES)
    assert {b"key", b"labeler", b"other", b"items", b"csrf"} <= set(route_cases.FIELDS)
    assert {b"x-attributes", b"x-request-id", b"origin", b"x-csrf-token"} <= set(route_cases.HEADER_NAMES)
    assert {"answers", "day", "batch", "labeler", "prediction_id"} <= set(route_cases.DOCUMENT_NAMES)
    assert route_cases.list_parameters(site.keyed, "/v1/predictions") == [b"top_k", b"model"]
    site.box.close()


@pytest.mark.timeout(120)
def test_no_route_breaks_whatever_is_asked(site):
    """A fixed choice of the cases, with some of each part of the service."""
    cases, random_ = make_all(site), random.Random(21)
    another_host = next(case for case in cases if (b"host", b"Bearer") in case.headers)  # too rare to be met by chance
    chosen = [another_host] * 3 + random_.sample(cases, QUICK)  # three callers take turns
    tops = {case.target.split(b"/")[1].partition(b"?")[0] for case in chosen}
    assert tops >= {b"", b"v1", b"audit", b"review", b"login", b"models", b"static"}
    seen = run_all(site, chosen)
    assert {200, 303, 400, 401, 404, 413, 415, 421, 422} <= set(seen), seen


@pytest.mark.slow("fuzz")
@pytest.mark.timeout(3600)
def test_no_route_breaks_in_all_cases_and_at_random(site):
    cases, random_ = make_all(site), random.Random()
    for method, path in route_cases.list_routes(site.keyed.routes):
        plain = route_cases.fill(path, "x")
        for _ in range(EXAMPLES):
            name = random_.choice([*route_cases.QUERIES, *route_cases.HEADER_NAMES])
            kind = (b"content-type", random_.choice([route_cases.JSON, route_cases.FORM]))
            noise = bytes(random_.choices(NOISE, k=random_.randrange(40)))
            quoted = "".join(f"%{byte:02X}" for byte in noise).encode()
            cases += [route_cases.Case(method, plain + b"?" + name + b"=" + quoted),
                      route_cases.Case(method, plain, ((name, noise),)), route_cases.Case(method, plain, (kind,), noise)]
    print(len(cases), dict(run_all(site, cases)))
