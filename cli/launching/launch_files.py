"""Every form of launch file, by its name."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from cli.launching import LaunchForm
from cli.launching.addresses import endpoints_file, reached_at, read_hosts
from cli.launching.commands import LaunchOptions
from cli.launching.compose import compose_file
from cli.launching.kubernetes import LISTEN, kubernetes_manifests
from cli.launching.litellm_proxy import litellm_config
from cli.launching.ray_serve import ray_serve_config
from cli.launching.served import serve_replicas
from cli.launching.shell import launch_script
from cli.launching.systemd import systemd_units
from placement.problem.plan import Plan
from placement.problem.workload import Workload
from placement.support.described import counted


def launch_files(
    form: LaunchForm,
    plan: Plan,
    workload: Workload | None,
    options: LaunchOptions,
    hosts: str | None = None,
    plan_file: str = "the plan",
) -> dict[str, str]:
    """Write what starts the servers of a plan, or says where they are.

    Parameters
    ----------
    form : str
        One of `LAUNCH_FORMS`.
    workload : Workload or None
        The config, for what it says of how models are served.
    hosts : str or None
        Names of the servers, as `read_hosts` takes them.
    plan_file : str
        Name of the plan, for warnings.

    Returns
    -------
    dict of str to str
        Texts by the path in a folder; a form that is one file has the path ''.

    Raises
    ------
    ValueError
        As `serve_replicas`, and where the plan has more servers than names.
    """
    if form == "kubernetes":
        options = replace(options, listen=LISTEN)
    served = partial(serve_replicas, plan, workload, options, plan_file)
    match form:
        case "launch":
            return {"": launch_script(served(), options.listen)}
        case "compose":
            return {"": compose_file(served(), options.listen)}
        case "systemd":
            return systemd_units(served(), options.listen)
        case "kubernetes":
            return {"": kubernetes_manifests(served(), read_hosts(hosts, plan.cluster.n_servers))}
        case "ray-serve":
            return {"": ray_serve_config(served(), options.listen, options.first_port)}
        case "litellm":
            return {"": litellm_config(served(started=False), _reached(plan, options, hosts))}
        case "endpoints":
            return {
                "": endpoints_file(served(started=False), _reached(plan, options, hosts), workload)
            }


def _reached(plan: Plan, options: LaunchOptions, hosts: str | None) -> tuple[str, ...]:
    """Addresses by which others call the servers; those of one machine need no names."""
    if hosts is None and plan.cluster.n_servers == 1:
        return (reached_at(options.listen).strip("[]"),)
    if hosts is None:
        raise ValueError(
            f"--hosts: the plan has {counted(plan.cluster.n_servers, 'server')}; say where "
            "each is, as A,B,C or @FILE with one a line"
        )
    return read_hosts(hosts, plan.cluster.n_servers)
