"""What the magics do once their line has been read: submit, wait, show, look after jobs."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from IPython.display import display

from pyjob_magic import history, inputs, settings
from pyjob_magic._card import Card
from pyjob_magic._past import PastJob
from pyjob_magic._profiles import SettingsTable, in_force, rows
from pyjob_magic._tables import HistoryTable
from pyjob_magic._verbs import usage
from pyjob_magic.connection import Connection, open_connection
from pyjob_magic.errors import (
    DetachedError,
    HistoryError,
    ManifestError,
    NotFoundError,
    OptionError,
    PyJobError,
    SourceError,
    TargetError,
)
from pyjob_magic.job import Job
from pyjob_magic.logs import LogLine
from pyjob_magic.manifest import ANNOTATIONS, Manifest, load
from pyjob_magic.models import PyTorchJob
from pyjob_magic.options import CellOptions
from pyjob_magic.profiles import NO_PROFILE
from pyjob_magic.values import count, positive_seconds

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from pyjob_magic._live import LiveCard
    from pyjob_magic._panel import Panel

T = TypeVar("T")

_MOST_CONNECTIONS = 16  # that are kept: a namespace that is typed has one for each letter


class Commands:
    """The state of one shell, where jobs go to, and what can be done with them.

    Parameters
    ----------
    shell
        The IPython shell whose cells are run.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._target: str | None = None
        self._namespace: str | None = None
        self._context: str | None = None
        self._profile: str | None = None
        self._connections: dict[tuple[str | None, ...], Connection] = {}
        self._warned: set[str] = set()
        self._panel: Panel | None = None  # the one that was opened last

    def connection(
        self,
        target: str | None = None,
        namespace: str | None = None,
        profile: str | None = None,
        context: str | None = None,
    ) -> Connection:
        """Return the connection to what was said, else to what is in use; print its warnings."""
        connection = self.find_connection(target, namespace, profile, context)
        for warning in connection.client.target.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                print(f"Warning: {warning}")
        return connection

    def find_connection(
        self,
        target: str | None = None,
        namespace: str | None = None,
        profile: str | None = None,
        context: str | None = None,
    ) -> Connection:
        """Return the connection to what was said, else to what is in use; say nothing."""
        chosen = settings.read().choose(profile or self._profile)
        if profile is None or chosen.on is None:  # else it goes where the profile says
            named = NO_PROFILE if profile is None else chosen
            namespace = namespace or named.namespace
            same_context = (context or named.access.context) in (None, self._context)
            # What is in use holds together: another cluster need not have the namespace.
            if target in (None, self._target) and same_context:
                namespace, context = namespace or self._namespace, self._context
            target = target or self._target
        key = (target, namespace, chosen.name, context)
        known = self._connections.get(key)
        # The settings may have been edited, or somebody has logged in anew.
        if known is None or known.profile != chosen or known.client.target.is_outdated():
            known = open_connection(chosen, target, namespace, context)
        # Those in use come last; jobs hold on to theirs.
        self._connections.pop(key, None)
        self._connections[key] = known
        for old in [*self._connections][:-_MOST_CONNECTIONS]:
            self._connections.pop(old, None)
        return known

    def run(self, options: CellOptions, source: str, line: str) -> None:
        """Run `source` as a job; `line` is what was typed behind the magic."""
        try:
            connection, manifest = self.build(options, source, line, self.connection)
        except SourceError as error:
            # People count the line of the magic too, as the editor does.
            raise SourceError(error.reason, line=error.line and error.line + 1) from None
        if options.save:
            _check_writable(options.save)
        if options.dry_run:
            self._show_dry_run(options, connection, manifest)
        else:
            self._submit(options, connection, manifest)

    def build(
        self,
        options: CellOptions,
        source: str,
        line: str,
        find: Callable[..., Connection],
        **known: str,
    ) -> tuple[Connection, Manifest]:
        """Return the manifest of a job, and where it goes.

        Parameters
        ----------
        options, source, line
            What was typed.
        find
            Returns the connection to a target, namespace, profile and context.
        known
            More that is known of where the job comes from, for `Connection.build`.
        """
        base = _read_manifest(options.from_) if options.from_ else None
        base_namespace = base.metadata.namespace if base else None
        namespace = options.namespace or base_namespace
        connection = find(options.on, namespace, options.profile, options.context)
        manifest = connection.build(
            source,
            options,
            base=base,
            notebook=_notebook(self._shell),
            cell=_cell_id(self._shell),
            line=line,
            **known,
        )
        return connection, manifest

    def _show_dry_run(
        self, options: CellOptions, connection: Connection, manifest: Manifest
    ) -> None:
        if options.dry_run == "server":
            # The server's answer: the manifest with what admission has made of it.
            checked = connection.submit(manifest, dry_run=True)
            manifest = dataclasses.replace(manifest, job=checked.manifest)
        if options.save:
            _save(manifest, options.save)
        if options.out_job:
            self._assign(options.out_job, manifest)
        display(manifest)

    def _submit(self, options: CellOptions, connection: Connection, manifest: Manifest) -> None:
        job = self.submit(options, connection, manifest)
        with _detaching(job):  # also while its card is being drawn
            card = self.show_job(job, Card(job.manifest, job.place))
            if options.wait or options.follow:
                self._await(job, card, on_line=print if options.follow else None)

    def submit(self, options: CellOptions, connection: Connection, manifest: Manifest) -> Job:
        """Submit a manifest, and do with the job what the options say."""
        job = connection.submit(manifest)
        if options.save:
            _save(manifest, options.save)
        if options.out_job:
            self._assign(options.out_job, job)
        return job

    def show_job(self, job: Job, first: Card | None = None) -> LiveCard | None:
        """Show the card of a job, which stays alive; in a terminal how it is now, and return None.

        Parameters
        ----------
        job
            The job.
        first
            What is shown at first; without it, the job is looked at.
        """
        first = first or job.card()
        if not hasattr(self._shell, "kernel"):
            display(first)
            return None
        from pyjob_magic._live import shows_widgets

        card = self.card_of(job, first, interactive=shows_widgets(self._shell.user_ns))
        card.display()
        return card

    def card_of(
        self,
        job: Job,
        first: Card,
        *,
        interactive: bool,
        open_panel: Callable[[Job | PastJob], str] | None = None,
    ) -> LiveCard:
        """Return the live card of a job, which is still to be shown; see there."""
        from pyjob_magic._live import LiveCard
        from pyjob_magic._monitor import Monitor

        return LiveCard(
            Monitor(job, first),
            self._shell.display_pub,
            interactive=interactive,
            open_panel=open_panel or self.embed_panel,
        )

    def embed_panel(self, job: Job | PastJob) -> str:
        """Fill in the panel that was opened last, or a new one; return the id of its widget.

        Whoever asks shows it where it is not shown already.
        """
        if self._panel is None or not self._panel.alive:
            self._panel = self._new_panel()
        return self._panel.embed(job)

    def _new_panel(self) -> Panel:
        from pyjob_magic._panel import Panel

        return Panel(self, self._shell)

    def _assign(self, name: str, value: object) -> None:
        self._shell.user_ns[name] = value

    def _await(
        self,
        job: Job,
        card: LiveCard | None,
        *,
        on_line: Callable[[LogLine], object] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Wait for the job's end, whose last state is left on the card."""
        with _detaching(job):
            if card is None:
                self._await_in_terminal(job, on_line, timeout)
            elif on_line is None:
                card.wait(timeout, on_note=print)
            else:
                try:
                    job.wait(timeout, on_line=on_line, on_note=print)
                finally:
                    card.save()

    def _await_in_terminal(
        self, job: Job, on_line: Callable[[LogLine], object] | None, timeout: float | None
    ) -> None:
        """Show how the job fares; print what is new where the terminal cannot redraw."""
        from pyjob_magic._terminal import LiveBlock, can_redraw

        if can_redraw(sys.stdout):
            card = Card(job.manifest, job.place)
            LiveBlock(job, card, sys.stdout, follow=on_line is not None).wait(timeout)
            return
        told: set[str] = set()
        state = job.manifest.status.state

        def tell() -> None:
            nonlocal state
            with contextlib.suppress(PyJobError):
                card = job.card()
                if card.job.status.state != state:
                    state = card.job.status.state
                    print(f"PyTorchJob {job.name!r}: {state}")
                for note in card.notes:
                    if note not in told:
                        told.add(note)
                        print(note)

        try:
            job.wait(timeout, on_line=on_line, on_change=tell, on_note=print)
        except TargetError:
            raise  # nor would it answer for the card
        except BaseException:
            display(_last_state(job))
            raise
        display(_last_state(job))

    # -- the verbs, each with what its parser returns ------------------------------------------

    def overview(self) -> None:
        connection = self.connection(None, None)
        states = Counter(job.manifest.status.state for job in connection.list())
        counted = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        print(
            f"Target {connection.place}, namespace {connection.namespace}: "
            f"{counted or 'no PyTorchJobs'}.\n{usage()}"
        )

    def list(self, connection: Connection) -> None:
        display(connection.list())

    def doctor(self, connection: Connection) -> None:
        display(connection.doctor())

    def show(self, connection: Connection, name: str) -> None:
        job = _found(connection, name)
        if isinstance(job, PastJob):
            display(job)
        else:
            self.show_job(job)

    def logs(
        self,
        connection: Connection,
        name: str,
        replica: str | None,
        tail: str | None,
        follow: bool | None,
    ) -> None:
        lines = None if tail is None else _read("--tail", count(0), tail)
        job = _found(connection, name)
        if isinstance(job, PastJob):
            log = history.log(job, replica, lines)
            print(log or f"The history knows no line that {name} has printed.\n", end="")
        elif follow:
            with _detaching(job):
                for line in job.logs(replica, tail=lines, follow=True, on_note=print):
                    print(line.text if replica else line)
        else:
            text = job.logs(replica, tail=lines)
            if text.note:
                print(text.note)
            print(text or f"{name} has printed nothing so far.\n", end="")

    def events(self, connection: Connection, name: str) -> None:
        display(connection.get(name).events())

    def wait(self, connection: Connection, name: str, timeout: str | None) -> None:
        limit = None if timeout is None else _read("--timeout", positive_seconds, timeout)
        job = connection.get(name)
        self._await(job, self.show_job(job, Card(job.manifest, job.place)), timeout=limit)

    def delete(self, connection: Connection, names: Sequence[str]) -> None:
        try:
            jobs = [connection.get(name) for name in dict.fromkeys(names)]  # all or none
        except NotFoundError as error:
            error.explain(f"{error.message}; nothing was deleted")
            raise
        for job in jobs:
            job.delete()
            print(f"PyTorchJob {job.name!r} is deleted.")

    def suspend(self, connection: Connection, name: str) -> None:
        connection.get(name).suspend()
        print(f"PyTorchJob {name!r} is being suspended.")

    def resume(self, connection: Connection, name: str) -> None:
        connection.get(name).resume()
        print(f"PyTorchJob {name!r} is being resumed.")

    def rerun(self, connection: Connection, name: str, new_name: str | None) -> None:
        job = _found(connection, name)
        if isinstance(job, PastJob):
            again = connection.rerun(job, new_name, secrets=self._shell.user_ns)
        else:
            again = job.rerun(new_name)
        self.show(connection, again.name)

    def cell(self, connection: Connection, name: str) -> None:
        job = _found(connection, name)
        if isinstance(job, PastJob):
            source = job.source
            if source is None:
                raise ManifestError(f"PyTorchJob {name!r} was not made from a cell")
        else:
            source = job.source()
        line = (job.manifest.metadata.annotations or {}).get(f"{ANNOTATIONS}line", name)
        self._shell.set_next_input(f"%%pytorchjob {line}\n{source}")

    def panel(self, connection: Connection, name: str | None) -> None:
        self.open_panel(connection.get(name) if name else None)

    def open_panel(self, job: Job | None = None) -> None:
        """Show the panel, filled in with a job that there is already.

        Raises
        ------
        OptionError
            In a front end that shows no widgets.
        """
        if not hasattr(self._shell, "kernel"):
            raise OptionError("%pytorchjob panel", "needs a notebook; a terminal has no forms")
        self._panel = self._new_panel()
        self._panel.display(job)

    def history(
        self,
        target: str | None,
        namespace: str | None,
        profile: str | None,
        context: str | None,
        *,
        name: str | None,
        limit: str | None,
    ) -> None:
        most = 20 if limit is None else _read("--limit", count(1), limit)
        where = {"target": target, "namespace": namespace, "profile": profile, "context": context}
        if name is None:
            display(HistoryTable(history.entries(limit=most, where=where)))
            return
        found = history.jobs(1, where={**where, "name": name})
        if not found:
            raise OptionError("NAME", f"no PyTorchJob {name!r} was submitted from here")
        display(found[0])

    def use(
        self,
        target: str | None,
        namespace: str | None,
        profile: str | None,
        context: str | None,
    ) -> None:
        if target is None and profile is None:
            if namespace is None and context is None:
                needed = "TARGET, --profile NAME, --context NAME or -n NAMESPACE"
                raise OptionError("%pytorchjob use", f"{needed} is missing")
            target, profile = self._target, self._profile
            context = context or self._context
        chosen = settings.read().choose(profile)
        opened = open_connection(chosen, target, namespace, context)
        opened.close()
        self._target, self._namespace, self._profile = target, namespace, profile
        # What is shown now stays meant, also when another context becomes the current one. What a
        # profile names is no such chance: it holds as the profile says, also after an edit.
        current = None if chosen.access.context else opened.client.target.context
        self._context = context or current or None
        connection = self.connection(None, None)
        named = f", profile {connection.profile.name}" if connection.profile.name else ""
        print(f"Jobs go to target {connection.place}, namespace {connection.namespace}{named}.")

    def profiles(self) -> None:
        found = settings.read()
        table, problems = rows(found, os.environ)
        display(SettingsTable(table))
        for line in (in_force(found, self._profile), *found.remarks, *problems):
            print(line)


def _found(connection: Connection, name: str) -> Job | PastJob:
    """Return a job, or what the history knows of it where it is gone; say so then."""
    try:
        return connection.get(name)
    except NotFoundError:
        try:
            past = next(iter(connection.history(name, limit=1)), None)
        except HistoryError:
            past = None
        if past is None:
            raise
    print(
        f"PyTorchJob {name!r} is gone from {connection.place}; this is what the history knows "
        f"of the one that was submitted at {past.submitted}."
    )
    return past


@contextlib.contextmanager
def _detaching(job: Job) -> Iterator[None]:
    """Turn an interrupt into the end of the waiting, not of the job."""
    try:
        yield
    except KeyboardInterrupt:
        raise DetachedError(
            f"stopped waiting for PyTorchJob {job.name!r}, which goes on; "
            f"%pytorchjob wait {job.name} waits again, %pytorchjob delete {job.name} ends it"
        ) from None


def _last_state(job: Job) -> Card:
    """Return the card of a job that was waited for; an error that follows has the traceback."""
    try:
        card = job.card()
    except PyJobError:
        return Card(job.manifest, job.place)
    found = card.diagnosis and dataclasses.replace(card.diagnosis, traceback="")
    return dataclasses.replace(card, diagnosis=found)


def _read(option: str, check: Callable[[Any], T], value: str) -> T:
    try:
        return check(value)
    except ValueError as error:
        raise OptionError(option, str(error)) from None


def _read_manifest(file: str) -> PyTorchJob:
    return load(inputs.read_file("--from", file), file=file)


def _check_writable(file: str) -> None:
    """Refuse a file that cannot be written, before anything is submitted."""
    path = Path(file).expanduser()
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise OptionError("--save", f"cannot write {file!r}: no such directory, or not writable")


def _save(manifest: Manifest, file: str) -> None:
    path = Path(file).expanduser()
    try:
        text = manifest.to_json() if path.suffix == ".json" else str(manifest)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OptionError("--save", f"cannot write {file!r}: {error.strerror}") from None


def _notebook(shell: InteractiveShell) -> str:
    """Return the notebook's file name without its ending, where the front end tells it."""
    # Jupyter Server sets the variable in the kernel's environment, VS Code the name in its shell.
    path = shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME", "")
    return Path(str(path)).stem


def _cell_id(shell: InteractiveShell) -> str:
    """Return the id of the cell that runs, where the front end tells it."""
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    return str(parent.get("metadata", {}).get("cellId", ""))
