"""Any cluster with training-operator v1: reached as kubectl reaches it.

A kubeconfig says where it is and who we are; in a pod, where there is none, the service account.
"""

from __future__ import annotations

from pathlib import Path

import httpx

from pyjob_magic.errors import PyJobError, TargetError
from pyjob_magic.target import Target
from pyjob_magic.targets.access import Access
from pyjob_magic.targets.kubernetes import execcredential, files, incluster, proxies, tls
from pyjob_magic.targets.kubernetes.bearer import Bearer, Impersonation
from pyjob_magic.targets.kubernetes.execplugin import ExecAuth, Plugin
from pyjob_magic.targets.kubernetes.idtoken import Provider
from pyjob_magic.targets.kubernetes.kubeconfig import Cluster, Context, User
from pyjob_magic.targets.kubernetes.transport import ClusterTransport


def target(access: Access, *, root: Path = incluster.ROOT) -> Target:
    """Return the cluster that `access` means; files are read, nothing is sent and no plugin run.

    Parameters
    ----------
    access
        Its kubeconfig and context are used.
    root
        Where the service account of a pod is.

    Raises
    ------
    OptionError
        If there is no such context.
    TargetError
        If there is no kubeconfig and no service account, or what they say cannot be used.
    """
    # Looked at before they are read: what is replaced meanwhile counts as changed.
    configs = files.revision(files.paths(access.kubeconfig))
    context = _context(access, root)
    pems = files.revision(context.files)
    cluster = context.cluster
    server = _url(cluster)
    transport = ClusterTransport(
        tls.context(cluster, context.user), proxies.proxy_for(server, cluster.proxy_url)
    )
    auth = _auth(context.user, cluster, transport)
    silent = auth is not None and not _is_private(server)
    return Target(
        name="kubernetes",
        base_url=str(server),
        # As kubectl has it: in a pod, its own namespace rather than `default`.
        namespace=context.namespace or incluster.namespace(root) or "default",
        place=context.name,
        context="" if context.name == incluster.PLACE else context.name,
        auth=None if silent else auth,
        transport=transport,
        warnings=tuple(_warnings(cluster, silent=silent)),
        is_outdated=lambda: (
            files.revision(files.paths(access.kubeconfig)) != configs
            or files.revision(context.files) != pems
        ),
    )


def contexts(access: Access) -> list[str]:
    """Return the names of the contexts that there are, for Tab; none where they cannot be read."""
    if not all(path.is_file() for path in files.paths(access.kubeconfig) if path.exists()):
        return []  # reading a pipe might wait for ever
    try:
        return sorted(files.load(access.kubeconfig).contexts)
    except PyJobError:
        return []


def _context(access: Access, root: Path) -> Context:
    config = files.load(access.kubeconfig)
    if access.context or config.current_context:
        return config.context(access.context)
    # What somebody has named is what is meant, even if nothing is there.
    if not access.kubeconfig and (pod := incluster.context(root)):
        return pod
    if config.contexts:
        return config.context()
    paths = ", ".join(map(str, files.paths(access.kubeconfig)))
    raise TargetError(
        f"no cluster is known: there is no context in {paths}, and this is no pod with a "
        f"service account; write a kubeconfig there, or name one in {files.VARIABLE}"
    )


def _url(cluster: Cluster) -> httpx.URL:
    """Return the URL of the server; kubectl takes ``host:port`` too."""
    secure = cluster.authority or cluster.insecure
    scheme = "" if "://" in cluster.server else "https://" if secure else "http://"
    try:
        url = httpx.URL(scheme + cluster.server)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.userinfo:  # it would be shown with every error
        raise TargetError(
            "server of the kubeconfig: its URL holds a name or password; put them to the user, as "
            "username and password"
        )
    if url.scheme not in ("http", "https") or not url.host:
        raise TargetError(f"server of the kubeconfig: {cluster.server!r} is no URL of a server")
    return url


def _auth(user: User, cluster: Cluster, transport: ClusterTransport) -> httpx.Auth | None:
    auth = _own(user, cluster, transport)
    return Impersonation(auth or httpx.Auth(), user.impersonation) if user.impersonation else auth


def _own(user: User, cluster: Cluster, transport: ClusterTransport) -> httpx.Auth | None:
    """Return who we are; where several ways are said, the one that kubectl takes."""
    if user.token_file:
        return Bearer.of_file(user.token_file)
    if user.token:
        return Bearer.fixed(user.token, f"the token of user {user.name!r}")
    if user.username:
        return httpx.BasicAuth(user.username, user.password)
    if user.exec:
        return _exec(user, cluster, transport)
    return Provider(user) if user.provider else None


def _exec(user: User, cluster: Cluster, transport: ClusterTransport) -> httpx.Auth:
    program = user.exec
    assert program is not None
    told = cluster if program.provide_cluster_info else None

    def info(interactive: bool) -> str:
        authority = tls.read(cluster.authority, "certificate-authority") if told else b""
        version = program.api_version
        return execcredential.info(told, authority, version, interactive=interactive)

    plugin = Plugin(program, user.name, info)
    return ExecAuth(plugin.run, transport.present, f"credential plugin of user {user.name!r}")


def _is_private(server: httpx.URL) -> bool:
    """Whether nobody on the way can read what is sent."""
    return server.scheme == "https" or proxies.is_this_machine(server.host)


def _warnings(cluster: Cluster, *, silent: bool) -> list[str]:
    found = []
    if cluster.insecure:
        found.append(
            f"the certificate of {cluster.server} is not checked (insecure-skip-tls-verify): "
            "whoever answers there can read and change everything, credentials included"
        )
    if silent:
        found.append(
            f"{cluster.server} is reached without TLS: no credentials are sent, as others could "
            "read them; use https:// in the kubeconfig"
        )
    return found
