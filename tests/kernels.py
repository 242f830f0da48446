"""A real kernel without a front end, whose messages can be looked at as they come."""

from __future__ import annotations

import os
import queue
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

Message = dict[str, Any]
_PATIENCE = 30.0


@dataclass
class Widget:
    """What a front end knows of a widget."""

    state: dict[str, Any]
    opened: float
    updates: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    """When something was sent, in seconds since the epoch, and what."""
    said: list[tuple[dict[str, Any], list[bytes]]] = field(default_factory=list)
    """Messages that are no state, with their buffers."""


class Kernel:
    """A running kernel; what it publishes is kept.

    Parameters
    ----------
    client
        The channels to it.
    manager
        What has started it.
    """

    def __init__(self, client: BlockingKernelClient, manager: KernelManager) -> None:
        self.client = client
        self.manager = manager
        self.widgets: dict[str, Widget] = {}
        self.displays: dict[str, list[dict[str, Any]]] = {}
        """What was shown under an id of display, first and then."""
        self.printed = ""
        self.errors: list[str] = []
        self._ended: set[str] = set()

    def start(self, source: str) -> str:
        """Run a cell and do not wait; return what `wait_for` takes."""
        return str(self.client.execute(source))

    def run(self, source: str) -> str:
        """Run a cell, wait for its end and return what it has printed since."""
        before = len(self.printed)
        self.wait_for(self.start(source))
        return self.printed[before:]

    def wait_for(self, cell: str) -> None:
        self.listen(lambda: cell in self._ended)

    def listen(self, until: Callable[[], object], timeout: float = _PATIENCE) -> None:
        """Take messages until a condition holds."""
        end = time.monotonic() + timeout
        while not until():
            left = end - time.monotonic()
            assert left > 0, f"it never came: {self.errors}"
            try:
                self._take(self.client.get_iopub_msg(timeout=min(left, 1.0)))
            except queue.Empty:
                continue

    def listen_for(self, seconds: float) -> None:
        """Take what comes within a time, to see how much it is."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                self._take(self.client.get_iopub_msg(timeout=left))
            except queue.Empty:
                return

    def send(self, widget: str, **content: Any) -> None:
        """Send a message to a widget, as its front end would."""
        data = {"method": "custom", "content": content}
        message = self.client.session.msg("comm_msg", {"comm_id": widget, "data": data})
        self.client.shell_channel.send(message)

    def ask(self, widget: str, **content: Any) -> tuple[dict[str, Any], list[bytes]]:
        """Send a message to a widget, and return the first answer with its buffers."""
        told = self.widgets[widget].said
        before = len(told)
        self.send(widget, **content)
        self.listen(lambda: len(told) > before)
        return told[before]

    def card(self) -> str:
        """Return the id of the card that was opened last."""
        return [name for name, widget in self.widgets.items() if "head" in widget.state][-1]

    def _take(self, message: Message) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "comm_open":
            self.widgets[content["comm_id"]] = Widget(content["data"]["state"], time.monotonic())
        elif kind == "comm_msg":
            self._update(self.widgets[content["comm_id"]], message)
        elif kind in ("display_data", "update_display_data"):
            if name := content.get("transient", {}).get("display_id"):
                self.displays.setdefault(name, []).append(content["data"])
        elif kind == "stream":
            self.printed += content["text"]
        elif kind == "error":
            self.errors.append("\n".join(content["traceback"]))
        elif kind == "status" and content["execution_state"] == "idle":
            self._ended.add(message["parent_header"].get("msg_id", ""))

    def _update(self, widget: Widget, message: Message) -> None:
        data = message["content"]["data"]
        if data["method"] == "update":
            widget.state |= data["state"]
            widget.updates.append((message["header"]["date"].timestamp(), data["state"]))
        elif data["method"] == "custom":
            widget.said.append((data["content"], [bytes(each) for each in message["buffers"]]))


@contextmanager
def running_kernel(**environment: str) -> Iterator[Kernel]:
    """Start a kernel with the extension loaded; stop it at the end."""
    manager = KernelManager(kernel_name="python3")
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("JPY", "VSCODE"))}
    manager.start_kernel(env=variables | environment)
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        kernel = Kernel(client, manager)
        kernel.run("%load_ext pyjob_magic")
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@contextmanager
def own_namespace(kernel: Kernel) -> Iterator[Kernel]:
    """Lend a kernel in a namespace of its own; who leaves errors in it fails."""
    kernel.run(f"%pytorchjob use local -n test-{secrets.token_hex(4)}")
    kernel.errors.clear()
    yield kernel
    kernel.run(
        "for job in get_ipython().magics_manager.registry['PyTorchJobMagics']"
        ".commands.connection().list(): job.delete()"
    )
    assert kernel.errors == []
