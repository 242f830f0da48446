r"""Does the code that runs equal the code that was typed? Ours, and the Kubeflow SDKs.

    python tests/benchmarks/byte_exact.py [--random 150] [--seed 1] [--peers PATH/TO/python]...

The texts are those of ``tests/sources.py``, as many random ones of printable ASCII and of any
Unicode as ``--random`` says, and one of 700 KB.

Ours: a cell holds the text as it is, line by line in comments. It goes the whole way: manifest,
embedded API, process. The program prints the sha256 of its own file, which must be the cell's.

The SDKs ship functions, and a function cannot read itself back. So the text stands in its body as
a literal, written by ``repr``, and the function prints the sha256 of what the literal has become.
This is kinder than comments: line ends, ``EOM`` and what is not printable are escaped in it. It is
harder in one respect: ``repr`` doubles backslashes, which someone who writes raw literals avoids.
The SDK itself makes the command; as in a container, ``$(NAME)`` and ``$$`` are expanded by the
rules of Kubernetes, and bash runs it in an empty directory. Its PATH holds ``python`` and
``mktemp`` only, for the SDKs' bash executes parts of the texts.

A text is "changed" if the exit code is 0 but other code ran, or none. It has "failed" if the
program did not run to its end or was refused before: that at least is seen.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shlex
import shutil
import string
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyjob_magic.connection import Connection
from pyjob_magic.errors import PyJobError
from pyjob_magic.job import Job
from pyjob_magic.local.kubelet.environment import expand
from tests.benchmarks.api import warm_api
from tests.sources import HOSTILE, program

AT_ONCE = 8  # jobs; more would only wait for the cores
TIMEOUT = 60.0  # seconds
READ_BACK = "import hashlib\nprint(hashlib.sha256(open(__file__, 'rb').read()).hexdigest())\n"
ARRIVED, CHANGED, FAILED = "arrived", "changed", "failed"

# Runs with the peers' interpreter: texts as JSON in, for each SDK the commands as JSON out.
SHIP = """
import importlib.metadata, importlib.util, json, sys, tempfile
from pathlib import Path

def kubeflow_training():
    from kubeflow.training.constants import constants
    from kubeflow.training.utils.utils import get_command_using_train_func
    def ship(function):
        command, args = get_command_using_train_func(function, constants.ENTRYPOINT_PYTHON)
        return [*command, *args]
    return ship

def kubeflow():
    from kubeflow.trainer.backends.kubernetes.utils import get_command_using_train_func
    from kubeflow.trainer.constants import constants
    from kubeflow.trainer.types import types
    trainer = types.RuntimeTrainer(types.TrainerType.CUSTOM_TRAINER, "torch", "image")
    trainer.set_command(constants.DEFAULT_COMMAND)
    kind = types.RuntimeKind.CLUSTER_TRAINING_RUNTIME
    runtime = types.Runtime("torch-distributed", trainer, kind)
    return lambda function: get_command_using_train_func(runtime, function, None, [], None)

def functions(texts, directory):
    for number, text in enumerate(texts):
        path = Path(directory, f"train_{number}.py")
        path.write_text(
            "def train():\\n"
            "    import hashlib\\n"
            f"    text = {text!r}\\n"
            "    print(hashlib.sha256(text.encode()).hexdigest())\\n",
            encoding="utf-8",
        )
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module.train

texts, shipped = json.load(sys.stdin), {}
with tempfile.TemporaryDirectory() as directory:
    trains = list(functions(texts, directory))
    for package, sdk in ("kubeflow-training", kubeflow_training), ("kubeflow", kubeflow):
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        ship = sdk()
        shipped[f"{package} {version}"] = [ship(train) for train in trains]
json.dump(shipped, sys.stdout)
"""


@dataclass
class Tally:
    """What became of the texts of each group on one way.

    Parameters
    ----------
    way
        Who carried them.
    groups
        The name of the group of each text.
    outcomes
        What became of each text.
    """

    way: str
    groups: list[str]
    outcomes: list[str] = field(default_factory=list)

    def rows(self) -> Iterator[str]:
        """Yield a line of the table for each group, and one for all."""
        for group in dict.fromkeys(self.groups):
            pairs = zip(self.groups, self.outcomes, strict=True)
            yield self._row(group, [outcome for of, outcome in pairs if of == group])
        yield self._row("all", self.outcomes)

    def _row(self, group: str, outcomes: list[str]) -> str:
        count = Counter(outcomes)
        figures = "".join(f"{count[kind]:>9}" for kind in (ARRIVED, CHANGED, FAILED))
        share = count[ARRIVED] / len(outcomes)
        return f"{self.way:<26}{group:<16}{len(outcomes):>6}{figures}{share:>9.3f}"


def main() -> int:
    """Send everything everywhere and print what arrived; fail if one of ours did not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--random", type=int, default=150, help="texts of each kind (default 150)")
    parser.add_argument("--seed", type=int, default=1, help="of the random texts (default 1)")
    parser.add_argument(
        "--peers",
        metavar="PYTHON",
        action="append",
        default=[],
        help="an interpreter with kubeflow-training or kubeflow; may be repeated",
    )
    options = parser.parse_args()

    texts = corpus(options.random, random.Random(options.seed))
    groups = [group for group, _ in texts]
    plain = [text for _, text in texts]
    tallies = [Tally("pyjob_magic", groups, list(ours(plain)))]
    for python in options.peers:
        for sdk, commands in shipped(python, plain).items():
            tallies.append(Tally(sdk, groups, list(theirs(python, plain, commands))))

    head = "".join(f"{title:>9}" for title in (ARRIVED, CHANGED, FAILED, "ratio"))
    print(f"seed {options.seed}; ratio: arrived to sent\n")
    print(f"{'':<26}{'texts':<16}{'sent':>6}{head}")
    print("\n".join(row for tally in tallies for row in tally.rows()))
    return 0 if set(tallies[0].outcomes) == {ARRIVED} else 1


def corpus(count: int, generator: random.Random) -> list[tuple[str, str]]:
    """Return all texts, each with the name of its group."""
    return [
        *(("hostile", text) for text in HOSTILE),
        *(("random ASCII", ascii_text(generator)) for _ in range(count)),
        *(("random Unicode", unicode_text(generator)) for _ in range(count)),
        ("700 KB", "x" * 699_999 + "\n"),
    ]


def ascii_text(generator: random.Random) -> str:
    """Return up to 200 characters of those that keyboards have, all alike likely."""
    return "".join(generator.choices(string.printable, k=generator.randint(1, 200)))


def unicode_text(generator: random.Random) -> str:
    """Return up to 200 characters: any but surrogates, which are none, and NUL."""
    points = (generator.randint(1, 0x10F7FF) for _ in range(generator.randint(1, 200)))
    return "".join(chr(point if point < 0xD800 else point + 0x800) for point in points)


def ours(texts: Sequence[str]) -> Iterator[str]:
    """Run each text as a job, some at once, and yield what became of it."""
    with warm_api() as connection:
        for start in range(0, len(texts), AT_ONCE):
            cells = [program(text) + READ_BACK for text in texts[start : start + AT_ONCE]]
            jobs = [submitted(connection, cell) for cell in cells]
            yield from map(outcome, cells, jobs)


def submitted(connection: Connection, cell: str) -> Job | None:
    """Submit a cell; None if it is refused."""
    try:
        return connection.submit(connection.build(cell))
    except PyJobError as error:
        print(f"refused: {error}", file=sys.stderr)
        return None


def outcome(cell: str, job: Job | None) -> str:
    """Wait for a job and compare what ran with what was typed, then delete it."""
    if job is None:
        return FAILED
    try:
        job.wait(TIMEOUT)
        printed = job.logs("master-0").split()
        same = printed == ["ran", digest(cell)] and job.source() == cell
        return ARRIVED if same else CHANGED
    except PyJobError as error:
        print(f"failed: {error}", file=sys.stderr)
        return FAILED
    finally:
        job.delete()


def shipped(python: str, texts: list[str]) -> dict[str, list[list[str]]]:
    """Return the containers' commands for each SDK that `python` has."""
    made = subprocess.run(
        [python, "-c", SHIP], input=json.dumps(texts), capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise SystemExit(f"{python} cannot ship functions:\n{made.stderr}")
    found: dict[str, list[list[str]]] = json.loads(made.stdout)
    if not found:
        raise SystemExit(f"{python} has neither kubeflow-training nor kubeflow")
    return found


def theirs(python: str, texts: list[str], commands: list[list[str]]) -> Iterator[str]:
    """Run each command as a container would, and yield what became of its text."""
    with tempfile.TemporaryDirectory(prefix="pyjob-benchmark-") as directory:
        programs = Path(directory, "bin")
        make_programs(programs, python)
        for text, command in zip(texts, commands, strict=True):
            with tempfile.TemporaryDirectory(dir=directory) as empty:
                ended = contained(command, programs, Path(empty))
            if ended is None or ended.returncode:
                yield FAILED
            else:
                yield ARRIVED if ended.stdout.split() == [digest(text).encode()] else CHANGED


def make_programs(directory: Path, python: str) -> None:
    """Put the two programs into `directory` that the SDKs' scripts need."""
    found = shutil.which("mktemp")
    assert found, "mktemp is missing"
    directory.mkdir()
    for name, path in (("python", str(Path(python).absolute())), ("mktemp", found)):
        script = directory / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(path)} "$@"\n')
        script.chmod(0o700)


def contained(
    command: list[str], programs: Path, directory: Path
) -> subprocess.CompletedProcess[bytes] | None:
    """Run a container's command in `directory`; None if that was not possible or had no end."""
    bash, *rest = command
    operators = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    env = {"PATH": str(programs), "HOME": str(directory), "TMPDIR": str(directory)}
    program = shutil.which(bash)
    assert program, f"{bash} is missing"
    try:
        return subprocess.run(
            [program, *(expand(word, operators) for word in rest)],
            cwd=directory,
            env=env | operators | {"PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):  # an argument too long for the kernel, mostly
        return None


def digest(text: str) -> str:
    """Return the sha256 of a text as UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
