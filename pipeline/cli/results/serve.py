"""The command that serves the review page: serve."""

from __future__ import annotations

from pathlib import Path

import click

from ...errors import ConfigError
from ..identities.options import author, by_option
from ..options import ANY_PATH, FILE, NumberRange, cameras_option, database_option, open_store


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen at; others need --token-file")
@click.option("--port", type=click.IntRange(0, 65_535), default=8471, show_default=True, help="0 takes a free one")
@click.option("--token-file", type=FILE, help="log in with the token in this file instead of a new one in the address")
@click.option("--view-token-file", type=FILE, help="those who log in with the token in this file may look, but not "
              "correct")
@click.option("--blur", is_flag=True, help="blur heads in everything shown")
@click.option("--audit-views", type=ANY_PATH, help="append a line of JSON to this file for every look at a person")
@click.option("--cache", type=ANY_PATH, help="folder for copies of footage that browsers cannot play, and for clips  "
              "[default: ~/.cache/reidpipe/page]")
@click.option("--cache-gib", type=NumberRange(0.1), default=4.0, show_default=True, help="its largest size")
@by_option
@database_option
@cameras_option
def serve_command(
    host: str, port: int, token_file: Path | None, view_token_file: Path | None, blur: bool,
    audit_views: Path | None, cache: Path | None,
    cache_gib: float, who: str | None, database: str | None, config_path: Path | None,
) -> None:
    """Look at the results in a browser, and correct them.

    Prints the address to open, and serves until Ctrl-C.
    """
    try:
        from ...config.floor_plan import read_floor_plan
        from ...config.loader import load_config
        from ...web.jobs import default_cache
        from ...web.serve import Serving, serve
    except ImportError as error:
        raise ConfigError(f"the page needs a package that is not installed ({error.name}): "
                          "pip install 'reidpipe[web]'") from error

    def ready(address: str) -> None:
        click.echo(f"open {address}\npress Ctrl-C to end")

    plan = None if config_path is None else read_floor_plan(load_config(config_path).floor_plan)
    how = Serving(
        host, port, token_file, view_token_file, author(who), blur, cache or default_cache(), round(cache_gib * 2**30),
        audit_views, plan)
    with open_store(database, config_path) as store:
        try:
            serve(store, how, ready)
        except KeyboardInterrupt:  # how a server is ended
            click.echo("ended")
