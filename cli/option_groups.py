"""Options of a large command, listed by what they are for."""

from __future__ import annotations

import click

from cli.missing import Complete

GROUPS = {
    "Input": ("--config", "--requests", "--plan", "--endpoints", "--from"),
    "Goal": ("--se", "--p99", "--load", "--max-servers", "--curve"),
    "Cluster": (
        "--cluster", "--gpus", "--gpus-per-server", "--gpu-memory-gb", "--type", "--gpu-sharing",
        "--exclusive", "--max-models-per-gpu", "--rules",
    ),
    "What is wanted": (
        "--mode", "--objective", "--alpha", "--max-utilization", "--headroom-slack",
        "--until-borne", "--equal-headroom", "--allow-partial", "--survive", "--max-moves",
    ),
    "Several demands": ("--scenarios", "--windows", "--scenario-criterion"),
    "Search": (
        "--method", "--methods", "--time-limit", "--gap", "--form", "--solver", "--threads",
        "--params",
    ),
    "Corrected by the simulator": (
        "--refine", "--refine-routing", "--refine-loss", "--refine-evaluations", "--refine-budget",
    ),
    "Simulation and runs": (
        "--routing", "--routings", "--scheduler", "--schedulers", "--fail", "--locality",
        "--time-scale", "--timeout", "--retries", "--give-up", "--journal", "--ray", "--name",
        "--simulate-headroom", "--rebalance-every", "--window", "--drain",
    ),
    "Chance": ("--seed", "--repeat"),
    "Output": (
        "--output", "--force", "--history", "--log", "--event-log", "--trace", "--record", "--csv",
        "--json", "--quiet", "--help",
    ),
}  # fmt: skip
"""What options are for, and which they are; one that is not here is listed last."""

OTHERS = "Other options"


class Grouped(Complete):
    """Lists its options by what they are for."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section a group, options in the order of `GROUPS`."""
        records = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                records[max(parameter.opts, key=len)] = record
        for title, names in GROUPS.items():
            shown = [records.pop(name) for name in names if name in records]
            if shown:
                with formatter.section(title):
                    formatter.write_dl(shown)
        if records:
            with formatter.section(OTHERS):
                formatter.write_dl(list(records.values()))
