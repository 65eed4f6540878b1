"""The console's commands that keep a deployment well: `doctor`, `backup` and `restore`."""

import argparse
import sys
from pathlib import Path

import psycopg

from webapp.commands import Commands
from webapp.operations.backup import Contents, back_up
from webapp.operations.doctor import examine
from webapp.operations.restore import restore
from webapp.postgres.database import locate
from webapp.settings import SetupError, load_settings


def add_commands(commands: Commands) -> None:
    """Add the commands to the parser."""
    parser = commands.add_parser("doctor", help="check this deployment, and say how to fix what is wrong")
    parser.set_defaults(run=examine_deployment)
    parser = commands.add_parser("backup", help="write everything to a file, whether it is being served or not")
    parser.add_argument("file", type=Path, help="the file; an existing one is replaced once everything is written")
    parser.set_defaults(run=back_up_to_file)
    parser = commands.add_parser("restore", help="restore a backup, all of it or nothing")
    parser.add_argument("file", type=Path, help="a file written by `backup`")
    parser.add_argument("--replace", action="store_true", help="even if that removes what is there now")
    parser.set_defaults(run=restore_from_file)


def examine_deployment(options: argparse.Namespace) -> None:  # noqa: ARG001
    """Print what was found, a line each; what must be mended is a `SetupError`."""
    failures = 0
    for finding in examine(load_settings()):
        failures += finding.level == "fail"
        lines = [f"{finding.level:5}{finding.what}"] + ([f"     {finding.help}"] if finding.help else [])
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    if failures:
        raise SetupError(f"To be mended: {failures}")


def back_up_to_file(options: argparse.Namespace) -> None:
    """Back up to a file."""
    try:
        contents = back_up(locate(load_settings()).url, options.file)
    except OSError as error:
        raise SetupError(f"{options.file} cannot be written: {error.strerror}.") from error
    except psycopg.Error as error:
        raise SetupError(f"The database cannot be read, and there is no backup: {error}") from error
    sys.stdout.write(f"{_summary(contents)} are in {options.file}.\n")


def restore_from_file(options: argparse.Namespace) -> None:
    """Restore from a file."""
    try:
        contents = restore(locate(load_settings()).url, options.file, replace=options.replace)
    except OSError as error:
        raise SetupError(f"{options.file} cannot be read: {error.strerror}.") from error
    sys.stdout.write(f"{_summary(contents)} of {contents.taken_at:%Y-%m-%d %H:%M} UTC are back.\n")


def _summary(contents: Contents) -> str:
    items, changes = contents.rows("inventory"), contents.rows("inventory_changes")
    return f"{items} item{'s' * (items != 1)} and {changes} change{'s' * (changes != 1)}"
