"""The optimizer is torch's AdamW bit for bit, and a process that trains or answers does without torch's compiler."""

import subprocess
import sys
from pathlib import Path

import torch

from tests.training.tiny import build
from training.fit.adamw import AdamW

REPO = Path(__file__).resolve().parents[3]
LIGHT = """
import sys
from contract.documents.card import Preprocess
from inference.model import network, preprocess
from tests.training.loop_root import digits, png
x = preprocess.to_tensor(png(digits()[0][0]), Preprocess(resize=32, crop=32))[None]
network.build_from_state("resnet18", 2, network.build("resnet18", 2).state_dict())(x)
assert "torchvision.ops" in sys.modules and "torch._dynamo" not in sys.modules
import torch, torchvision
assert torchvision.ops.roi_align(x, torch.tensor([[0, 0.0, 0, 4, 4]]), 2).shape == (1, 3, 2, 2)
assert torch.compile(lambda a: a + 1, backend="eager")(torch.ones(2)).tolist() == [2, 2]
assert sys.modules["torch._dynamo.utils"].__file__
"""


def test_the_steps_are_those_of_torchs_class():
    torch.manual_seed(1)
    ours, theirs = build(3), build(3)
    theirs.load_state_dict(ours.state_dict())
    params = list(theirs.parameters())
    groups = [{"params": [p for p in params if p.ndim > 1], "weight_decay": 0.1},
              {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0}]
    reference, mine = torch.optim.AdamW(groups, lr=1.0, fused=True), AdamW(list(ours.parameters()), 0.1)
    for lr in (0.01, 0.02, 0.005):
        for p, q in zip(ours.parameters(), params, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        for group in reference.param_groups:
            group["lr"] = lr
        reference.step()
        mine.step(lr)
    assert all(torch.equal(p, q) for p, q in zip(ours.parameters(), params, strict=True))


def test_the_compiler_is_not_imported_and_still_there_for_who_asks():
    subprocess.run([sys.executable, "-c", LIGHT], check=True, cwd=REPO)
