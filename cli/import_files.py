"""`gswarm-place import`: traces, graphs and lists of models of other tools as config and trace."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.asked import Shown, takes
from cli.file_arguments import check_outputs
from cli.json_output import echo_json
from cli.missing import Complete
from cli.options import Count, Number, output_options, seed_option

if TYPE_CHECKING:
    from placement.files.input_schema import ConfigFile
    from placement.importing.imported import Imported

FORMS = ("otlp", "comfyui", "litellm", "llama-swap")
SHOWN_NOTES = 20


@dataclass(frozen=True, kw_only=True)
class Asked(Shown):
    """What `gswarm-place import` was asked for."""

    sources: tuple[str, ...]
    form: str | None
    models: str | None
    memory_gb: float | None
    gpus_required: int | None
    load_time: float | None
    call_seconds: float | None
    rate: float
    count: int
    seed: int
    config_out: str
    requests_out: str | None


@click.command(cls=Complete)
@click.argument("sources", nargs=-1, required=True, type=click.Path(), metavar="FILE...")
@click.option(
    "--from",
    "form",
    type=click.Choice(FORMS),
    help="What the files are.  [default: what their content says]",
)
@click.option(
    "--models",
    type=click.Path(),
    metavar="FILE",
    help="Fields of models that the files do not tell, by name or pattern: a config, or what "
    "stands under its models.",
)
@click.option("--memory-gb", type=Number(high=1e6), help="Memory of models of which none is told.")
@click.option("--gpus-required", type=Count(1, 1024), help="GPUs of models of which none is told.")
@click.option(
    "--load-time", type=Number(high=1e9), help="Seconds to load a model of which none is told."
)
@click.option(
    "--call-seconds",
    type=Number(high=1e9),
    help="Seconds of a call of models of which none is told.",
)
@click.option(
    "--rate",
    type=Number(above_low=True),
    default=1.0,
    show_default=True,
    help="Requests a second that are made up where the files hold none.",
)
@click.option(
    "--count",
    type=Count(1, 10_000_000),
    default=100,
    show_default=True,
    help="How many requests are made up.",
)
@seed_option
@click.option(
    "--config-out",
    required=True,
    type=click.Path(),
    metavar="FILE",
    help="Where models and workflows go (YAML, JSON).",
)
@click.option(
    "--requests-out", type=click.Path(), metavar="FILE", help="Where the requests go (JSONL)."
)
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Make config and requests from the files of other tools.

    OpenTelemetry traces (OTLP as JSON, spans by the conventions for generative AI) give workflows,
    rates, service times and payloads; ComfyUI's workflow files give workflows; configurations of
    LiteLLM's proxy and of llama-swap give models. Several files of any kind are put together.

    What the files say and a config cannot is listed on stderr. So is what they do not say and a
    config needs, such as memory: fill it in, or give --models or --memory-gb.

    \b
    Example:
      gswarm-place import traces.jsonl --models known_models.yaml \\
          --config-out config.yaml --requests-out requests.jsonl
    """
    from placement.files.atomic import together, write_atomically
    from placement.generate.synthetic import write_config
    from placement.importing.imported import (
        call_alone,
        checked_config,
        fill_models,
        read_model_table,
    )
    from placement.support.escaping import visible

    _check(asked)
    imported = _read(asked)
    table = {} if asked.models is None else read_model_table(asked.models)
    default = {
        "memory_gb": asked.memory_gb,
        "gpus_required": asked.gpus_required,
        "load_time_seconds": asked.load_time,
    }
    call_alone(imported)
    to_fill_in = fill_models(
        imported,
        table,
        {key: value for key, value in default.items() if value is not None},
        asked.call_seconds,
    )
    config = checked_config(imported, asked.config_out)
    if asked.requests_out is not None and not imported.requests:
        imported.requests = _made_up(config, asked)
        imported.notes[
            f"the files hold no requests: {asked.count} are made up, {asked.rate:g} a second"
        ] += 1
    lines = [json.dumps(request, ensure_ascii=False) for request in imported.requests]
    with together():
        data = {"models": imported.models, "workflows": imported.workflows}
        write_config(asked.config_out, data)
        if asked.requests_out is not None:
            write_atomically(asked.requests_out, "".join(f"{line}\n" for line in lines))
    if asked.as_json:
        echo_json(
            {
                "config": asked.config_out,
                "requests": asked.requests_out,
                "models": len(imported.models),
                "workflows": len(imported.workflows),
                "request_count": len(imported.requests),
                "to_fill_in": to_fill_in,
                "not_expressed": [
                    {"what": what, "times": times} for what, times in imported.notes.items()
                ],
            }
        )
    elif not asked.quiet:
        _report(imported, to_fill_in)
        written = [asked.config_out, *([asked.requests_out] if asked.requests_out else [])]
        click.echo(f"written to {visible(' and '.join(written))}", err=True)


def _check(asked: Asked) -> None:
    from placement.files.syntax.document import DOCUMENT_FORMATS
    from placement.files.syntax.source import find_format

    find_format(asked.config_out, DOCUMENT_FORMATS)
    if asked.requests_out is not None and not asked.requests_out.lower().endswith(
        (".jsonl", ".ndjson")
    ):
        raise click.UsageError("--requests-out: name it .jsonl, the format that is written")
    check_outputs(
        {"--config-out": asked.config_out, "--requests-out": asked.requests_out},
        (*asked.sources, asked.models),
    )


def _read(asked: Asked) -> Imported:
    """Read every file by what it is; traces all together."""
    from placement.files.syntax.document import load_document
    from placement.importing.comfyui import import_comfyui, is_comfyui
    from placement.importing.gateways import (
        import_litellm,
        import_llama_swap,
        is_litellm,
        is_llama_swap,
    )
    from placement.importing.imported import Imported
    from placement.importing.otlp import is_otlp, load_json_values
    from placement.importing.traces import import_traces
    from placement.support.faults import input_error

    imported = Imported()
    traces = []
    for path in asked.sources:
        is_yaml = path.lower().endswith((".yaml", ".yml"))
        values = [load_document(path).data] if is_yaml else load_json_values(path)
        data = values[0]
        tests = {
            "otlp": is_otlp,
            "comfyui": is_comfyui,
            "litellm": is_litellm,
            "llama-swap": is_llama_swap,
        }
        found = next((form for form, test in tests.items() if test(data)), None)
        if found is None or asked.form not in (None, found):
            what = f"no file of {asked.form}" if asked.form else f"none of {', '.join(FORMS)}"
            wrong = f"is {what}" + ("" if found is None else f", but of {found}")
            raise input_error(path, "", wrong, "check the file, or --from")
        match found:
            case "otlp":
                traces.append((path, values))
            case "comfyui":
                imported.add(import_comfyui(Path(path).stem, data))
            case "litellm":
                imported.add(import_litellm(data))
            case _:
                imported.add(import_llama_swap(data))
    if traces:
        imported.add(import_traces(traces))
    if not imported.models:
        said = "; ".join(imported.notes) or "they call no model"
        raise input_error(asked.sources[0], "", f"nothing to import: {said}", "give other files")
    return imported


def _made_up(config: ConfigFile, asked: Asked) -> list[dict[str, Any]]:
    """Poisson arrivals, each workflow as often, whose calls take what the config says."""
    from datetime import UTC, datetime, timedelta

    import numpy as np

    from placement.generate.arrivals import arrival_times

    names = list(config.workflows)
    rng = np.random.default_rng([asked.seed, 3])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    arrivals = arrival_times("poisson", asked.count, asked.rate, seed=asked.seed)
    return [
        {
            "request_id": f"made-up-{i}",
            "timestamp": (start + timedelta(seconds=float(s))).isoformat(timespec="microseconds"),
            "workflow_id": names[int(w)],
        }
        for i, (s, w) in enumerate(
            zip(arrivals, rng.integers(len(names), size=asked.count), strict=True)
        )
    ]


def _report(imported: Imported, to_fill_in: dict[str, list[str]]) -> None:
    """Say on stderr what was found, what is lost, and what must be filled in."""
    from placement.support.escaping import visible

    found = (len(imported.models), len(imported.workflows), len(imported.requests))
    click.echo("{} models, {} workflows, {:,} requests".format(*found), err=True)
    for what, times in imported.notes.most_common(SHOWN_NOTES):
        often = f" ({times:,} times)" if times > 1 else ""
        click.echo(f"not expressed: {visible(what)}{often}", err=True)
    if len(imported.notes) > SHOWN_NOTES:
        more = len(imported.notes) - SHOWN_NOTES
        click.echo(f"not expressed: and {more} more; --json lists all", err=True)
    fields: Counter[str] = Counter(f for names in to_fill_in.values() for f in names)
    for name in fields:
        models = [m for m, names in to_fill_in.items() if name in names]
        shown = ", ".join(repr(m) for m in models[:5]) + (", ..." if len(models) > 5 else "")
        click.echo(f"to fill in: {name} of {visible(shown)}; a placeholder stands there", err=True)
