"""`gswarm-place schema`: the shape of a file, for editors and other programs."""

from __future__ import annotations

from typing import Any

import click

from cli.file_arguments import check_outputs
from cli.json_output import echo_json

KINDS = ("config", "cluster", "rules", "requests", "plan")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="FILE",
    help="Where to write it.  [default: stdout]",
)
@click.option("--json", is_flag=True, help="As without: a schema is JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing where --output is given.")
def command(kind: Any, output: str | None, quiet: bool, **_: bool) -> None:
    """Print the JSON Schema of a kind of file: config, cluster, rules, requests or plan.

    An editor with YAML support completes and checks a file whose first line names the schema:

    \b
      # yaml-language-server: $schema=config.schema.json

    \b
    Example:
      gswarm-place schema config -o config.schema.json
    """
    from placement.files.json_schema import json_schema

    check_outputs({"--output": output})
    schema = json_schema(kind)
    if output is None:
        echo_json(schema)
        return
    import orjson

    from placement.files.atomic import write_atomically
    from placement.support.escaping import visible

    write_atomically(output, orjson.dumps(schema, option=orjson.OPT_INDENT_2) + b"\n")
    if not quiet:
        click.echo(f"written to {visible(output)}", err=True)
