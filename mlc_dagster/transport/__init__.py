"""HTTP calls, errors, token cache and shared rate budgets. Knows no vendor."""

from mlc_dagster.transport.auth import Auth, CachedAuth, Token
from mlc_dagster.transport.budget import Budget, Budgets, Unlimited
from mlc_dagster.transport.errors import (
    Again,
    CallFailed,
    Closed,
    Conflict,
    InDoubt,
    Misconfigured,
    Refused,
    judge,
)
from mlc_dagster.transport.session import CallCounter, Http, decimal_json, exact_json

__all__ = [
    "Again",
    "Auth",
    "Budget",
    "Budgets",
    "CachedAuth",
    "CallCounter",
    "CallFailed",
    "Closed",
    "Conflict",
    "Http",
    "InDoubt",
    "Misconfigured",
    "Refused",
    "Token",
    "Unlimited",
    "decimal_json",
    "exact_json",
    "judge",
]
