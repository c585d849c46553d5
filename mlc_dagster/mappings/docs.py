"""All models of a folder as Markdown, for people who read rather than run."""

from collections.abc import Iterator

from mlc_dagster.mappings.mappings import Mappings


def docs(mappings: Mappings) -> str:
    """One section a model: what it is, where each column comes from, and what is tested."""
    return "\n".join(
        ["# Mappings", "", *(line for key in sorted(mappings.models) for line in _model(mappings, key))]
    )


def _model(mappings: Mappings, key: str) -> Iterator[str]:
    model = mappings.models[key]
    contract = model.contract
    yield from (f"## {key}", "", contract.description, "")
    yield f"- From: {', '.join(f'`{entity}`' for entity in model.entities)}"
    yield f"- Key: {', '.join(f'`{name}`' for name in contract.key)}; business number: `{contract.number}`"
    if model.after:
        yield f"- Delivered after: {', '.join(f'`{name}`' for name in model.after)}"
    if contract.deleted:
        marks = ", ".join(f"`{name}` = `{value}`" for name, value in contract.deleted.items())
        yield f"- A deleted record is marked by {marks}"
    yield from ("", "| column | type | description | made of |", "|---|---|---|---|")
    lineage = mappings.column_lineage(key)
    for column in mappings.columns(key):
        origins = ", ".join(f"`{entity}.{field}`" for entity, field in lineage[column.name])
        yield f"| `{column.name}` | {column.type} | {_cell(column.description)} | {origins} |"
    yield from ("", "| check | when it fails | promise |", "|---|---|---|")
    for check in mappings.check_names(key):
        effect = (
            "blocks the delivery"
            if check.blocking
            else "quarantine"
            if check.severity == "error"
            else "warning"
        )
        yield f"| `{check.name}` | {effect} | {_cell(check.description)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()
