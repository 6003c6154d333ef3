"""A connection to a Ray cluster that is there already; none is ever started from here."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

NAMESPACE = "gswarm-place"
"""Where the names of all actors of all deployments stand."""

KNOCK_S = 5.0
"""Patience with an address on which nobody listens; Ray itself asks for minutes."""

MEND = "start one (`ray start --head`), or name another"
HANDLED = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be a driver of a Ray cluster inside; whoever is one already stays it.

    Parameters
    ----------
    address : str
        ``HOST:PORT`` of the head node, as `ray start` prints it; ``auto`` for the one that runs
        on this machine.

    Raises
    ------
    ValueError
        With a sentence, where Ray is not installed or no cluster answers.
    """
    if find_spec("ray") is None:
        raise ValueError("--ray needs Ray; install it: pip install 'gswarm-place[ray]'")
    host = _knock(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray  # a second that only those pay who asked for it

    if ray.is_initialized():
        yield
        return
    _keep_silent()
    with _own_signals(), _as_loopback(_is_loopback(host)):
        try:
            ray.init(
                address=address,
                namespace=NAMESPACE,
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            said = " ".join(str(error).split())
            raise ValueError(f"--ray {address}: no Ray cluster answers ({said}); {MEND}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _keep_silent() -> None:
    """Let Ray's own notices go: it would write them where the answer of a command stands."""
    import ray._private.worker as worker

    worker.print_to_stdstream = lambda *words, **options: None


@contextmanager
def _as_loopback(wanted: bool) -> Iterator[None]:
    """Let Ray take 127.0.0.1 for what it is; else it reads this machine's address there."""
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = before and not wanted
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _knock(address: str) -> str:
    """See that somebody listens; give the host."""
    if address == "auto":
        return _host_nearby()
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise ValueError(
            f"--ray {address}: is no address; write HOST:PORT of the head node, or auto"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_S).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"--ray {address}: nobody answers there ({reason}); {MEND}") from None
    return host.strip("[]")


def _host_nearby() -> str:
    """Host of the cluster that runs on this machine, as Ray itself finds it."""
    import ray._private.services as services

    try:
        found: str | None = services.get_ray_address_from_environment("auto", None)
    except ConnectionError:
        raise ValueError(f"--ray auto: no Ray cluster runs on this machine; {MEND}") from None
    return "" if found is None else found.rpartition(":")[0].strip("[]")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep who hears Ctrl-C and a request to end: Ray puts itself there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in HANDLED if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
