"""`gswarm-place completion`: the tab key knows commands, options and files."""

from __future__ import annotations

import click

from cli.json_output import echo_json

PROGRAM = "gswarm-place"
VARIABLE = "_GSWARM_PLACE_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--json", "as_json", is_flag=True, help="The script in one JSON object.")
def command(shell: str, as_json: bool) -> None:
    """Print the script that teaches a shell to complete commands, options and files.

    \b
    Examples, each for one shell; put the line into its start-up file to keep it:
      eval "$(gswarm-place completion bash)"      # ~/.bashrc
      eval "$(gswarm-place completion zsh)"       # ~/.zshrc, after compinit
      gswarm-place completion fish | source       # ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    from cli.main import main

    completion = get_completion_class(shell)
    assert completion is not None
    # What click's own `source` adds is a check of the shell's version, which needs that shell.
    made = completion(main, {}, PROGRAM, VARIABLE)
    script = made.source_template % made.source_vars()
    if as_json:
        echo_json({"shell": shell, "script": script})
    else:
        click.echo(script)
