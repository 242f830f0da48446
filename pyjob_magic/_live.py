"""The card under a cell that stays alive: a widget that a thread keeps up to date.

Above the widget stands a second output, which the front end hides as long as the widget lives: the
card as plain HTML and text. That is what is saved in the notebook, and what is there when the
kernel or the front end that could show a widget is gone.
"""

from __future__ import annotations

import contextlib
import contextvars
import gzip
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from pyjob_magic import _frontend
from pyjob_magic._logbook import LogBook
from pyjob_magic._monitor import Monitor, Part
from pyjob_magic._past import PastJob
from pyjob_magic._pastmonitor import PastMonitor
from pyjob_magic.errors import PyJobError
from pyjob_magic.job import Job
from pyjob_magic.models import JobStatus
from pyjob_magic.streams import log

if TYPE_CHECKING:
    from IPython.core.displaypub import DisplayPublisher

_APART = 0.1  # seconds between two updates
_APART_HIDDEN = 1.0  # the same while nobody looks, as far as is known
_SHARE = 0.1  # of one processor, that making an update may take
_REPAINT = 0.25  # seconds between two looks at lines that have not ended
_SAVES_APART = 30.0  # seconds between two updates of what is saved
_SAVES_APART_VISIBLE = 1.0  # the same where that is all there is to see, or the state is new
_PATIENCE = 5.0  # seconds that is waited for why a job ended as it did
_MOST_LINES = 1000  # lines of one answer
_MOST_BYTES = 1024 * 1024 * 1024  # of all cards whose jobs have ended
_MOST_BOOKS = 200  # of the same; each holds a file open

_WIDGET = "application/vnd.jupyter.widget-view+json"


def view_of(widget: anywidget.AnyWidget) -> dict[str, Any]:
    """Return what is displayed to show a widget, without text beside it."""
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    return {_WIDGET: view, "text/plain": ""}


class CardWidget(anywidget.AnyWidget):
    """What the front end knows of a job; see `_view` for what the parts consist of."""

    _esm = _frontend.esm()
    _css = _frontend.css()

    card_id = traitlets.Unicode().tag(sync=True)
    head = traitlets.Any().tag(sync=True)
    progress = traitlets.Any().tag(sync=True)
    replicas = traitlets.Any().tag(sync=True)
    timeline = traitlets.Any().tag(sync=True)
    charts = traitlets.Any().tag(sync=True)
    charts_note = traitlets.Unicode().tag(sync=True)
    metrics_note = traitlets.Unicode().tag(sync=True)
    events = traitlets.Any().tag(sync=True)
    manifest = traitlets.Any().tag(sync=True)
    log = traitlets.Any().tag(sync=True)
    view = traitlets.Unicode().tag(sync=True)
    tail = traitlets.Any().tag(sync=True)
    panel = traitlets.Unicode().tag(sync=True)  # id of the widget that is shown below


class LiveCard:
    """The card of one job; another job may take its place when that is run again.

    Parameters
    ----------
    monitor
        Follows the job.
    publisher
        Takes what is displayed, of the shell whose cell it belongs to.
    interactive
        Whether the front end is one that shows widgets; else the card is plain HTML that moves.
    open_panel
        Fills a panel in with a job and returns the id of its widget, where that is wanted.
    """

    def __init__(
        self,
        monitor: Monitor | PastMonitor,
        publisher: DisplayPublisher,
        *,
        interactive: bool,
        open_panel: Callable[[Job | PastJob], str] | None = None,
    ) -> None:
        self._publisher = publisher
        self._open_panel = open_panel
        self._id = secrets.token_hex(8)
        self._monitor = monitor
        self._widget = CardWidget(card_id=self._id) if interactive else None
        self._visible = True
        self._saves = False  # whether there is an output of HTML and text
        self._wanted = threading.Event()  # set when something is to be sent without delay
        self._send_lock = threading.Lock()

    def display(self) -> None:
        """Put the card under the cell that runs."""
        self._publisher.publish(self._live.bundle(self._id), transient={"display_id": self._id})
        self._saves = True
        if self._widget is not None:
            self._open(self._widget)
            # Without text: where nobody shows widgets, the card above says all there is.
            self._publisher.publish(view_of(self._widget))
        self._begin()

    def embed(self) -> str:
        """Bring it to life for somebody who shows it; return the id of its widget."""
        assert self._widget is not None
        self._open(self._widget)
        self._begin()
        return str(self._widget.model_id)

    def close(self) -> None:
        """Show the job no longer, nor follow it; it goes on."""
        self._monitor.close()
        if self._widget is not None:
            self._widget.close()

    @property
    def _live(self) -> Monitor:
        """What follows the job; no one asks for it who shows a job of the history."""
        assert isinstance(self._monitor, Monitor)
        return self._monitor

    def _open(self, widget: CardWidget) -> None:
        widget.on_msg(self._hear)
        self._send(Part)

    def wait(
        self, timeout: float | None = None, *, on_note: Callable[[str], None] = lambda _: None
    ) -> JobStatus:
        """Block until the job has ended; as `Job.wait`."""
        try:
            # A live card shows what there is to note.
            return self._live.wait(
                timeout, on_note=on_note if self._widget is None else lambda _: None
            )
        finally:
            self.save()

    def save(self) -> None:
        """Bring what is saved in the notebook up to date, at the end of the job with all of it."""
        self._live.wait_for_reasons(_PATIENCE)
        self._save()

    def _begin(self) -> None:
        self._monitor.start()
        # In a copy of the context of the cell, so that what is displayed belongs to it.
        work = partial(contextvars.copy_context().run, self._work, self._monitor)
        threading.Thread(target=work, name="pyjob-card", daemon=True).start()

    # -- the thread that keeps it up to date ------------------------------------------------------

    def _work(self, monitor: Monitor | PastMonitor) -> None:
        try:
            self._update(monitor)
        except Exception:
            # Nobody sees what a thread raises: a card that has stopped must not seem to be alive.
            log.exception("the card of PyTorchJob %r has stopped", monitor.name)
            if isinstance(monitor, Monitor):
                monitor.say_stopped()
            if self._widget is not None:
                self._send({Part.HEAD})
            raise
        finally:
            _bound(monitor.book)

    def _update(self, monitor: Monitor | PastMonitor) -> None:
        """Send what has changed, until nothing will change any more."""
        due = dict.fromkeys(Part, 0.0)  # when each part may be sent again
        pending: set[Part] = set()
        state, unsaved = monitor.state, False
        save_due = time.monotonic() + _SAVES_APART_VISIBLE
        while True:
            over = monitor.over  # asked before: what changes last is sent, too
            pending |= monitor.changes(_REPAINT)
            if monitor is not self._monitor:
                return  # another job has taken its place
            now = time.monotonic()
            ready = {part for part in pending if over or due[part] <= now}
            if ready and self._widget is not None:
                for part, cost in self._send(ready).items():
                    due[part] = now + cost / _SHARE
            unsaved |= bool(ready)
            pending -= ready
            if monitor.state != state:
                state, save_due = monitor.state, min(save_due, now + _SAVES_APART_VISIBLE)
            if unsaved and (over or now >= save_due):
                self._save()
                unsaved = False
                apart = _SAVES_APART if self._widget is not None else _SAVES_APART_VISIBLE
                save_due = now + apart
            if over and not pending:
                return
            self._wanted.wait(_APART if self._visible else _APART_HIDDEN)
            self._wanted.clear()

    def _send(self, parts: Iterable[Part]) -> dict[Part, float]:
        """Send parts to the front end; return what it has cost, in seconds of the processor."""
        assert self._widget is not None
        costs: dict[Part, float] = {}
        with self._send_lock, self._widget.hold_sync():
            for part in parts:
                begun = time.thread_time()
                told = self._monitor.tell(part)
                if part is Part.HEAD and self._open_panel:
                    told["head"]["actions"].append("panel")
                for name, value in told.items():
                    setattr(self._widget, name, value)
                costs[part] = time.thread_time() - begun
        return costs

    def _save(self) -> None:
        if not self._saves:
            return
        bundle = self._live.bundle(self._id)
        self._publisher.publish(bundle, transient={"display_id": self._id}, update=True)

    # -- what the front end says ------------------------------------------------------------------

    def _hear(self, _: object, message: Any, __: object) -> None:
        """Do what the front end asks for; runs wherever the kernel runs such messages."""
        if not isinstance(message, dict):
            return
        answers: dict[Any, Callable[[dict[str, Any]], None]] = {
            "lines": self._tell_lines,
            "find": self._find,
            "view": self._change_view,
            "download": self._download,
            "act": self._act,
            "visible": self._note_visibility,
        }
        # A question may be of a job that was here before; nobody else's is worth an answer.
        with contextlib.suppress(LookupError, TypeError, ValueError):
            if answer := answers.get(message.get("do")):
                answer(message)

    def _tell_lines(self, asked: dict[str, Any]) -> None:
        book, view, start = self._monitor.book, str(asked["view"]), max(0, int(asked["start"]))
        lines = book.lines(view, start, min(_MOST_LINES, int(asked["count"])))
        self._answer("lines", asked, view=view, start=start, total=book.total(view), lines=lines)

    def _find(self, asked: dict[str, Any]) -> None:
        book, view, text, start = (
            self._monitor.book,
            str(asked["view"]),
            str(asked["text"]),
            int(asked["start"]),
        )
        book.total(view)
        forward = bool(asked["forward"])

        def find() -> None:
            found = book.find(view, text, start, forward=forward)
            self._answer("found", asked, view=view, **found._asdict())

        self._in_background(find)  # there may be millions of lines, and the kernel has other work

    def _change_view(self, asked: dict[str, Any]) -> None:
        # Also of a job that has ended, where nobody else looks for lines any more.
        self._monitor.follow(str(asked["view"]), on_read=lambda: self._send({Part.LOG}))
        self._send({Part.LOG})

    def _note_visibility(self, asked: dict[str, Any]) -> None:
        self._visible = bool(asked["visible"])
        self._wanted.set()
        if self._visible:
            self._send({Part.HEAD})  # with the time, by which the page sets its clock

    def _download(self, asked: dict[str, Any]) -> None:
        """Send the lines of a view up to `end`, of them the last that `size` bytes hold."""
        view, book = str(asked["view"]), self._monitor.book
        total = book.total(view)
        end = min(total, int(asked.get("end") or total))
        size = int(asked.get("size") or 0)
        name = f"{'-'.join(filter(None, [self._monitor.name, view]))}.log"

        def send() -> None:
            start = book.last(view, size, end) if size else 0
            told = {"name": name, "start": start, "end": end}
            self._send_pieces(asked, told, [*book.pieces(view, start, end)])

        self._in_background(send)

    def _send_pieces(
        self, asked: dict[str, Any], told: dict[str, Any], pieces: list[bytes]
    ) -> None:
        for part, piece in enumerate(pieces or [gzip.compress(b"")]):
            whole = {"part": part, "parts": max(1, len(pieces))}
            self._answer("download", asked, buffers=[piece], **told, **whole)

    # -- the buttons ------------------------------------------------------------------------------

    def _act(self, asked: dict[str, Any]) -> None:
        actions: dict[Any, Callable[[], str]] = {
            "suspend": self._suspend,
            "resume": self._resume,
            "delete": self._delete,
            "rerun": self._rerun,
            "wait": self._wait,
            "panel": self._show_panel,
        }
        action = actions[asked["action"]]

        def work() -> None:
            ok, said = _told(action)
            self._answer("acted", asked, action=asked["action"], ok=ok, message=said)

        if asked["action"] in ("wait", "panel"):
            # Here: the one is to keep the kernel from going on, the other makes widgets.
            work()
        else:
            self._in_background(work)  # a server may be slow, and the kernel has other work

    def _suspend(self) -> str:
        self._live.job.suspend()
        return "is being suspended"

    def _resume(self) -> str:
        self._live.job.resume()
        return "is being resumed"

    def _delete(self) -> str:
        self._live.job.delete()
        self._live.note_deletion()
        self._send({Part.HEAD, Part.REPLICAS, Part.TIMELINE})
        self._save()
        return "is deleted"

    def _rerun(self) -> str:
        before, job = self._monitor, self._monitor.rerun()
        self._monitor = Monitor(job)
        before.close()
        self._send(Part)
        self._begin()
        return f"runs again as {job.name}"

    def _show_panel(self) -> str:
        assert self._open_panel is not None
        assert self._widget is not None
        opened = self._open_panel(self._monitor.job)
        with self._send_lock:
            self._widget.panel = opened
        return "is in the form of the panel"

    def _wait(self) -> str:
        status = self.wait()
        return f"has ended: {status.state}"

    def _answer(
        self, kind: str, asked: dict[str, Any], buffers: list[bytes] | None = None, **told: Any
    ) -> None:
        assert self._widget is not None
        self._widget.send({"is": kind, "id": asked.get("id"), **told}, buffers)

    def _in_background(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name="pyjob-card", daemon=True).start()


_books: deque[LogBook] = deque()  # of cards whose jobs have ended, the oldest first


def _bound(ended: LogBook) -> None:
    """Keep the lines of jobs that have ended only as far as they are not too many."""
    _books.append(ended)
    while len(_books) > 1 and (
        len(_books) > _MOST_BOOKS or sum(book.size for book in tuple(_books)) > _MOST_BYTES
    ):
        _books.popleft().close()


def _told(action: Callable[[], str]) -> tuple[bool, str]:
    """Return whether an action has succeeded, and what there is to say."""
    try:
        return True, action()
    except PyJobError as error:
        return False, str(error)
    except KeyboardInterrupt:
        return False, "interrupted; the job goes on"
    except Exception as error:
        # Whoever has pressed a button waits for an answer, and sees no traceback.
        log.exception("the card cannot do what it was asked for")
        return False, f"{type(error).__name__}: {error}"


def shows_widgets(names: Iterable[str]) -> bool:
    """Whether the front end is one that shows widgets, as far as the kernel can know.

    Jupyter Server tells its kernels the notebook's name, VS Code leaves names in the environment
    or in the shell; what executes notebooks without a person, such as nbclient, does neither.

    Parameters
    ----------
    names
        Of the variables in the shell.
    """
    chosen = os.environ.get("PYJOB_MAGIC_CARD", "")
    if chosen in ("live", "static"):
        return chosen == "live"
    return (
        "JPY_SESSION_NAME" in os.environ
        or "__vsc_ipynb_file__" in names
        or any(name.startswith("VSCODE_") for name in os.environ)
    )
