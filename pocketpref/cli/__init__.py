"""The command line: parse, build, call, print.

One file for each group of commands; ``root.main`` is the one place that turns errors into exit
codes. Importing it loads no model library: what is heavy is imported inside the commands.
"""

from pocketpref.cli.main import main

__all__ = ["main"]
