"""Run a notebook cell as a distributed PyTorch training job."""

__version__ = "0.1.0"
