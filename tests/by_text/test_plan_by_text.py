"""The probabilities of a planned audit against scipy's minimum of the variance that docs/audits.md names."""

import numpy as np
import pytest
from scipy.optimize import minimize

from inference import review
from tests.by_text.log import DAY, evaluate, run, write_log

NEXT = "2026-11-19"


def make_log(root, seed, n=1600):
    """Two days alike, the first with labels: right as often as the confidence says, three classes, most of one."""
    rng, predictions, labels = np.random.default_rng(seed), [], []
    weights = np.arange(1, 21) ** rng.uniform(0.5, 2)
    for i in range(n):
        k, bin_ = int(rng.choice(3, p=(0.6, 0.3, 0.1))), int(rng.choice(20, p=weights / weights.sum()))
        predictions.append({"prediction_id": f"p{i:05d}", "day": (DAY, NEXT)[i % 2], "predicted_label": "abc"[k],
                            "confidence": bin_ / 20 + 0.01})
        if i % 2 == 0 and rng.random() < 0.25:
            labels.append({"prediction_id": f"p{i:05d}", "label": "abc"[k if rng.random() < (bin_ + 1) / 21 else (k + 1) % 3],
                           "labeler": "ada", "origin": "import", "saw_prediction": False})
    write_log(root, predictions, labels)


@pytest.mark.parametrize(("seed", "budget", "estimate"), [(1, 150, "origin"), (2, 300, "combined")])
def test_no_other_probabilities_make_the_variance_smaller(capsys, tmp_root, seed, budget, estimate):
    make_log(tmp_root, seed)
    evaluate(capsys, tmp_root)
    found = run(capsys, lambda argv: review.main(["plan", *argv]), tmp_root, "--budget", str(budget), "--day", NEXT, "--dry-run",
                "--towards", "overall", "--set", f"gates.estimate={estimate}")
    n, p, right = (np.array([cell[name] for cell in found["cells"]], float) for name in ("predictions", "p", "assumed_right"))
    assert n.sum() == found["predictions"] == 800 and (n * p).sum() == pytest.approx(budget) == found["expected"]
    assert (p >= max(2**-20, found["floor"]) - 1e-12).all() and (p <= 1).all()
    assert n.sum() ** 2 / (n / p).sum() == pytest.approx(found["kish"]) and found["kish"] > 100
    if estimate == "combined":  # as 40 labels show it that have one right and one wrong row more
        right = (40 * right + 1) / 42
        spread = right * (1 - right)
    else:
        spread = right * (1 - right) + (right - (n * right).sum() / n.sum()) ** 2

    def variance(asked):
        return (n * spread / asked).sum() / 1000

    best = minimize(variance, np.full(len(n), budget / n.sum()), jac=lambda asked: -n * spread / asked**2 / 1000, method="SLSQP",
                    bounds=[(found["floor"], 1)] * len(n), options={"maxiter": 1000, "ftol": 1e-12},
                    constraints={"type": "eq", "fun": lambda asked: (n * asked).sum() / budget - 1,
                                 "jac": lambda asked: n / budget})
    assert best.success and variance(p) <= best.fun * (1 + 1e-4)
