"""The image that jobs run in where nobody has chosen one; the embedded API knows it, too."""

from __future__ import annotations

DEFAULT_IMAGE = "pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime"
