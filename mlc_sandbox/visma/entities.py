"""One declaration per API resource: paths, caps, filters, sections (vendors/visma.md sections 4 to 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlc_sandbox.visma.filters import (
    Filter,
    amount,
    any_line,
    dated,
    flag,
    key_after,
    post_period,
    released,
    text,
)


@dataclass(frozen=True)
class Entity:
    """A resource of the API. `name` is its table; paths are matched without case.

    `sections` maps an expand flag to the fields it shows; `key` names the row fields of the table's key.
    """

    name: str
    path: str
    key: tuple[str, ...]
    paged: bool = True
    metadata: bool = True
    time_stamp: bool = True
    modified: str = "condition"  # condition: value + condition | since: value alone | none
    created: bool = False
    needs: tuple[str, ...] = ()  # at least one of these parameters must be given
    filters: Mapping[str, Filter] = field(default_factory=dict)
    sections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    line_sections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    single: bool = True
    single_hidden: tuple[str, ...] = ()  # flags that also hide on single reads
    default_type: str = ""  # the first key part when the path carries only the number
    typed_path: bool = False  # /type/number works
    lines: str = ""  # the array of lines
    line_key: tuple[str, str] = ("", "")  # name when read, name when written
    writable: bool = True
    deletable: bool = False
    post_path: str = ""  # a second path that takes POST
    write_path: str = ""  # where POST and PUT live when not where GET does
    by_line: bool = False  # paging counts lines (journal)


_DOCUMENT = {
    "documentType": text("documentType"),
    "status": text("status"),
    "released": released,
    "financialPeriod": text("financialPeriod"),
    "branch": text("branchNumber.number"),
}
_CUSTOMER_DOCUMENT = _DOCUMENT | {
    "customer": text("customer.number"),
    "project": text("project.id"),
    "closedFinancialPeriod": text("closedFinancialPeriod"),
    "documentDate": dated("documentDate"),
    "documentDueDate": dated("documentDueDate"),
    "dunningLevel": text("dunningLetterLevel"),
    "externalReference": text("externalReference"),
    "paymentReference": text("paymentReference"),
    "customerRefNumber": text("customerRefNumber"),
    "greaterThanValue": key_after("referenceNumber"),
}
_CUSTOMER_SECTIONS = {
    "expandApplications": ("applications",),
    "expandDunningInformation": ("dunningLetterDate", "dunningLetterLevel"),
    "expandAttachments": ("attachments",),
    "expandTaxDetails": ("taxDetails",),
    "expandInvoiceAddress": ("invoiceAddress", "invoiceContact"),
}
_CUSTOM = (
    *(f"custom{name}" for name in ("Str1", "Str2", "Str3", "Str4", "Str5", "Dec1", "Dec2", "Int1", "Int2")),
    "customDateTimeUTC1",
)

ENTITIES: tuple[Entity, ...] = (
    Entity(
        "supplier",
        "v1/supplier",
        ("number",),
        filters={
            "greaterThanValue": key_after("number"),
            "name": text("name"),
            "status": text("status"),
            "vatRegistrationId": text("vatRegistrationId"),
            "corporateId": text("corporateId"),
        },
        sections={"expandAccountInformation": ("glAccounts",), "expandNote": ("note",)},
    ),
    Entity(
        "supplierInvoice",
        "v1/supplierInvoice",
        ("documentType", "referenceNumber"),
        created=True,
        filters=_DOCUMENT
        | {
            "supplier": text("supplier.number"),
            "project": any_line("invoiceLines", "project.id"),
            "item": any_line("invoiceLines", "inventoryNumber"),
            "docDate": dated("date"),
            "dueDate": dated("dueDate"),
            "balance": amount("balance"),
            "greaterThanValue": key_after("referenceNumber"),
        },
        sections={
            "expandAttachment": ("attachments",),
            "expandLandedCosts": ("landedCosts",),
            "expandApproval": ("approvalDetails",),
            "expandNote": ("note",),
        },
        line_sections={
            "expandAttachment": ("attachments",),
            "expandLinePrebookAccounts": ("prebookAccount", "prebookSubaccount"),
        },
        single_hidden=("expandLandedCosts", "expandLinePrebookAccounts"),
        default_type="Invoice",
        typed_path=True,
        lines="invoiceLines",
        line_key=("lineNumber", "lineNumber"),
        deletable=True,
    ),
    Entity(
        "supplierPayment",
        "v1/supplierPayment",
        ("type", "refNbr"),
        filters={
            "supplier": text("supplier.number"),
            "paymentType": text("type"),
            "status": text("status"),
            "invoiceRefNbr": any_line("paymentLines", "invoiceRefNbr"),
            "branch": text("branch"),
            "docDate": dated("applicationDate"),
            "financialPeriod": text("applicationPeriod"),
            "balance": amount("balance"),
            "greaterThanValue": key_after("refNbr"),
        },
        default_type="Payment",
        typed_path=True,
        lines="paymentLines",
    ),
    Entity(
        "purchaseorder",
        "v1/purchaseorder",
        ("orderType", "orderNbr"),
        filters={
            "orderType": text("orderType"),
            "orderStatus": text("status"),
            "supplier": text("supplier.number"),
            "branch": text("branch.number"),
            "orderDate": dated("date"),
            "deliveryDate": dated("promisedOn"),
            "greaterThanValue": key_after("orderNbr"),
        },
        sections={"includeCustomFreeFields": _CUSTOM},
        line_sections={"includeCustomFreeFields": _CUSTOM},
        single_hidden=("includeCustomFreeFields",),
        default_type="RegularOrder",
        lines="lines",
        line_key=("lineNbr", "lineNumber"),
    ),
    Entity(
        "purchaseReceipt",
        "v2/PurchaseReceipt",
        ("receiptNbr",),
        filters={
            "receiptType": text("receiptType"),
            "status": text("status"),
            "supplier": text("supplier.number"),
            "poOrderNbr": any_line("lines", "poOrderNbr"),
            "branch": text("branchNumber.number"),
            "finPeriod": post_period,
            "receiptDate": dated("date"),
            "dueDate": dated("dueDate"),
            "greaterThanValue": key_after("receiptNbr"),
        },
        sections={"expandNote": ("note",), "includeCustomFreeFields": _CUSTOM},
        line_sections={"includeCustomFreeFields": _CUSTOM},
        single_hidden=("includeCustomFreeFields",),
        lines="lines",
        line_key=("lineNbr", "lineNbr"),
        write_path="v1/PurchaseReceipt",
    ),
    Entity(
        "customer",
        "v1/customer",
        ("number",),
        created=True,
        filters={
            # greaterThanValue is broken on customer, in the vendor's own words: it is not here.
            "name": text("name"),
            "status": text("status"),
            "corporateId": text("corporateId"),
            "vatRegistrationId": text("vatRegistrationId"),
            "email": text("mainContact.email"),
            "phone": text("mainContact.phone1"),
        },
        sections={
            "expandAccountInformation": ("glAccounts",),
            "expandPaymentMethods": ("paymentMethods",),
            "expandDirectDebit": ("directDebitLines",),
        },
    ),
    Entity(
        "customerinvoice",
        "v1/customerinvoice",
        ("documentType", "referenceNumber"),
        created=True,
        filters=_CUSTOMER_DOCUMENT,
        sections=_CUSTOMER_SECTIONS,
        line_sections={"expandAttachments": ("attachments",)},
        default_type="Invoice",
        lines="invoiceLines",
        line_key=("lineNumber", "lineNumber"),
        deletable=True,
        post_path="v2/customerinvoice",
    ),
    Entity(
        "customerCreditNote",
        "v1/customerCreditNote",
        ("documentType", "referenceNumber"),
        created=True,
        filters=_CUSTOMER_DOCUMENT,
        sections=_CUSTOMER_SECTIONS,
        line_sections={"expandAttachments": ("attachments",)},
        default_type="CreditNote",
        lines="lines",
        line_key=("lineNumber", "lineNumber"),
        deletable=True,
        post_path="v2/customerCreditNote",
    ),
    Entity(
        "customerPayment",
        "v1/customerPayment",
        ("type", "refNbr"),
        filters={
            "paymentNbr": text("refNbr"),
            "paymentType": text("type"),
            "customer": text("customer.number"),
            "invoiceRefNbr": any_line("paymentLines", "refNbr"),
            "status": text("status"),
            "branch": text("branch"),
            "docDate": dated("applicationDate"),
            "financialPeriod": text("applicationPeriod"),
            "greaterThanValue": key_after("refNbr"),
        },
        default_type="Payment",
        lines="paymentLines",
    ),
    Entity(
        "account",
        "v1/account",
        ("accountCD",),
        paged=False,
        filters={
            "active": flag("active"),
            "greaterThanValue": key_after("accountCD"),
            "publicCode": text("publicCode1"),
            "externalCode1": text("externalCode1Info.number"),
            "externalCode2": text("externalCode2Info.number"),
            "analysisCode": text("analisysCodeInfo.number"),
        },
        sections={"includeAccountClassDescription": ("accountClassDescription",)},
    ),
    Entity("subaccount", "v1/subaccount", ("subaccountNumber",), filters={"active": flag("active")}),
    Entity(
        "dimension",
        "v1/dimension",
        ("id",),
        paged=False,
        metadata=False,
        time_stamp=False,
        modified="none",
        writable=False,
    ),
    Entity(
        "generalLedgerBalance",
        "v2/generalLedgerBalance",
        (
            "branch.number",
            "ledger.id",
            "financialPeriod",
            "account.number",
            "subaccount.subaccountNumber",
            "currencyId",
        ),
        time_stamp=False,
        modified="since",
        needs=("periodId", "lastModifiedDateTime"),
        filters={
            "periodId": text("financialPeriod"),
            "account": text("account.number"),
            "subaccount": text("subaccount.subaccountNumber"),
            "ledger": text("ledger.id"),
            "branch": text("branch.number"),
            "balanceType": text("balanceType"),
        },
        single=False,
        writable=False,
    ),
    Entity(
        "journaltransaction",
        "v2/journaltransaction",
        ("module", "batchNumber"),
        modified="since",
        needs=("periodId", "lastModifiedDateTime"),
        filters={
            "periodId": text("financialPeriod"),
            # The filter says GL, the field ModuleGL (vendors/visma.md section 6).
            "module": text("module", prefix="Module"),
            "status": text("status"),
            "branch": text("branch"),
        },
        sections={"expandAttachments": ("attachments",)},
        default_type="ModuleGL",
        lines="journalTransactionLines",
        line_key=("lineNumber", "lineNumber"),
        by_line=True,
    ),
    Entity(
        "employee",
        "v1/employee",
        ("employeeNumber",),
        filters={"greaterThanValue": key_after("employeeNumber")},
    ),
    Entity(
        "timeCard",
        "v1/timeCard",
        ("refNbr",),
        paged=False,
        needs=("status", "week", "type", "lastModifiedDateTime", "greaterThanValue"),
        filters={
            "status": text("status"),
            "week": text("week.number"),
            "type": text("type"),
            "greaterThanValue": key_after("refNbr"),
        },
        lines="summary",
    ),
    Entity(
        "ledger",
        "v1/ledger",
        ("number",),
        paged=False,
        metadata=False,
        time_stamp=False,
        filters={"greaterThanValue": key_after("number")},
        single=False,
        writable=False,
    ),
    Entity(
        "financialPeriod",
        "v1/financialPeriod",
        ("period",),
        paged=False,
        metadata=False,
        time_stamp=False,
        modified="none",
        filters={"greaterThanValue": key_after("period")},
        writable=False,
    ),
    Entity(
        "branch",
        "v1/branch",
        ("number",),
        paged=False,
        metadata=False,
        time_stamp=False,
        filters={"greaterThanValue": key_after("number")},
        sections={
            "expandAddress": ("mainAddress",),
            "expandContact": ("mainContact",),
            "expandCurrency": ("currency",),
            "expandVatZone": ("vatZone",),
            "expandLedger": ("ledger",),
            "expandIndustryCode": ("industryCode",),
            "expandDeliveryAddress": ("deliveryAddress",),
            "expandDeliveryContact": ("deliveryContact",),
            "expandDefaultCountry": ("defaultCountry",),
            "expandBankSettings": ("bankSettings",),
        },
        writable=False,
    ),
)

BY_NAME = {entity.name.lower(): entity for entity in ENTITIES}
