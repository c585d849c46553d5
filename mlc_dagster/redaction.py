"""Takes what proves who we are out of texts that people may see: errors, logs, alerts."""

import re

_HIDDEN = r"[\w-]*(?:token|secret|password|passwd|api_?key|authorization|signature|signed|credential)[\w-]*"
_REDACTIONS = (
    (re.compile(rf'("{_HIDDEN}"\s*:\s*)("(?:[^"\\]|\\.)*"|[^",}}\s]+)', re.IGNORECASE), r'\1"***"'),
    # JSON within JSON, XML attributes
    (re.compile(rf'(\\"{_HIDDEN}\\"\s*:\s*\\").*?(?=\\")', re.IGNORECASE), r"\1***"),
    (re.compile(rf"""\b({_HIDDEN}\s*=\s*\\?["'])[^"'\\]*""", re.IGNORECASE), r"\1***"),
    (re.compile(rf"\b({_HIDDEN})=[^&\s\"'<>]+", re.IGNORECASE), r"\1=***"),
    (re.compile(r"\b(Bearer|Basic|AnaplanAuthToken)\s+[\w.~+/=-]+", re.IGNORECASE), r"\1 ***"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"), "***"),
)


def redact(text: str) -> str:
    """Return the text with tokens, secrets, passwords and keys replaced by ``***``."""
    for pattern, replacement in _REDACTIONS:
        text = pattern.sub(replacement, text)
    return text
