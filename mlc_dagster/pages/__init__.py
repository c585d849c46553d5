"""The operator's pages: what stands where, in plain words, for people who use neither Dagster nor a shell."""

from mlc_dagster.pages.app import pages

__all__ = ["pages"]
