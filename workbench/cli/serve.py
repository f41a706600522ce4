"""``serve``: the app in a browser, each tab a session of its own; reachable from this machine alone."""

import argparse
import importlib.util
import shlex
import sys

from workbench import locations, start
from workbench.cli import exit_codes, output

HOST = "127.0.0.1"
"""There is no password: whoever reaches the port can do what the person who serves can do."""


def main(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Raises:
        Refusal: the package that serves is absent, or the port makes no sense.
    """
    if not 1 <= arguments.port <= 65535:
        raise exit_codes.Refusal(f"--port is {arguments.port}; it must be at least 1 and at most 65535.")
    if importlib.util.find_spec("textual_serve") is None:
        raise exit_codes.Refusal("a browser needs the extra 'serve'; install it: pip install 'pqd-workbench[serve]'.")
    from textual_serve.server import Server

    command = command_of(arguments)
    output.remark(f"http://{HOST}:{arguments.port} shows the workbench on this machine; from another: ")
    output.remark(f"ssh -L {arguments.port}:{HOST}:{arguments.port} this-machine, then open it there. Ctrl-C ends it.")
    Server(shlex.join(command), host=HOST, port=arguments.port, title="pqd-workbench").serve(debug=False)
    return exit_codes.DONE


def command_of(arguments: argparse.Namespace) -> list[str]:
    """Give the command that each tab starts: the app on the same store, with the same flags."""
    store = locations.store_folder(arguments.store).absolute()
    command = [sys.executable, "-m", "workbench", "--store", str(store)]
    for name in (*start.FLAGS, "reset_view"):
        value, flag = getattr(arguments, name), f"--{name.replace('_', '-')}"
        if value is not None:
            command += [flag] if value is True else [flag, str(value)]
    return command
