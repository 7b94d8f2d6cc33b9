"""`adora prep COMMAND ...`: make, convert, check and mix data folders.

Every command that writes a folder ends in `write_folder`, so all of them share its promises: a
whole folder or none, the same bytes for the same arguments, a finished folder left alone. Mistakes
end in one line on stderr and exit code 2; `audit` ends with 1 when a folder is not fit to train on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from data_prep.commands import audit, combine, convert, difficulty, generate
from data_prep.commands.options import Parser
from data_prep.geometry import commands as scenes

PROG = "adora prep"
GROUPS = (generate, convert, scenes, audit, combine, difficulty)
"""Modules with an `add_to(commands)`; a command's `run` returns an exit code or None for 0."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; its exit code, 2 after a mistake, 130 when interrupted."""
    try:
        arguments = _parser().parse_args(argv)
        code = arguments.run(arguments)
    except (ValueError, OSError) as error:
        print(f"{PROG}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{PROG}: interrupted, nothing was written", file=sys.stderr)
        return 130
    return code or 0


def _parser() -> Parser:
    parser = Parser(prog=PROG, description="Make data folders for training and evaluation.")
    commands = parser.add_subparsers(required=True, metavar="SOURCE", parser_class=Parser)
    for group in GROUPS:
        group.add_to(commands)
    return parser
