"""The embedded API: PyTorchJobs as processes of this machine, behind the Kubernetes API."""
