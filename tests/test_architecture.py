"""What imports what, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pyjob_magic

PACKAGE = Path(pyjob_magic.__file__).parent
# Each may import those before it, and nothing behind it.
ORDER = [
    ["errors", "quantity", "images", "models", "findings", "metrics"],
    ["values", "stamps", "overprint", "_logbook"],
    ["options", "overlays", "payload", "interleaving", "gathering"],
    ["edits", "diagnosis", "dialects"],
    ["_states", "timeline"],
    ["_tables"],
    ["_charts", "_diff", "_gantt", "_sections"],
    ["_card"],
    ["_block"],
    ["manifest", "target", "checks", "fields"],
    ["withheld"],
    ["_past"],
    ["records"],
    ["_view", "_readings", "_frontend"],
    ["trust", "unlogged", "streams", "retries", "causes"],
    ["rest"],
    ["informer"],
    ["client"],
    ["looks"],
    ["targets", "podlog", "keptlogs", "doctor"],
    ["history"],
    ["submission"],
    ["logs"],
    ["job", "profiles", "inputs"],
    ["_terminal"],
    ["settings", "_sources"],  # the latter is what needs the library
    ["_monitor"],
    ["_pastmonitor"],
    ["_live", "_board"],
    ["_lookout"],
    ["connection"],
    ["_profiles", "offers"],
    ["_line"],
    ["_form"],
    ["_verbs"],
    ["_completion"],
    ["_compared", "_draft"],
    ["_panel"],
    ["_commands"],
    ["_magic"],
]
COMMAND_LINE = {"cli", "_demo"}  # starts and stops the embedded API, and runs what users run
LOCAL_ORDER = ["kubelet", "control", "apiserver"]
LOCAL_FREE_OF_IO = [
    "scheduler",
    *(f"control/{name}" for name in ("conditions", "dependents", "operator", "podchecks")),
    *(f"apiserver/{name}" for name in ("admission", "schema", "serverside", "strategic", "tables")),
]
FREE_OF_IO = [
    "models",
    "manifest",
    "edits",
    "fields",
    "causes",
    "options",
    "overlays",
    "values",
    "diagnosis",
    "dialects",
    "timeline",
    "_states",
    "_tables",
    "_charts",
    "_compared",
    "_diff",
    "_gantt",
    "_sections",
    "_card",
    "_past",
    "_view",
    "_form",
    "payload",
    "gathering",
    "records",
    "withheld",
    "checks",
    "findings",
    "metrics",
    "overprint",
    "retries",
    "stamps",
    "interleaving",
    "targets/cci/podrules",
    "targets/cci/preparation",
    "targets/cci/sizes",
]


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports, wherever in it; not those for type checkers."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return found


def ours(path: Path) -> set[str]:
    """Return the top-level modules of the package that a file imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("pyjob_magic.")}


def files(module: str) -> list[Path]:
    single = PACKAGE / f"{module}.py"
    return [single] if single.exists() else sorted((PACKAGE / module).rglob("*.py"))


def test_every_module_has_its_place() -> None:
    """A new module is put into the order, or is part of the embedded API or the command line."""
    placed = {name for names in ORDER for name in names} | COMMAND_LINE | {"local", "__init__"}
    there = {path.stem for path in PACKAGE.glob("*.py")}
    there |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}

    assert there == placed


@pytest.mark.parametrize("level", range(len(ORDER)))
def test_imports_go_one_way(level: int) -> None:
    """No module imports what stands above it; only the local target knows the embedded API."""
    allowed = {name for names in ORDER[: level + 1] for name in names} | {"__version__"}
    for module in ORDER[level]:
        for file in files(module):
            extra = {"local"} if file == PACKAGE / "targets" / "local.py" else set()
            assert ours(file) <= allowed | extra, file.name


def test_the_embedded_api_knows_nothing_of_the_notebook() -> None:
    """It imports what both sides have to agree on, and its own modules."""
    shared = {"models", "errors", "quantity", "images", "__version__"}
    for file in files("local"):
        assert ours(file) <= {"local"} | shared, file.name


@pytest.mark.parametrize("part", LOCAL_ORDER)
def test_the_parts_of_the_embedded_api_go_one_way(part: str) -> None:
    """The kubelet knows neither of the others, the control loop knows no requests."""
    later = LOCAL_ORDER[LOCAL_ORDER.index(part) + 1 :]
    forbidden = tuple(f"pyjob_magic.local.{name}" for name in later)
    for file in files(f"local/{part}"):
        assert not [name for name in imports(file) if name.startswith(forbidden)], file.name


@pytest.mark.parametrize("module", LOCAL_FREE_OF_IO)
def test_the_rules_of_the_embedded_api_do_no_io(module: str) -> None:
    """They are told the time; the store, processes and requests are for others."""
    rim = {"asyncio", "os", "psutil", "socket", "sqlite3", "starlette", "subprocess", "time"}
    (file,) = files(f"local/{module}")
    assert not {name.partition(".")[0] for name in imports(file)} & rim


@pytest.mark.parametrize("module", FREE_OF_IO)
def test_the_core_does_no_io(module: str) -> None:
    """It has no HTTP, no processes, no clock."""
    rim = {"httpx", "subprocess", "socket", "time", "os", "threading", "IPython"}
    for file in files(module):
        assert not {name.partition(".")[0] for name in imports(file)} & rim, file.name


def test_importing_the_package_brings_nothing_heavy() -> None:
    """What only some users of the package need is imported when they need it."""
    heavy = {"httpx", "pydantic", "ipywidgets", "IPython", "yaml", "starlette"}
    program = f"import sys, pyjob_magic; print(*({heavy!r} & set(sys.modules)))"

    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert loaded.stdout.split() == []


def test_a_target_brings_only_itself() -> None:
    """Who runs jobs on this machine does not pay for clusters."""
    program = (
        "import sys, pyjob_magic; pyjob_magic.connect('local');"
        "print(*(name for name in sys.modules if name.startswith('pyjob_magic.targets.kubern')))"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert loaded.stdout.split() == []


def test_public_names_are_sorted_and_there() -> None:
    """`__all__` is the API."""
    assert pyjob_magic.__all__ == sorted(pyjob_magic.__all__)
    for name in pyjob_magic.__all__:
        assert getattr(pyjob_magic, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pyjob_magic.nothing
