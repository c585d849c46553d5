"""What is certain to end, and what is not certain without queries: words for `mlc check`."""

from datetime import date, timedelta

# New push models can be created until then (vendors/powerbi.md section 14).
CREATION_ENDS = date(2027, 10, 31)
WARN_FROM = CREATION_ENDS - timedelta(days=365)
UNVERIFIED = "not verified by queries: a call of a dead process that comes after the quiet time goes unseen"


def warning(today: date) -> str:
    """What to know about the end of push datasets; empty while it is far."""
    if today > CREATION_ENDS:
        return f"; Microsoft ended the creation of push datasets on {CREATION_ENDS:%d %b %Y}: keep this one"
    if today >= WARN_FROM:
        left = (CREATION_ENDS - today).days
        return f"; {left} days are left to create push datasets: make all you will need, and keep their ids"
    return ""
