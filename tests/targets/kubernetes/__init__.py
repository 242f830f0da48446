"""Every way into a cluster that kubectl knows, against a real TLS server."""
