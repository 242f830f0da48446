"""Kubeconfigs as kubectl understands them: what they say, merged, and the context that is meant.

Pure: texts come in, and what is secret shows in no representation.

Source: k8s.io/client-go/tools/clientcmd (``Config`` v1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import yaml

from pyjob_magic.errors import OptionError, TargetError
from pyjob_magic.options import nearest
from pyjob_magic.targets.kubernetes.entry import Entry

_EXEC_EXTENSION = "client.authentication.k8s.io/exec"


@dataclass(frozen=True)
class Pem:
    """Certificates or a key: in the kubeconfig itself, else in a file."""

    data: bytes = field(default=b"", repr=False)
    file: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.data or self.file)


@dataclass(frozen=True)
class Cluster:
    """Where a cluster is, and how to know that it is the one."""

    server: str
    authority: Pem = Pem()
    insecure: bool = False
    tls_server_name: str = ""
    proxy_url: str = field(default="", repr=False)  # may hold a password
    exec_config: Any = field(default=None, repr=False)  # what plugins are told about it


@dataclass(frozen=True)
class Exec:
    """A program that prints credentials."""

    command: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    api_version: str = ""
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = "IfAvailable"


@dataclass(frozen=True)
class User:
    """Who somebody is, in one of the ways that servers believe."""

    name: str = ""
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    certificate: Pem = Pem()
    key: Pem = Pem()
    exec: Exec | None = None
    provider: str = ""  # of the former auth-provider
    provider_config: Mapping[str, str] = field(default_factory=dict, repr=False)
    impersonation: tuple[tuple[str, str], ...] = ()  # headers


@dataclass(frozen=True)
class Context:
    """A cluster, who uses it, and the namespace where one is said."""

    name: str
    cluster: Cluster
    user: User = User()  # nobody
    namespace: str = ""

    @property
    def files(self) -> list[Path]:
        """What it names: certificates and keys, which may be replaced."""
        pems = (self.cluster.authority, self.user.certificate, self.user.key)
        return [pem.file for pem in pems if pem.file]


@dataclass(frozen=True)
class Kubeconfig:
    """What one or more kubeconfigs say; what is not used may be incomplete."""

    files: tuple[Path, ...] = ()
    current_context: str = ""
    contexts: Mapping[str, Entry] = field(default_factory=dict)
    clusters: Mapping[str, Entry] = field(default_factory=dict)
    users: Mapping[str, Entry] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, file: Path) -> Self:
        """Return what the kubeconfig `text` says, which stands in `file`.

        Raises
        ------
        TargetError
            If it is none; the message holds nothing that stands in the file.
        """
        try:
            content = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise TargetError(f"kubeconfig {file}: the file is no valid YAML{where}") from None
        except (yaml.YAMLError, ValueError):  # the latter for a tag that its text does not fit
            raise TargetError(f"kubeconfig {file}: the file is no valid YAML") from None
        whole = Entry({} if content is None else content, file)
        return cls(
            files=(file,),
            current_context=whole.text("current-context"),
            contexts=whole.named("contexts", "context"),
            clusters=whole.named("clusters", "cluster"),
            users=whole.named("users", "user"),
        )

    @classmethod
    def merge(cls, configs: Iterable[Kubeconfig]) -> Self:
        """Return what several kubeconfigs say together: the first that says a thing wins."""
        merged = cls()
        for config in configs:
            merged = cls(
                files=merged.files + config.files,
                current_context=merged.current_context or config.current_context,
                contexts={**config.contexts, **merged.contexts},
                clusters={**config.clusters, **merged.clusters},
                users={**config.users, **merged.users},
            )
        return merged

    def context(self, name: str | None = None) -> Context:
        """Return the context `name`, or the current one.

        Raises
        ------
        OptionError
            If there is no such context, or none is current.
        TargetError
            If it is incomplete.
        """
        chosen = name or self.current_context
        if chosen not in self.contexts:
            raise OptionError("--context", self._unknown(name, chosen))
        entry = self.contexts[chosen]
        cluster, user = entry.needed("cluster"), entry.text("user")
        for kind, wanted, known in ("cluster", cluster, self.clusters), ("user", user, self.users):
            if wanted and wanted not in known:
                raise entry.wrong(f"needs {kind} {wanted!r}, which is in no file")
        return Context(
            chosen,
            _cluster(self.clusters[cluster]),
            _user(user, self.users[user]) if user else User(),
            entry.text("namespace"),
        )

    def _unknown(self, said: str | None, chosen: str) -> str:
        known = ", ".join(sorted(self.contexts)) or "none"
        if not chosen:
            return f"no context is current in {self}; choose one of: {known}"
        what = "context" if said else "current context"
        return f"no {what} {chosen!r}{nearest(chosen, self.contexts)} in {self}; known: {known}"

    def __str__(self) -> str:
        return ", ".join(map(str, self.files)) or "(none)"


class _Loader(yaml.SafeLoader):
    """Takes numbers and dates for what they are here: names and tokens without quotes."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's own way
        first: [
            (tag, pattern) for tag, pattern in known if tag.endswith((":bool", ":null", ":merge"))
        ]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _cluster(entry: Entry) -> Cluster:
    return Cluster(
        server=entry.needed("server"),
        authority=_pem(entry, "certificate-authority"),
        insecure=entry.flag("insecure-skip-tls-verify"),
        tls_server_name=entry.text("tls-server-name"),
        proxy_url=entry.text("proxy-url"),
        exec_config=_extension(entry, _EXEC_EXTENSION),
    )


def _user(name: str, entry: Entry) -> User:
    program = entry.entry("exec")
    provider = entry.entry("auth-provider")
    config = provider.entry("config") if provider else None
    return User(
        name=name,
        token=entry.text("token"),
        token_file=entry.path("tokenFile"),
        username=entry.text("username"),
        password=entry.text("password"),
        certificate=_pem(entry, "client-certificate"),
        key=_pem(entry, "client-key"),
        exec=_exec(program) if program else None,
        provider=provider.needed("name") if provider else "",
        provider_config={"id-token": config.text("id-token")} if config else {},
        impersonation=tuple(_impersonation(entry)),
    )


def _exec(entry: Entry) -> Exec:
    command = entry.needed("command")
    if "/" in command:  # else it is looked for in PATH
        command = str(entry.path("command"))
    return Exec(
        command=command,
        args=entry.texts("args"),
        env={each.needed("name"): each.text("value") for each in entry.entries("env")},
        api_version=entry.needed("apiVersion"),
        install_hint=" ".join(entry.text("installHint").split()),
        provide_cluster_info=entry.flag("provideClusterInfo"),
        interactive_mode=entry.text("interactiveMode") or "IfAvailable",
    )


def _impersonation(entry: Entry) -> Iterator[tuple[str, str]]:
    if name := entry.text("as"):
        yield "Impersonate-User", name
    if uid := entry.text("as-uid"):
        yield "Impersonate-Uid", uid
    for group in entry.texts("as-groups"):
        yield "Impersonate-Group", group
    extra = entry.entry("as-user-extra")
    for key, values in extra.lists() if extra else ():
        for value in values:
            yield f"Impersonate-Extra-{quote(key, safe='')}", value


def _pem(entry: Entry, key: str) -> Pem:
    """Return what is in the kubeconfig, which wins, or the file that it names."""
    return Pem(data) if (data := entry.data(f"{key}-data")) else Pem(file=entry.path(key))


def _extension(entry: Entry, name: str) -> Any:
    for extension in entry.entries("extensions"):
        if extension.text("name") == name:
            return extension.raw("extension")
    return None
