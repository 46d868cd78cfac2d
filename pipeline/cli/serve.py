"""The command that serves the review page: serve."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ConfigError
from .common import FILE, cameras_option, database_option, open_store
from .identities.options import author, by_option


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen at; others need --token-file")
@click.option("--port", type=click.IntRange(0, 65_535), default=8471, show_default=True, help="0 takes a free one")
@click.option("--token-file", type=FILE, help="log in with the token in this file instead of a new one in the address")
@by_option
@database_option
@cameras_option
def serve_command(
    host: str, port: int, token_file: Path | None, who: str | None, database: str | None, config_path: Path | None
) -> None:
    """Look at the results in a browser, and correct them.

    Prints the address to open, and serves until Ctrl-C.
    """
    try:
        from ..web.serve import serve
    except ImportError as error:
        raise ConfigError(f"the page needs a package that is not installed ({error.name}): "
                          "pip install 'reidpipe[web]'") from error

    def ready(address: str) -> None:
        click.echo(f"open {address}\npress Ctrl-C to end")

    with open_store(database, config_path) as store:
        try:
            serve(store, host, port, token_file, author(who), ready)
        except KeyboardInterrupt:  # how a server is ended
            click.echo("ended")
