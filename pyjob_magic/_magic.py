"""The cell magic ``%%pytorchjob`` and the line magic ``%pytorchjob``."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from IPython.core.magic import (
    Magics,
    cell_magic,
    line_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)

from pyjob_magic._completion import matcher
from pyjob_magic._line import cell_parser, expand, read_cell_line, split_arguments, unexpand
from pyjob_magic._verbs import VERBS, asks_for_help, usage, verb_parser
from pyjob_magic.errors import DetachedError

if TYPE_CHECKING:
    from IPython.core.formatters import IPythonDisplayFormatter
    from IPython.core.interactiveshell import InteractiveShell

    from pyjob_magic._commands import Commands

CELL_PARSER = cell_parser()
_JOB = ("pyjob_magic.job", "Job")  # by name, as importing it costs time


@magics_class
class PyTorchJobMagics(Magics):
    """Runs cells as PyTorchJobs and looks after the jobs."""

    shell: InteractiveShell

    @cached_property
    def commands(self) -> Commands:
        """What the magics do; brings the HTTP client along, so it comes with the first use."""
        from pyjob_magic._commands import Commands

        return Commands(self.shell)

    @no_var_expand
    @needs_local_scope
    @cell_magic("pytorchjob")  # type: ignore[arg-type]  # IPython's decorators are untyped
    def run_cell(self, line: str, cell: str, local_ns: dict[str, Any] | None = None) -> None:
        words = self._words(line, local_ns)
        if asks_for_help(split_arguments(words)[0]):
            print(CELL_PARSER.format_help())
            return
        options = read_cell_line(words, CELL_PARSER)
        with _in_one_line("%%pytorchjob"):
            self.commands.run(options, cell, unexpand(words))

    @no_var_expand
    @needs_local_scope
    @line_magic("pytorchjob")  # type: ignore[arg-type]
    def run_verb(self, line: str, local_ns: dict[str, Any] | None = None) -> None:
        words = self._words(line, local_ns)
        if not words or words == ["help"] or asks_for_help(words[:1]):
            return self.commands.overview()
        verb, *rest = words
        if verb in VERBS and asks_for_help(rest):
            print(usage(verb))
            return None
        values = verb_parser(verb).read(rest)
        with _in_one_line(f"%pytorchjob {verb}"):
            self._do(verb, values)
        return None

    def _do(self, verb: str, values: dict[str, Any]) -> None:
        place = [values.pop(name) for name in ("on", "namespace", "profile", "context")]
        if verb == "use":
            return self.commands.use(values["target"] or place[0], *place[1:])
        if verb == "profiles":
            return self.commands.profiles()
        if verb == "history":  # where nothing needs to be reached
            return self.commands.history(*place, **values)
        command: Callable[..., None] = getattr(self.commands, verb)
        return command(self.commands.connection(*place), **values)

    def _words(self, line: str, local_ns: dict[str, Any] | None) -> list[str]:
        return expand(line, {**self.shell.user_ns, **(local_ns or {})})

    # The decorators leave the functions as they are; only their declared type is lost.
    run_cell.__doc__ = f"""Run the cell as a PyTorchJob.

The cell is a complete program, which every replica runs as a file. In the line,
{{expression}} and $name take values from the notebook; the cell stays as it is.

{CELL_PARSER.format_help()}"""  # type: ignore[assignment]

    run_verb.__doc__ = f"""Look after PyTorchJobs.

{usage()}

Each verb takes ``-n NAMESPACE``, ``--on TARGET``, ``--context NAME`` and ``--profile NAME``.
Without a verb: a short overview.
"""  # type: ignore[assignment]


@contextlib.contextmanager
def _in_one_line(what: str) -> Iterator[None]:
    """Tell an interrupt in one line, not in the hundred of the HTTP library."""
    try:
        yield
    except KeyboardInterrupt:
        raise DetachedError(f"{what} was interrupted") from None


def load(shell: InteractiveShell) -> None:
    """Register the magics and their completion with `shell`."""
    magics = PyTorchJobMagics(shell)
    shell.register_magics(magics)
    _remove_matcher(shell)  # of an earlier %reload_ext
    shell.Completer.custom_matchers.append(matcher(magics))
    if hasattr(shell, "kernel"):  # a job as the last value of a cell is shown as its card
        _showing(shell).for_type_by_name(*_JOB, lambda job: magics.commands.show_job(job))
        # Widgets take a third of a second to import, which the first card need not wait for.
        threading.Thread(target=_import_widgets, name="pyjob-import", daemon=True).start()


def _import_widgets() -> None:
    import pyjob_magic._panel  # noqa: F401


def unload(shell: InteractiveShell) -> None:
    """Remove the magics and their completion from `shell`."""
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("pytorchjob", None)
    _remove_matcher(shell)
    if hasattr(shell, "kernel"):
        _showing(shell).pop(".".join(_JOB), None)


def _showing(shell: InteractiveShell) -> IPythonDisplayFormatter:
    """Return what knows which values show themselves."""
    assert shell.display_formatter is not None
    formatter: IPythonDisplayFormatter = shell.display_formatter.ipython_display_formatter
    return formatter


def _remove_matcher(shell: InteractiveShell) -> None:
    matchers = shell.Completer.custom_matchers
    matchers[:] = [each for each in matchers if each.__name__ != "pytorchjob_matcher"]
