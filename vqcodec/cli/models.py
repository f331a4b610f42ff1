"""`vqcodec models`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vqcodec.cli.terminal import echo, warnings_shown
from vqcodec.errors import ModelCorruptError, ModelError
from vqcodec.registry import store


@click.group("models")
@click.pass_context
def command(context: click.Context) -> None:
    """List, show, install, uninstall and verify models."""
    if context.invoked_subcommand != "verify":  # which reports all that is wrong itself
        context.with_resource(warnings_shown("models"))


@command.command("list")
def list_() -> None:
    """List the models that `--model` can name."""
    for number, model in enumerate(store.list_models()):
        note = ", default" if number == 0 else ""
        echo(f"{model.name:16} {model.sha256[:16]}  {model.source}{note}  {model.description}")


@command.command()
@click.argument("model", metavar="NAME|FILE")
def show(model: str) -> None:
    """Show a model's hash, licence and configuration."""
    found = store.find(model)
    facts = {
        "name": found.name,
        "file": str(found.path),
        "bytes": found.path.stat().st_size,
        "sha256": found.sha256,
        "source": found.source,
    }
    said = store.read_metadata(found.path)
    facts |= {key: value for key, value in said.items() if key not in facts}
    try:
        text = json.dumps(facts, indent=2)
    except RecursionError as error:
        raise ModelCorruptError(f"{found.path}: its metadata is nested too deep") from error
    click.echo(text)  # ASCII, on many lines


@command.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
def install(file: str) -> None:
    """Copy a model FILE where `--model NAME` and decompress find it."""
    from vqcodec.registry.load import check_model

    installed = store.install(Path(file), check_model)
    named = f"{installed.name} ({installed.sha256[:16]})"
    if installed.source == "shipped":
        echo(f"{named} is shipped with vqcodec: there is nothing to install")
    else:
        echo(f"installed {named} as {installed.path}")


@command.command()
@click.argument("model", metavar="NAME|HASH")
def uninstall(model: str) -> None:
    """Delete an installed model. HASH is 8 or more of its digits."""
    echo(f"deleted {store.uninstall(model)}")


@command.command()
def verify() -> int:
    """Check the hash and the contents of every model."""
    from vqcodec.registry.load import read_model

    code = 0
    models = store.list_models()
    for model in models:
        try:
            read_model(model, "cpu")
        except ModelError as error:
            echo(f"{model.name:16} {model.sha256[:16]}  WRONG: {error}")
            code = 1
        else:
            echo(f"{model.name:16} {model.sha256[:16]}  ok")
    for path in set(store.installed_files()) - {model.path for model in models}:
        echo(f"{'?':16} {path.stem[:16]}  WRONG: {path} is not a readable model")
        code = 1
    return code
