"""The two tiers of tests, as a pytest plugin: which tests run, and the report of those that did not.

Unmarked tests are `make test`. A test marked `slow("s3")` is `make test-slow K=s3`, or is named on the command line.
`make test` divides the files among two workers (pytest-xdist); those that take longest begin first, so that no worker waits for
one file at the end.
"""

from collections import Counter

import pytest

from tests.prerequisites import NOT_RUN

SLOW_TIMEOUT = 1800
KINDS = pytest.StashKey[list]()
LEFT_OUT = pytest.StashKey[Counter]()
CHOSEN = pytest.StashKey[str | None]()
# The whole loop, and what takes longest beside it.
FIRST = ("tests/test_demo.py", "tests/training/fit/test_launch.py", "tests/test_cycle_kills.py")


def pytest_addoption(parser):
    parser.addoption("--slow", metavar="NAMES", help="only slow tests: all, s3,browser (parts), or =s3 (exactly)")


def pytest_configure(config):
    config.stash[LEFT_OUT] = Counter()
    names = config.getoption("--slow")
    # Somebody who names one test wants it run, whatever its tier.
    by_name = any("::" in str(argument) for argument in config.args)
    config.stash[CHOSEN] = names or ("any" if by_name else None)


def prerequisite(item):
    """The prerequisite that a test's marker names; None for a test of the first tier."""
    marker = item.get_closest_marker("slow")
    if marker is None:
        return None
    if len(marker.args) != 1 or not isinstance(marker.args[0], str):
        raise pytest.UsageError(f'{item.nodeid}: mark it slow("<prerequisite>"), for example slow("s3")')
    return marker.args[0]


def wanted(name, chosen):
    """Whether a test with this prerequisite (None: first tier) belongs to the run."""
    if chosen in ("any", "all"):
        return name is not None or chosen == "any"
    if chosen is None:
        return name is None
    if chosen.startswith("="):
        return name == chosen[1:]
    return name is not None and any(part and part in name for part in chosen.split(","))


def pytest_collection_modifyitems(config, items):
    kept, dropped = [], []
    config.stash[KINDS] = sorted({name for name in map(prerequisite, items) if name})
    for item in items:
        name = prerequisite(item)
        (kept if wanted(name, config.stash[CHOSEN]) else dropped).append(item)
        if name and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))
    config.stash[LEFT_OUT].update(prerequisite(item) or "" for item in dropped)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


def pytest_sessionfinish(session):
    """A worker tells what it left out; each sees all tests, so one worker's word is enough."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(session.config.stash[LEFT_OUT])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    node.config.stash[LEFT_OUT] = Counter(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_terminal_summary(terminalreporter, config):
    if config.option.collectonly:
        terminalreporter.write_line("slow kinds: " + " ".join(config.stash.get(KINDS, [])))
        return
    if config.getoption("--slow") and not terminalreporter.stats.get("passed"):
        terminalreporter.write_line("slow kinds that there are: " + " ".join(config.stash.get(KINDS, [])))
    for line in report(config.stash[LEFT_OUT], skip_reasons(terminalreporter.stats.get("skipped", []))):
        terminalreporter.write_line(line, yellow=True)


def skip_reasons(skipped):
    """The reason of each skipped test, without the word that pytest puts before it."""
    texts = [one.longrepr[2] if isinstance(one.longrepr, tuple) else str(one.longrepr) for one in skipped]
    return [text.removeprefix("Skipped: ") for text in texts]


def report(left_out, reasons):
    """What did not run, why, and the command that cures it."""
    slow = {name: count for name, count in sorted(left_out.items()) if name}
    if slow:
        listed = ", ".join(f"{name}: {count}" for name, count in slow.items())
        yield f"{sum(slow.values())} slow tests not run ({listed}): make test-slow [K={next(iter(slow))}]"
    if left_out[""]:
        yield f"{left_out['']} tests of the first tier not run: make test"
    for reason, count in sorted(Counter(reasons).items()):
        said = reason.removeprefix(NOT_RUN)
        yield f"{count} test{'s' if count > 1 else ''} not run: {said}"
