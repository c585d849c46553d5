"""The Visma.net ERP Service API, simulated as vendors/visma.md describes it."""

from mlc_sandbox.visma.vendor import VismaVendor

__all__ = ["VismaVendor"]
