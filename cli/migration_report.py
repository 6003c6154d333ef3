"""What `diff` and `rebalance` print of a migration."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from placement.support.escaping import visible

if TYPE_CHECKING:
    from placement.migration import Migration
    from placement.problem.workload import Workload

MOST_STEPS = 40
"""Steps shown; --json lists them all."""


def seconds_to_load(found: Migration, workload: Workload, config: str) -> float:
    """Seconds until the last load ends, by the load times of a config.

    Parameters
    ----------
    found : Migration
    workload : Workload
        Of the config.
    config : str
        Name of its file, for an error.

    Raises
    ------
    ValueError
        The config has no such model.
    """
    from placement.migration import load_seconds

    models = {m.id: m.load_time_s for m in workload.models}
    unknown = sorted({b.model for b in found.loaded} - models.keys())
    if unknown:
        raise ValueError(
            f"{visible(config)}: models: {', '.join(unknown)} missing, which the new plan loads; "
            "give the config it was made for"
        )
    return load_seconds(found, models)


def migration_dict(found: Migration, seconds: float | None) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        "kept": len(found.kept),
        "loaded": [asdict(b) for b in found.loaded],
        "unloaded": [asdict(b) for b in found.unloaded],
        "loaded_gb": found.loaded_gb,
        "load_seconds": seconds,
        "interrupted": list(found.interrupted),
        "steps": [{"action": s.action, **asdict(s.block)} for s in found.steps],
    }


def show_migration(found: Migration, seconds: float | None) -> None:
    """Print what moves, by model and step by step.

    Parameters
    ----------
    found : Migration
    seconds : float or None
        That loading takes, where it is known.
    """
    from cli.terminal import output, plain, table

    console = output()
    console.print(found.headline)
    if seconds is not None and found.loaded:
        console.print(
            f"loading takes {seconds:,.0f} s where servers load side by side, each one model after "
            "another"
        )
    if found.interrupted:
        console.print(
            f"without a replica for a while: {plain(', '.join(found.interrupted))}; nothing fits "
            "before their last one goes",
            style="yellow",
        )
    if not found.steps:
        return
    change = table("model", "stay", "loaded", "unloaded")
    stay, come, go = (
        Counter(b.model for b in group) for group in (found.kept, found.loaded, found.unloaded)
    )
    for model in sorted({*come, *go}):
        change.add_row(plain(model), *(f"{c[model]:,}" for c in (stay, come, go)))
    console.print(change)
    steps = table("step", "", "model", "server", "GPUs", left=3)
    for i, step in enumerate(found.steps[:MOST_STEPS], 1):
        b = step.block
        gpus = str(b.start) if b.gpus == 1 else f"{b.start} to {b.start + b.gpus - 1}"
        steps.add_row(str(i), step.action, plain(b.model), str(b.server), gpus)
    console.print(steps)
    if len(found.steps) > MOST_STEPS:
        console.print(f"{len(found.steps) - MOST_STEPS:,} more steps: --json lists them all")
