"""The general ledger: accounts, subaccounts, dimensions, balances and journals.

Paths, filters and fields: vendors/visma.md sections 4 to 6.
"""

from mlc_dagster.visma.entity import Entity, Filter, Paging
from mlc_dagster.visma.fields import shape

GL_ACCOUNTS = Entity(
    name="gl_accounts",
    title="General ledger accounts",
    path="/v1/account",
    single="/v1/account/{accountCD}",
    key=("accountCD",),
    internal="accountID",
    cited=("account.number", "accountNumber"),
    number="accountCD",
    paging=Paging.NONE,
    expand=("includeAccountClassDescription",),
    fields=shape(
        """
            s accountCD description type
            b active
            s accountGroupCD accountClass accountClassDescription postOption currency taxCategory
            s publicCode1 controlAccountModule
            b useDefaultSub cashAccount allowManualEntry
            i accountID
            ND externalCode1Info externalCode2Info analisysCodeInfo
            t lastModifiedDateTime
            s timeStamp
        """,
    ),
)


SUBACCOUNTS = Entity(
    name="subaccounts",
    title="Subaccounts",
    path="/v1/subaccount",
    single="/v1/subaccount/{subaccountNumber}",
    key=("subaccountNumber",),
    internal="subaccountId",
    cited=("subaccount.subaccountNumber", "sub.subaccountNumber"),
    number="subaccountNumber",
    fields=shape(
        """
            s subaccountNumber
            i subaccountId
            s description
            b active
            t lastModifiedDateTime
            s timeStamp
            SEGMENT[] segments
        """,
    ),
)


DIMENSIONS = Entity(
    name="dimensions",
    title="Dimensions with their segments and values",
    path="/v1/dimension",
    single="/v1/dimension/{id}",
    key=("id",),
    number="id",
    filter=Filter.NONE,
    paging=Paging.BY_ID,
    stamp=None,
    expand=("expandSegmentsValues",),
    fields=shape(
        """
            s id
            i length
            s description
            DIMENSION_SEGMENT[] segments
        """,
        DIMENSION_SEGMENT="""
            g internalId
            i segmentId
            s description
            g publicId
            t lastModified
            b validate isAutoNumber
            i length consolNumChar consolOrder
            s timeStamp
            VALUE[] segmentValues
        """,
        VALUE="""
            g internalId
            i segmentId
            s valueId description mappedSegValue
            g publicId
            t lastModified
            b active
            s timeStamp
        """,
    ),
)


GL_BALANCES = Entity(
    name="gl_balances",
    title="General ledger balances",
    path="/v2/generalLedgerBalance",
    key=(
        "branch.number",
        "ledger.id",
        "financialPeriod",
        "account.number",
        "subaccount.subaccountNumber?",
        "currencyId?",
    ),
    number="account.number",
    filter=Filter.SINCE,
    fields=shape(
        """
            NN branch
            ID ledger
            s balanceType financialPeriod subaccountId subAccountCd currencyId
            b yearClosed
            n periodToDateDebit periodToDateCredit beginningBalance yearToDateBalance
            n periodToDateDebitInCurrency periodToDateCreditInCurrency beginningBalanceInCurrency
            n yearToDateBalanceInCurrency
            ACCOUNT account
            SUBACCOUNT subaccount
            t lastModifiedDateTime
        """,
        SUBACCOUNT="""
            s subaccountNumber
            i subaccountId
        """,
        ACCOUNT="""
            s type externalCode1 externalCode2 glConsolAccountCD number description
            ND externalCode1Info externalCode2Info
        """,
    ),
)


JOURNAL_TRANSACTIONS = Entity(
    name="journal_transactions",
    title="Journal transactions",
    path="/v2/journaltransaction",
    single="/v2/journaltransaction/{batchNumber}",
    key=("module", "batchNumber"),
    number="batchNumber",
    filter=Filter.SINCE,
    paging=Paging.BY_LINE,
    lines="journalTransactionLines",
    expand=("expandAttachments",),
    fields=shape(
        """
            s batchNumber module status postPeriod financialPeriod ledger ledgerDescription currencyId
            s description originalBatchNumber transactionCode transactionCodeDescription branch
            d transactionDate
            b hold autoReversing reversingEntry createVatTransaction skipVatAmountValidation
            n exchangeRate debitTotal debitTotalInCurrency creditTotal creditTotalInCurrency controlTotal
            n controlTotalInCurrency
            t lastModifiedDateTime
            s timeStamp
            ATTACHMENT[] attachments
            LINE[] journalTransactionLines
        """,
        LINE="""
            i lineNumber
            s accountNumber description referenceNumber transactionDescription branch customerSupplier
            s transactionType module uom inventoryNumber note
            n debitAmount debitAmountInCurrency creditAmount creditAmountInCurrency quantity
            ID vatCode vat
            PRJ project projectTask
            SUB subaccount
            ATTACHMENT[] attachments
        """,
    ),
)
