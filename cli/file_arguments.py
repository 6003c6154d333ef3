"""Files that a command is given: inputs to read, outputs that must not take what is there."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.waiting import waiting
from placement.support.escaping import visible

if TYPE_CHECKING:
    from placement.problem.cluster import Cluster
    from placement.problem.plan import Plan
    from placement.problem.trace import Trace
    from placement.problem.workload import Workload


def load_inputs(config: str, requests: str) -> tuple[Workload, Trace]:
    """Read config and requests.

    Raises
    ------
    InputError
    """
    from placement.files.config_file import read_config
    from placement.files.request_file import read_requests
    from placement.problem.variants import as_run

    with waiting("reading the trace"):
        workload = read_config(config)
        trace = read_requests(requests, workload)
        return as_run(workload, trace), trace


def load_run(
    plan_file: str, config: str, requests: str, cluster: Cluster | None = None
) -> tuple[Plan, Workload, Trace]:
    """Read a plan, and the config and requests that are to run over it.

    Parameters
    ----------
    plan_file, config, requests : str
        Paths; the plan is read as a claim, and held against the other two. A list of replicas in
        place of a plan is routed by the linear program.
    cluster : Cluster, optional
        Where such a list stands.

    Raises
    ------
    InputError
        As for each file; and where the plan cannot serve what the trace asks for.
    """
    from placement.files.placement_file import is_placement, read_placement
    from placement.files.plan_file import read_plan
    from placement.support.faults import FaultList

    faults = FaultList(plan_file)
    if is_placement(plan_file):
        from placement.own_placement import missing_models, plan_of

        workload, trace = load_inputs(config, requests)
        placement, cluster = read_placement(plan_file, workload, cluster)
        for name in missing_models(placement, workload, trace):
            wrong = f"has no replica of model {name!r}, which requests call"
            faults.add("replicas", wrong, "add one")
        faults.raise_if_any()
        with waiting("routing the placement"):
            return plan_of(placement, workload, trace, cluster), workload, trace
    from placement.problem.degrees import of_plan

    plan = read_plan(plan_file)
    workload, trace = load_inputs(config, requests)
    workload = of_plan(workload, plan)
    for wrong in plan.mismatches(workload, trace):
        faults.add("", wrong, "solve again with this config and trace")
    faults.raise_if_any()
    return plan, workload, trace


def check_outputs(outputs: Mapping[str, str | None], inputs: Iterable[str | None] = ()) -> None:
    """Refuse, before the work, what cannot be written or must not be overwritten.

    Parameters
    ----------
    outputs : mapping of str to str or None
        Files by the option that names them.
    inputs : iterable of str or None
        Files that the command reads.

    Raises
    ------
    OSError
        As `check_writable`.
    click.UsageError
        Where an output is an input, or two outputs are one file.
    """
    from placement.files.atomic import check_writable

    taken = {_identity(path): "is an input; it would be lost" for path in inputs if path}
    for option, path in outputs.items():
        if path is None:
            continue
        check_writable(path)
        where = Path(path)
        if _identity(path) in taken:
            raise click.UsageError(
                f"{option} {visible(path)}: {taken[_identity(path)]}; name another file"
            )
        if where.is_file() or not where.exists():  # a pipe or terminal takes several
            taken[_identity(path)] = f"is the file of {option} too"


def ask_before_replacing(output: str, inputs: Mapping[str, str | None], *, quiet: bool) -> None:
    """Ask on a terminal whether a plan of other inputs may go; say elsewhere that it goes.

    Parameters
    ----------
    output : str
        Where the new plan is to be written.
    inputs : mapping of str to str or None
        Files that it is made from, by their role.
    quiet : bool
        Say nothing.

    Raises
    ------
    click.Abort
        It may not.
    """
    from placement.files.plan_file import inputs_of_plan
    from placement.support.faults import InputError

    if not Path(output).is_file():
        return
    try:
        now = hash_inputs(**inputs)
    except InputError:
        return  # whoever reads them says so
    there = inputs_of_plan(output)
    if there is None:
        text = f"{visible(output)} is no plan"
    else:
        other = sorted(role for role in {*there, *now} if there.get(role) != now.get(role))
        if not other:
            return
        text = f"{visible(output)} is the plan of another {' and another '.join(other)}"
    if sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm(f"{text}; replace it?", abort=True, err=True)
    elif not quiet:
        click.echo(f"{text}; it will be replaced", err=True)


def _identity(path: str) -> object:
    """Tell one file from another, whatever they are called: a file may have several names."""
    try:
        found = Path(path).stat()
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def hash_inputs(**paths: str | None) -> dict[str, str]:
    """SHA-256 of every file given, by its role.

    Raises
    ------
    InputError
        Where one is missing or is no file: /dev/zero has no end.
    """
    from placement.files.syntax.source import check_file

    found = {}
    for role, path in paths.items():
        if path is not None:
            check_file(path)
            with Path(path).open("rb") as file:
                found[role] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
