"""mlc.yaml: every mistake at once with its place, and credentials that never show."""

import os
from pathlib import Path

import pytest

from mlc_dagster.problems import ProblemsFound
from mlc_dagster.settings import Secret, SecretMissing, load_settings
from mlc_dagster.suite import mappings_of

GOOD = """\
start_day: 2026-11-15
visma:
  client_id: ${VISMA_CLIENT_ID}
  client_secret: ${VISMA_CLIENT_SECRET}
companies:
  NO01: {name: Nordlys Handel AS, tenant_id: t-1, company_id: "1100"}
  SE01: {name: Björk Industri AB, tenant_id: t-2, company_id: "1200"}
pairs:
  anaplan:
    schedule: "0 6 * * *"
    auth: {method: basic, user: "${ANAPLAN_USER}", password: "${ANAPLAN_PASSWORD}"}
    workspace_id: 0123456789abcdef0123456789abcdef
    model_id: 0123456789ABCDEF0123456789ABCDEF
    destinations:
      gl_accounts: {list_import: GL Accounts list, data_import: GL Accounts data}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mlc.yaml"
    path.write_text(text, "utf-8")
    return path


def problems_of(folder: Path, text: str) -> list[tuple[int, str]]:
    with pytest.raises(ProblemsFound) as found:
        load_settings(written(folder, text))
    return [(problem.line, problem.message) for problem in found.value.problems]


def test_a_good_file_loads_and_state_lives_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLC_DATABASE_URL", raising=False)
    settings = load_settings(written(tmp_path, GOOD))
    assert list(settings.companies) == ["NO01", "SE01"]
    assert settings.companies_of("anaplan") == ["NO01", "SE01"]
    assert settings.database_url == f"sqlite:///{tmp_path / '.mlc' / 'mlc.db'}"


def test_a_file_that_cannot_be_read_is_told_with_who_tried(tmp_path: Path) -> None:
    # Docker makes a folder of a file that is not there.
    (tmp_path / "mlc.yaml").mkdir()
    with pytest.raises(ProblemsFound, match=rf"mlc.yaml: It cannot be read: .* user id {os.getuid()}"):
        load_settings(tmp_path / "mlc.yaml")


def test_five_mistakes_are_reported_at_once_each_with_its_line(tmp_path: Path) -> None:
    broken = (
        GOOD.replace("2026-11-15", "2026-13-15")
        .replace("tenant_id: t-2, ", "")
        .replace('"0 6 * * *"', "often")
        .replace("list_import: GL", "list_imprt: GL")
        .replace("method: basic", "method: magic")
    )
    found = problems_of(tmp_path, broken)
    assert [line for line, _ in found] == [1, 7, 10, 11, 15]
    assert "`tenant_id` is missing." in found[1][1]
    assert "`list_imprt` is not a setting here." in {message for _, message in found}


def test_what_a_value_may_be_is_told_in_words(tmp_path: Path) -> None:
    assert problems_of(tmp_path, GOOD.replace("2026-11-15", "soon")) == [
        (1, "`start_day`: a date is needed, such as 2026-01-31.")
    ]
    [(_, told)] = problems_of(tmp_path, GOOD.replace("0123456789ABCDEF0123456789ABCDEF", "the model"))
    assert told == "`model_id`: it has to be 32 characters of 0-9 and A-F, in capital letters."
    [(_, told)] = problems_of(tmp_path, GOOD.replace("tenant_id: t-2", 'tenant_id: ""'))
    assert told == "`tenant_id`: it must not be empty."


ASANA = """\
  asana:
    auth: {token: "${ASANA_TOKEN}"}
    workspace: "1200"
    destinations: {purchase_orders: {project: "1201"}}
"""


def test_the_ways_to_log_in_are_those_of_the_target_that_lacks_one(tmp_path: Path) -> None:
    with pytest.raises(ProblemsFound, match=r"mlc.yaml:17: `method` is missing. .* docs/asana.md "):
        load_settings(written(tmp_path, GOOD + ASANA))
    with pytest.raises(ProblemsFound, match=r"mlc.yaml:17: .* not known. Use one of: pat, oauth."):
        load_settings(written(tmp_path, GOOD + ASANA.replace("{token", "{method: certificate, token")))


def test_an_unknown_company_of_a_pair_is_named_with_the_known_ones(tmp_path: Path) -> None:
    text = GOOD.replace("  anaplan:\n", "  anaplan:\n    companies: [NO01, FI01]\n")
    assert problems_of(tmp_path, text) == [(10, "There is no company FI01.")]


def test_a_destination_without_a_model_is_a_mistake_of_its_line_and_is_not_left_out(tmp_path: Path) -> None:
    text = GOOD + "      gl_acounts: {list_import: Other list, data_import: Other data}\n"
    settings = load_settings(written(tmp_path, text))
    with pytest.raises(ProblemsFound) as found:
        mappings_of(settings)
    [problem] = found.value.problems
    assert problem.line == text[: text.index("gl_acounts")].count("\n") + 1
    assert "no model anaplan/gl_acounts" in problem.message
    assert problem.remedy == "Did you mean `gl_accounts`?"


def test_a_key_that_stands_twice_is_a_mistake_not_a_silent_choice(tmp_path: Path) -> None:
    text = GOOD.replace("start_day", "start_day: 2026-11-01\nstart_day", 1)
    assert problems_of(tmp_path, text) == [(2, "`start_day` stands here twice.")]


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    assert problems_of(tmp_path, GOOD.replace("pairs:", "pairs"))[0][0] == 9


def test_a_credential_in_clear_is_refused_and_not_repeated_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(ProblemsFound) as found:
        load_settings(written(tmp_path, GOOD.replace("${VISMA_CLIENT_SECRET}", "hunter2")))
    assert "client_secret" in str(found.value)
    assert "hunter2" not in str(found.value)


def test_plain_http_is_for_this_machine_only(tmp_path: Path) -> None:
    remote = GOOD.replace("visma:\n", "visma:\n  base_url: http://erp.example.com\n", 1)
    assert problems_of(tmp_path, remote)[0][0] == 3
    local = GOOD.replace("visma:\n", "visma:\n  base_url: http://127.0.0.1:8080/api\n", 1)
    assert load_settings(written(tmp_path, local)).visma.base_url == "http://127.0.0.1:8080/api"


def test_a_secret_shows_its_name_and_never_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANAPLAN_PASSWORD", "hunter2")
    secret = Secret("${ANAPLAN_PASSWORD}")
    assert secret.reveal() == "hunter2"
    assert "hunter2" not in f"{secret} {secret!r}"


def test_a_missing_variable_is_told_when_it_is_needed_not_when_the_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISMA_CLIENT_ID", raising=False)
    settings = load_settings(written(tmp_path, GOOD))
    with pytest.raises(SecretMissing, match="VISMA_CLIENT_ID is not set"):
        settings.visma.client_id.reveal()


def feed(settings: str) -> str:
    return GOOD.replace("{list_import: GL Accounts list, data_import: GL Accounts data}", settings)


def test_an_anaplan_feed_is_named_by_its_imports_or_by_their_process(tmp_path: Path) -> None:
    for good in ("{data_import: d}", "{process: p}", "{process: p, parameters: {Version: Actual}}"):
        assert load_settings(written(tmp_path, feed(good))).pairs.anaplan is not None
    for both in ("{process: p, data_import: d}", "{process: p, list_import: l}"):
        ((line, message),) = problems_of(tmp_path, feed(both))
        assert (line, "either the `process` or its imports" in message) == (15, True)
    for none in ("{}", "{list_import: l}"):
        ((line, message),) = problems_of(tmp_path, feed(none))
        assert (line, "name the feed's `data_import`" in message) == (15, True)


def test_an_import_of_one_feed_is_not_another_feeds_too(tmp_path: Path) -> None:
    other = "      suppliers: {list_import: GL Accounts list, data_import: Suppliers data}\n"
    ((_, message),) = problems_of(tmp_path, GOOD + other)
    assert "'GL Accounts list' is named more than once" in message


def test_small_changes_name_list_and_module_and_at_most_5000_rows(tmp_path: Path) -> None:
    def small(up_to: int) -> str:
        return feed(f"{{process: p, small_changes: {{up_to: {up_to}, list: L, module: M}}}}")

    anaplan = load_settings(written(tmp_path, small(5000))).pairs.anaplan
    assert anaplan is not None
    assert anaplan.destinations["gl_accounts"].small_changes is not None
    assert [line for line, _ in problems_of(tmp_path, small(5001))] == [15]
    without = feed("{data_import: d, small_changes: {up_to: 1, list: L}}")
    assert [line for line, _ in problems_of(tmp_path, without)] == [15]


def test_small_changes_are_for_rows_that_are_items_of_a_list(tmp_path: Path) -> None:
    ((line, message),) = problems_of(
        tmp_path, feed("{data_import: d, small_changes: {up_to: 1, list: L, module: M}}")
    )
    assert (line, "without `list_import` no row is an item" in message) == (15, True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("{data_import: d, small_changes: {up_to: 1, module: M}}", "or the dimensions they stand `by`"),
        (
            "{process: p, small_changes: {up_to: 1, module: M, list: L, by: {account: A}}}",
            "or the dimensions they stand `by`",
        ),
        (
            "{list_import: l, data_import: d, small_changes: {up_to: 1, module: M, by: {account: A}}}",
            "`list_import` makes items",
        ),
        (
            "{data_import: d, small_changes: {up_to: 1, module: M, by: {account: A}, name_property: P}}",
            "no `list` is named",
        ),
    ],
)
def test_small_changes_are_items_of_a_list_or_cells_by_dimensions(
    tmp_path: Path, settings: str, words: str
) -> None:
    by = "{data_import: d, small_changes: {up_to: 1, module: M, by: {account: A, month: Time}}}"
    assert load_settings(written(tmp_path, feed(by))).pairs.anaplan is not None
    ((line, message),) = problems_of(tmp_path, feed(settings))
    assert (line, words in message) == (15, True), message


def test_an_upload_is_completed_or_counted(tmp_path: Path) -> None:
    anaplan = load_settings(written(tmp_path, GOOD)).pairs.anaplan
    assert anaplan is not None
    assert anaplan.upload == "complete"
    odd = GOOD.replace("  anaplan:\n", "  anaplan:\n    upload: streamed\n")
    assert [line for line, _ in problems_of(tmp_path, odd)] == [10]


OAUTH = GOOD.replace(
    'auth: {method: basic, user: "${ANAPLAN_USER}", password: "${ANAPLAN_PASSWORD}"}',
    'auth: {method: oauth_code, client_id: "${ANAPLAN_ID}", client_secret: "${ANAPLAN_SECRET}", '
    "redirect_uri: https://integration.example.com/callback/}",
)


def test_the_redirect_address_is_kept_letter_by_letter(tmp_path: Path) -> None:
    anaplan = load_settings(written(tmp_path, OAUTH)).pairs.anaplan
    assert anaplan is not None
    assert anaplan.auth.redirect_uri == "https://integration.example.com/callback/"  # type: ignore[union-attr]
    assert anaplan.oauth_url == "https://us1a.app.anaplan.com"


def test_a_client_secret_in_clear_is_refused_and_not_repeated(tmp_path: Path) -> None:
    [(_, words)] = problems_of(tmp_path, OAUTH.replace("${ANAPLAN_SECRET}", "my-secret"))
    assert "never in clear" in words
    assert "my-secret" not in words


def test_the_ways_to_log_in_are_named_when_another_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ProblemsFound, match="Use one of: basic, certificate, oauth_device, oauth_code"):
        load_settings(written(tmp_path, OAUTH.replace("oauth_code", "oauth")))
