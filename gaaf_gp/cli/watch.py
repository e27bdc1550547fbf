"""``gaaf-gp watch``: the page of a run while it goes on."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from gaaf_gp.cli.options import JsonOption
from gaaf_gp.cli.output import print_json
from gaaf_gp.cli.report import KeyOption, MostOption, NamedSetOption, OpenOption, RunArgument, recorded_set
from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.report import MOST, LivePage, PageServer
from gaaf_gp.experiments.run_data import find_run


def watch(
    folder: RunArgument,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of this machine; 0 for one that is free.")] = 0,
    run: KeyOption = None,
    primitives: NamedSetOption = None,
    most: MostOption = MOST,
    open_: OpenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Serve the page of a run to this machine only, and keep it up to date while the run goes on.

    Ctrl-C ends the page, never the run. When the run has ended, its last page stays.
    """
    place = find_run(folder, run)
    page = LivePage(folder, run, recorded_set(place, primitives), most=most)
    try:
        server = PageServer(page, port)
    except OSError as error:
        raise GaafError(
            f"a page needs a free port, and {port} is not ({error.strerror or error}): choose another, or 0 for any"
        ) from error
    with server:
        if as_json:
            print_json({"address": server.url})
        else:
            typer.echo(f"{server.url} shows {folder}; Ctrl-C ends it")
        if open_:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("the page has ended; the run goes on if it was running", err=True)
