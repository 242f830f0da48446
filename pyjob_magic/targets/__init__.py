"""Where PyTorchJobs are sent: a target is a base URL, credentials and a namespace."""
