"""Rule 4 with the scores of a fit of labelers: on numpy columns for the regular predictions, in SQL for the others."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from contract.counts import UNNAMED
from jobs.engines.arrays import NULL, Words, find_starts, sizes_of
from jobs.engines.scores import EVERYBODY, LabelerScores


@dataclass
class CodedScores:
    """The scores by the codes of a day's words; the last place of `person` is for votes without a labeler."""

    scores: LabelerScores
    texts: list[str]
    person: np.ndarray  # of each word that is a labeler's: the place in `hit` and `miss`
    hit: np.ndarray
    miss: np.ndarray
    place: np.ndarray  # of each word that is a class: its place in the fit; NULL for other labels

    @classmethod
    def of(cls, scores: LabelerScores, words: Words) -> "CodedScores":
        """Looks up the texts of a day in the fit."""
        texts = words.texts.to_pylist()
        number = {who: n for n, who in enumerate(scores.hit)}
        place = {name: n for n, name in enumerate(scores.classes)}
        everybody = number[EVERYBODY]
        return cls(scores, texts, np.array([*(number.get(text, everybody) for text in texts), everybody]),
                   np.array(list(scores.hit.values())), np.array([scores.miss[who] for who in scores.hit]),
                   np.array([*(place.get(text, NULL) for text in texts), NULL]))

    def add_up(self, labeler: np.ndarray, label: np.ndarray, group: np.ndarray, candidate: np.ndarray,
               candidate_group: np.ndarray) -> np.ndarray:
        """Returns the score of each candidate: labels (codes) by group, both in order, as are the votes by group."""
        place = self.place[candidate]
        found = np.where(place == NULL, self.scores.rarest, np.array([*self.scores.prior, 0])[place])
        starts = find_starts(candidate_group)
        size = sizes_of(starts, len(candidate_group))
        of_vote = np.searchsorted(candidate_group[starts], group)
        votes = np.flatnonzero(size[of_vote] > 1)  # a label without a competitor needs no score
        row, cells = self._find_cells(labeler[votes], label[votes])
        times = size[of_vote[votes]]
        vote = np.repeat(np.arange(len(votes)), times)
        at = np.repeat(starts[of_vote[votes]] - np.append(0, np.cumsum(times)[:-1]), times) + np.arange(len(vote))
        person = self.person[labeler[votes]][vote]
        general = np.where(label[votes][vote] == candidate[at], self.hit[person], self.miss[person])
        known = (row[vote] != NULL) & (place[at] != NULL)
        np.add.at(found, at, np.where(known, cells[row[vote], place[at]], general))
        return found

    def _find_cells(self, labeler: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns (of each vote its row among the cells, NULL for none; the cells, a row each, a column for each class)."""
        pairs = (labeler.astype(np.int64) + 1) * (len(self.texts) + 1) + label
        _, first, of_vote = np.unique(pairs, return_index=True, return_inverse=True)
        cells, row = [(0,) * len(self.scores.classes)], np.full(len(first), NULL)
        for n, (who, said) in enumerate(zip(labeler[first].tolist(), label[first].tolist(), strict=True)):
            name = EVERYBODY if who == NULL or self.texts[who] not in self.scores.hit else self.texts[who]
            found = self.scores.cells.get((name, self.texts[said]))
            if found is not None:
                row[n] = len(cells)
                cells.append(found)
        return row[of_vote], np.array(cells, np.int64)


def make_tables(scores: LabelerScores, words: Words) -> dict[str, pa.Table]:
    """Makes the tables that the statements below read, of the labels and labelers of a day; person 0 is EVERYBODY."""
    texts = set(words.texts.to_pylist())
    people = [EVERYBODY, *(who for who in scores.hit if who in texts)]
    number = {who: n for n, who in enumerate(people)}
    cells = [(number[who], said, label, score) for (who, said), of in scores.cells.items() if who in number and said in texts
             for label, score in zip(scores.classes, of, strict=True)]
    fields = {"person": pa.int64(), "said": pa.string(), "label": pa.string(), "score": pa.int64()}
    return {
        "score_people": pa.table({"person": pa.array(range(len(people)), pa.int64()), "who": pa.array(people, pa.string()),
                                  "hit": pa.array([scores.hit[who] for who in people], pa.int64()),
                                  "miss": pa.array([scores.miss[who] for who in people], pa.int64())}),
        "score_cells": pa.table([pa.array([cell[n] for cell in cells], kind) for n, kind in enumerate(fields.values())],
                                names=list(fields)),
        "score_priors": pa.table({"label": pa.array(scores.classes, pa.string()), "score": pa.array(scores.prior, pa.int64())}),
    }


def _score(voices: str, rarest: int) -> str:
    """Scores the labels that `voices` (h, person, label, t) name."""
    return f"""SELECT c.h, c.label, any_value(c.newest) AS newest, any_value(coalesce(f.score, {rarest}))
            + sum(coalesce(s.score, CASE WHEN v.label = c.label THEN p.hit ELSE p.miss END)) AS weight
        FROM (SELECT h, label, max(t) AS newest FROM {voices} GROUP BY h, label) c JOIN {voices} v ON v.h = c.h
        JOIN score_people p ON p.person = v.person LEFT JOIN score_priors f ON f.label = c.label
        LEFT JOIN score_cells s ON s.person = v.person AND s.said = v.label AND s.label = c.label GROUP BY c.h, c.label"""


def create_counted_for(rarest: int) -> str:
    """Creates table `counted_for` (sql.py) by scores: what the deciding votes count for, each label with its score."""
    return f"""CREATE TEMP TABLE counted_for AS
    WITH spoken AS (SELECT h, coalesce(person, 0) AS person, label::VARCHAR AS label, unnamed, predicted, t
        FROM votes LEFT JOIN score_people ON votes.labeler::VARCHAR = score_people.who WHERE deciding),
    named AS (SELECT * FROM spoken WHERE NOT unnamed),
    first_round AS ({_score("named", rarest)}),
    leaders AS (SELECT r.h, arg_min(r.label, (-weight, -newest, r.label)) AS leader FROM first_round r
        JOIN (SELECT h, any_value(predicted) AS predicted FROM spoken GROUP BY h) j ON j.h = r.h
        WHERE j.predicted IS NULL OR r.label <> j.predicted GROUP BY r.h),
    voices AS (SELECT spoken.h, person, t, CASE WHEN unnamed THEN coalesce(leader, '{UNNAMED}') ELSE label END AS label
        FROM spoken LEFT JOIN leaders ON leaders.h = spoken.h),
    second_round AS ({_score("voices", rarest)})
    SELECT h, label::word AS label, weight, newest FROM second_round"""
