"""Imports torchvision at half its cost: without torch's compiler, which only `train.compile` asks for.

torchvision imports `torch._dynamo` (3 of the 6 CPU-seconds of a start, measured with torch 2.11) for one function that
says whether a device can compile. That function becomes one that does the import when it is called. It is never called
outside detection models, and `torch.compile` still finds the real thing. Its transforms of version 2 import the compiler
once more, to mark one of their own functions as not to be compiled.
"""

import importlib
import sys
import threading
from types import ModuleType
from typing import Any

COMPILER = ("torch._dynamo", "torch._dynamo.utils")
MODELS, AUGMENTATION = "torchvision.ops", "torchvision.transforms.v2.functional"
_once = threading.Lock()


def load(module: str = MODELS) -> None:
    """Imports torchvision with its `module`, unless that is done already. Any thread may call it."""
    if module in sys.modules:
        return
    with _once:
        importlib.import_module("torch")
        if COMPILER[0] in sys.modules:
            importlib.import_module(module)
        else:
            _import_without_compiler(module)


def _import_without_compiler(module: str) -> None:
    placeholders = {name: _Placeholder(name) for name in COMPILER}
    sys.modules.update(placeholders)
    try:
        importlib.import_module(module)
    finally:
        for name, placeholder in placeholders.items():
            if sys.modules.get(name) is placeholder:
                del sys.modules[name]


class _Placeholder(ModuleType):
    """Stands for a module while torchvision takes functions from it: each becomes one that imports when it is called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "disable":
            return lambda function, *_, **__: function
        module = self.__name__

        def import_and_call(*arguments: Any, **options: Any) -> Any:
            return getattr(importlib.import_module(module), name)(*arguments, **options)

        return import_and_call
