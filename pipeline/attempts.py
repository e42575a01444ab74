"""Earlier tries to replace what is live: when they began, and how many labels came since the newest of them.

A try is a run of the cycle that claimed a version, whether that was published, refused or never finished.
"""

from collections.abc import Collection, Sequence

from contract import clock, layout
from contract.counts import DayCounts
from contract.counts_store import load_cells
from contract.documents.history import Claim
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.evaluations import read_evaluation
from contract.runs import Run, Runs, parse_number
from contract.stores.store import Storage
from pipeline.gates.tally import count_further, tally


def list_attempts(storage: Storage, model: str) -> list[tuple[str, str]]:
    """Lists (when, key of the run) of the versions that runs claimed, oldest first."""
    found = []
    for number in storage.folders(layout.versions(model)):
        try:
            claim = Claim.load(storage, layout.claim(model, number))
        except NotFound:
            continue
        except DamagedDocument as error:
            pass_over(error)
            continue
        if claim.run:
            found.append((claim.at, claim.run))
    return sorted(found)


def find_newest_attempt(storage: Storage, model: str, live: Collection[str], as_of: str) -> Run | None:
    """Finds the newest run before `as_of` that made a candidate for the place of one of `live`."""
    runs, moment = Runs(storage, model), clock.parse_moment(as_of)
    for at, key in reversed(list_attempts(storage, model)):
        try:
            run = runs.get(parse_number(key))
        except NotFound:
            continue
        except DamagedDocument as error:
            pass_over(error)
            continue
        if clock.parse_moment(at) <= moment and run.plan.live in live:
            return run
    return None


def count_further_labels(storage: Storage, model: str, live: str, as_of: str, days: Sequence[DayCounts],
                         trusted: Sequence[str], same: Collection[str] = ()) -> int | None:
    """Counts the trusted labels of `live` among `days` that the newest attempt did not have; None when there was none.

    `same`: versions of its weights, in whose place a candidate was tried, too.

    Day by day: the window moves, so its total says nothing of what came.
    """
    run = find_newest_attempt(storage, model, {live, *same}, as_of)
    try:
        judged = run.stage("gate") if run else None
        if judged is None:
            return None
        evaluation = read_evaluation(storage, model, judged["evaluation"])
        # By whatever rules: what was judged before an upgrade is not counted again to know how many labels there were.
        before = {day: tally(cells, live, trusted).of(trusted).n for day, cells in load_cells(storage, evaluation).items()}
    except (NotFound, KeyError):  # somebody removed it, so nobody can count from it
        return None
    except DamagedDocument as error:
        pass_over(error)
        return None
    return count_further(days, before, evaluation["window"]["from"], live, trusted)
