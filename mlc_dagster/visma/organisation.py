"""Who and when: branches, ledgers, financial periods, employees and time cards.

Paths, filters and fields: vendors/visma.md sections 4 to 6.
"""

from mlc_dagster.visma.entity import Entity, Filter, Paging
from mlc_dagster.visma.fields import shape

BRANCHES = Entity(
    name="branches",
    title="Branches",
    path="/v1/branch",
    single="/v1/branch/{number}",
    key=("number",),
    internal="branchId",
    number="number",
    paging=Paging.NONE,
    expand=(
        "expandAddress",
        "expandContact",
        "expandCurrency",
        "expandVatZone",
        "expandLedger",
        "expandIndustryCode",
        "expandDeliveryAddress",
        "expandDeliveryContact",
        "expandDefaultCountry",
        "expandBankSettings",
    ),
    fields=shape(
        """
            s number name corporateId vatRegistrationId
            b isMainBranch isActive
            i branchId organizationId
            ADDR mainAddress deliveryAddress
            CON mainContact deliveryContact
            COUNTRY defaultCountry
            ID industryCode vatZone ledger
            CURRENCY currency
            BANK bankSettings
            t lastModifiedDateTime
        """,
        BANK="""
            s bankName bankAddress1 bankAddress2 bankAddress3 bankCountry iban bban bbaN2 bbaN3 bic
            s creditorId
        """,
        CURRENCY="""
            s id description symbol
        """,
    ),
)


LEDGERS = Entity(
    name="ledgers",
    title="Ledgers",
    path="/v1/ledger",
    key=("number",),
    internal="internalId",
    number="number",
    paging=Paging.NONE,
    fields=shape(
        """
            s number description balanceType currencyId
            b consolidationSource branchAccounting postInterCompany
            i internalId
            NN consolBranch
            t lastModifiedDateTime
        """,
    ),
)


FINANCIAL_PERIODS = Entity(
    name="financial_periods",
    title="Financial periods",
    path="/v1/financialPeriod",
    key=("period",),
    number="period",
    filter=Filter.NONE,
    paging=Paging.NONE,
    stamp=None,
    fields=shape(
        """
            i year
            s period
            d startDate
            s description
            d endDate
            b active closedInSupplierLedger closedInCustomerLedger closedInInventoryManagement
            b closedInGeneralLedger closedInCashManagement closedInFixedAssets
        """,
    ),
)


EMPLOYEES = Entity(
    name="employees",
    title="Employees",
    path="/v1/employee",
    single="/v1/employee/{employeeNumber}",
    key=("employeeNumber",),
    internal="employeeId",
    cited=("employee.number",),
    number="employeeNumber",
    fields=shape(
        """
            s employeeNumber employeeName status department calendarID employeeLogin
            g employeeUserId
            i employeeId
            ADDR address
            ID employeeClass
            NN branch
            CONTACT contact
            t lastModifiedDateTime
            s timeStamp
            s[] workGroupDescription
        """,
        CONTACT="""
            s employeeContact title firstName midName lastName phone3 name attention email web phone1
            s phone2 fax
            i contactId
        """,
    ),
)


TIMECARDS = Entity(
    name="timecards",
    title="Time cards",
    path="/v1/timeCard",
    single="/v1/timeCard/{refNbr}",
    key=("refNbr",),
    number="refNbr",
    paging=Paging.NONE,
    demands_filter=True,
    fields=shape(
        """
            s refNbr status approvalStatus type origRefNbr approvalStatusText
            i timeSpent invoiceable overtimeSpent invoiceableOvertime totalTimeSpent invoiceableTotalTime
            ND week
            EMPLOYEE employee
            t lastModifiedDateTime
            s timeStamp
            SUMMARY[] summary
            MATERIAL[] materials
        """,
        MATERIAL="""
            i lineNumber
            s itemId description uoM
            n mon tue wed thu fri sat sun totalQty
            PRJ project projectTask
            t lastModifiedDateTime
        """,
        SUMMARY="""
            i lineNumber
            g lineId
            EARNING earningType
            s description approvalStatus approver approvalStatusText
            b invoiceable
            i mon tue wed thu fri sat sun timeSpent
            PRJ project projectTask
            t lastModifiedDateTime
        """,
        EARNING="""
            s code description
            b isOvertime isBillable isActive
            n overtimeMultiplier
            t lastModifiedDateTime
        """,
        EMPLOYEE="""
            s internalId number name
        """,
    ),
)
