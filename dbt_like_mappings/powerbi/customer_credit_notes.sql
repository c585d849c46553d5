select
    document._key as source_key,
    {{ company }} || '|' || document.documentType || '|' || document.referenceNumber as code,
    {{ company }} as company,
    'AR|' || document.documentType || '|' || document.status as kind,
    document.referenceNumber as reference_number,
    {{ company }} || '|' || document.customer.number as customer,
    document.customerRefNumber as customer_reference,
    document.documentDate as date,
    coalesce(document.documentDueDate, document.documentDate) as due_date,
    document.financialPeriod as financial_period,
    document.currencyId as currency,
    document.amountInCurrency as amount,
    document.vatTotalInCurrency as vat_amount,
    document.balanceInCurrency as balance,
    cast(document.balance * coalesce(cast(kind.sign as integer) * cast(listed.posted as integer), 1) as decimal(28, 8))
        as open_balance,
    document.invoiceText as description
from {{ changed('customer_credit_notes') }} as document
left join {{ lookup('document_kinds') }} as kind on kind.ledger = 'AR' and kind.document_type = document.documentType
left join {{ lookup('document_statuses') }} as listed on listed.status = document.status
