"""The memory of a training rank on a node: so much that it fits once and never twice.

YARN on EMR is taken to get about three quarters of a node's memory, which was not checked on a node. A rank gets 9/16 of the
node's: that leaves room for the application's master, and two ranks would be more than the whole node.
"""

import re
from collections.abc import Sequence

from contract.errors import UsageError

# GiB for each vCPU, by family; sizes count vCPUs.
GIB_A_CPU = {"c": 2, "m": 4, "r": 8, "g4": 4, "g5": 4, "g6": 4, "g6e": 8, "p3": 7}
HEAP_GIB = 2  # of Spark's Java, which only hands rows over; the rest is Python's: torch, CUDA, the cache of pictures


def find_node_gib(instance: str) -> int | None:
    """Finds the memory of an instance type; None for a family or size that is not in the table."""
    found = re.fullmatch(r"([a-z]+)(\d)([a-z]*)\.(?:(\d*)x)?large", instance)
    if found is None:
        return None
    family, generation, kind, times = found.groups()
    names = (family + generation + kind, family + generation, family)
    each = next((GIB_A_CPU[name] for name in names if name in GIB_A_CPU), None)
    cpus = 2 if "x" not in instance.partition(".")[2] else 4 * int(times or 1)
    return None if each is None else each * cpus


def size_rank(types: Sequence[str], chosen: int | None) -> dict[str, str]:
    """Sizes a rank's executor in GiB as Spark's settings. UsageError: a type that is not known, and no emr.executor_gib."""
    total = chosen or _find_gib(types)
    heap = min(HEAP_GIB, max(1, total - 1))
    return {"spark.executor.memory": f"{heap}g", "spark.executor.memoryOverhead": f"{max(1, total - heap)}g"}


def _find_gib(types: Sequence[str]) -> int:
    known = {instance: find_node_gib(instance) for instance in types}
    unknown = [instance for instance, gib in known.items() if gib is None]
    if unknown:
        raise UsageError(f"instance type {', '.join(unknown)}: its memory is not known here. Set emr.executor_gib: GiB for a "
                         f"training rank, more than half and at most two thirds of what a node has.")
    sizes = {gib for gib in known.values() if gib}
    if len(sizes) > 1:
        raise UsageError(f"training nodes {', '.join(types)}: expected types of the same memory, got {sorted(sizes)} GiB, so "
                         f"one rank a node cannot be sized. Name types alike, or set emr.executor_gib.")
    return sizes.pop() * 9 // 16
