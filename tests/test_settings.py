"""Files and variables say what lines do not: who goes before whom, and what cannot be."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyjob_magic
from pyjob_magic import settings
from pyjob_magic._profiles import SettingsTable, in_force, rows
from pyjob_magic._sources import File
from pyjob_magic.client import Client
from pyjob_magic.connection import Connection
from pyjob_magic.errors import ManifestError, OptionError, SettingsError
from pyjob_magic.manifest import load
from pyjob_magic.options import CellOptions, JobOptions
from pyjob_magic.profiles import Profile, Settings, merge
from pyjob_magic.targets import Access, resolve
from pyjob_magic.values import Mount, Toleration

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a directory of its own, with a configuration directory beside it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (directory := tmp_path / "project").mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """Lend the user's configuration directory."""
    (directory := tmp_path / "config" / "pyjob_magic").mkdir(parents=True)
    return directory


def chosen(name: str | None = None) -> Profile:
    return settings.read().choose(name)


def said(profile: Profile) -> dict[str, Any]:
    return {field: setting.value for field, setting in profile.settings.items()}


class TestWhereSettingsAreFound:
    """The project's file, the user's file, the environment."""

    def test_nothing_is_there(self) -> None:
        """Then nothing is set, and nothing is wrong."""
        assert chosen() == Profile()
        assert settings.read().names == []

    def test_later_ones_win(
        self, project: Path, user: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Project, user, environment; and each value knows where it comes from."""
        (project / "pyproject.toml").write_text(
            "[tool.pyjob_magic.defaults]\nimage = 'p:1'\nmemory = '1Gi'\ncpu = 1\n"
        )
        (user / "pyjob.toml").write_text("[defaults]\nimage = 'u:1'\nmemory = '2Gi'\n")
        monkeypatch.setenv("PYJOB_MAGIC_IMAGE", "e:1")

        table = chosen().settings

        assert {name: str(setting.value) for name, setting in table.items()} == {
            "image": "e:1",
            "memory": "2Gi",
            "cpu": "1",
        }
        assert table["image"].places == ("PYJOB_MAGIC_IMAGE",)
        assert table["memory"].places[0].endswith("config/pyjob_magic/pyjob.toml: defaults.memory")
        assert table["cpu"].places == ("pyproject.toml: tool.pyjob_magic.defaults.cpu",)

    def test_the_nearest_file_counts(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Others above it are not read; a pyproject.toml without our table is none."""
        (inner := project / "notebooks" / "deep").mkdir(parents=True)
        (project / "pyjob.toml").write_text("[defaults]\nimage = 'outer:1'\ncpu = 1\n")
        (inner / "pyproject.toml").write_text("[tool.other]\npackages = ['pyjob_magic']\n")
        monkeypatch.chdir(inner)
        assert said(chosen())["image"] == "outer:1"

        (inner.parent / "pyproject.toml").write_text("[tool.pyjob_magic.defaults]\nimage = 'i:1'\n")

        assert said(chosen()) == {"image": "i:1"}

    def test_of_two_in_one_directory_ours_counts(self, project: Path) -> None:
        """And it is said that the other one is not read."""
        (project / "pyjob.toml").write_text("[defaults]\nimage = 'ours:1'\n")
        (project / "pyproject.toml").write_text("[tool.pyjob_magic.defaults]\nimage = 'other:1'\n")

        assert said(chosen()) == {"image": "ours:1"}
        remarks = settings.read().remarks
        assert "pyjob.toml goes before pyproject.toml, which is not read" in remarks

    def test_a_directory_that_is_open_to_all_is_passed_over(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file that anybody may have put there says nothing to those who work below it."""
        (project / "pyjob.toml").write_text("[defaults]\nimage = 'planted:1'\n")
        (inner := project / "mine").mkdir()
        project.chmod(0o777)
        monkeypatch.chdir(inner)

        assert chosen() == Profile()

    def test_files_are_read_anew(self, project: Path) -> None:
        """No kernel has to be restarted for a file that was edited."""
        file = project / "pyjob.toml"
        for image in ("a:1", "b:1"):
            file.write_text(f"[defaults]\nimage = '{image}'\n")
            assert said(chosen()) == {"image": image}

    def test_variables_are_read_as_a_line_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Words as in a shell; an empty one says nothing."""
        monkeypatch.setenv("PYJOB_MAGIC_ENV", "A=1 'B=two words'")
        monkeypatch.setenv("PYJOB_MAGIC_MOUNTS", "pvc:data:/data memory:1Gi:/fast")
        monkeypatch.setenv("PYJOB_MAGIC_TARGET", "local")
        monkeypatch.setenv("PYJOB_MAGIC_CONTEXT", "staging")
        monkeypatch.setenv("PYJOB_MAGIC_SUSPEND", "true")
        monkeypatch.setenv("PYJOB_MAGIC_IMAGE", "")

        found = chosen()

        assert said(found)["env"] == {"A": "1", "B": "two words"}
        assert [mount.path for mount in said(found)["mounts"]] == ["/data", "/fast"]
        assert (found.on, found.access.context) == ("local", "staging")
        assert said(found)["suspend"] is True
        assert "image" not in said(found)

    def test_without_settings_their_library_is_not_imported(self) -> None:
        """Neither by loading the extension nor by a first connection."""
        program = (
            "import sys, IPython; shell = IPython.InteractiveShell.instance()\n"
            "shell.run_line_magic('load_ext', 'pyjob_magic')\n"
            "print('pyjob_magic.settings' in sys.modules)\n"
            "import pyjob_magic; pyjob_magic.connect()\n"
            "print('pydantic_settings' in sys.modules)"
        )

        printed = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )

        assert printed.stdout.split() == ["False", "False"]


FILE = """
profile = "gpu"

[defaults]
image = "base:1"
labels = { team = "a" }

[profiles.cluster]
on = "local"
namespace = "team-a"
context = "staging"
kubeconfig = "kube/config:/etc/kube"
env = { A = "cluster", B = "cluster" }
mounts = ["pvc:data:/data", "pvc:home:/home/me"]
region = "cn-north-4"
iam-endpoint = "https://iam"
credentials = { access-key = "HUAWEICLOUD_SDK_AK" }
command = ["vault", "read", "x"]

[profiles.gpu]
inherits = "cluster"
gpus = 8
shm_size = "16Gi"
env = { B = "gpu" }
mount = ["pvc:fast:/data:ro"]
label = { tier = "gpu" }
pod-template = "pod.yaml"
patch = ["@patch.yaml"]
"""


class TestProfiles:
    """`[profiles.NAME]`."""

    def test_a_profile_inherits_and_joins(self, project: Path) -> None:
        """Pairs by key, lists without what is there already, everything else replaced."""
        (project / "pyjob.toml").write_text(FILE)

        found = said(chosen("gpu"))

        assert found["env"] == {"A": "cluster", "B": "gpu"}
        assert found["labels"] == {"team": "a", "tier": "gpu"}
        assert found["mounts"] == [
            Mount("pvc", "home", "/home/me", False),
            Mount("pvc", "fast", "/data", True),
        ]
        assert (found["image"], found["gpus"], str(found["shm_size"])) == ("base:1", 8, "16Gi")

    def test_a_profile_says_how_to_get_in(self, project: Path) -> None:
        """Files are looked for beside the one that names them."""
        (project / "pyjob.toml").write_text(FILE)

        found = chosen()

        assert (found.name, found.asked_for, found.on) == ("gpu", False, "local")
        assert found.namespace == "team-a"
        assert found.access == Access(
            context="staging",
            kubeconfig=f"{project}/kube/config:/etc/kube",
            region="cn-north-4",
            iam_endpoint="https://iam",
            credentials={"access_key": "HUAWEICLOUD_SDK_AK"},
            command=("vault", "read", "x"),
        )
        assert said(found)["pod_template"] == f"{project}/pod.yaml"
        assert said(found)["patch"] == [f"@{project}/patch.yaml"]

    def test_a_profile_may_stand_in_several_files(self, project: Path, user: Path) -> None:
        """The user's file adds to what the project says of it."""
        (project / "pyjob.toml").write_text("[profiles.p]\ncpu = 1\nenv = {A = 'p', B = 'p'}\n")
        (user / "pyjob.toml").write_text("profile = 'p'\n[profiles.p]\nenv = {B = 'u'}\n")

        table = chosen().settings

        assert table["env"].value == {"A": "p", "B": "u"}
        assert table["env"].places[0] == "pyjob.toml: profiles.p.env"
        assert len(table["env"].places) == 2

    def test_a_variable_names_the_default(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It goes before the files; a line goes before it."""
        (project / "pyjob.toml").write_text(FILE)
        monkeypatch.setenv("PYJOB_MAGIC_PROFILE", "cluster")

        assert chosen().name == "cluster"
        assert chosen("gpu").name == "gpu"
        assert chosen("gpu").asked_for

    def test_a_profile_goes_before_defaults_wherever_they_stand(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A variable is a default."""
        (project / "pyjob.toml").write_text("[profiles.p]\nimage = 'p:1'\n")
        monkeypatch.setenv("PYJOB_MAGIC_IMAGE", "e:1")

        assert said(chosen())["image"] == "e:1"
        assert said(chosen("p"))["image"] == "p:1"


class TestWhatCannotBe:
    """A line for each problem: file, key, reason."""

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("memory = '4GB'", "memory: '4GB' is not an amount: write 4Gi"),
            ("memroy = '4Gi'", r"memroy: no such setting \(did you mean memory\?\)"),
            ("name = 'x'", "name: no such setting"),
            ("wait = true", "wait: no such setting"),
            ("gpus = true", "gpus: 'True' is not a whole number"),
            ("image = ['a']", "image: takes one value, not a list"),
            ("suspend = 'maybe'", "suspend: 'maybe' is neither true nor false"),
            ("mounts = {a = 'b'}", "mounts: {'a': 'b'} is not a list"),
            ("env = 3", "env: 3 is not a list"),
            ("env = {A = 1}", "env: A must be a text: write it in quotes"),
            ("env = {RANK = '1'}", "env: RANK is set by the training operator"),
            (
                "label = {a = 'b'}\nlabels = {c = 'd'}",
                r"labels: is said twice: pyjob.toml: .*label",
            ),
            ("on = 'moon'", "on: there is no target 'moon'; known: local"),
            ("namespace = 'A'", "namespace: 'A' is not a namespace"),
            ("context = 3", "context: 3 is no text"),
            ("command = 'vault read'", "command: must be a list: the program and its arguments"),
            ("credentials = 'AK'", "credentials: must be a table"),
            ("credentials = {acess_key = 'A_B'}", r"acess_key is no credential \(did you mean acc"),
            ("inherits = 'q'", "inherits: there is no profile 'q'"),
            ("inherits = 'p'", "inherits: goes round in a circle: p -> p"),
        ],
    )
    def test_a_setting_is_named_by_file_and_key(
        self, project: Path, text: str, problem: str
    ) -> None:
        """As people have to look for it."""
        (project / "pyjob.toml").write_text(f"[profiles.p]\n{text}\n")

        with pytest.raises(SettingsError, match=rf"^pyjob.toml: profiles\.p\..*{problem}") as found:
            chosen("p")

        assert len(found.value._render_traceback_()) == 1

    @pytest.mark.parametrize("secret", ["hunter2", "QTWAOYTTINDUT2QVKYUC", "a_b", "s3cr3t/+="])
    def test_a_secret_is_refused_and_not_repeated(self, project: Path, secret: str) -> None:
        """Only the name of a variable can be given."""
        text = f"[profiles.p]\ncredentials = {{secret-key = '{secret}'}}\n"
        (project / "pyjob.toml").write_text(text)

        with pytest.raises(SettingsError, match="secret-key must name an environment var") as found:
            chosen("p")

        assert secret not in str(found.value)

    def test_all_problems_are_told(self, project: Path) -> None:
        """One line each, so that they can be mended together."""
        (project / "pyjob.toml").write_text("[defaults]\ncpu = 'x'\nmemory = 'y'\n")

        with pytest.raises(SettingsError) as found:
            chosen()

        assert [line.partition(": '")[0] for line in found.value.problems] == [
            "pyjob.toml: defaults.cpu",
            "pyjob.toml: defaults.memory",
        ]
        assert len(found.value._render_traceback_()) == 2

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("a = \nb = 1", r"pyjob.toml: is no TOML: Invalid value \(at line 1, column 5\)"),
            ("[profile.gpu]\ncpu = 1", "pyjob.toml: profile: must be a text"),
            ("[default]\ncpu = 1", r"pyjob.toml: default: no such key \(did you mean defaults"),
            ("profiles = 3", "pyjob.toml: profiles: must be a table"),
            ("[profiles]\np = 3", r"pyjob.toml: profiles\.p: must be a table"),
            (
                "profile = 'gpu'\n[profiles.gpus]",
                r"pyjob.toml: profile: there is no profile 'gpu' \(",
            ),
        ],
    )
    def test_a_file_without_shape_is_named(self, project: Path, text: str, problem: str) -> None:
        """Where it is no TOML, with the line."""
        (project / "pyjob.toml").write_text(text)

        with pytest.raises(SettingsError, match=f"^{problem}"):
            chosen()

    def test_a_broken_pyproject_is_ours_only_if_it_names_us(self, project: Path) -> None:
        """Whoever breaks another tool's file hears it from that tool."""
        file = project / "pyproject.toml"
        file.write_text("[tool.other]\na = \n")
        assert chosen() == Profile()

        file.write_text("[tool.pyjob_magic.defaults]\na = \n")

        with pytest.raises(SettingsError, match=r"^pyproject.toml: is no TOML: .*line 2"):
            chosen()

    def test_a_broken_profile_is_for_those_who_ask_for_it(self, project: Path) -> None:
        """Others do not hear of it."""
        (project / "pyjob.toml").write_text("[profiles.bad]\ncpu = 'x'\n[profiles.good]\ncpu = 1\n")

        assert str(said(chosen("good"))["cpu"]) == "1"
        assert chosen() == Profile()
        with pytest.raises(SettingsError, match=r"profiles\.bad\.cpu: 'x' is not an amount"):
            chosen("bad")

    def test_a_variable_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It has no file."""
        monkeypatch.setenv("PYJOB_MAGIC_MEMORY", "4GB")
        with pytest.raises(SettingsError, match=r"^PYJOB_MAGIC_MEMORY: '4GB' is not an amount"):
            chosen()

        monkeypatch.setenv("PYJOB_MAGIC_ENV", "'A=b")
        with pytest.raises(SettingsError, match=r"^PYJOB_MAGIC_ENV: No closing quotation"):
            chosen()

    def test_a_profile_that_is_not_there(self, project: Path) -> None:
        """The line that names it is wrong, and which there are is said."""
        with pytest.raises(OptionError, match=r"--profile: there is no profile 'x'; no pyjob.toml"):
            chosen("x")
        (project / "pyjob.toml").write_text(FILE)

        with pytest.raises(OptionError, match=r"'gqu' \(did you mean gpu\?\); known: cluster, gpu"):
            chosen("gqu")

    def test_profiles_do_not_inherit_in_a_circle(self, project: Path) -> None:
        """The circle is shown."""
        (project / "pyjob.toml").write_text(
            "".join(f"[profiles.{a}]\ninherits = '{b}'\n" for a, b in ("ab", "bc", "ca"))
        )

        with pytest.raises(SettingsError, match="goes round in a circle: a -> b -> c -> a"):
            chosen("a")


class TestWhatIsSaid:
    """Lines go before settings."""

    def test_jobs_are_built_with_the_profile(self, project: Path) -> None:
        """What is said wins; the annotation names the profile, and the line stays as typed."""
        (project / "pyjob.toml").write_text(
            "[defaults]\ngpu-resource = 'amd.com/gpu'\n"
            "[profiles.p]\nimage = 'p:1'\nmemory = '2Gi'\n"
            "env = {A = 'p', B = 'p'}\nmounts = ['pvc:a:/a', 'pvc:b:/b']\n"
        )

        built = pyjob_magic.connect(profile="p").build(
            "print(1)", line="--memory 4Gi", memory="4Gi", env={"B": "said"}, mounts=["pvc:c:/b"]
        )

        wire = built.job.to_wire()
        main = wire["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]
        assert main["image"] == "p:1"
        assert main["resources"]["limits"] == {"memory": "4Gi"}
        assert main["env"] == [{"name": "A", "value": "p"}, {"name": "B", "value": "said"}]
        assert [mount["mountPath"] for mount in main["volumeMounts"]] == ["/dev/shm", "/a", "/b"]
        notes = wire["metadata"]["annotations"]
        assert notes["pyjob-magic/profile"] == "p"
        assert notes["pyjob-magic/line"] == "--memory 4Gi"

    def test_a_given_manifest_is_changed_by_what_was_asked_for(self, project: Path) -> None:
        """A default goes under it: it has said everything itself."""
        (project / "pyjob.toml").write_text(
            "profile = 'p'\n[defaults]\nimage = 'd:1'\n[profiles.p]\nimage = 'p:1'\n"
        )
        base = load(str(pyjob_magic.connect().build("x = 1", image="f:1")), file="f")

        def image(connection: Connection) -> str:
            wire = connection.build("x = 1", base=base).job.to_wire()
            spec = wire["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
            return str(spec["containers"][0]["image"])

        assert image(pyjob_magic.connect()) == "f:1"
        assert image(pyjob_magic.connect(profile="p")) == "p:1"

    def test_target_and_namespace_come_from_the_profile(self, project: Path) -> None:
        """Unless something else is said; a namespace belongs to the target it stands beside."""
        (project / "pyjob.toml").write_text("profile = 'p'\n[profiles.p]\nnamespace = 'team-a'\n")

        assert pyjob_magic.connect().namespace == "team-a"
        assert pyjob_magic.connect().target == "local"
        assert pyjob_magic.connect("local", "other").namespace == "other"
        with pytest.raises(OptionError, match="no target 'moon'"):
            pyjob_magic.connect("moon")

    def test_options_of_a_cell_stay(self) -> None:
        """A profile fills in what is missing and touches nothing else."""
        options = CellOptions(name="j", wait=True, workers=2, args=["--x"])

        assert Profile().under(options) == options


PAIRS = st.dictionaries(st.sampled_from("AB"), st.sampled_from("xyz"), max_size=2)
MOUNTS = st.lists(
    st.builds(
        Mount, st.just("pvc"), st.sampled_from("ab"), st.sampled_from(["/a", "/b"]), st.booleans()
    ),
    max_size=3,
    unique_by=lambda mount: mount.path,
)
TOLERATIONS = st.lists(
    st.builds(Toleration, st.sampled_from("ab"), st.none(), st.none()), max_size=2, unique=True
)
TABLES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "env": PAIRS,
        "labels": PAIRS,
        "credentials": PAIRS,
        "mounts": MOUNTS,
        "tolerations": TOLERATIONS,
        "image": st.sampled_from(["i:1", "i:2"]),
        "gpus": st.integers(0, 3),
        "pod_template": st.just("f") | st.just({"a": "b"}),
    },
)


@given(TABLES, TABLES, TABLES)
def test_it_does_not_matter_which_layers_are_merged_first(
    a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]
) -> None:
    """Merging is associative, and nothing at all changes nothing."""
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge({}, a) == merge(a, {}) == merge(a, a) == a


@given(TABLES, TABLES)
def test_what_is_said_always_wins(lower: dict[str, Any], said: dict[str, Any]) -> None:
    """Whatever a layer below says: each value, pair and entry is there afterwards."""
    merged = merge(lower, said)

    for field, value in said.items():
        if isinstance(value, dict) and field != "pod_template":
            assert merged[field].items() >= value.items()
        elif isinstance(value, list):
            assert [entry for entry in merged[field] if entry in value] == value
            paths = [entry.path for entry in merged[field] if isinstance(entry, Mount)]
            assert len(paths) == len(set(paths))
        else:
            assert merged[field] == value


class TestTheTable:
    """`%pytorchjob profiles`."""

    def test_it_says_what_is_in_force_and_from_where(self, project: Path) -> None:
        """Each setting in a row, inherited ones with the profile that they come from."""
        (project / "pyjob.toml").write_text(FILE)
        found = settings.read()

        table, problems = rows(found, {"HUAWEICLOUD_SDK_AK": "secret"})

        assert problems == []
        assert ("(defaults)", "image", "base:1", "pyjob.toml: defaults.image") in table
        assert ("gpu", "context", "staging", "pyjob.toml: profiles.cluster.context") in table
        assert ("gpu", "gpus", "8", "pyjob.toml: profiles.gpu.gpus") in table
        mounts = next(value for name, key, value, _ in table if (name, key) == ("gpu", "mounts"))
        assert mounts == "pvc:home:/home/me, pvc:fast:/data:ro"
        assert in_force(found, None) == "Profile gpu is in force: pyjob.toml: profile"
        assert in_force(found, "cluster") == "Profile cluster is in force: %pytorchjob use"
        assert re.search(r"gpu +shm-size +16Gi", str(SettingsTable(table)))
        (remark,) = found.remarks
        assert remark.startswith("no ")
        assert remark.endswith("config/pyjob_magic/pyjob.toml")

    def test_it_shows_no_secrets(self, project: Path) -> None:
        """Of credentials the variable and whether it is set; nothing that may be one."""
        (project / "pyjob.toml").write_text(
            "[profiles.p]\ncredentials = {access_key = 'MY_AK', secret_key = 'MY_SK'}\n"
            "command = ['vault', '--token=hidden-1']\npatch = ['{a: hidden-2}', '@f']\n"
            "env = {HF_TOKEN = 'hidden-3', Api_Key = 'hidden-4', MODE = 'fast'}\n"
            "pod-template = {spec = {hostname = 'hidden-5'}}\n"
        )

        table, _ = rows(settings.read(), {"MY_AK": "hidden-6"})

        text = str(SettingsTable(table))
        assert "hidden" not in text
        assert "access_key: MY_AK (set), secret_key: MY_SK (not set)" in text
        assert "HF_TOKEN=***, Api_Key=***, MODE=fast" in text
        assert "vault ..." in text

    def test_its_representation_shows_none_either(self, project: Path) -> None:
        """It is an attribute of each connection."""
        (project / "pyjob.toml").write_text(
            "[profiles.p]\ncommand = ['vault', '--token=hidden-1']\nenv = {HF_TOKEN = 'hidden-2'}\n"
        )

        profile = settings.read().choose("p")

        assert "hidden" not in f"{profile!r} {profile.access!r}"

    def test_what_is_broken_is_told_beside_the_rest(self, project: Path) -> None:
        """One bad profile hides no other."""
        (project / "pyjob.toml").write_text("[profiles.a]\ncpu = 'x'\n[profiles.b]\ncpu = 1\n")

        table, problems = rows(settings.read(), {})

        assert ("b", "cpu", "1", "pyjob.toml: profiles.b.cpu") in table
        assert problems == ["pyjob.toml: profiles.a.cpu: 'x' is not an amount: write 2 or 500m"]


ODD: list[Any] = [
    *(3, 1.5, True, "x", "", [], [1], {}, {"a": 1}, {"a": "b"}, [{"a": "b"}], ["a=b"], [[]]),
]


@pytest.mark.parametrize("name", [*JobOptions.__dataclass_fields__, *Access.__dataclass_fields__])
def test_every_error_is_one_of_ours(name: str) -> None:
    """Whatever a table says, no foreign error comes out of it."""
    for value in ODD:
        source = File(Path(), defaults={name: value}, name="pyjob.toml")
        with contextlib.suppress(SettingsError):
            profile = Settings([source]).choose()
            with contextlib.suppress(OptionError, ManifestError):
                Connection(Client(resolve("local")), profile).build("x = 1", name="j")
            assert profile.access is not None
