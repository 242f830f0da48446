"""Sources that other tools are known to damage on the way."""

from __future__ import annotations

HOSTILE = [
    "$(RANK) $(WORLD_SIZE) $(UNKNOWN)",
    "$$ $$$ $HOME ${HOME} $5",
    "`echo executed` $(echo executed)",
    "back\\slash \\\\ \\\\\\\\ \\n \\t",
    "'single' \"double\" '''three''' \"\"\"three\"\"\"",
    "EOF\nEOM\n'EOF'\nSCRIPT\n",
    "dos\r\nline\r\nends\r\n",
    "old\rmac\rends",
    "😀 𝕏 é ß 漢字 \u202e \ufeff \u2028 \u00a0",  # noqa: RUF001 - that is the point
    "tab\tform\x0cfeed\x0bvertical\x1b[31mescape\x7f",
    "{braces} {{doubled}} %s %(name)s <html> &amp;",
    "'; rm -rf x; echo '",
    "- yaml: [1, 2]\n  # no comment\n",
    "trailing spaces   \n\n\n",
]


def program(text: str) -> str:
    """Return a Python program that carries `text` as it is, in comments, and prints one line."""
    carried = "".join(f"# {line}" for line in text.splitlines(keepends=True))
    # A lone carriage return ends a comment for Python as a newline does; form feeds do not.
    carried = carried.replace("\r", "\r# ").replace("\r# \n", "\r\n").replace("\0", "")
    return f"{carried}\nprint('ran')\n"
