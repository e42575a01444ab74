"""Imports torchvision at half its cost: without torch's compiler, which nobody who answers or trains here asks for.

torchvision imports `torch._dynamo` (3 of the 6 CPU-seconds of a start, measured with torch 2.11) for one function that
says whether a device can compile. That function becomes one that does the import when it is called. It is never called
outside detection models, and `torch.compile` still finds the real thing.
"""

import importlib
import sys
import threading
from types import ModuleType
from typing import Any

COMPILER = ("torch._dynamo", "torch._dynamo.utils")
_once = threading.Lock()


def ready() -> None:
    """torchvision is imported when this returns. Any thread may call it."""
    if "torchvision.models" in sys.modules and "torchvision.ops" in sys.modules:
        return
    with _once:
        importlib.import_module("torch")
        if COMPILER[0] in sys.modules:
            importlib.import_module("torchvision")
        else:
            _import_beside()


def _import_beside() -> None:
    places = {name: _Place(name) for name in COMPILER}
    sys.modules.update(places)
    try:
        importlib.import_module("torchvision")
    finally:
        for name, place in places.items():
            if sys.modules.get(name) is place:
                del sys.modules[name]


class _Place(ModuleType):
    """Stands for a module while torchvision takes functions from it: each becomes one that imports when it is called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        module = self.__name__

        def later(*arguments: Any, **options: Any) -> Any:
            return getattr(importlib.import_module(module), name)(*arguments, **options)

        return later
