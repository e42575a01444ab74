"""Work that is begun a few items ahead: in order, no more than asked, errors where they belong."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.engines.prefetch import prefetch


@pytest.mark.parametrize("most", [1, 2, 5, 50])
def test_in_order_and_no_further_ahead(most):
    begun = []
    with ThreadPoolExecutor(4) as pool:
        for taken, found in enumerate(prefetch(pool, lambda n: begun.append(n) or n * n, range(20), most)):
            assert found == taken * taken and len(begun) < taken + 1 + most
    assert sorted(begun) == list(range(20))


def test_nothing_to_do():
    with ThreadPoolExecutor(1) as pool:
        assert list(prefetch(pool, str, [], 3)) == []


def test_an_error_comes_in_the_place_of_its_item():
    def work(n):
        if n == 2:
            raise ValueError("two")
        return n

    with ThreadPoolExecutor(2) as pool:
        results = prefetch(pool, work, range(9), 3)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(ValueError, match="two"):
            next(results)


def test_the_next_is_worked_on_while_one_is_taken():
    second = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        results = prefetch(pool, lambda n: second.set() if n else None, range(2), 2)
        next(results)
        assert second.wait(10)
