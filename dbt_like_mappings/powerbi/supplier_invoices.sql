select
    invoice._key as source_key,
    {{ company }} || '|' || invoice.documentType || '|' || invoice.referenceNumber as code,
    {{ company }} as company,
    'AP|' || invoice.documentType || '|' || invoice.status as kind,
    invoice.referenceNumber as reference_number,
    {{ company }} || '|' || invoice.supplier.number as supplier,
    invoice.supplierReference as supplier_reference,
    invoice.date,
    coalesce(invoice.dueDate, invoice.date) as due_date,
    invoice.financialPeriod as financial_period,
    invoice.currencyId as currency,
    invoice.amount,
    invoice.vatAmount as vat_amount,
    invoice.balanceInCurrency as balance,
    cast(invoice.balance * coalesce(cast(kind.sign as integer) * cast(listed.posted as integer), 1) as decimal(28, 8))
        as open_balance,
    invoice.description
from {{ changed('supplier_invoices') }} as invoice
left join {{ lookup('document_kinds') }} as kind on kind.ledger = 'AP' and kind.document_type = invoice.documentType
left join {{ lookup('document_statuses') }} as listed on listed.status = invoice.status
