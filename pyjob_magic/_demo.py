"""``pyjob-magic demo``: the quickstart notebook in a terminal, with what it shows."""

from __future__ import annotations

import json
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from pyjob_magic.errors import PyJobError
from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home

_HERE = Path(__file__).parent
_NOTEBOOK = "quickstart.ipynb"
_NEEDS = {"torch": "torch", "sklearn": "scikit-learn"}


def run() -> int:
    """Run the cells of the quickstart and return the exit code: 1 if one fails that should not.

    The jobs run on an embedded API of their own, which is gone afterwards.

    Raises
    ------
    PyJobError
        If what the notebook trains with is not installed.
    """
    missing = [package for module, package in _NEEDS.items() if find_spec(module) is None]
    if missing:
        raise PyJobError(
            f"the demo trains with {' and '.join(missing)}, which is not installed here; "
            "pip install 'pyjob-magic[examples]'"
        )
    with tempfile.TemporaryDirectory(prefix="pyjob-demo-") as home:
        os.environ["PYJOB_MAGIC_HOME"] = home
        try:
            return _run_cells(json.loads(_notebook().read_text()))
        finally:
            launcher.stop(Home(Path(home)), force=True)


def _notebook() -> Path:
    """Return the notebook: inside the installed package, or beside it in a checkout."""
    installed = _HERE / _NOTEBOOK
    return installed if installed.exists() else _HERE.parent / "notebooks" / _NOTEBOOK


def _run_cells(notebook: dict[str, Any]) -> int:
    shell = InteractiveShell.instance(colors="nocolor")
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code":
            print(f"\n{source}", flush=True)
            continue
        print("\n" + "\n".join(f"    {line}" for line in source.splitlines()) + "\n", flush=True)
        result = shell.run_cell(source, store_history=True)
        meant = "raises-exception" in cell["metadata"].get("tags", [])
        if not result.success and not meant:
            return 1
    return 0
