"""The API server: the wire format of Kubernetes, what may enter, and what is answered."""
