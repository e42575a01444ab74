"""Accuracy by origin of the labels, and the estimate to believe.

People correct what annoys them, so the plain share of all labels is biased. Where rows were drawn with known
probabilities p, each stands for 1/p rows: the share is Hajek's sum(w right) / sum(w). `n_effective` is Kish's, which
depends on the weights alone; the interval is Wilson's on the size that Hajek's linearised variance sum(w^2 e^2) /
sum(w)^2 stands for (Särndal, Swensson and Wretman 1992, 5.7), because samples that look for mistakes have weights that
go with being right: on Kish's size 98% of their intervals covered the truth instead of 95%. Weighted sums are never
added across origins.
"""

from collections.abc import Mapping

from contract.counts import Origin
from contract.documents.version_figures import Estimate, Figure, OfOrigin, Weighted
from metrics.figure import missing, share
from metrics.intervals import effective_size, wilson
from metrics.selection.basis import Basis
from metrics.selection.origin_sums import Sums, select_labelled

NO_LABELS = "no labels"
NOT_KNOWN = Basis(False, "how the labels came about was not looked up")


def accuracy(origins: dict[str, Sums], confidence: float) -> Figure:
    """The plain share of all consensus labels, whatever their origin."""
    total = sum(select_labelled(origins).values(), Sums())
    return share(total.right, total.n, confidence, NO_LABELS)


def by_origin(origins: dict[str, Sums], confidence: float) -> dict[Origin, OfOrigin]:
    """Per origin: how many, the plain share, and the weighted one of the rows whose weights are known."""
    return {o: {"labelled": s.n, "accuracy": share(s.right, s.n, confidence, NO_LABELS),
                "weighted": hajek(s, confidence)} for o, s in select_labelled(origins).items()}


def hajek(sums: Sums, confidence: float) -> Weighted:
    """The share weighted by 1/p, over the rows whose p is known: those that were asked without a probability (second
    opinions, gold items, listed predictions) stay out. Null with a reason when none is known."""
    if not sums.n_weighted:
        return {**missing("no row has a known selection probability"), "n_effective": None}
    size = effective_size(sums.weight, sums.weight_squared)
    value = sums.weight_right / sums.weight
    low, high = wilson(value * (n := estimate_linearised_size(sums)), n, confidence)
    return {"value": value, "low": float(low), "high": float(high), "n_effective": size}


def describe_left_out(sums: Sums) -> str:
    """How many rows a weighted share says nothing of, in words; empty when it speaks of all."""
    unknown = sums.n - sums.n_weighted
    return f"; left out: {unknown} of {sums.n} without a known selection probability" if unknown else ""


def estimate_linearised_size(sums: Sums) -> float:
    """How many equally weighted rows would give the share the variance that it has; Kish's size at 0 and 1."""
    value, squared_wrong = sums.weight_right / sums.weight, sums.weight_squared - sums.weight_squared_right
    variance = ((1 - value) ** 2 * sums.weight_squared_right + value**2 * squared_wrong) / sums.weight**2
    return value * (1 - value) / variance if variance else effective_size(sums.weight, sums.weight_squared)


def estimate(origins: dict[str, Sums], confidence: float, bases: Mapping[Origin, Basis] | None = None) -> Estimate:
    """The accuracy to believe: of the highest origin class that is known to be unbiased, else of the highest that has
    labels (audit when there is one).

    Weighted where weights of that origin are known and change it; otherwise its plain share, and `weighted` says so.
    Rows without a known weight stay out of the weighted share, and `rests_on` counts them.
    `bases` (metrics.selection.basis) says what each origin's labels rest on; without it nothing counts as unbiased.
    """
    labelled = select_labelled(origins)
    if not labelled:
        return {"origin": None, **missing(NO_LABELS), "n_effective": 0.0, "weighted": False, "unbiased": False,
                "rests_on": NO_LABELS, "response_rate": None}
    origin = next((o for o in labelled if (bases or {}).get(o, NOT_KNOWN).unbiased), next(iter(labelled)))
    sums, basis = labelled[origin], (bases or {}).get(origin, NOT_KNOWN)
    figure: Figure
    if sums.weighted:
        figure, n_effective = hajek(sums, confidence), effective_size(sums.weight, sums.weight_squared)
    else:
        figure, n_effective = share(sums.right, sums.n, confidence, NO_LABELS), float(sums.n)
    return {"origin": origin, **figure, "n_effective": n_effective, "weighted": sums.weighted,
            "unbiased": basis.unbiased, "rests_on": basis.rests_on + (describe_left_out(sums) if sums.weighted else ""),
            "response_rate": basis.response_rate}
