"""Reads the folder of mappings: models, contracts, lookups and variables, with every mistake found."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

from mlc_dagster.mappings.contract import Sections, checks, closest, parse
from mlc_dagster.mappings.lookups import Lookup, read_lookup
from mlc_dagster.mappings.model import Model
from mlc_dagster.mappings.template import Template, Value
from mlc_dagster.problems import Problem, ProblemsFound, decoded
from mlc_dagster.yamlfile import YamlFile

LOOKUPS = "lookups"
VARIABLES = "vars.yml"
Stamps = dict[str, tuple[int, int]]


@dataclass
class Loaded:
    """What a folder holds.

    `templates` are the models' SQL by key, also of those whose contract is broken. `named` are the models and
    lookups that have a file, broken ones too. `sections` are what contracts say to their target, by target.
    """

    models: dict[str, Model] = field(default_factory=dict)
    templates: dict[str, Template] = field(default_factory=dict)
    lookups: dict[str, Lookup] = field(default_factory=dict)
    variables: dict[str, Value] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    sections: Sections = field(default_factory=dict)

    def compilable(self) -> dict[str, Template]:
        """The SQL in which every name is known, so that DuckDB can judge the rest."""
        broken = {problem.file for problem in self.problems}
        return {
            key: template
            for key, template in self.templates.items()
            if template.file not in broken and all(name in self.lookups for name in template.names("lookup"))
        }

    def contract_holds(self, key: str) -> bool:
        """Whether the model's contract has no mistake so far."""
        broken = {problem.file for problem in self.problems}
        return key in self.models and display(Path(self.models[key].contract_file)) not in broken


def stamps(folder: Path) -> Stamps:
    """The files of the folder with time and size: differs when any of them changed."""
    found: Stamps = {}
    for place, _, names in os.walk(folder):
        for name in names:
            if name.endswith((".sql", ".yml", ".yaml", ".csv")):
                status = os.stat(f"{place}/{name}")  # noqa: PTH116 - asked often: objects would double its cost
                found[f"{place}/{name}"] = (status.st_mtime_ns, status.st_size)
    return found


def load_folder(folder: Path, sections: Sections) -> Loaded:
    """Read and parse everything. SQL is not checked against the entities yet."""
    loaded = Loaded(sections=sections)
    if not folder.is_dir():
        loaded.problems.append(
            Problem(str(folder), 0, "There is no such folder.", "Set `mappings` in mlc.yaml.")
        )
        return loaded
    for path in sorted((folder / LOOKUPS).glob("*.csv")):
        loaded.named.add(path.stem)
        lookup, problems = read_lookup(path, display(path))
        loaded.problems += problems
        if lookup:
            loaded.lookups[lookup.name] = lookup
    _load_variables(folder / VARIABLES, loaded)
    for target in sorted(path for path in folder.iterdir() if path.is_dir() and path.name != LOOKUPS):
        _load_target(target, loaded)
    return loaded


def display(path: Path) -> str:
    """The file as an operator would name it: relative to the working directory where possible."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _load_variables(path: Path, loaded: Loaded) -> None:
    if not path.exists():
        return
    file = _yaml(path, loaded)
    if file is None:
        return
    loaded.problems += file.problems
    if not isinstance(file.data, dict):
        loaded.problems.append(file.problem((), "This is no list of `name: value`.", "Write one a line."))
        return
    for name, value in file.data.items():
        if isinstance(value, str | int | bool) or value is None:
            loaded.variables[name] = value
        else:
            remedy = (
                "Use a text, an integer or true/false; put decimals in quotes and cast them in the model."
            )
            loaded.problems.append(file.problem((name,), f"`{name}` is {type(value).__name__}.", remedy))


def _load_target(folder: Path, loaded: Loaded) -> None:
    names = sorted({path.stem for path in folder.iterdir() if path.suffix in (".sql", ".yml", ".yaml")})
    for name in names:
        loaded.named.add(f"{folder.name}/{name}")
        sql = folder / f"{name}.sql"
        contracts = [path for path in (folder / f"{name}.yml", folder / f"{name}.yaml") if path.exists()]
        if not sql.exists() or not contracts:
            there, missing = (contracts[0], sql) if contracts else (sql, folder / f"{name}.yml")
            message = f"A model is a pair of files, and {missing.name} is missing."
            loaded.problems.append(Problem(display(there), 0, message, "Add it, or remove this one."))
            continue
        _load_model(folder.name, name, sql, contracts[0], loaded)


def _load_model(target: str, name: str, sql: Path, yml: Path, loaded: Loaded) -> None:
    file = _yaml(yml, loaded)
    try:
        template = Template(decoded(sql.read_bytes(), display(sql)), display(sql))
    except ProblemsFound as error:
        loaded.problems += error.problems
        return
    contract, section, problems = parse(file, target, loaded.sections) if file else (None, None, [])
    found = checks(contract, file) if contract and file else []
    tests = {
        check.name: Template(check.spec.sql.query, display(yml), check.line)
        for check in found
        if check.spec.sql
    }
    broken = [problem for part in (template, *tests.values()) if (problem := part.broken)]
    loaded.problems += problems + broken
    if not template.broken:
        loaded.templates[f"{target}/{name}"] = template
    if contract is None or broken:
        return
    model = Model(target, name, str(sql), str(yml), contract, tuple(found), template, tests, section)
    loaded.models[model.key] = model


def _yaml(path: Path, loaded: Loaded) -> YamlFile | None:
    try:
        return YamlFile(path)
    except ProblemsFound as error:
        loaded.problems += error.problems
        return None


def reference_problems(loaded: Loaded, entities: Sequence[str]) -> Iterator[Problem]:
    """Names in models and contracts that lead nowhere."""
    for template in loaded.templates.values():
        yield from _unknown_uses(template, loaded, entities)
    for model in loaded.models.values():
        for test in model.test_templates.values():
            yield from _unknown_uses(test, loaded, entities)
        yield from _changed_problems(model, entities)
        yield from _relation_problems(model, loaded)


def _unknown_uses(template: Template, loaded: Loaded, entities: Sequence[str]) -> Iterator[Problem]:
    known: dict[str, Sequence[str]] = {
        "changed": entities,
        "latest": entities,
        "lookup": list(loaded.lookups),
        "var": list(loaded.variables),
    }
    things = {"changed": "entity", "latest": "entity", "lookup": "lookup", "var": "variable"}
    for use in template.uses:
        broken = use.function == "lookup" and use.name in loaded.named
        if use.name not in known[use.function] and not broken:
            message = f"There is no {things[use.function]} `{use.name}`."
            yield template.problem(use.line, message, closest(use.name, known[use.function]))


def _changed_problems(model: Model, entities: Sequence[str]) -> Iterator[Problem]:
    uses = [use for use in model.template.uses if use.function == "changed"]
    different = list(dict.fromkeys(use.name for use in uses))
    if not uses:
        message = "The model has no changed(), so nothing says which records a run is about."
        yield model.template.problem(1, message, f"Write from {{{{ changed('{model.contract.source}') }}}}.")
    elif len(different) > 1:
        line = next(use.line for use in uses if use.name == different[1])
        message = f"The model has two changed(): {' and '.join(different)}."
        yield model.template.problem(line, message, "Keep one, and read the other with latest().")
    elif different[0] != model.contract.source and different[0] in entities:
        message = f"`source` is {model.contract.source}, but the model reads changed('{different[0]}')."
        yield Problem(
            display(Path(model.contract_file)),
            _contract_line(model, "source"),
            message,
            "Make them the same.",
        )
    for test in model.test_templates.values():
        for use in test.uses:
            if use.function == "changed":
                yield test.problem(use.line, "A test cannot use changed().", "Use {{ rows }} or latest().")


def _relation_problems(model: Model, loaded: Loaded) -> Iterator[Problem]:
    file = display(Path(model.contract_file))
    siblings = {other.name: other for other in loaded.models.values() if other.target == model.target}
    for check in model.checks:
        relation = check.spec.relationships
        if relation is None:
            continue
        columns: list[str] | None = None
        if relation.model is not None:
            known = list(siblings)
            columns = list(siblings[relation.model].contract.columns) if relation.model in siblings else None
        else:
            known = list(loaded.lookups)
            found = loaded.lookups.get(relation.lookup or "")
            columns = found.table.column_names if found else None
        name = relation.model or relation.lookup or ""
        if columns is None and loaded.named & {f"{model.target}/{name}", name}:
            continue  # its own file has the mistake, and says so
        if columns is None:
            yield Problem(file, check.line, f"There is no model or lookup `{name}`.", closest(name, known))
        elif relation.column not in columns:
            message = f"`{name}` has no column `{relation.column}`."
            yield Problem(file, check.line, message, closest(relation.column, columns))
    for name in model.after:
        if name not in siblings and f"{model.target}/{name}" not in loaded.named:
            line = _contract_line(model, "after")
            yield Problem(
                file, line, f"`after` names `{name}`, which is no model here.", closest(name, list(siblings))
            )


def _contract_line(model: Model, key: str) -> int:
    return YamlFile(Path(model.contract_file)).line((key,))


def order(models: Sequence[Model]) -> list[str]:
    """The keys of models, each after those its contract names in `after`.

    Raises:
        graphlib.CycleError: two of them wait for each other.
    """
    graph = {model.key: [f"{model.target}/{name}" for name in model.after] for model in models}
    return list(TopologicalSorter(graph).static_order())
