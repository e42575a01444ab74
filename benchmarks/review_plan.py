"""How many labels decide when an audit is planned (`trueup review plan`), beside one that asks every answer alike.

    python -m benchmarks.review_plan [--runs 400] [--seed 1] [--json]         4,000 runs: --runs 4000

A day of 20,000 answers of ten classes; a log is the distribution of confidence, and how often the model is right at each. In
each run an earlier audit of 300 says by what the next one is planned, which is then drawn, answered and judged by the gate's
own rule: it passes when the interval lies above the bound, and fails by its p. Shown is how many labels decide in 80% of runs,
with Hajek's share and with the combined estimate, each beside a random audit judged by the same estimate; and how often the
interval covers the truth. Rates, probabilities, estimates and tests are the functions of the product.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from contract.counts import WEIGHT_SCALE
from contract.samples import PLANNED, Cell, Design, draw
from metrics.intervals import wilson
from metrics.planning.allocation import Estimate, Towards, choose_floor, estimate_moments, find_appeal
from metrics.planning.rates import Mistaken, Rates, estimate_rates
from metrics.selection.combined import combine_audit
from metrics.significance.share_of_origin import ENOUGH_KISH, p_of_share
from metrics.strata.collapse import group_strata
from metrics.strata.strata import SILENT, Strata

CLASSES, DAY, EARLIER = 10, 20_000, 300
LEVEL, POWER, PLANS = 0.05 / 365, 0.8, 20
LEAST_KISH = 120
BUDGETS = np.unique(np.geomspace(60, 1400, 26).astype(int))
# log -> (a, b) of the beta distribution of confidence, how far the truth lies below the confidence
LOGS: dict[str, tuple[float, float, float]] = {
    "calibrated, sharp": (0.9, 0.1, 0.0), "calibrated": (1.8, 0.2, 0.0), "calibrated, blunt": (7.2, 0.8, 0.0),
    "overconfident": (1.8, 0.1, 0.047)}
QUESTIONS = {"passes a bound of 0.85": 0.85, "fails a bound of 0.95": 0.95}
