"""The panel: a form for a job, the jobs there are, and those there were.

What is typed comes as values by field, and goes back with what is wrong with them: nothing here is
known of a field but what the list of options says.
"""

from __future__ import annotations

import secrets
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from pyjob_magic import _form, _frontend, _view, offers
from pyjob_magic._board import Board
from pyjob_magic._card import Card
from pyjob_magic._live import LiveCard
from pyjob_magic.connection import Connection
from pyjob_magic.errors import ApiError, OptionError, PyJobError, SourceError
from pyjob_magic.job import Job
from pyjob_magic.manifest import Manifest
from pyjob_magic.options import CellOptions
from pyjob_magic.streams import log

if TYPE_CHECKING:
    from IPython.core.displaypub import DisplayPublisher

    from pyjob_magic._commands import Commands

Json = dict[str, Any]
