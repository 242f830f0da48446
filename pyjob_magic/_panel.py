"""The panel: a form for a job, the jobs that there are, and those that there were.

The front end draws what it is told and says what is typed; see `_form` for the fields, `_draft` for
what is wrong with them, `_lookout` for the jobs.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from IPython.core.getipython import get_ipython

from pyjob_magic import (
    _compared,
    _form,
    _frontend,
    _states,
    history,
    inputs,
    offers,
    submission,
)
from pyjob_magic._board import Board
from pyjob_magic._card import Card
from pyjob_magic._compared import Side
from pyjob_magic._draft import Draft, look_at
from pyjob_magic._live import LiveCard, view_of
from pyjob_magic._lookout import Lookout
from pyjob_magic._monitor import fractions
from pyjob_magic._past import Entry, PastJob
from pyjob_magic._pastmonitor import PastMonitor
from pyjob_magic._tables import asked as asked_for
from pyjob_magic._tables import framed
from pyjob_magic.connection import Connection
from pyjob_magic.errors import ApiError, ExistsError, OptionError, PyJobError
from pyjob_magic.gathering import gather
from pyjob_magic.job import Job
from pyjob_magic.manifest import ANNOTATIONS, Manifest, next_name
from pyjob_magic.models import read_time
from pyjob_magic.options import CellOptions
from pyjob_magic.streams import log
from pyjob_magic.values import is_secret

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from pyjob_magic._commands import Commands

Json = dict[str, Any]

_TYPING = 0.5  # seconds that a place is in the form before its jobs are followed
_MOST_PAST = 500  # jobs of the history that are shown


class PanelWidget(anywidget.AnyWidget):
    """What the front end knows of the panel."""

    _esm = _frontend.panel_esm()
    _css = _frontend.panel_css()

    card_id = traitlets.Unicode().tag(sync=True)
    groups = traitlets.Any().tag(sync=True)
    values = traitlets.Any().tag(sync=True)
    source = traitlets.Unicode().tag(sync=True)
    offers = traitlets.Any().tag(sync=True)
    checked = traitlets.Any().tag(sync=True)
    jobs = traitlets.Any().tag(sync=True)
    history = traitlets.Any().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    taken = traitlets.Any().tag(sync=True)
    cards = traitlets.Any().tag(sync=True)
    compared = traitlets.Any().tag(sync=True)


class Panel:
    """One panel in a notebook.

    Parameters
    ----------
    commands
        What the magics do; knows where jobs go.
    shell
        Its shell.
    """

    def __init__(self, commands: Commands, shell: InteractiveShell) -> None:
        self._commands = commands
        self._shell = shell
        self._id = secrets.token_hex(8)
        self._lock = threading.RLock()
        self._sending = threading.Lock()
        self._cards: dict[str, LiveCard] = {}  # by id of their widgets
        self._place: tuple[Any, ...] | None = None  # whose jobs and offers are shown
        self._lookout = Lookout(self._tell_board, self._in_background)
        self._done: dict[str, float] = {}  # how far the jobs have come that were told of
        self._moving = threading.RLock()  # held while the place is exchanged
        self._move: threading.Timer | None = None  # to the place that is typed
        self._end_offers: Callable[[], None] = lambda: None
        self._left: dict[str, str] = {}
        self._problem = ""  # with what is said in the form
        self._looked: tuple[Draft, Mapping[str, Any], int] = (Draft(), {}, 0)  # what was told last
        self._text = ""  # what the history is searched for
        self._renew()
        self._widget = PanelWidget(
            card_id=self._id,
            groups=[],
            values={},
            offers={},
            checked={},
            jobs={"rows": [], "note": "", "now": time.time(), "user": submission.user()},
            history={"rows": [], "note": ""},
            taken=None,
            cards=[],
            compared=None,
        )
        self._widget.on_msg(self._hear)

    def display(self, job: Job | None = None) -> None:
        """Put the panel under the cell that runs, filled in with a job if there is one."""
        self._fill_in(job)
        self._shell.display_pub.publish(_note(self._id))
        self._shell.display_pub.publish(view_of(self._widget))

    def embed(self, job: Job | PastJob) -> str:
        """Fill the panel in with a job; return the id of its widget.

        Where it is shown already, it comes into sight there; else whoever asks shows it.
        """
        self._fill_in(job)
        self._widget.send({"is": "filled"})
        return str(self._widget.model_id)

    @property
    def alive(self) -> bool:
        """Whether nobody has closed its widget."""
        return self._widget.comm is not None

    def _fill_in(self, job: Job | PastJob | None) -> None:
        values, source = self._said_of(job) if job else ({}, "")
        self._set(values=values, source=source)
        self._look(values, source, revision=self._looked[2])
        self._show_history()
        self._lookout.work()

    # -- what the front end says ------------------------------------------------------------------

    def _hear(self, _: object, message: Any, __: object) -> None:
        """Do what was asked for; whatever goes wrong is shown in the panel."""
        asked = dict(message)
        try:
            answers: dict[str, Callable[[Json], None]] = {
                "check": self._check,
                "server": self._check_with_server,
                "submit": self._submit,
                "as cell": self._as_cell,
                "load": self._load,
                "jobs": self._act_on_jobs,
                "history": self._act_on_history,
                "close": self._close_card,
                "visible": self._note_visibility,
            }
            answers[asked["do"]](asked)
        except Exception as error:
            self._show_error(error, asked)

    def _show_error(self, error: Exception, asked: Json) -> None:
        """Say it in the panel, and to what waits for an answer."""
        if not isinstance(error, PyJobError):
            log.exception("the panel cannot go on", exc_info=error)
        said = str(error) if isinstance(error, PyJobError) else f"{type(error).__name__}: {error}"
        self._set(status=said)
        self._answer("failed", asked, ok=False, message=said)

    def _check(self, asked: Json) -> None:
        self._look(asked["values"], str(asked["source"]), asked.get("revision", 0))

    def _look(self, values: Mapping[str, Any], source: str, revision: int) -> Draft:
        # At one time, or the seconds between two looks would count as a difference.
        draft = look_at(values, source, partial(self._build, time=submission.time()))
        if draft.connection:
            self._move_soon(draft.connection)
        self._tell(draft, values, revision)
        self._tell_taken()
        return draft

    def _tell_taken(self) -> None:
        """Say whether a job has the name in the form already, and which one is free."""
        (draft, values, _), board = self._looked, self._lookout.board
        elsewhere = draft.connection and board and draft.connection.client is not board.client
        if board is None or elsewhere:
            self._set(taken=None)
        else:
            name = str(values.get("name") or "")
            free = board.free_name(name)
            self._set(taken=None if free == name else {"name": name, "free": free})

    def _tell(self, draft: Draft, values: Mapping[str, Any], revision: int) -> None:
        with self._lock:
            self._looked = (draft, values, revision)
            told = draft.told(self._left) | {"revision": revision, "line": _line(values)}
            news = {} if draft.problem == self._problem else {"status": draft.problem}
            self._problem = draft.problem
            self._set(checked=told, **news)

    def _tell_again(self) -> None:
        """Tell what was found of the form, beside what is known now."""
        with self._lock:
            self._tell(*self._looked)

    def _build(self, options: CellOptions, source: str, time: str) -> tuple[Connection, Manifest]:
        line = _form.line(_form.values_of(options))
        return self._commands.build(
            options,
            source,
            line,
            self._commands.find_connection,
            time=time,
            suffix=self._suffix,
            identity=self._identity,
        )

    def _renew(self) -> None:
        """Forget what tells the next submission from every other one."""
        self._suffix, self._identity = submission.suffix(), submission.identity()

    # -- the buttons of the form ------------------------------------------------------------------

    def _check_with_server(self, asked: Json) -> None:
        draft = self._look(asked["values"], str(asked["source"]), asked.get("revision", 0))
        if draft.whole is None:
            self._answer("checked", asked, ok=False, message="The form is not complete.")
            return
        self._in_background(partial(self._ask_server, asked, draft, *draft.whole[1:]), asked)

    def _ask_server(
        self, asked: Json, draft: Draft, connection: Connection, manifest: Manifest
    ) -> None:
        try:
            connection.submit(manifest, dry_run=True)
        except PyJobError as error:
            self._object(asked, draft, error)
            self._answer("checked", asked, ok=False, message=str(error))
        else:
            message = f"{connection.place} would accept it; nothing was created."
            self._answer("checked", asked, ok=True, message=message)

    def _object(self, asked: Json, draft: Draft, error: PyJobError) -> None:
        """Put what the server says of an option beside its field."""
        by_option: Mapping[str, str] = {}
        if isinstance(error, ExistsError):
            name = str(asked["values"].get("name") or "")
            free = self._lookout.board.free_name(name) if self._lookout.board else name
            # The server may know of it before it is told of here.
            self._set(taken={"name": name, "free": next_name(name, ()) if free == name else free})
        elif isinstance(error, ApiError):
            by_option = error.by_option
        elif isinstance(error, OptionError):
            by_option = {error.option: error.reason}
        errors = {
            field: text for flag, text in by_option.items() if (field := _form.field_of(flag))
        }
        if errors:
            told = draft.told(self._left) | {"errors": errors}
            told |= {"revision": asked.get("revision", 0), "line": _line(asked["values"])}
            self._set(checked=told)

    def _submit(self, asked: Json) -> None:
        draft = self._look(asked["values"], str(asked["source"]), asked.get("revision", 0))
        if draft.whole is None:
            self._answer("submitted", asked, ok=False, message="The form is not complete.")
            return
        self._renew()  # at once: whoever presses twice wants two
        self._in_background(partial(self._send_job, asked, draft, *draft.whole), asked)

    def _send_job(
        self,
        asked: Json,
        draft: Draft,
        options: CellOptions,
        connection: Connection,
        manifest: Manifest,
    ) -> None:
        if options.dry_run:
            self._answer("submitted", asked, ok=False, message="--dry-run submits nothing.")
            return
        try:
            job = self._commands.submit(options, connection, manifest)
        except PyJobError as error:
            self._object(asked, draft, error)
            self._answer("submitted", asked, ok=False, message=str(error))
            return
        self._open_job(job)
        self._show_history()
        self._answer("submitted", asked, ok=True, message=f"{job.name} was submitted.")

    def _as_cell(self, asked: Json) -> None:
        try:
            text = _form.cell(asked["values"], str(asked["source"]))
        except OptionError as error:
            self._answer("cell", asked, ok=False, message=str(error))
        else:
            self._answer("cell", asked, ok=True, text=text)

    # -- where the code comes from ----------------------------------------------------------------

    def _load(self, asked: Json) -> None:
        notes: list[str] = []
        readers: dict[str, Callable[[str], tuple[Json | None, str]]] = {
            "cell": self._of_cell,
            "file": lambda value: self._of_cell(inputs.read_file("File", value)),
            "name": lambda value: (None, self._of_name(value, notes)),
            "job": lambda value: self._of_job(self._job(value)),
            "history": lambda value: self._of_past(self._past(value)),
        }
        try:
            values, source = readers[asked["what"]](str(asked["value"]))
        except PyJobError as error:
            self._answer("loaded", asked, ok=False, message=str(error))
            return
        self._set(source=source, **({} if values is None else {"values": values}))
        shown = self._widget.values if values is None else values
        self._look(shown, source, asked.get("revision", 0))
        self._answer("loaded", asked, ok=True, message=" ".join(notes))

    def _of_cell(self, text: str) -> tuple[Json | None, str]:
        """Return the options and the code of a cell, or the code of any other text."""
        line, source = _form.parts(text)
        if source == text:
            return None, text
        return _form.from_line(line, self._shell.user_ns), source

    def _of_name(self, name: str, notes: list[str]) -> str:
        """Return the code that a name of the notebook stands for, and note what it lacks."""
        gathered = gather(self._shell.user_ns, name)
        notes.extend(gathered.notes)
        return gathered.source

    def _said_of(self, job: Job | PastJob) -> tuple[Json, str]:
        return self._of_past(job) if isinstance(job, PastJob) else self._of_job(job)

    def _of_job(self, job: Job) -> tuple[Json, str]:
        line = (job.manifest.metadata.annotations or {}).get(f"{ANNOTATIONS}line", "")
        return self._of_line(line, job.name), job.source()

    def _of_past(self, past: PastJob) -> tuple[Json, str]:
        return self._of_line(past.line, past.name), past.source or ""

    def _of_line(self, line: str, name: str) -> Json:
        values = {"name": name} | _form.recalled(line)  # it may be somebody else's line
        if "env" in values:
            values["env"] = [self._filled_in(pair) for pair in values["env"]]
        return values

    def _filled_in(self, pair: str) -> str:
        """Return a variable with its value from the notebook, where that was not kept."""
        name, _, value = pair.partition("=")
        known = value == f"{{{name}}}" and is_secret(name) and name in self._shell.user_ns
        return f"{name}={self._shell.user_ns[name]}" if known else pair

    # -- jobs -------------------------------------------------------------------------------------

    def _move_soon(self, connection: Connection) -> None:
        """Move to a place once it stays: the beginning of a name that is typed is a name, too."""
        if self._move is not None:
            self._move.cancel()
            self._move = None
        if self._place is None:
            self._move_to(connection)
        elif self._place != (connection.client, connection.profile):
            move = partial(self._shown, partial(self._move_to, connection), {})
            self._move = threading.Timer(_TYPING, move)
            self._move.name, self._move.daemon = "pyjob-panel", True
            self._move.start()

    def _move_to(self, connection: Connection) -> None:
        """Show the jobs of a place from now on, and offer what it knows."""
        with self._moving:
            self._place = (connection.client, connection.profile)
            self._end_offers()
            self._set(groups=_form.describe(connection.profile), offers={})
            self._tell_jobs([], "")
            self._lookout.move(connection.client)
            self._left = {}
            self._end_offers = offers.look(connection, self._offer)
        self._in_background(partial(self._look_what_is_left, connection))

    def _offer(self, field: str, known: Sequence[str]) -> None:
        with self._lock:
            self._set(offers={**self._widget.offers, field: [*known]})

    def _look_what_is_left(self, connection: Connection) -> None:
        left = {each["resource"]: each["left"] for each in offers.left(connection)}
        with self._moving:
            if self._place == (connection.client, connection.profile):
                self._left = left
                self._tell_again()

    def _note_visibility(self, asked: Json) -> None:
        self._lookout.see(visible=asked["visible"])

    def _tell_board(self, board: Board | None, changed: bool) -> None:
        """Tell of the jobs when they have changed, or have come further."""
        done = fractions()
        if board is not None and (changed or done != self._done):
            self._done = done
            rows = [row | {"progress": done.get(row["uid"])} for row in board.rows()]
            # Until all are told of, those that were there before are better than some.
            self._tell_jobs(rows if board.synced else None, board.note)
            self._tell_taken()
        if changed:
            history.note_ends(board.jobs() if board else ())
        self._show_history()  # a job may have been submitted elsewhere, or has ended

    def _tell_jobs(self, rows: Sequence[Json] | None, note: str) -> None:
        """Show the jobs, or that there is something to say of those that are shown."""
        shown = self._widget.jobs["rows"] if rows is None else [*rows]
        self._set(jobs=self._widget.jobs | {"rows": shown, "note": note, "now": time.time()})

    def _act_on_jobs(self, asked: Json) -> None:
        self._in_background(partial(self._act, asked, self._job), asked)

    def _act_on_history(self, asked: Json) -> None:
        if asked["action"] == "search":
            self._text = str(asked.get("text", ""))
            self._show_history()
            self._answer("done", asked, ok=True, message="")
        else:
            self._in_background(partial(self._act, asked, self._past), asked)

    def _act(self, asked: Json, find: Callable[[str], Job | PastJob]) -> None:
        """Do what a button says with each of the jobs that are selected."""
        if asked["action"] == "compare":
            sides = [_side(find(str(uid))) for uid in asked["uids"]]
            self._set(compared=_compared.compare(sides))
            self._answer("done", asked, ok=True, message="")
            return
        done, failures = [], []
        for uid in asked["uids"]:
            try:
                done.append(self._do(asked["action"], find(str(uid))))
            except PyJobError as error:
                failures.append(str(error))
        message = "; ".join(failures) or _counted(asked["action"], done)
        self._answer("done", asked, ok=not failures, message=message)
        if asked["action"] != "open":
            self._show_history()

    def _do(self, action: str, job: Job | PastJob) -> str:
        if isinstance(job, PastJob):
            self._do_with_past(action, job)
        elif action == "open":
            self._open_job(job, job.card())
        elif action == "rerun":
            again = job.rerun()
            self._open_job(again)
        else:
            {"delete": job.delete, "suspend": job.suspend, "resume": job.resume}[action]()
        return job.name

    def _do_with_past(self, action: str, past: PastJob) -> None:
        if action == "remove":
            history.remove(past.uid)
        elif action == "rerun":
            self._open_job(self._rerun(past))
        elif job := self._present(past.uid):  # more is known of it than was kept
            self._do("open", job)
        else:
            self._open_card(self._card_of_past(past))

    def _rerun(self, past: PastJob) -> Job:
        """Submit a job of the history once more, where it was."""
        connection = self._commands.find_connection(
            past.target, past.namespace, past.profile or None, past.context or None
        )
        return connection.rerun(past, secrets=self._shell.user_ns)

    def _card_of_past(self, past: PastJob) -> LiveCard:
        """Return its card; what was not made from a cell does not fit into the form."""
        return LiveCard(
            PastMonitor(past, partial(self._rerun, past)),
            self._shell.display_pub,
            interactive=True,
            open_panel=None if past.source is None else self.embed,
        )

    def _job(self, uid: str) -> Job:
        if (job := self._present(uid)) is None:
            raise OptionError("Job", "it no longer exists")
        return job

    def _present(self, uid: str) -> Job | None:
        """Return a job that is in the table."""
        board = self._lookout.board
        job = board.job(uid) if board else None
        return Job(board.client, job) if board and job else None

    def _past(self, uid: str) -> PastJob:
        if (past := history.get(uid)) is None:
            raise OptionError("Job", "it is no longer in the history")
        return past

    def _open_job(self, job: Job, first: Card | None = None) -> None:
        """Show the live card of a job below the panel."""
        first = first or Card(job.manifest, job.place)
        card = self._commands.card_of(job, first, interactive=True, open_panel=self.embed)
        self._open_card(card)

    def _open_card(self, card: LiveCard) -> None:
        with self._lock:
            name = card.embed()
            self._cards[name] = card
            self._set(cards=[name, *self._widget.cards])

    def _close_card(self, asked: Json) -> None:
        """Show a card no longer; its job goes on."""
        with self._lock:
            card = self._cards.pop(str(asked["card"]), None)
            self._set(cards=[name for name in self._widget.cards if name != asked["card"]])
        if card is not None:
            card.close()

    def _show_history(self) -> None:
        try:
            entries = history.entries(self._text, limit=_MOST_PAST)
        except PyJobError as error:
            self._set(history={"rows": [], "note": str(error)})
            return
        self._set(history={"rows": [self._past_row(entry) for entry in entries], "note": ""})

    def _past_row(self, entry: Entry) -> Json:
        """Return what is shown of a job of the history: how it is, as long as it is there."""
        row = _past_row(entry)
        if entry.state == "Unknown" and (job := self._present(entry.uid)):
            row["state"] = _states.state(job.manifest)
            row["tone"] = _states.state_tone(row["state"])
        return row

    # -- to the front end -------------------------------------------------------------------------

    def _set(self, **traits: Any) -> None:
        with self._sending, self._widget.hold_sync():
            for name, value in traits.items():
                setattr(self._widget, name, value)

    def _answer(self, kind: str, asked: Json, **told: Any) -> None:
        self._widget.send({"is": kind, "id": asked.get("id"), **told})

    def _in_background(self, work: Callable[[], None], asked: Json | None = None) -> None:
        threading.Thread(
            target=self._shown, args=(work, asked or {}), name="pyjob-panel", daemon=True
        ).start()

    def _shown(self, work: Callable[[], None], asked: Json) -> None:
        """Work, and show what goes wrong with it."""
        try:
            work()
        except Exception as error:
            self._show_error(error, asked)


def panel(job: Job | None = None) -> None:
    """Show the panel under the cell that runs: a form for jobs, and the jobs that there are.

    Parameters
    ----------
    job
        What the form is filled in with.

    Raises
    ------
    OptionError
        Where there is no notebook.
    """
    shell = get_ipython()
    if shell is None:
        raise OptionError("panel()", "needs a notebook")
    if "PyTorchJobMagics" not in shell.magics_manager.registry:
        shell.run_line_magic("load_ext", "pyjob_magic")
    shell.magics_manager.registry["PyTorchJobMagics"].commands.open_panel(job)


def _line(values: Mapping[str, Any]) -> str:
    """Return what a cell would say; nothing as long as it cannot say that."""
    try:
        return _form.line(values)
    except OptionError:
        return ""


def _note(card_id: str) -> dict[str, str]:
    """Return what a notebook shows that is opened without its kernel."""
    said = "The pyjob_magic panel was here. Run %pytorchjob panel to reopen it."
    html = framed(f"<p>{escape(said)}</p>", f" data-pyjob-card='{card_id}'")
    return {"text/plain": said, "text/html": html}


def _side(job: Job | PastJob) -> Side:
    """Return a job as one of those that are compared."""
    if isinstance(job, PastJob):
        facts = {"state": job.state, "submitted": job.submitted, "asked for": job.asked}
        return Side(job.name, job.line, facts, job.source, job.series)
    said = job.manifest.metadata.annotations or {}
    facts = {
        "state": _states.state(job.manifest),
        "submitted": job.manifest.metadata.creation_timestamp or "",
        "asked for": asked_for(job.manifest),
    }
    try:
        source: str | None = job.source()
    except PyJobError:  # not made from a cell
        source = None
    return Side(job.name, said.get(f"{ANNOTATIONS}line"), facts, source, job.series())


def _past_row(entry: Entry) -> Json:
    """Return what is shown of a job of the history."""
    ended = read_time(entry.ended or None)
    submitted = read_time(entry.submitted)
    return {
        "uid": entry.uid,
        "name": entry.name,
        "namespace": entry.namespace,
        "target": entry.place,
        "state": entry.state,
        "tone": _states.state_tone(entry.state),
        "submitted": submitted.timestamp() if submitted else None,
        "ended": ended.timestamp() if ended else None,
        "gone": bool(entry.deleted),
    }


def _counted(action: str, names: Sequence[str]) -> str:
    """Return what was done with which jobs."""
    one = len(names) == 1
    now, before = ("is", "was") if one else ("are", "were")
    done = {
        "delete": f"{before} deleted",
        "suspend": f"{now} being suspended",
        "resume": f"{now} being resumed",
        "rerun": f"{before} submitted again",
        "open": f"{now} open below",
        "remove": f"{before} removed from the history",
    }[action]
    return f"{names[0] if one else f'{len(names)} jobs'} {done}."
