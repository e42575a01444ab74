"""The loss of mixed rows is that of their whole target; class weights are the papers'."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as f

from contract.settings import TrainSettings
from training.fit import losses

ROWS = [3, 40, 500]


def weigh(**settings):
    made = SimpleNamespace(classes=["a", "b", "c"], per_class={"train": dict(zip("abc", ROWS, strict=True))})
    found = losses.weigh_classes(made, TrainSettings(**settings), torch.device("cpu"))
    return None if found is None else found.tolist()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 3.0])])
def test_a_mixed_rows_loss_is_the_cross_entropy_of_its_target(smoothing, weights):
    rng = np.random.default_rng(1)
    logits, own = torch.from_numpy(rng.normal(size=(20, 3))), rng.random(20)
    labels, others = (torch.from_numpy(rng.integers(0, 3, 20)) for _ in range(2))
    found, _ = losses.sum_mixed_losses(logits, labels, others, own, weights, smoothing)
    part = torch.from_numpy(own)[:, None]
    target = part * f.one_hot(labels, 3) + (1 - part) * f.one_hot(others, 3)
    expected = f.cross_entropy(logits.float(), target.float(), weights, reduction="sum", label_smoothing=smoothing)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_mixed_row_is_right_by_the_larger_part_and_unmixed_ones_as_ever():
    logits = torch.tensor([[9.0, 0, 0], [9.0, 0, 0], [9.0, 0, 0], [0, 9.0, 0]])
    labels, others = torch.tensor([0, 0, 1, 1]), torch.tensor([1, 1, 0, 2])
    assert losses.sum_mixed_losses(logits, labels, others, np.array([0.7, 0.3, 0.3, 0.5]), None, 0)[1] == 3
    whole = losses.sum_mixed_losses(logits, labels, others, np.ones(4), None, 0.1)
    plain = losses.sum_losses(logits, labels, None, 0.1)
    assert whole[0] == pytest.approx(plain[0].item()) and whole[1] == plain[1] == 3


@pytest.mark.parametrize("beta", [0.9, 0.99, 0.999])
def test_effective_weights_are_one_over_the_effective_number(beta):
    """By fractions, as the sum 1 + b + ... + b^(n - 1) that the effective number is."""
    b = Fraction(beta)
    worth = [sum(b**k for k in range(n)) for n in ROWS]
    scale = sum(ROWS) / sum(n / e for n, e in zip(ROWS, worth, strict=True))
    assert weigh(class_weights="effective", class_beta=beta) == pytest.approx([float(scale / e) for e in worth], rel=1e-5)


def test_the_effective_weights_go_from_none_to_balanced():
    assert weigh() is None
    assert weigh(class_weights="effective", class_beta=0) == [1, 1, 1]
    assert weigh(class_weights="effective", class_beta=1 - 1e-9) == pytest.approx(weigh(class_weights="balanced"), rel=1e-4)
    assert weigh(class_weights="balanced") == pytest.approx([sum(ROWS) / (3 * n) for n in ROWS])
