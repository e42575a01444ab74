"""Labels that name the request id of a prediction (`X-Request-Id`) in place of its prediction id.

A request id is the caller's own word: several predictions may carry it, and it tells no day. So it is looked for in the rows that
wait in this outbox and in the files of a few days (`serve.request_days`, or the `day` that is named beside it), and it means a
prediction only where exactly one there carries it. Rows of a shadow, a canary or a replay have the id of the answer that they
stand beside, and are the same prediction. Nothing is guessed: whatever else is found is refused, and the refusal names it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from contract import clock, ids, layout
from contract.counts import UNNAMED, rank_role
from contract.errors import ForeignSchema, UsageError, shorten
from contract.rows.reading import rows_where
from contract.settings import ServeSettings
from contract.stores.store import Storage
from inference.auth import Refused
from inference.daemon_pool import DaemonPool, run_within
from inference.labelling.judgements import FUTURE, check_day
from inference.labelling.request_index import COLUMN, RequestIndex
from inference.outbox.outbox import Outbox
from inference.telemetry import log_event
from inference.upload import check_request_id

VALID = ("prediction_id", "predicted_at", "model", "model_version", "predicted_label")  # of what rule 2 takes for a prediction
COLUMNS = (*VALID, "role", COLUMN)
READERS = 4
SHOWN, MOST_CARRIERS = 3, 10  # of one request id, day and model: a camera that sends its name as id has millions
LATER = {"Retry-After": "30"}


class Asked(NamedTuple):
    """What one judgement names: the request id, and beside it a day and a model, if it names them."""

    request_id: str
    day: str | None
    model: str | None


class Carrier(NamedTuple):
    """A prediction that carries a request id."""

    prediction_id: str
    model: str
    day: str


class RequestNames:
    """Finds the predictions that labels name by request ids."""

    def __init__(self, storage: Storage, outbox: Outbox, serve: ServeSettings,
                 list_models: Callable[[], Collection[str]]) -> None:
        """`list_models`: the models that are served now."""
        self.storage, self.outbox, self.serve, self._list_models = storage, outbox, serve, list_models
        self._index = RequestIndex(storage)
        self._pool = DaemonPool(READERS, "request ids")

    async def resolve(self, judgements: list[Any]) -> list[Any]:
        """Returns the judgements, each with a `prediction_id`; those that name one already stay as they are.

        Refused: 422; 409 `not_known_yet`, which may be good later; 503.
        """
        now = clock.now()
        asked = {n: one for n, judgement in enumerate(judgements, start=1)
                 if (one := read_asked(judgement, f"label {n}", now, self.serve.label_days))}
        if not asked:
            return judgements
        found = await self._look(asked.values(), now)
        chosen, unknown = {}, None
        for n, named in asked.items():
            try:
                chosen[n] = self._choose(named, found.get(named.request_id, []), f"label {n}", now)
            except Refused as refused:
                if refused.status != 409:
                    raise
                unknown = unknown or refused  # said when no other request id is wrong, so that nobody tries again in vain
        if unknown:
            raise unknown
        return [judgement | {"prediction_id": chosen[n]} if n in chosen else judgement
                for n, judgement in enumerate(judgements, start=1)]

    async def _look(self, asked: Collection[Asked], now: datetime) -> Mapping[str, list[Carrier]]:
        try:
            return await run_within(self._pool, self.serve.deadline_seconds, self.find, asked, now)
        except TimeoutError:
            raise Refused(503, "store_unavailable", "the store did not say in time which predictions have these request ids. "
                          "Try again later.", LATER) from None
        except ForeignSchema as error:  # it may hold another prediction of the same request id
            log_event("request id not looked up", error=str(error))
            raise Refused(503, "store_unavailable", "a file of predictions cannot be read, so it is not certain which one a "
                          "request id means; the service's log names it. Name the prediction_id, or try again later.",
                          LATER) from None

    def find(self, asked: Iterable[Asked], now: datetime) -> Mapping[str, list[Carrier]]:
        """Finds the predictions that carry the request ids, on the days of each. Blocks. ForeignSchema, RootError.

        The outbox first: what leaves it meanwhile is in the store by the time that this is listed.
        """
        on_days: defaultdict[str, set[str]] = defaultdict(set)
        for one in asked:
            for day in self._list_days(one, now):
                on_days[day].add(one.request_id)
        wanted = sorted({one.request_id for one in asked})
        waiting = ((ids.day_of(row["prediction_id"]) or "", row) for row in self.outbox.find_by_request(wanted))
        return _collect((day, row) for day, row in chain(waiting, self._read_store(on_days))
                        if row[COLUMN] in on_days.get(day, ()) and _is_prediction(row, day))

    def _read_store(self, on_days: Mapping[str, set[str]]) -> Iterator[tuple[str, dict[str, Any]]]:
        for day, wanted in sorted(on_days.items()):
            rows = rows_where(self.storage, layout.PREDICTIONS, day, COLUMN, wanted, COLUMNS, unreadable=None,
                              may_hold=partial(self._index.may_hold, request_ids=wanted))
            yield from ((day, row) for _, row in rows)

    def _list_days(self, asked: Asked, now: datetime) -> list[str]:
        """Lists the days on which a request id is looked for, oldest first; the newest also when a clock elsewhere is ahead."""
        if asked.day:
            return [asked.day]
        days = {clock.day_of(now - timedelta(days=n)) for n in range(self.serve.request_days)}
        return sorted(days | {clock.day_of(now + FUTURE)})

    def _choose(self, asked: Asked, carriers: list[Carrier], what: str, now: datetime) -> str:
        """Returns the prediction id that is meant. Refused."""
        days, served = self._list_days(asked, now), self._list_models()
        here = [c for c in carriers if c.day in days]
        mine = [c for c in here if asked.model in (None, c.model)]
        where = f"{what}: request id {shorten(asked.request_id)}"
        if len(mine) > 1:
            raise Refused(422, "several_predictions", f"{where}: expected one prediction, found {_list_carriers(mine)}. Name the "
                          f"prediction_id of the one that is meant{_write_more(mine)}.")
        if mine and mine[0].model in served:
            return _require_own_id(mine[0], where)
        if here and not (asked.model in served and _may_get_rows(days, now)):
            expected = (f"of model {shorten(asked.model)}" if asked.model in served else
                        f"of a model that is served here ({', '.join(served)})")
            raise Refused(422, "other_model", f"{where}: expected a prediction {expected}, found {_list_carriers(here)}. "
                          f"Name its prediction_id if it is meant.")
        raise self._refuse_unknown(where, asked, days, now, f" of model {shorten(asked.model)}" if here else "")

    def _refuse_unknown(self, where: str, asked: Asked, days: list[str], now: datetime, of: str) -> Refused:
        """Says that nothing was found; of days whose rows may still be under way, that it may be later."""
        looked = days[0] if asked.day else f"{days[0]} to {days[-1]}"
        instead = "Name its prediction_id" if asked.day else 'Name its day beside it ("day": "YYYY-MM-DD"), or its prediction_id'
        if not _may_get_rows(days, now):
            return Refused(422, "unknown_request_id", f"{where}: no prediction of {looked} has it. {instead}.")
        wait = math.ceil(self.serve.ship_seconds)
        return Refused(409, "not_known_yet", f"{where}: no prediction{of} of {looked} that is known here has it. If another "
                       f"replica answered it, its row comes within {wait} s (serve.ship_seconds): try again then. {instead}.",
                       {"Retry-After": str(wait)})


def _may_get_rows(days: list[str], now: datetime) -> bool:
    """Says whether rows of the newest of some days may still lie in another replica's outbox."""
    return days[-1] >= clock.day_of(now - timedelta(days=1))


def _collect(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Mapping[str, list[Carrier]]:
    """Groups rows into predictions, by request id; of one id, day and model MOST_CARRIERS are kept: those are too many."""
    best: dict[tuple[str, str, str], tuple[int, Carrier]] = {}
    count: Counter[tuple[str, str, str]] = Counter()
    for day, row in rows:
        of, key = (row[COLUMN], day, row["model"]), (row[COLUMN], day, row["prediction_id"])
        if key not in best and count[of] >= MOST_CARRIERS:
            continue
        count[of] += key not in best
        seen = rank_role(row["role"]), Carrier(row["prediction_id"], row["model"], day)
        best[key] = min(seen, best.get(key, seen))  # it is of the model of the row that was answered
    found: defaultdict[str, list[Carrier]] = defaultdict(list)
    for (request_id, _, _), (_, carrier) in sorted(best.items()):
        found[request_id].append(carrier)
    return found


def read_asked(judgement: Any, what: str, now: datetime, label_days: int) -> Asked | None:
    """Reads what a judgement names in place of a prediction id; None where it names that, or nothing that can be read.

    Refused (422): both or neither are named, or what is named can be none.
    """
    if not isinstance(judgement, dict):
        return None  # make_label_row refuses it
    request_id, by_id = judgement.get(COLUMN), judgement.get("prediction_id") is not None
    if request_id is None and by_id:
        return None
    if request_id is None or by_id:
        raise Refused(422, "bad_prediction_id", f"{what}: expected either prediction_id or request_id, got "
                      f"{'both' if by_id else 'neither'}. Name the prediction once.")
    if not isinstance(request_id, str) or not request_id:
        raise Refused(422, "bad_request_id", f"{what}: expected request_id to be the X-Request-Id of a prediction, got "
                      f"{shorten(request_id)}.")
    model = judgement.get("model")
    if model is not None and not isinstance(model, str):
        raise Refused(422, "bad_label", f"{what}: expected model to be a name, got {shorten(model)}.")
    day = _read_day(judgement.get("day"), what, now, label_days)
    return Asked(check_request_id(request_id, f"{what}: request_id"), day, model)


def _read_day(day: object, what: str, now: datetime, label_days: int) -> str | None:
    if day is None:
        return None
    try:
        parsed = clock.parse_day(str(day))
    except UsageError as error:
        raise Refused(422, "bad_day", f"{what}: day: {error}") from None
    if parsed != day:
        raise Refused(422, "bad_day", f"{what}: expected day as YYYY-MM-DD, got {shorten(day)}.")
    if parsed > clock.day_of(now + FUTURE):
        raise Refused(422, "bad_day", f"{what}: expected the day of a prediction, in UTC, got {parsed}; today is "
                      f"{clock.day_of(now)}.")
    check_day(parsed, now, timedelta(days=label_days), what)
    return parsed


def _is_prediction(row: Mapping[str, Any], day: str) -> bool:
    """Says whether rule 2 takes a row for a prediction of that day."""
    return (all(row[name] for name in VALID) and row["predicted_label"] != UNNAMED
            and ids.may_lie_in(day, row["prediction_id"]))


def _require_own_id(carrier: Carrier, where: str) -> str:
    """Returns the id as a label over HTTP names it: an id of another kind, or in other letters, would be another one there."""
    if ids.day_of(carrier.prediction_id) is None or carrier.prediction_id != carrier.prediction_id.lower():
        raise Refused(422, "bad_prediction_id", f"{where}: expected a prediction whose id is a UUIDv7 in small letters, found "
                      f"{_list_carriers([carrier])} of imported logs. Bring its label by `trueup import labels`.")
    return carrier.prediction_id


def _list_carriers(carriers: list[Carrier]) -> str:
    said = [f"{c.prediction_id} ({c.model}, {c.day})" for c in carriers[:SHOWN]]
    return ", ".join(said) + (" …" if len(carriers) > SHOWN else "")


def _write_more(carriers: list[Carrier]) -> str:
    """Writes what beside the request id would tell them apart."""
    more = [word for word, values in (("day", {c.day for c in carriers}), ("model", {c.model for c in carriers})) if
            len(values) == len(carriers)]
    return f", or the {' or '.join(more)} beside the request id" if more else ""
