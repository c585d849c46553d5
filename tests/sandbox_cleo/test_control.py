"""Looking into the tenant, its switches, its guide, and its state over a restart."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest
import requests
import yaml

from mlc_sandbox.cleo import CleoVendor
from mlc_sandbox.cleo.control import ControlRoutes
from mlc_sandbox.cleo.http import FAULTS
from mlc_sandbox.cleo.shipping import HOWS, POISONS
from mlc_sandbox.cleo.suppliers import BROKEN_FILES, FIELDS, INVALID
from mlc_sandbox.cleo.switches import CHOICES, DEFAULTS, Switches
from mlc_sandbox.config import write_config
from mlc_sandbox.core import Faults, SandboxClock
from mlc_sandbox.server import build

from .conftest import Mailbox, order, segments

ROOT = Path(__file__).parents[2]


class TestSwitches:
    def test_wrong_names_and_values_change_nothing(self) -> None:
        switches = Switches()
        for wrong in ({"nothing": 1}, {"upload_status": 202.0}, {"etag": "yes"}, {"if_match": "perhaps"}):
            with pytest.raises(ValueError, match=next(iter(wrong))):
                switches.update({"late_hours": 1, **wrong})
            assert dict(switches) == DEFAULTS

    def test_every_default_is_among_its_choices(self) -> None:
        assert [name for name, choices in CHOICES.items() if DEFAULTS[name] not in choices] == []

    def test_they_are_reached_over_the_control_api(self, mailbox: Mailbox) -> None:
        url = f"{mailbox.sandbox.url}/control/switches/cleo"
        assert requests.patch(url, json={"upload_status": 202}, timeout=30).json()["upload_status"] == 202
        assert mailbox.upload(order()).status_code == 202


class TestGuide:
    GUIDE = (ROOT / "docs" / "sandbox-cleo.md").read_text("utf-8")

    def test_it_names_every_switch_fault_and_word(self) -> None:
        named = [*DEFAULTS, *FAULTS, *HOWS, *POISONS, *INVALID, *BROKEN_FILES, *FIELDS]
        assert [name for name in named if f"`{name}`" not in self.GUIDE] == []

    def test_it_tells_every_switchs_default_and_choices(self) -> None:
        rows = {
            name: cells
            for line in self.GUIDE.partition("## Faults")[0].splitlines()
            if line.startswith("| `") and len(cells := line.split(" | ")) == 3
            for name in re.findall(r"`(\w+)`", cells[0])
        }
        for name, default in DEFAULTS.items():
            told = f"{default}".lower() if isinstance(default, bool) else f"{default}"
            assert told in rows[name][1], name
            missing = [
                choice for choice in CHOICES.get(name, ()) if str(choice) not in "".join(rows[name][1:])
            ]
            assert missing == [], name

    def test_it_names_no_switch_and_no_fault_that_is_not_there(self) -> None:
        tables = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| [^|]* \| [^|]* \|$", self.GUIDE, re.M)
        named = {name for cell in tables for name in re.findall(r"`(\w+)`", cell)}
        assert named - set(DEFAULTS) - set(FAULTS) == set()

    def test_it_names_every_control_route(self, mailbox: Mailbox) -> None:
        routes = ControlRoutes(mailbox.world, mailbox.sandbox.cleo.sftp).routes()
        paths = [f"{min(route.methods - {'HEAD'})} {route.path.removeprefix('/control')}" for route in routes]
        assert [path for path in paths if f"`{path}`" not in self.GUIDE] == []


class TestState:
    def test_everything_survives_a_restart(self, mailbox: Mailbox) -> None:
        mailbox.switches.update(partner_answer="late", configuration_api="allowed")
        mailbox.upload(order())
        mailbox.ship(how="partial")
        mailbox.control("POST", "/sftp/keys", json={"public_key": "ssh-ed25519 AAAA"})
        host_key = mailbox.sandbox.cleo.sftp.host_key
        held = pickle.loads(pickle.dumps(mailbox.sandbox.cleo.dump()))
        clock = SandboxClock()
        clock.offset, clock.advanced = mailbox.clock.offset, mailbox.clock.advanced
        restarted = CleoVendor(clock, Faults(), seed=7)
        restarted.load(held)
        world = restarted.world
        before, after = mailbox.world.received(), world.received()
        assert before == after
        assert restarted.secrets() == mailbox.sandbox.cleo.secrets()
        assert restarted.switches == mailbox.switches
        assert restarted.sftp.host_key == host_key
        assert world.login.keys == ["ssh-ed25519 AAAA"]
        world.login.check(f"Bearer {mailbox.token}")
        assert world.harmony.named("users", "mlc-mailbox").parent in world.harmony.objects
        # Numbers go on, what was shipped is known, what is late comes.
        notice = world.shipping.ship("PO000123")
        assert notice.isa13 == "000000003"
        assert [str(line["quantity"]) for line in notice.lines] == ["5.00", "1.25"]
        assert world.release() == 1
        assert world.receiver.take("again.edi", order().encode()).endswith("with the same bytes.")
        assert len(mailbox.world.shipping.notices) == 1, "a dump is a copy"

    def test_the_sandbox_has_the_tenant_and_writes_its_credentials(self, tmp_path: Path) -> None:
        sandbox = build(seed=1, scale=0.02, companies=["NO01"])
        config, credentials = write_config(tmp_path, "http://127.0.0.1:1", sandbox.vendors.values())
        secrets = dict(line.split("=", 1) for line in credentials.read_text("utf-8").splitlines())
        account = sandbox.cleo.world.login
        assert (secrets["CLEO_USER"], secrets["CLEO_PASSWORD"]) == (account.user, account.password)
        assert account.password not in config.read_text("utf-8")
        assert yaml.safe_load(config.read_text("utf-8"))

    def test_the_pairs_section_names_addresses_companies_and_partners(self, mailbox: Mailbox) -> None:
        section = mailbox.sandbox.cleo.config_section(mailbox.sandbox.url)["cleo"]
        assert section["rest"]["base_url"] == mailbox.root
        sftp = mailbox.sandbox.cleo.sftp_section()
        assert sftp["port"] == mailbox.control("GET", "/sftp").json()["port"]
        assert section["identities"] == {"NO01": {"qualifier": "ZZ", "id": "MLCNO01"}}
        assert [partner["id"] for partner in section["partners"].values()] == ["NORDEDI", "KONTINENT"]
        assert mailbox.world.login.password not in str(section)

    def test_while_a_day_passes_suppliers_ship_what_was_ordered_and_late_answers_leave(
        self, mailbox: Mailbox
    ) -> None:
        mailbox.switches.update(partner_answer="late", late_hours=30)
        mailbox.upload(order())
        assert mailbox.sandbox.pass_day()["cleo"] == {"late": 0, "shipped": 1, "supplier_changes": 0}
        mailbox.pass_time(31 * 3600)
        assert mailbox.sandbox.pass_day()["cleo"] == {"late": 1, "shipped": 0, "supplier_changes": 0}
        mailbox.token = mailbox.login().json()["access_token"]
        kinds = [segments(text, "ST")[0][:6] for text in mailbox.texts()]
        assert kinds == ["ST*856", "ST*997"]

    def test_the_same_seed_gives_the_same_account_and_ids(self) -> None:
        one, same, other = (CleoVendor(SandboxClock(), Faults(), seed) for seed in (1, 1, 2))
        assert one.secrets() == same.secrets() != other.secrets()
        assert list(one.world.harmony.objects) == list(same.world.harmony.objects)


class TestLookingIn:
    def test_the_state_counts_documents_and_files(self, mailbox: Mailbox) -> None:
        mailbox.upload(order())
        told = requests.get(f"{mailbox.sandbox.url}/control/state", timeout=30).json()["vendors"]["cleo"]
        assert told["documents"] == {"850": 1, "810": 0, "856": 0, "861": 0}
        assert told["files"] == {"upload": 0, "download": 1}

    def test_the_mailbox_shows_who_took_a_file(self, mailbox: Mailbox) -> None:
        mailbox.upload(order())
        (name,) = mailbox.listed()
        mailbox.delete(name)
        removed = mailbox.control("GET", "/mailbox").json()["removed"]
        assert [(gone["name"], gone["by"]) for gone in removed] == [("850_1.edi", "flow"), (name, "client")]

    def test_files_taken_and_left_are_told_as_jobs(self, mailbox: Mailbox) -> None:
        mailbox.upload(order())
        assert [job["status"] for job in mailbox.control("GET", "/jobs").json()] == ["successful"] * 2

    def test_a_file_can_be_put_into_the_download_folder(self, mailbox: Mailbox) -> None:
        body = {"name": "blåbær.txt", "text": "hei på deg", "encoding": "latin-1"}
        mailbox.control("POST", "/files", json=body)
        assert mailbox.get("blåbær.txt").content == "hei på deg".encode("latin-1")

    def test_partners_and_companies_can_be_others(self, mailbox: Mailbox) -> None:
        partner = {"qualifier": "14", "id": "7080001", "name": "Lager AS", "charset": "utf8"}
        told = mailbox.control("PUT", "/partners", json=partner).json()
        assert [one["id"] for one in told] == ["NORDEDI", "KONTINENT", "7080001"]
        assert mailbox.control("GET", "/partners").json() == told
        mailbox.control("PUT", "/companies", json={"MLCNO01": "SE01"})
        text = order().replace("*ZZ*NORDEDI        *", "*14*7080001        *").replace("SYREFAST", "RØR Æ")
        mailbox.upload(text)
        (held,) = mailbox.received()["documents"]["850"]
        assert (held["to"], held["company"], held["lines"][0]["text"]) == (
            "7080001",
            "SE01",
            "SKRUE M8 X 40 RØR Æ",
        )

    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            ("POST", "/ship", {}, 404),
            ("PUT", "/companies", {"X": 1}, 400),
            ("PUT", "/partners", {"colour": "red"}, 400),
            ("PATCH", "/resources/connections/none", {}, 404),
        ],
    )
    def test_mistakes_say_what_is_wrong(
        self, mailbox: Mailbox, method: str, path: str, body: dict[str, object], status: int
    ) -> None:
        reply = mailbox.control(method, path, json=body)
        assert reply.status_code == status
        assert reply.json()["error"]
