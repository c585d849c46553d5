select
    document._key as source_key,
    {{ company }} || '|' || document.documentType || '|' || document.referenceNumber as code,
    {{ company }} as company,
    document.referenceNumber as reference_number,
    coalesce(kind.name, document.documentType) as document_type,
    document.status,
    {{ company }} || '|' || document.customer.number as customer,
    coalesce(customer.name, document.customer.name) as customer_name,
    document.customerRefNumber as customer_reference,
    document.documentDate as date,
    coalesce(document.documentDueDate, document.documentDate) as due_date,
    document.financialPeriod as financial_period,
    document.currencyId as currency,
    document.amountInCurrency as amount,
    document.vatTotalInCurrency as vat_amount,
    document.balanceInCurrency as balance,
    -- What customers owe counts up, what they have to their credit counts down; what is not posted is not open.
    document.balance * coalesce(cast(kind.sign as integer) * cast(listed.posted as integer), 1) as open_balance,
    document.invoiceText as description,
    document.lastModifiedDateTime as changed_at
from {{ changed('customer_invoices') }} as document
left join {{ latest('customers') }} as customer on customer.number = document.customer.number
left join {{ lookup('document_kinds') }} as kind on kind.ledger = 'AR' and kind.document_type = document.documentType
left join {{ lookup('document_statuses') }} as listed on listed.status = document.status
