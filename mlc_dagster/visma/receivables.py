"""What is sold: customers, their invoices, credit notes and payments.

Paths, filters and fields: vendors/visma.md sections 4 to 6.
"""

from mlc_dagster.visma.entity import Entity, Unreleased
from mlc_dagster.visma.fields import shape

UNRELEASED = Unreleased(
    "released", "0", frozenset({"Hold", "Balanced", "CreditHold", "CcHold", "PendingPrint", "PendingEmail"})
)


CUSTOMERS = Entity(
    name="customers",
    title="Customers",
    path="/v1/customer",
    single="/v1/customer/{number}",
    key=("number",),
    internal="internalId",
    cited=("customer.number",),
    number="number",
    expand=("expandAccountInformation", "expandPaymentMethods", "expandDirectDebit"),
    fields=shape(
        """
            s number name status
            i internalId
            s accountReference currencyId creditVerification statementType vatRegistrationId corporateId
            s gln defaultPaymentMethodId
            t createdDateTime
            b printInvoices acceptAutoInvoices sendInvoicesByEmail sendDunningLettersViaEMail
            b printDunningLetters printStatements sendStatementsByEmail printMultiCurrencyStatements
            b invoiceToDefaultLocation excludeDebtCollection
            i creditDaysPastDue numberOfEmployees
            n creditLimit
            ADDR mainAddress invoiceAddress deliveryAddress
            CON mainContact invoiceContact deliveryContact
            ID customerClass creditTerms priceClass
            LOC location
            NN parentRecord
            VATZONE vatZone
            GL_ACCOUNTS glAccounts
            E_INVOICE eInvoiceContract
            t lastModifiedDateTime
            s timeStamp
            ATTRIBUTE[] attributes
            DIRECT_DEBIT[] directDebitLines
            PAYMENT_METHOD[] paymentMethods
        """,
        PAYMENT_METHOD="""
            s paymentMethodId
            b isDefault
        """,
        DIRECT_DEBIT="""
            g id
            s mandateId mandateDescription bic iban branch
            d dateOfSignature lastCollectionDate expirationDate
            b isDefault oneTime
            n maxAmount
        """,
        E_INVOICE="""
            s fInvoiceContractID fInvoiceIntermediatorID
        """,
        GL_ACCOUNTS="""
            ACC customerLedgerAccount
            SUB customerLedgerSubaccount
            ACC salesAccount salesNonTaxableAccount salesEuAccount salesExportAccount discountAccount
            ACC freightAccount cashDiscountAccount prepaymentAccount
            SUB salesSubaccount discountSubaccount freightSubaccount cashDiscountSubaccount
            SUB prepaymentSubaccount
        """,
    ),
)


# Customer invoices and credit notes have the same header and, under two names, the same lines (section 6).
DOCUMENT = """
    s referenceNumber documentType status
    NN customer
    d documentDate documentDueDate origInvoiceDate
    s postPeriod financialPeriod closedFinancialPeriod currencyId
    n exchangeRate amount amountInCurrency balance balanceInCurrency
    s externalReference salesPersonDescr paymentReference customerRefNumber invoiceText note
    s cashAccount customerProject
    d cashDiscountDate dunningLetterDate
    t createdDateTime
    b isRotRutDeductible sendToAutoInvoice hold dontPrint dontEmail revoked
    i dunningLetterLevel salesPersonID
    n roundingDiff discountTotal discountTotalInCurrency detailTotal detailTotalInCurrency
    n vatTaxableTotal vatTaxableTotalInCurrency vatExemptTotal vatExemptTotalInCurrency
    n cashDiscount cashDiscountInCurrency vatTotal vatTotalInCurrency
    ACCX account
    ID creditTerms customerVatZone salesPerson paymentMethod
    LOC location
    NN childRecord branchNumber
    PLACE contact
    PRJ project
    SUB subaccount
    INVOICE_ADDR invoiceAddress
    INVOICE_CON invoiceContact
    t lastModifiedDateTime
    s timeStamp
    ATTACHMENT[] attachments
    TAX[] taxDetails
    APPLICATION[] applications
"""
DOCUMENT_LINE = """
    d termStartDate termEndDate
    b isRotRutDeductible
    s itemType soShipmentNbr soOrderType soOrderNbr inventoryNumber description uom salesperson
    s deferralCode discountCode note externalLink
    b manualDiscount
    i lineNumber deferralSchedule
    n deductableAmount quantity unitPrice unitPriceInCurrency manualAmount manualAmountInCurrency
    n amount cost amountInCurrency discountPercent discountAmount discountAmountInCurrency
    ACCX account
    ID vatCode seller
    NN branchNumber
    PRJ projectTask
    SUB subaccount
    WORK typeOfWork
    ATTACHMENT[] attachments
"""
DOCUMENT_SECTIONS = (
    "expandApplications",
    "expandAttachments",
    "expandDunningInformation",
    "expandInvoiceAddress",
    "expandTaxDetails",
)


CUSTOMER_INVOICES = Entity(
    name="customer_invoices",
    title="Customer invoices",
    path="/v1/customerinvoice",
    single="/v1/customerinvoice/{referenceNumber}",
    key=("documentType", "referenceNumber"),
    number="referenceNumber",
    unreleased=UNRELEASED,
    expand=DOCUMENT_SECTIONS,
    fields=shape(
        DOCUMENT
        + """
            s accountingCostRef originatorDocRef contractDocRef
            d startDate endDate
            b excludeDebtCollection
            MANDATE directDebitMandate
            DEBT debtCollection
            LINE[] invoiceLines
        """,
        LINE=DOCUMENT_LINE
        + """
            s lineType
            d startDate endDate
        """,
        DEBT="""
            s caseNumber caseType caseStatus caseUrl
        """,
        MANDATE="""
            g id
            s mandateId mandateDescription
        """,
    ),
)


CUSTOMER_CREDIT_NOTES = Entity(
    name="customer_credit_notes",
    title="Customer credit notes",
    path="/v1/customerCreditNote",
    single="/v1/customerCreditNote/{referenceNumber}",
    key=("documentType", "referenceNumber"),
    number="referenceNumber",
    unreleased=UNRELEASED,
    expand=DOCUMENT_SECTIONS,
    fields=shape(DOCUMENT + "LINE[] lines", LINE=DOCUMENT_LINE),
)


CUSTOMER_PAYMENTS = Entity(
    name="customer_payments",
    title="Customer payments",
    path="/v1/customerPayment",
    single="/v1/customerPayment/{refNbr}",
    key=("type", "refNbr"),
    number="refNbr",
    fields=shape(
        """
            s refNbr type status applicationPeriod paymentRef cashAccount currency invoiceText branch
            d applicationDate
            b hold
            n paymentAmount appliedToDocuments appliedToOrders availableBalance writeOffAmount
            n financeCharges deductedCharges paymentAmountInCurrency availableBalanceInCurrency
            ID paymentMethod
            LOC location
            NN customer
            DETAILS financialDetails
            t lastModifiedDateTime
            s timeStamp
            LINE[] paymentLines
            ORDER[] ordersToApply
        """,
        ORDER="""
            s orderType orderNo status description currency invoiceNbr
            d date dueDate cashDiscountDate invoiceDate
            n appliedToOrder transferredToInvoice balance orderTotal
        """,
        LINE="""
            s documentType refNbr
            n amountPaid
            s description currency postPeriod customerOrder
            d date dueDate cashDiscountDate
            n cashDiscountTaken balanceWriteOff balance cashDiscountBalance crossRate
            ID writeOffReasonCode
        """,
        DETAILS="""
            d paymentDate
        """,
    ),
)
