"""The command line: `vqcodec COMMAND`.

Each command is a module that is imported when it runs, so `--help` stays quick
and only training and the benchmark load torch. Errors are one line on stderr:
the exit codes are those that `--help` lists.
"""

from __future__ import annotations

import io
import logging
import signal
import sys
import warnings
from importlib import import_module
from types import FrameType
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from vqcodec.batch.job import EXPECTED, Failure
from vqcodec.cli.running import EXIT_SALVAGED
from vqcodec.cli.terminal import echo, open_closed_streams, report, report_failure

_COMMANDS = {
    "compress": "Compress pictures, sound and clips to .vqc files.",
    "decompress": "Decompress .vqc files to pictures, sound and clips.",
    "inspect": "Show what .vqc files of any medium, pictures and sound hold.",
    "view": "Show and compress pictures in the browser.",
    "tokens": "Write pictures as tokens, for models of other kinds.",
    "sample": "Draw pictures, or sound, that a model makes by itself.",
    "models": "List, show, install and verify models.",
    "train": "Train a model on pictures of your own.",
    "bench": "Compare with other codecs on pictures of your own.",
}
# The benchmark is a package of its own, beside this one and above it.
_ELSEWHERE = {"bench": "vqcodec_bench.command"}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        home = _ELSEWHERE.get(cmd_name, f"vqcodec.cli.{cmd_name}")
        command = import_module(home).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))
        with formatter.section("Exit codes"):
            formatter.write_dl(list(_EXIT_CODES.items()))
        with formatter.section("Completion"):
            formatter.write_dl(
                [
                    (shell, f'eval "$(_VQCODEC_COMPLETE={shell}_source vqcodec)"')
                    for shell in ("bash", "zsh")
                ]
                + [("fish", "_VQCODEC_COMPLETE=fish_source vqcodec | source")]
            )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands by their names, without importing them as click would."""
        return [
            *(CompletionItem(n, help=h) for n, h in _COMMANDS.items() if n.startswith(incomplete)),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]


_EXIT_CODES = {
    "0": "All is done.",
    "1": "A file or model is missing, damaged or unsafe to touch.",
    "2": "The command was given wrongly.",
    str(EXIT_SALVAGED): "Damaged files were salvaged, and something of them is lost.",
    "130": "Ctrl-C.",
}


_NO_ARGUMENTS: tuple[type[click.UsageError], ...] = tuple(
    filter(None, [getattr(click.exceptions, "NoArgsIsHelpError", None)])
)
"""How click 8.2 and later say that there is only help to print."""


def _print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from vqcodec import __version__

        echo(f"vqcodec {__version__}")
        ctx.exit()


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """A neural codec of pictures, sound and clips: files decode to the same indices everywhere."""


def main() -> NoReturn:
    """Run the command line and exit."""
    warnings.simplefilter("ignore")  # those about a file are shown where it is worked on
    open_closed_streams()
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # or Pillow prints on stderr
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _terminate)
    code = 1
    try:
        result = cli.main(prog_name="vqcodec", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except _NO_ARGUMENTS as error:
        error.show()
        code = 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "vqcodec"
        report(" ".join(error.format_message().split()), f"see `{command} --help`")
        code = 2
    except (click.exceptions.Abort, KeyboardInterrupt):
        echo("vqcodec: interrupted", err=True)
        code = 130
    except BrokenPipeError:
        sys.stderr.close()
    except EXPECTED as error:
        failure = Failure.of(error)
        report_failure(failure)
        code = failure.code
    sys.exit(code)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
