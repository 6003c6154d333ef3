"""Where the servers of a plan are reached: names of machines, and the endpoints of `execute`."""

from __future__ import annotations

import ipaddress
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.launching.commands import EMBEDDERS, GENERATORS
from cli.launching.served import ServedReplica
from placement.files.syntax.yaml_writer import block
from placement.files.unread_fields import InputWarning
from placement.problem.workload import Workload
from placement.support.described import counted
from runtime.live.kinds import KIND_OF_TYPE

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
LONGEST_HOST = 253


def read_hosts(text: str | None, servers: int) -> tuple[str, ...]:
    """Read the names of the servers, in the plan's order.

    Parameters
    ----------
    text : str or None
        ``A,B,C``, or ``@FILE`` with one a line; None for server-0, server-1 and so on.
    servers : int

    Raises
    ------
    ValueError
        Where a name is none, or there are not as many as servers.
    """
    if text is None:
        return tuple(f"server-{s}" for s in range(servers))
    if text.startswith("@"):
        names = Path(text[1:]).read_text(encoding="utf-8", errors="replace").splitlines()
        found = [name.strip() for name in names if name.strip() and not name.startswith("#")]
    else:
        found = [name.strip() for name in text.split(",")]
    for name in found:
        check_host(name, "--hosts")
    if len(found) != servers:
        raise ValueError(
            f"--hosts: names {len(found)} of the plan's {counted(servers, 'server')}; name "
            "all, in order"
        )
    return tuple(found)


def check_host(name: str, option: str) -> str:
    """Refuse what is neither a host's name nor an address.

    Raises
    ------
    ValueError
    """
    if len(name) <= LONGEST_HOST and _HOST.fullmatch(name):
        return name
    try:
        ipaddress.ip_address(name)
    except ValueError:
        raise ValueError(f"{option}: {name!r} is no name or address of a machine") from None
    return name


def address(host: str, port: int) -> str:
    """Write the address of a server."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reached_at(listen: str) -> str:
    """Give the address by which a server is called from its own machine."""
    if listen in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{listen}]" if ":" in listen else listen


def endpoints_file(
    served: Sequence[ServedReplica], hosts: Sequence[str], workload: Workload | None
) -> str:
    """Write where the replicas are served, as `execute` reads it.

    Parameters
    ----------
    served : sequence of ServedReplica
    hosts : sequence of str
        Addresses of the servers.
    workload : Workload or None
        The config, by which types of models are told of whose interface nothing is known.
    """
    models: dict[str, Any] = {}
    for s in served:
        named = {} if s.called == s.slot.model else {"name": s.called}
        models.setdefault(s.slot.model, {"kind": s.kind, **named})
    if workload is not None:
        _warn_of_guesses([m.type for m in workload.models if m.id in models])
    replicas = [
        {"replica": s.slot.replica, "url": address(hosts[s.slot.server], s.port)}
        for s in sorted(served, key=lambda s: s.slot.replica)
    ]
    return block({"models": models, "replicas": replicas})


def _warn_of_guesses(types: Sequence[str | None]) -> None:
    known = {*GENERATORS, *EMBEDDERS, *KIND_OF_TYPE}
    for kind in sorted({t for t in types if t and t.lower() not in known}):
        text = f"models of type {kind!r} are called as chat; change their kind where it is another"
        warnings.warn(InputWarning(text), stacklevel=1)
