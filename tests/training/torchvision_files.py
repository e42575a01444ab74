"""Weights in the form in which torchvision hands them out, made here: random, in files with their old names and gaps."""

import re

import torch
from torch import nn

# The smallest member of each family, and the options with which torchvision makes it when it hands out its weights.
FAMILIES = {
    "alexnet": {}, "convnext_tiny": {}, "densenet121": {}, "efficientnet_b0": {}, "efficientnet_v2_s": {},
    "googlenet": {"transform_input": True, "aux_logits": True, "init_weights": False},
    "inception_v3": {"transform_input": True, "aux_logits": True, "init_weights": False},
    "maxvit_t": {}, "mnasnet0_5": {}, "mobilenet_v2": {}, "mobilenet_v3_small": {}, "regnet_y_400mf": {}, "resnet18": {},
    "resnext50_32x4d": {}, "wide_resnet50_2": {}, "shufflenet_v2_x0_5": {}, "squeezenet1_1": {}, "swin_t": {}, "swin_v2_t": {},
    "vgg11": {}, "vgg11_bn": {}, "vit_b_16": {},
}


def make(name: str, classes: int, seed: int = 1) -> nn.Module:
    """A network as torchvision's builder makes it for its weights, with random ones: no two pictures look alike to it."""
    from torchvision import models

    torch.manual_seed(seed)
    net = models.get_model(name, weights=None, num_classes=classes, **FAMILIES[name])
    for layer in net.modules():  # else the signal dies on its way through some networks
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.normal_(layer.running_mean, 0, 0.1)
    return net.eval()


def handed_out(name: str, net: nn.Module) -> dict[str, torch.Tensor]:
    """Its state under the names, and with the gaps, of torchvision's own files."""
    state = {key: value for key, value in net.state_dict().items() if not key.endswith("num_batches_tracked")}
    if name.startswith("densenet"):
        return {re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)\.", r"\1.\2.", key): value for key, value in state.items()}
    if name.startswith("vit_"):
        return {re.sub(r"\.mlp\.(0|3)\.", lambda m: f".mlp.linear_{1 if m[1] == '0' else 2}.", key): value
                for key, value in state.items()}
    return state
