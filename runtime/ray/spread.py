"""A function mapped over items: one after the other here, or as tasks of a Ray cluster.

Both give the same results in the same order, so whoever calls need not know which it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from runtime.ray.connection import connected

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 4
"""Tasks that are handed out before they are needed, for each processor of the cluster."""


class Spread(Protocol):
    """Maps a function over items, in their order; the first error ends it."""

    def __call__(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        """Give the results one by one."""
        ...


def serially(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
    """Call the function when its next result is asked for."""
    yield from map(function, items)


@contextmanager
def spread_over(address: str | None) -> Iterator[Spread]:
    """Give a map over the Ray cluster at an address; a serial one without an address.

    Parameters
    ----------
    address : str or None
        As of `runtime.ray.connection.connected`.

    Raises
    ------
    ValueError
        Where no cluster answers.
    """
    if address is None:
        yield serially
        return
    with connected(address):
        yield _by_tasks


def _by_tasks(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
    """Call the function in tasks of one processor each, some ahead of what is asked for."""
    import ray

    shared = ray.put(function)
    task: Any = ray.remote(num_cpus=1)(_call)
    ahead = max(1, AHEAD * int(ray.cluster_resources().get("CPU", 1)))
    under_way: deque[Any] = deque()
    try:
        for item in items:
            under_way.append(task.remote(shared, item))
            if len(under_way) >= ahead:
                yield _result(under_way.popleft())
        while under_way:
            yield _result(under_way.popleft())
    finally:
        for reference in under_way:  # nobody waits for them any more
            ray.cancel(reference, force=True)


def _call(function: Callable[[T], R], item: T) -> R:
    return function(item)


def _result(reference: Any) -> Any:
    """Wait for a result; an error of the function is raised as it was."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, ModuleNotFoundError):
            raise ValueError(
                f"a node of the Ray cluster has no module {error.cause.name!r}; install the same "
                "gswarm-place on every node"
            ) from error
        if isinstance(error.cause, Exception):
            raise error.cause from None
        raise
    except RayError as error:
        said = " ".join(str(error).split())
        raise ValueError(f"a task was lost on the Ray cluster ({said}); run it again") from None
