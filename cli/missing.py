"""Commands that name all they miss at once, and show one that would work."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from cli.help_text import HelpContext

TOOL = "gswarm-place"
SHIPPED = ("configs/small.yaml", "configs/small_requests.yaml")
EXAMPLE = ("example_config.yaml", "example_requests.jsonl")
"""Inputs that are shown where the project's own are not at hand; `generate` writes them."""
PLAN = "plan.yaml"
ENDPOINTS = "endpoints.yaml"
GPUS = ["--gpus", "16"]

PLAN_ARGUMENT = "PLAN"
LOG = "real.json"
CLUSTER = "--gpus N or --cluster FILE"
INPUT = "--config FILE or --config-out FILE"
FILES = ("--config", "--requests", "--plan", "--requests-out", "--endpoints", "--log")


Needs = Callable[[Mapping[str, Any]], list[str]]
"""Names what a command lacks, as the user would write it, by the values of its options."""


def needs_cluster(found: Mapping[str, Any]) -> list[str]:
    """Need a cluster, by either way of saying what it is."""
    given = found.get("gpus") is not None or found.get("cluster_file") is not None
    return [] if given else [CLUSTER]


class Complete(click.Command):
    """Looks for all that is needed before it says that anything is missing.

    Parameters
    ----------
    needs : callable, optional
        What depends on other options, beside what click knows to be required.
    """

    context_class = HelpContext

    def __init__(self, *args: Any, needs: Needs | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self._needs = needs

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, or say what is missing and how the command would be whole."""
        given = list(args)
        try:
            rest = super().parse_args(ctx, args)
        except click.MissingParameter:
            parsed, _, _ = self.make_parser(ctx).parse_args(args=list(given))
            # An argument that is not there has a mark of click's own for a value.
            found = {k: v for k, v in parsed.items() if isinstance(v, str | int | float)}
            raise self._incomplete(ctx, given, found) from None
        if not ctx.resilient_parsing and self._lacking(ctx, ctx.params):
            raise self._incomplete(ctx, given, ctx.params)
        return rest

    def _lacking(self, ctx: click.Context, found: Mapping[str, Any]) -> list[str]:
        """Name what is needed and not found, as the user would write it."""
        lacking = [
            max(p.opts, key=len) if isinstance(p, click.Option) else p.make_metavar(ctx)
            for p in self.params
            if p.required and found.get(p.name or "") is None
        ]
        return lacking if self._needs is None else lacking + self._needs(found)

    def _incomplete(
        self, ctx: click.Context, given: list[str], found: Mapping[str, Any]
    ) -> click.UsageError:
        lacking = self._lacking(ctx, found)
        named = [f"{name} FILE" if name in FILES else name for name in lacking]
        text = "; ".join(named)
        steps = self._steps(ctx, given, found, lacking)
        lines = "\n".join(f"  {shlex.join([TOOL, *step])}" for step in steps)
        return click.UsageError(f"missing: {text}. This would work:\n\n{lines}", ctx)

    def _steps(
        self, ctx: click.Context, given: list[str], found: Mapping[str, Any], lacking: list[str]
    ) -> list[list[str]]:
        """Give commands that work one after the other; the last is the user's, made whole."""
        config, requests = found.get("config"), found.get("requests")
        plan = found.get("plan") or found.get("plan_file")
        if ("--config" in lacking and (requests or plan)) or ("--requests" in lacking and plan):
            # What is given was made for something that is not: show an example of its own.
            config = requests = plan = None
            given = _without_files(given)
            kept = {k: v for k, v in found.items() if k not in ("config", "requests", "plan")}
            lacking = self._lacking(ctx, {**kept, "plan_file": None})
        needs_plan = not {"--plan", "--from", PLAN_ARGUMENT}.isdisjoint(lacking)
        make_plan = needs_plan and not Path(PLAN).is_file()
        steps: list[list[str]] = []
        if ctx.info_name != "generate" and (make_plan or not set(FILES).isdisjoint(lacking)):
            if config is None and all(Path(path).is_file() for path in SHIPPED):
                config, requests = SHIPPED
            if requests is None and (make_plan or "--requests" in lacking):
                source = ["--config", config] if config else ["--config-out", EXAMPLE[0]]
                steps.append(
                    ["generate", "--largest-block", "4", "--load", "0.5", *GPUS, *source,
                     "--requests-out", EXAMPLE[1]]
                )  # fmt: skip
                config, requests = config or EXAMPLE[0], EXAMPLE[1]
        if make_plan:
            steps.append(["solve", "--config", str(config), "--requests", str(requests), *GPUS])
        if "--endpoints" in lacking and not Path(ENDPOINTS).is_file():
            # It serves until it is ended: for another terminal.
            steps.append(["serve-local", "--plan", str(plan or PLAN), "--config", str(config)])
        if "--log" in lacking:
            run = ["--plan", str(plan or PLAN), "--config", str(config)]
            run += ["--requests", str(requests)]
            steps += [
                ["serve-local", *run[:4]],
                ["execute", *run, "--endpoints", ENDPOINTS, "--log", LOG],
            ]
        filled = {
            "--config": ["--config", str(config)],
            "--requests": ["--requests", str(requests)],
            "--requests-out": ["--requests-out", EXAMPLE[1]],
            "--plan": ["--plan", PLAN],
            "--from": ["--from", PLAN],
            PLAN_ARGUMENT: [PLAN],
            "OLD": [PLAN],
            "NEW": ["new_plan.yaml"],
            "--endpoints": ["--endpoints", ENDPOINTS],
            "--log": ["--log", LOG],
            "--ray": ["--ray", "auto"],
            "--format": ["--format", "csv"],
            CLUSTER: GPUS,
            INPUT: ["--config-out", EXAMPLE[0]],
        }
        more = [word for name in lacking for word in filled[name]]
        return [*steps, [str(ctx.info_name), *given, *more]]


def _without_files(given: list[str]) -> list[str]:
    kept = []
    words = iter(given)
    for word in words:
        if word in FILES:
            next(words, None)
        elif not word.startswith(tuple(f"{name}=" for name in FILES)):
            kept.append(word)
    return kept
