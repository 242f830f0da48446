"""The command line: ``pyjob-magic serve | stop | status | kubeconfig | demo``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pyjob_magic.errors import PyJobError, TargetError
from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = _parser().parse_args(argv)
    command: Command = options.command
    try:
        return command(options)
    except PyJobError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:  # the state directory is a file, not ours, full...
        print(f"pyjob-magic: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pyjob-magic", description="The embedded API.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = _add(commands, "serve", _serve, "start the embedded API, if it does not run")
    serve.add_argument(
        "--foreground", action="store_true", help="serve in this terminal until interrupted"
    )
    stop = _add(commands, "stop", _stop, "stop the embedded API")
    stop.add_argument("--force", action="store_true", help="end jobs that are active, too")
    _add(commands, "status", _status, "tell whether the embedded API runs")
    kubeconfig = _add(
        commands, "kubeconfig", _kubeconfig, "print a kubeconfig for the embedded API"
    )
    kubeconfig.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write it into FILE, which only you can read: it holds the token",
    )
    _add(commands, "demo", _demo, "train the quickstart notebook and print what it shows")
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Command,
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    return parser


def _serve(options: argparse.Namespace) -> int:
    if options.foreground:
        from pyjob_magic.local.__main__ import serve_home
        from pyjob_magic.local.starter import Starter

        return serve_home(Home.default(), Starter())
    print(f"The embedded API answers at {launcher.ensure_running().url}.")
    return 0


def _stop(options: argparse.Namespace) -> int:
    stopped = launcher.stop(force=options.force)
    print("The embedded API has stopped." if stopped else "The embedded API does not run.")
    return 0


def _status(_options: argparse.Namespace) -> int:
    import psutil

    home = Home.default()
    running = launcher.status(home)
    if running is None:
        print("The embedded API does not run.")
        return 3  # what `service status` returns, too
    jobs = launcher.active_jobs(running, home)
    memory = psutil.Process(running.pid).memory_info().rss / 2**20
    print(f"The embedded API {running.version} answers at {running.url}.")
    print(f"For kubectl: {running.secure_url}, as in what pyjob-magic kubeconfig prints.")
    print(f"Process: {running.pid}, {memory:.0f} MiB. State directory: {home.path}")
    print(f"Active jobs: {len(jobs)}" + (f" ({_some(jobs)})" if jobs else ""))
    _tell_lost_ports(running)
    return 0


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _kubeconfig(options: argparse.Namespace) -> int:
    """Tell how other clients reach the embedded API; what is told holds the token."""
    import base64

    import yaml

    from pyjob_magic.local import private
    from pyjob_magic.local.certificates import Certificates

    home = Home.default()
    token = launcher.ensure_running(home).token
    running = launcher.status(home)
    if running is None:
        raise TargetError("local: the embedded API has stopped again; see " + str(home.log))
    authority = Certificates(home.certificates).authority()
    name = "pyjob-magic"
    cluster = {
        "server": running.secure_url,
        "certificate-authority-data": base64.b64encode(authority.encode()).decode(),
    }
    context = {"cluster": name, "user": name, "namespace": "default"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }
    text = yaml.safe_dump(config, sort_keys=False)
    if options.output is None:
        print(text, end="")
    else:
        private.write(options.output.absolute(), text)
    _tell_lost_ports(running)
    return 0


def _tell_lost_ports(running: launcher.Running) -> None:
    for port in running.lost_ports:
        print(
            f"Another program listens on port {port}, where the embedded API was before: "
            "replace kubeconfigs that name it.",
            file=sys.stderr,
        )


def _demo(_options: argparse.Namespace) -> int:
    from pyjob_magic import _demo

    return _demo.run()


if __name__ == "__main__":
    sys.exit(main())
