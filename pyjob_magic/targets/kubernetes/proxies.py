"""The proxy on the way to a server: what the kubeconfig says, else the environment, as for kubectl.

Source: golang.org/x/net/http/httpproxy.
"""

from __future__ import annotations

import ipaddress
from urllib.request import getproxies, proxy_bypass

import httpx

from pyjob_magic.errors import TargetError


def proxy_for(server: httpx.URL, said: str = "") -> httpx.Proxy | None:
    """Return the proxy for `server`: `said` by the kubeconfig, else by the environment.

    Raises
    ------
    TargetError
        If it is no URL of a proxy.
    """
    url = said or _of_environment(server)
    if not url:
        return None
    try:
        return httpx.Proxy(url if "://" in url else f"http://{url}")
    except (ValueError, httpx.InvalidURL):
        name = "proxy-url of the kubeconfig" if said else f"{server.scheme}_proxy"
        raise TargetError(f"{name} is no URL of an http, https or socks5 proxy") from None


def _of_environment(server: httpx.URL) -> str:
    host, proxies = server.host, getproxies()
    if is_this_machine(host) or proxy_bypass(server.netloc.decode()):
        return ""
    return "" if _is_near(host, proxies.get("no", "")) else proxies.get(server.scheme, "")


def is_this_machine(host: str) -> bool:
    """Whether `host` is the machine that we run on."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _is_near(host: str, no_proxy: str) -> bool:
    """Whether `host` is an address in a network that ``NO_PROXY`` names."""
    address = _address(host)
    return address is not None and any(address in network for network in _networks(no_proxy))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _networks(no_proxy: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for part in no_proxy.split(","):
        try:
            found.append(ipaddress.ip_network(part.strip(), strict=False))
        except ValueError:
            continue
    return found
