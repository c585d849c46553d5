select
    invoice._key as source_key,
    {{ company }} || '|' || invoice.documentType || '|' || invoice.referenceNumber as code,
    {{ company }} as company,
    invoice.referenceNumber as reference_number,
    coalesce(kind.name, invoice.documentType) as document_type,
    invoice.status,
    {{ company }} || '|' || invoice.supplier.number as supplier,
    coalesce(supplier.name, invoice.supplier.name) as supplier_name,
    invoice.supplierReference as supplier_reference,
    invoice.date,
    coalesce(invoice.dueDate, invoice.date) as due_date,
    invoice.financialPeriod as financial_period,
    invoice.currencyId as currency,
    invoice.amount,
    invoice.vatAmount as vat_amount,
    invoice.balanceInCurrency as balance,
    -- What is owed counts up, what we have to our credit counts down; what is not posted is not open.
    invoice.balance * coalesce(cast(kind.sign as integer) * cast(listed.posted as integer), 1) as open_balance,
    invoice.description,
    invoice.lastModifiedDateTime as changed_at
from {{ changed('supplier_invoices') }} as invoice
left join {{ latest('suppliers') }} as supplier on supplier.number = invoice.supplier.number
left join {{ lookup('document_kinds') }} as kind on kind.ledger = 'AP' and kind.document_type = invoice.documentType
left join {{ lookup('document_statuses') }} as listed on listed.status = invoice.status
