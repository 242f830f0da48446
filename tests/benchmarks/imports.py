"""What importing costs: the package, its extension, and the peers beside it.

    python tests/benchmarks/imports.py [--runs 9] [--peers PATH/TO/python]

Wall is the whole life of a process; importtime is the sum of the own times that ``-X importtime``
reports. Both are medians; the cases take turns, so that a slow minute of the machine hits them all.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

SHELL = "import IPython; shell = IPython.InteractiveShell.instance()"
LOAD = "shell.run_line_magic('load_ext', 'pyjob_magic')"
FOUND = "assert shell.find_cell_magic('pytorchjob')"  # a failed load_ext only prints
HEAVY = ("httpx", "pydantic", "ipywidgets")
LOADED = (
    f"import json, sys, pyjob_magic; print(json.dumps(sorted({set(HEAVY)} & set(sys.modules))))"
)


@dataclass
class Case:
    """One program, and the case that it is compared with."""

    name: str
    code: str
    baseline: Case | None = None
    python: str = sys.executable
    target: str = ""
    walls: list[float] = field(default_factory=list)
    imports: list[float] = field(default_factory=list)

    @property
    def wall(self) -> float:
        """Median life of the process, in milliseconds."""
        return statistics.median(self.walls)

    @property
    def importtime(self) -> float:
        """Median time spent importing, in milliseconds."""
        return statistics.median(self.imports)

    def measure(self) -> None:
        """Run the program twice, once for each figure."""
        start = time.perf_counter()
        _run(self.python, "-c", self.code)
        self.walls.append((time.perf_counter() - start) * 1000)
        self.imports.append(_own_times(_run(self.python, "-X", "importtime", "-c", self.code)))

    def row(self) -> str:
        """Return the line of the table."""
        figures = f"{self.name:<30}{self.wall:>9.1f}{self.importtime:>12.1f}"
        if self.baseline is None:
            return figures
        more = self.wall - self.baseline.wall
        ratio = self.wall / self.baseline.wall
        return (
            f"{figures}{more:>+10.1f}{ratio:>8.2f}  {self.baseline.name:<16}{self.target}".rstrip()
        )


def cases(peers: str | None) -> list[Case]:
    """Return what is measured."""
    python = Case("python", "pass")
    ipython = Case("IPython", SHELL)
    found = [
        python,
        Case("import pyjob_magic", "import pyjob_magic", python, target="at most +30 ms"),
        ipython,
        Case(
            "%load_ext pyjob_magic",
            f"{SHELL}; {LOAD}; {FOUND}",
            ipython,
            target="at most +250 ms",
        ),
    ]
    if peers:
        bare = Case("python of the peers", "pass", python=peers)
        found.append(bare)
        for module in ("kubernetes", "kubeflow.training"):
            if _importable(peers, module):
                found.append(Case(f"import {module}", f"import {module}", bare, python=peers))
            else:
                print(f"import {module}: not in {peers}", file=sys.stderr)
    return found


def main() -> int:
    """Measure, print the table, and fail if the package loads what it must not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=9, help="runs of each case (default 9)")
    parser.add_argument("--peers", metavar="PYTHON", help="an interpreter that has the peers")
    options = parser.parse_args()

    loaded = json.loads(_run(sys.executable, "-c", LOADED).stdout)
    measured = cases(options.peers)
    for case in measured:
        _run(case.python, "-c", case.code)  # writes the bytecode
    for _ in range(options.runs):
        for case in measured:
            case.measure()

    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, median of {options.runs}\n")
    print(f"{'':<30}{'wall ms':>9}{'importtime':>12}{'more ms':>10}{'ratio':>8}  than")
    print("\n".join(case.row() for case in measured))
    print(f"\nimport pyjob_magic loads of {', '.join(HEAVY)}: {', '.join(loaded) or 'none'}")
    return 1 if loaded else 0


def _importable(python: str, module: str) -> bool:
    program = [python, "-c", f"import {module}"]
    return subprocess.run(program, check=False, capture_output=True).returncode == 0


def _own_times(process: subprocess.CompletedProcess[str]) -> float:
    """Return the sum of the own times, in milliseconds, of a run with ``-X importtime``."""
    lines = [line for line in process.stderr.splitlines() if line.startswith("import time:")]
    times = [line.removeprefix("import time:").split("|")[0] for line in lines]
    return sum(int(own) for own in times if own.strip().isdecimal()) / 1000


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; what it wrote to the terminal comes along."""
    environment = os.environ | {"IPYTHONDIR": _profile.name}  # not the user's startup files
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment)


_profile = tempfile.TemporaryDirectory(prefix="pyjob-benchmark-")

if __name__ == "__main__":
    sys.exit(main())
