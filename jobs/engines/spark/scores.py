"""Rule 4 with the scores of a fit of labelers, on numpy columns: one table of cells, searched by whole numbers."""

from dataclasses import dataclass

import numpy as np

from jobs.engines.arrays import NULL, Words
from jobs.engines.scores import EVERYBODY, LabelerScores
from jobs.engines.spark.arrays import runs


@dataclass
class Scoring:
    """The scores by codes of labelers and labels; the last place of `hit`, `miss` and `person` is for votes without a labeler.

    A cell's key is (person * labels + label said) * classes of the fit + class.
    """

    hit: np.ndarray  # by labeler
    miss: np.ndarray
    person: np.ndarray  # by labeler: their number in the keys
    prior: np.ndarray  # by label
    place: np.ndarray  # by label: its class of the fit; NULL for others
    classes: int  # of the fit
    key: np.ndarray  # ascending
    score: np.ndarray

    @classmethod
    def of(cls, scores: LabelerScores, people: Words, labels: Words) -> "Scoring":
        """Looks up the people and labels of a part of a day in the fit."""
        names = [*(who if who in scores.hit else EVERYBODY for who in people.texts.to_pylist()), EVERYBODY]
        person = {who: n for n, who in enumerate(dict.fromkeys(names))}
        classes, texts = {name: n for n, name in enumerate(scores.classes)}, labels.texts.to_pylist()
        place = np.array([classes.get(text, NULL) for text in texts], np.int64)
        prior = [scores.rarest if n == NULL else scores.prior[n] for n in place.tolist()]
        code = {text: n for n, text in enumerate(texts)}
        cells = {person[who] * len(texts) + code[said]: of for (who, said), of in scores.cells.items()
                 if who in person and said in code}
        known = sorted(cells)
        key = np.repeat(np.array(known, np.int64) * len(classes), len(classes)) + np.tile(np.arange(len(classes)), len(known))
        score = np.array([cells[n] for n in known], np.int64).reshape(-1)
        return cls(np.array([scores.hit[who] for who in names]), np.array([scores.miss[who] for who in names]),
                   np.array([person[who] for who in names]), np.array(prior, np.int64), place, len(classes), key, score)

    def find(self, labeler: np.ndarray, said: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Returns what each vote for `said` adds to the label beside it."""
        general = np.where(said == label, self.hit[labeler], self.miss[labeler])
        if not len(self.key):
            return general
        place = self.place[label]
        wanted = (self.person[labeler] * len(self.place) + said) * self.classes + place
        at = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
        return np.where((place != NULL) & (self.key[at] == wanted), self.score[at], general)

    def add_up(self, number: np.ndarray, labeler: np.ndarray, said: np.ndarray, candidate: np.ndarray,
               candidate_number: np.ndarray) -> np.ndarray:
        """Returns the score of each candidate (a label on the prediction of that number); votes are in the order of `number`."""
        starts, lengths = runs(number)
        of = np.searchsorted(number[starts], candidate_number)
        times = lengths[of]
        ends = np.cumsum(times)
        vote = np.arange(times.sum()) - np.repeat(ends - times, times) + np.repeat(starts[of], times)
        given = self.find(labeler[vote], said[vote], np.repeat(candidate, times))
        return self.prior[candidate] + (np.add.reduceat(given, ends - times) if len(given) else given)
