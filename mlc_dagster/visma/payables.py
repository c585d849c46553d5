"""What is bought: suppliers, their invoices and payments, purchase orders and receipts.

Paths, filters and fields: vendors/visma.md sections 4 to 6.
"""

from mlc_dagster.visma.entity import Entity, Unreleased
from mlc_dagster.visma.fields import shape

SUPPLIERS = Entity(
    name="suppliers",
    title="Suppliers",
    path="/v1/supplier",
    single="/v1/supplier/{number}",
    key=("number",),
    internal="internalId",
    cited=("supplier.number",),
    number="number",
    expand=("expandAccountInformation", "expandNote"),
    fields=shape(
        """
            s number name status
            i internalId
            s accountReference documentLanguage currencyId cashAccount chargeBearer accountUsedForPayment
            s paymentBy paymentRefDisplayMask vatRegistrationId corporateId retainageCashAccountID note
            s naceCode
            b paySeparately retainageApply landedCostSupplier currencyOverride currencyRateOverride
            i paymentLeadTime numberOfEmployees
            n retainagePct
            ADDR mainAddress remitAddress supplierAddress
            CON mainContact remitContact supplierContact
            ID supplierClass creditTerms paymentMethod
            LOC location
            NN parentRecord
            VATZONE vatZone
            GL_ACCOUNTS glAccounts
            t lastModifiedDateTime
            s timeStamp
            ATTRIBUTE[] attributes
            PAYMENT_DETAIL[] supplierPaymentMethodDetails
        """,
        PAYMENT_DETAIL="""
            s paymentMethodDetailDescription paymentMethodDetailValue paymentMethodDetailBankingDetailType
            s paymentMethodDetailID
        """,
        GL_ACCOUNTS="""
            ACC supplierAccount
            SUBID supplierSubaccount
            ACC expenseAccount expenseAccountNonTax expenseEUAccount expenseAccountImport
            SUBID expenseSubaccount
        """,
    ),
)


SUPPLIER_INVOICES = Entity(
    name="supplier_invoices",
    title="Supplier invoices",
    path="/v1/supplierInvoice",
    single="/v1/supplierInvoice/{documentType}/{referenceNumber}",
    key=("documentType", "referenceNumber"),
    number="referenceNumber",
    unreleased=Unreleased("released", "0", frozenset({"Hold", "Balanced"})),
    expand=(
        "expandAttachment",
        "expandLandedCosts",
        "expandApproval",
        "expandNote",
        "expandLinePrebookAccounts",
    ),
    fields=shape(
        """
            s referenceNumber documentType status approvalStatus
            PARTY supplier
            d date origInvoiceDate dueDate payDate
            s postPeriod financialPeriod closedFinancialPeriod currencyId
            n exchangeRate amount vatAmount balance balanceInCurrency
            s description
            t createdDateTime lastModifiedDateTime
            s paymentRefNo originalReferenceNumber buyerReference taxCalculationMode supplierReference note
            s paymentMessage cashAccount
            d cashDiscountDate
            b hold retainageApply paySelected
            i documentVersionNumber
            n detailTotal detailTotalInCurrency discountTotal discountTotalInCurrency vatTaxableTotal
            n vatTaxableTotalInCurrency vatExemptTotal vatExemptTotalInCurrency withholdingTax
            n withholdingTaxInCurrency roundingDiff roundingDiffInCurrency curyRetainageTotal
            n curyRetainageUnreleasedAmt cashDiscount cashDiscountInCurrency vatTotal vatTotalInCurrency
            ID creditTerms paymentMethod
            LOC location
            NN branchNumber
            VATZONE supplierTaxZone
            APPROVAL approvalDetails
            s timeStamp
            ATTACHMENT[] attachments
            TAX[] taxDetailLines
            LINE[] invoiceLines
            LANDED_COST[] landedCosts
        """,
        LANDED_COST="""
            i lineNumber
            s landedCostCodeId description vatCategoryId purchaseReceiptType purcahseOrderReceiptNumber
            s inventoryId siteId locationId
            n amount
        """,
        LINE="""
            i lineNumber
            s inventoryNumber externalInventoryId transactionDescription uom deferralScheduleNbr
            s deferralCode poNumber poReceiptNbr note splitHierarchy
            d termStartDate termEndDate
            b stockItem manualDiscount
            i deferralSchedule poLineNr poReceiptLineNbr
            n quantity unitCost unitCostInCurrency cost costInCurrency discountPercent discountAmount
            n discountAmountInCurrency discountUnitCost discountUnitCostInCurrency retainagePct
            n curyRetainageAmt
            ACCX account prebookAccount
            ID vatCode
            NN branchNumber
            PRJ project projectTask
            SUB subaccount prebookSubaccount
            ATTACHMENT[] attachments
        """,
        APPROVAL="""
            s attachmentID comment
        """,
    ),
)


SUPPLIER_PAYMENTS = Entity(
    name="supplier_payments",
    title="Supplier payments",
    path="/v1/supplierPayment",
    single="/v1/supplierPayment/{type}/{refNbr}",
    key=("type", "refNbr"),
    number="refNbr",
    fields=shape(
        """
            s refNbr type documentType status applicationPeriod paymentRef paymentMethod cashAccount
            s description branch
            d applicationDate
            b hold released
            n paymentAmount financeCharges balance unappliedBalance appliedAmount
            LOC location
            PARTY supplier
            CURRENCY currency
            t lastModifiedDateTime
            s timeStamp
            LINE[] paymentLines
        """,
        LINE="""
            s branch batchNumber docType invoiceRefNbr applicationPeriod description currency postPeriod
            s supplierRef
            d date dueDate cashDiscountDate
            n amountPaid cashDiscountTaken withholdingTax balance cashDiscountBalance
        """,
        CURRENCY="""
            s id description symbol
            b isBaseCurrency isUsedForAccounting
            i decimalPrecision
        """,
    ),
)


PURCHASE_ORDERS = Entity(
    name="purchase_orders",
    title="Purchase orders",
    path="/v1/purchaseorder",
    single="/v1/purchaseorder/{orderNbr}",
    key=("orderType", "orderNbr"),
    number="orderNbr",
    expand=("includeCustomFreeFields",),
    fields=shape(
        """
            s orderNbr orderType status
            b hold
            d date promisedOn
            s description
            PARTY supplier
            s currency
            n exchangeRate orderTotal
            s shippingDestinationType fobPoint shipVia shipTerms salesOrderType salesOrderNbr
            s requisitionRefNbr paymentRefNbr supplierRef note customStr1 customStr2 customStr3 customStr4
            s customStr5
            u customDateTimeUTC1
            b dontPrint printed dontEmail emailed
            i workgroupID customInt1 customInt2
            n openQuantity openBalance lineTotal lineTotalInBaseCurrency vatExemptTotal
            n vatExemptTotalInBaseCurrency taxTotal taxTotalInBaseCurrency orderTotalInBaseCurrency
            n controlTotal controlTotalInBaseCurrency customDec1 customDec2
            ID warehouse terms
            NN branch
            PARTY shipTo
            PLACE shippingLocation location
            SHIP_ADDR shippingAddress remitAddress
            SHIP_CON shippingContact remitContact
            VATZONE supplierVatZone
            OWNER owner
            t lastModifiedDateTime
            s timeStamp
            TAX[] taxDetails
            DISCOUNT[] discountDetails
            LINE[] lines
            RECEIPT[] purchaseReceipts
        """,
        RECEIPT="""
            s type receiptNumber status supplierName currency
            n totalQty totalAmt
        """,
        LINE="""
            i lineNbr
            NN branch
            ND inventory
            s lineType lineDescription uom alternateId receiptAction orderType orderNumber note customStr1
            s customStr2 customStr3 customStr4 customStr5
            d requested promised
            u customDateTimeUTC1
            b manualDiscount completed canceled
            i customInt1 customInt2
            n orderQty baseOrderQty qtyOnReceipts unitCost unitCostInBaseCurrency extCost discountPercent
            n discountAmount amount receivedAmt minReceipt maxReceipt completeOn customDec1 customDec2
            ACC account
            ID warehouse
            ND discountCode taxCategory
            PRJ project projectTask
            SUB sub
        """,
        DISCOUNT="""
            i lineNbr
            b skipDiscount
            s discountCode sequanceID type
            b manualDiscount
            i freeItem
            n discountableAmt discountableQty discountAmt discount freeItemQty
        """,
        OWNER="""
            g id
            s name
        """,
    ),
)


PURCHASE_RECEIPTS = Entity(
    name="purchase_receipts",
    title="Purchase receipts",
    path="/v2/PurchaseReceipt",
    single="/v2/PurchaseReceipt/{receiptNbr}",
    written="/v1/PurchaseReceipt/{receiptNbr}",
    key=("receiptNbr",),
    number="receiptNbr",
    expand=("expandNote", "includeCustomFreeFields"),
    fields=shape(
        """
            s receiptNbr receiptType status
            b hold
            d date dueDate
            s postPeriod
            PARTY supplier
            s currency note supplierRef customStr1 customStr2 customStr3 customStr4 customStr5
            u customDateTimeUTC1
            b createBill
            i customInt1 customInt2
            n exchangeRate totalQty controlQty vatExemptTotal vatTaxableTotal totalAmt controlTotal
            n customDec1 customDec2
            ID warehouse
            LOC location
            NN branchNumber
            t lastModifiedDateTime
            s timeStamp
            LANDED_COST[] landedCost
            LINE[] lines
        """,
        LINE="""
            ALLOCATION[] allocations
            s note
            n baseReceiptQty
            s lineType transactionDescription uom accountDescription lotSerialNumber poOrderType poOrderNbr
            s transferOrderType transferOrderNbr customStr1 customStr2 customStr3 customStr4 customStr5
            d expirationDate
            u customDateTimeUTC1
            b manualDiscount completePoLine
            i lineNbr poOrderLineNbr transferOrderLineNbr customInt1 customInt2
            n orderQty openQty receiptQty unitCost discountUnitCost extCost discountPercent discountAmount
            n amount customDec1 customDec2
            ACC account actualAccount
            ID warehouse
            LOC location
            ND inventory discountCode taxCategory
            NN branch branchNumber
            PRJ project projectTask
            SUBID sub actualSub
        """,
        ALLOCATION="""
            i lineNbr
            s itemId
            LOC location
            s lotSerialNumber uom description
            d expirationDate
            n quantity
        """,
        LANDED_COST="""
            i lineNbr
            s landedCostCode description purchaseInvoiceNbr currency apDocType apRefNbr inDocType inRefNbr
            d apBillDate
            b postponePurchaseInvoiceCreation
            n amount
            ID terms
            LOC location
            ND taxCategory inventory
            PARTY supplier
        """,
    ),
)
