"""A function of a notebook becomes a program that runs without the notebook."""

from __future__ import annotations

import itertools
import linecache
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.errors import OptionError
from pyjob_magic.gathering import Gathered, gather
from pyjob_magic.gathering.literals import Writer

_numbers = itertools.count()


class Notebook:
    """Cells that run one after the other, kept as IPython keeps them."""

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"__name__": "__main__", "In": [""]}

    def run(self, *cells: str, keep: bool = True) -> Notebook:
        for cell in cells:
            name = f"/tmp/ipykernel_0/{next(_numbers)}.py"
            if keep:
                lines = [f"{line}\n" for line in cell.split("\n")]
                linecache.cache[name] = (len(cell), None, lines, name)
                self.namespace["In"].append(cell)
            exec(compile(cell, name, "exec", dont_inherit=True), self.namespace)
        return self

    def gather(self, name: str = "train") -> Gathered:
        return gather(self.namespace, name)

    def refusal(self, name: str = "train") -> str:
        with pytest.raises(OptionError) as caught:
            self.gather(name)
        return str(caught.value)


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    kept = dict(linecache.cache)
    yield Notebook()
    linecache.cache.clear()
    linecache.cache.update(kept)


def run(gathered: Gathered, **environment: str) -> str:
    """Run a program in a Python that knows nothing of the notebook; return what it prints."""
    ended = subprocess.run(
        [sys.executable, "-I", "-c", gathered.source],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{ended.stderr}\n{gathered.source}"
    return ended.stdout.strip()


def complete(gathered: Gathered, **environment: str) -> str:
    """Do the same with one that lacks nothing."""
    assert gathered.notes == ()
    return run(gathered, **environment)


# -- what comes along ----------------------------------------------------------------------------


def test_a_function_alone(notebook: Notebook) -> None:
    """It is called where the program starts, not in the processes that it starts itself."""
    notebook.run("def train():\n    print('trained')  # a comment")

    assert notebook.gather().source == (
        "def train():\n    print('trained')  # a comment\n\n\n"
        'if __name__ == "__main__":\n    train()\n'
    )


def test_a_whole_notebook(notebook: Notebook) -> None:
    """Imports, constants, a class and helpers; and only what is used."""
    notebook.run(
        "import json, os\nimport numpy as np\nfrom collections import Counter, deque",
        "LR = 0.1\nUNUSED = 1\nSIZES = [1, (2,), {'a': None}]",
        "class Base:\n    def say(self):\n        return helper(LR)",
        "class Model(Base):\n    size = SIZES[0]",
        "def helper(value):\n    return np.round(value * 2, 3)",
        "def train():\n    print(Model().say(), Model.size, json.dumps(SIZES), Counter('aa'))",
    )

    gathered = notebook.gather()

    assert gathered.source.startswith(
        "import json\nimport numpy as np\nfrom collections import Counter\n\n"
        "LR = 0.1\nSIZES = [1, (2,), {'a': None}]\n\n\nclass Base:\n"
    )
    assert "UNUSED" not in gathered.source
    assert complete(gathered) == "0.2 1 [1, [2], {\"a\": null}] Counter({'a': 2})"


IMPORTS = {
    "a module": ("import math", "math.sqrt(4)", "import math"),
    "under another name": ("import math as m", "m.sqrt(4)", "import math as m"),
    "of a package": ("import os.path as p", "p.basename('a/b')", "import os.path as p"),
    "that its package does not bring": (
        "import xml.etree.ElementTree",
        "xml.etree.ElementTree.fromstring('<a/>').tag",
        "import xml.etree.ElementTree",
    ),
    "that another name reaches": (
        "import xml.etree.ElementTree\nfrom xml import etree",
        "etree.ElementTree.fromstring('<a/>').tag",
        "import xml.etree.ElementTree\nfrom xml import etree",
    ),
    "a module from a package": (
        "from os import path",
        "path.basename('a/b')",
        "from os import path",
    ),
    "a class": ("from collections import deque", "deque([1])", "from collections import deque"),
    "of a private module": (
        "import json as j\nD = j.JSONDecoder",
        "D().decode('1')",
        "from json import JSONDecoder as D",
    ),
    "a function": ("from math import sqrt as root", "root(4)", "from math import sqrt as root"),
    "with a star": ("from math import *", "floor(pi)", "from math import floor, pi"),
    "a value": ("from string import digits", "digits", "from string import digits"),
    "of Python under another name": ("say = len", "say('a')", "from builtins import len as say"),
    "in a condition": (
        "try:\n    import no_such_module as js\nexcept ImportError:\n    import json as js",
        "js.dumps(1)",
        "import json as js",
    ),
    "lazily": ("import numpy as np", "np.random.rand(0)", "import numpy as np"),
    "a function without a module": ("from numpy import sin", "sin(0)", "from numpy import sin"),
}


@pytest.mark.parametrize(("imported", "used", "line"), IMPORTS.values(), ids=IMPORTS)
def test_imports(notebook: Notebook, imported: str, used: str, line: str) -> None:
    notebook.run(imported, f"def train():\n    print({used})")

    gathered = notebook.gather()

    assert gathered.source.startswith(f"{line}\n\n\ndef train")
    complete(gathered)


PROGRAMS = {
    "calls each other": (
        "def even(n):\n    return n == 0 or odd(n - 1)",
        "def odd(n):\n    return n != 0 and even(n - 1)",
        "def train():\n    print(even(4))",
        "True",
    ),
    "calls itself": ("def train(n=2):\n    print(n)\n    if n: train(n - 1)", "2\n1\n0"),
    "a default": ("LR = 0.5", "def train(lr=LR, *, other=LR):\n    print(lr + other)", "1.0"),
    "a decorator": (
        "import functools",
        "def twice(f):\n    @functools.wraps(f)\n    def g():\n        f(); f()\n    return g",
        "@twice\ndef train():\n    print(1)",
        "1\n1",
    ),
    "a decorator that hides it": (
        "def twice(f):\n    def inner():\n        f(); f()\n    return inner",
        "@twice\ndef helper():\n    print(1)",
        "def train():\n    helper()",
        "1\n1",
    ),
    "a decorator with a helper that is defined later": (
        "def register(f):\n    return note(f)",
        "def note(f):\n    return f",
        "@register\ndef train():\n    print(1)",
        "1",
    ),
    "a cache": (
        "from functools import lru_cache",
        "@lru_cache(maxsize=None)\ndef once():\n    print(1)",
        "def train():\n    once(); once()",
        "1",
    ),
    "a lambda": ("square = lambda x: x * x", "def train():\n    print(square(3))", "9"),
    "a partial": (
        "from functools import partial",
        "add = lambda a, b: a + b\nadd_1 = partial(add, 1)",
        "def train():\n    print(add_1(2))",
        "3",
    ),
    "a builtin that is changed": (
        "import functools\nprint = functools.partial(print, end='!')",
        "def train():\n    print(1)",
        "1!",
    ),
    "another name": (
        "def helper():\n    print(1)",
        "alias = helper",
        "def train():\n    alias()",
        "1",
    ),
    "a nested function": (
        "N = 3\nM = 4",
        "def train():\n    def inner():\n        return [N for _ in '12' if (lambda: M)()]\n"
        "    print(inner())",
        "[3, 3]",
    ),
    "a class in a function": (
        "N = 3",
        "def train():\n    class Inner:\n        n = N\n    print(Inner.n)",
        "3",
    ),
    "a comprehension in a class": (
        "N = 3",
        "class A:\n    numbers = [N for _ in range(2)]",
        "def train():\n    print(A.numbers)",
        "[3, 3]",
    ),
    "a class that hides what it takes": (
        "size = 3",
        "class A:\n    size = size",
        "def train():\n    print(A.size)",
        "3",
    ),
    "a shadowed name": ("x = open('/dev/null')", "def train(x=1):\n    print(x)", "1"),
    "a builtin": ("def train():\n    print(len(sorted([1, 2])), __name__)", "2 __main__"),
    "a builtin of its own": ("def len(x):\n    return 7", "def train():\n    print(len([]))", "7"),
    "a global": (
        "count = 0",
        "def step():\n    global count\n    count += 1",
        "def train():\n    step(); step()\n    print(count)",
        "2",
    ),
    "a global that it sets itself": (
        "def setup():\n    global made\n    made = object",
        "def train():\n    setup()\n    print(made is object)",
        "True",
    ),
    "a global that it sets anew": (
        "made = open('/dev/null')\ndef setup():\n    global made\n    made = 3",
        "def train():\n    setup()\n    print(made)",
        "3",
    ),
    "a dataclass": (
        "from dataclasses import dataclass, field",
        "@dataclass\nclass Config:\n    lr: float = 0.1\n"
        "    layers: list = field(default_factory=list)",
        "config = Config(layers=[1])",
        "def train():\n    print(config)",
        "Config(lr=0.1, layers=[1])",
    ),
    "a dataclass with postponed annotations": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nN = 1\n"
        "@dataclass\nclass Config:\n    lr: Optional[float] = 0.1\n    n: int = N",
        "def train():\n    print(Config())",
        "Config(lr=0.1, n=1)",
    ),
    "a named tuple": (
        "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')",
        "origin = Point(0, y=1)",
        "def train():\n    print(origin)",
        "Point(x=0, y=1)",
    ),
    "an enum": (
        "import enum",
        "class Mode(enum.Enum):\n    FAST = 1\n    SLOW = 2",
        "modes = {Mode.FAST: 'f'}",
        "def train():\n    print(modes)",
        "{<Mode.FAST: 1>: 'f'}",
    ),
    "an exception": (
        "class MyError(Exception):\n    pass",
        "def train():\n    try:\n        raise MyError\n    except MyError:\n        print(1)",
        "1",
    ),
    "a metaclass": (
        "class Meta(type):\n    def __len__(cls):\n        return helper()",
        "def helper():\n    return 3",
        "class A(metaclass=Meta):\n    pass",
        "SIZE = 1\ndef train():\n    print(len(A))",
        "3",
    ),
    "methods of all kinds": (
        "N = 1",
        "class A:\n    @property\n    def p(self):\n        return N\n"
        "    @staticmethod\n    def s():\n        return N\n"
        "    @classmethod\n    def c(cls):\n        return cls().p + A.s()",
        "def train():\n    print(A.c())",
        "2",
    ),
    "a class that makes others at once": (
        "class Registered:\n    def __init_subclass__(cls):\n        NAMES.append(cls.__name__)",
        "NAMES = []",
        "class A(Registered):\n    pass",
        "NAMES.clear()",
        "def train():\n    print(A and NAMES)",
        "['A']",
    ),
    "annotations": (
        "import typing",
        "def train(x: typing.Optional[int] = None) -> 'NoSuch':\n    y: None_ = 1\n    print(y)",
        "1",
    ),
    "types": (
        "from typing import TypeVar\nT = TypeVar('T')\nPair = tuple[int, int]",
        "def same(x: T, y: Pair = (1, 2)) -> T:\n    return x",
        "def train():\n    print(same(1))",
        "1",
    ),
    "a closure": (
        "def make(lr):\n    def step():\n        return lr\n    return step",
        "step = make(0.5)\nother = make(2)",
        "def train():\n    print(step(), other())",
        "0.5 2",
    ),
    "a closure without its statement": (
        "def make(lr):\n    def step():\n        return step and lr\n    return step",
        "step, _ = make(0.5), 1",
        "def train():\n    print(step())",
        "0.5",
    ),
    "a text that is not indented": (
        "if True:\n    def train():\n        print('''a\n b''')",
        "a\n b",
    ),
    "a coroutine": ("async def train():\n    print(1)", "1"),
    "a table of functions and classes": (
        "from math import sqrt as root\nimport operator\ndef own(x):\n    return -x",
        "table = {'own': own, 'root': root, 'int': int, 'add': operator.add}",
        "def train():\n    print([f(4) for f in [*table.values()][:3]], table['add'](1, 2))",
        "[-4, 2.0, 4] 3",
    ),
    "a path": (
        "from pathlib import Path as P\nroot = P('/data') / 'x'",
        "def train():\n    print(root.name)",
        "x",
    ),
    "moments": (
        "from datetime import datetime, timedelta",
        "start, hour = datetime(2024, 1, 2), timedelta(hours=1)",
        "def train():\n    print(start + hour)",
        "2024-01-02 01:00:00",
    ),
    "a number of numpy": (
        "import numpy as np\nbest = np.float64(0.5)",
        "def train():\n    print(type(best).__name__, best)",
        "float64 0.5",
    ),
}


@pytest.mark.parametrize("cells", PROGRAMS.values(), ids=PROGRAMS)
def test_it_does_what_it_does_in_the_notebook(notebook: Notebook, cells: tuple[str, ...]) -> None:
    *cells_, printed = cells
    notebook.run(*cells_)

    assert complete(notebook.gather()) == printed


def test_the_newest_definition_counts(notebook: Notebook) -> None:
    """Also that of a class, which does not say from which cell it is; and one that ran again."""
    first = "class A:\n    n = 1\ndef helper():\n    return 1"
    second = "class A:\n    n = 2\ndef helper():\n    return 2"
    notebook.run(first, second, "def train():\n    print(A.n, helper())")
    assert complete(notebook.gather()) == "2 2"

    notebook.run(first)

    assert complete(notebook.gather()) == "1 1"


def test_what_is_the_machines_is_asked_of_each(notebook: Notebook) -> None:
    """A rank, or a device, of the notebook would be wrong in a worker."""
    notebook.run(
        "import os\nRANK = int(os.environ.get('RANK', 0))",
        "fast = 'yes' if os.cpu_count() else 'no'",
        "def train():\n    print(RANK, fast)",
    )

    gathered = notebook.gather()

    assert complete(gathered, RANK="3") == "3 yes"
    assert "os.cpu_count()" in gathered.source


def test_a_timed_cell(notebook: Notebook) -> None:
    """Nobody keeps the lines of one but the list of cells."""
    cell = "import json\ndef train():\n    print(json.dumps(1))"
    notebook.namespace["In"].append(f"get_ipython().run_cell_magic('time', '', {cell!r})")
    exec(compile(cell, "<timed exec>", "exec", dont_inherit=True), notebook.namespace)

    assert complete(notebook.gather()) == "1"


def test_a_file_that_was_run(notebook: Notebook, tmp_path: Path) -> None:
    """Its functions look their names up in it."""
    file = tmp_path / "script.py"
    file.write_text("N = 3\ndef helper():\n    return N\n")
    own: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(file.read_text(), str(file), "exec"), own)
    notebook.namespace["helper"] = own["helper"]
    notebook.run("def train():\n    print(helper())")

    assert complete(notebook.gather()) == "3"


def test_what_ipython_puts_in_place_of_builtins(notebook: Notebook) -> None:
    own: dict[str, Any] = {"__name__": "IPython.core.interactiveshell"}
    wrap = "import functools\n@functools.wraps(open)\ndef modified(file): raise ValueError"
    exec(wrap, own)
    notebook.namespace["open"] = own["modified"]
    notebook.run("def train():\n    print(open('/dev/null').read() == '')")

    assert complete(notebook.gather()) == "True"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.dates()
    | st.decimals(allow_nan=False)
    | st.fractions(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text().filter(lambda text: text.isdigit()) | st.integers(), inner)
        | st.sets(st.integers() | st.text())
        | st.frozensets(st.binary())
    ),
)


def exactly(value: Any) -> object:
    """Return what differs where a value, or its type, does: also for nan and -0.0."""
    if isinstance(value, list | tuple):
        return type(value), [*map(exactly, value)]
    if isinstance(value, set | frozenset):
        return type(value), sorted(map(repr, value))
    if isinstance(value, dict):
        return [(exactly(key), exactly(each)) for key, each in value.items()]
    return type(value), repr(value)


@given(VALUES)
def test_plain_values_come_back_as_they_are(value: object) -> None:
    writer = Writer()
    text = writer.write(value)
    there: dict[str, Any] = {**writer.needs}

    exec(f"value = {text}", there)

    assert exactly(there["value"]) == exactly(value)


def test_numbers_at_their_limits(notebook: Notebook) -> None:
    notebook.namespace["numbers"] = [math.inf, -math.inf, math.nan, 10**5000, complex(-0.0, -0.0)]
    notebook.run("def train():\n    print([str(n)[:5] for n in numbers if n != numbers[3]])")

    assert complete(notebook.gather()) == "['inf', '-inf', 'nan', '(-0-0']"


# -- what does not -------------------------------------------------------------------------------

LEFT = {
    "an object": ("thing = object()", "thing is an object, which cannot be put into the code"),
    "a frame": (
        "import pandas\nthing = pandas.DataFrame()",
        "thing is a DataFrame, which cannot be put",
    ),
    "an array": ("import numpy\nthing = numpy.ones(1)", "thing is a ndarray, which cannot be put"),
    "a truth of numpy": (
        "import numpy\nthing = numpy.bool_(1)",
        "that needs numpy.bool",
    ),
    "a dataclass that changes its fields": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    n: int = 1\n"
        "    def __post_init__(self): self.n += 1",
        "thing = A()",
        "thing is an A that does more than keep its fields",
    ),
    "a dataclass with more": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    n: int = 1",
        "thing = A()\nthing.more = 2",
        "thing is an A that does more than keep its fields",
    ),
    "an open file": (
        "thing = open('/dev/null')",
        "thing is an open file, which cannot be put into the code",
    ),
    "one within a list": ("thing = [{1: object()}]", "thing is a list that holds an object"),
    "one of a class of the notebook": ("class A:\n    pass\nthing = A()", "thing is an A, which"),
    "a method of an object": (
        "thing = [].append",
        "thing is a builtin_function_or_method, which cannot",
    ),
    "too much": ("thing = [*range(10_000)]", "thing is a list that takes more than 20,000"),
    "itself": ("thing = []\nthing.append(thing)", "thing is a list that holds itself"),
    "nothing": ("", "thing is not defined in this notebook."),
    "made by exec": (
        "exec('def thing(): pass')",
        "thing is a function whose source cannot be",
    ),
    "a class by exec": (
        "exec('class thing: pass')",
        "thing is a class whose source cannot be",
    ),
    "one of itself": (
        "class thing:\n    pass\nclass thing(thing):\n    def f(self): pass",
        "thing is made from an earlier thing",
    ),
    "wrapped later": (
        "import functools\ndef wrap(f):\n    return functools.wraps(f)(lambda: f())",
        "def thing():\n    pass\nthing = wrap(thing)",
        "thing is made from an earlier thing",
    ),
    "a closure over an object": (
        "def make(inside):\n    def thing():\n        return inside\n    return thing",
        "thing, _ = make(object()), 1",
        "inside, used in thing, is an object, which cannot be put into the code",
    ),
    "a closure that changes what is around it": (
        "def make(n):\n    def thing():\n        nonlocal n\n        n += 1\n    return thing",
        "thing, _ = make(1), 1",
        "thing depends on the function around it (no binding for nonlocal 'n' found)",
    ),
    "two of one name": (
        "def make(n):\n    def inner():\n        return n\n    return inner",
        "one, two = make(1), make(2)\ndef thing():\n    return one, two",
        "inner, used in two, means two different things in what is used",
    ),
    "a method from elsewhere": (
        "class thing:\n    def f(self): pass",
        "def loss(self): pass\nthing.loss = loss",
        "thing.loss was added after the class was defined: write it in the class.",
    ),
    "an attribute of a function": (
        "def thing():\n    return thing.n\nthing.n = 1",
        "thing.n was used after thing was defined: do that in the function.",
    ),
    "functions for other types": (
        "import functools\n@functools.singledispatch\ndef thing(x): pass",
        "@thing.register\ndef _(x: int): pass",
        "thing.register was used after thing was defined",
    ),
    "a command of the notebook": (
        "def get_ipython(): pass",
        "def thing():\n    get_ipython().system('ls')",
        "get_ipython, used in thing, exists only in notebooks: remove it and any line that",
    ),
}


@pytest.mark.parametrize("cells", LEFT.values(), ids=LEFT)
def test_what_cannot_come_along_is_said(notebook: Notebook, cells: tuple[str, ...]) -> None:
    """In the answer and in the code, which has everything else."""
    *cells_, said = cells
    notebook.run(*cells_, "def train():\n    print(thing)")

    gathered = notebook.gather()

    (note,) = gathered.notes
    assert said in note
    assert f"# {note}\n" in gathered.source
    assert gathered.source.endswith("\n    train()\n")
    compile(gathered.source, "main.py", "exec")


def test_who_uses_it_is_said(notebook: Notebook) -> None:
    notebook.run("thing = object()\ndef load():\n    return thing\ndef train():\n    load()")

    assert notebook.gather().notes == (
        "thing, used in load, is an object, which cannot be put into the code: "
        "create it in the function.",
    )


def test_a_file_beside_the_notebook(
    notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers elsewhere do not have it: its import stays, and is said."""
    (tmp_path / "pyjob_helpers.py").write_text("def helper(): return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    notebook.run("import pyjob_helpers as h\nfrom pyjob_helpers import helper")
    notebook.run("def train():\n    print(h, helper)")

    gathered = notebook.gather()
    sys.modules.pop("pyjob_helpers")

    assert gathered.source.startswith(
        "import pyjob_helpers as h\nfrom pyjob_helpers import helper\n"
    )
    (note,) = gathered.notes
    assert note.startswith(f"pyjob_helpers is a local file ({tmp_path}/pyjob_helpers.py)")


def test_a_secret_is_read_from_the_environment(notebook: Notebook) -> None:
    """It is in no code."""
    notebook.run("API_TOKEN = 'abcdef'\nPIN_KEY = 123456\nSORT_KEY = None")
    notebook.run("def train():\n    print(API_TOKEN, PIN_KEY + 1, SORT_KEY)")

    gathered = notebook.gather()

    assert "abcdef" not in gathered.source
    assert "123456" not in gathered.source
    assert "--env API_TOKEN=..." in gathered.notes[0]
    assert run(gathered, API_TOKEN="fedcba", PIN_KEY="1") == "fedcba 2 None"


@pytest.mark.parametrize(
    "cell",
    [
        "PASSWORDS = ['abcdef']",
        "thing = {'a': [{'api_key': 'abcdef'}]}\nPASSWORDS = 0",
        "from types import SimpleNamespace\nthing = SimpleNamespace(password='abcdef')",
        "from collections import namedtuple\nN = namedtuple('N', 'token')\nthing = N('abcdef')",
        "from functools import partial\nthing = partial(print, token='abcdef')",
        "import os\nAWS_SECRET = 'abcdef' or os.environ['X']\nthing = 'x'",
        "def make(token):\n    def thing():\n        return token\n    return thing\n"
        "thing, _ = make('abcdef'), 1",
    ],
)
def test_nor_is_one_that_is_deeper(notebook: Notebook, cell: str) -> None:
    notebook.namespace.update(PASSWORDS=None, AWS_SECRET=None, thing=None)
    notebook.run(cell)
    notebook.run("def train():\n    print(thing, PASSWORDS, AWS_SECRET)")

    gathered = notebook.gather()

    assert "abcdef" not in gathered.source + "".join(gathered.notes)
    assert gathered.notes


def test_what_one_only_annotates_with_another_may_use(notebook: Notebook) -> None:
    """For an annotation that nobody looks at it may be missing; for a use it is said."""
    notebook.run(
        "from __future__ import annotations\nthing = object()\n"
        "def train(x: thing = None, y: NoSuchName = None):\n    helper()",
        "def helper():\n    return thing",
    )

    (note,) = notebook.gather().notes

    assert note.startswith("thing, used in helper, is an object")


def test_a_default_from_before(notebook: Notebook) -> None:
    notebook.run("LR = 0.1", "def train(lr=LR):\n    print(lr)", "LR = 0.2")

    gathered = notebook.gather()

    assert run(gathered) == "0.2"
    assert gathered.notes == (
        "train has a default from before LR was changed; the code has what LR is now.",
    )


def test_one_that_needs_arguments(notebook: Notebook) -> None:
    """How it is to be called is said."""
    notebook.run("def train(lr, *args, epochs=3, size, **more):\n    print(lr + size)")

    gathered = notebook.gather()

    assert gathered.notes == ("Call it at the end of the code: train(lr=..., size=...).",)
    assert run(Gathered(f"{gathered.source}train(lr=1, size=2)\n")) == "3"


def test_what_is_no_function(notebook: Notebook) -> None:
    notebook.run("number = 3\nclass A:\n    pass\ntext = 'print(1)'\nexec('def made(): pass')")

    assert notebook.gather("text") == Gathered("print(1)")
    assert "there is no 'nobody'" in notebook.refusal("nobody")
    assert "of type int" in notebook.refusal("number")
    assert "of type type" in notebook.refusal("A")
    assert "made is a function whose source cannot be found" in notebook.refusal("made")
