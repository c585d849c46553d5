"""What mlc.yaml names as `${NAME}`, kept in the vault; each change is told by the audit trail."""

from datetime import date

from mlc_dagster.vault.vault import Vault

FOLDER = "credential/"


class Credentials:
    """The vault's entries below `credential/`, by their names in mlc.yaml."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def ends(self) -> dict[str, date]:
        """The ends that were noted, by name, also of credentials that are kept elsewhere."""
        return {
            name.removeprefix(FOLDER): day
            for name, day in self._vault.ends().items()
            if name.startswith(FOLDER)
        }

    def note_end(self, name: str, ends_on: date | None) -> None:
        """Note on which day a credential ends, wherever it is kept; None: it is not known any more."""
        self._vault.note_end(FOLDER + name, ends_on)
