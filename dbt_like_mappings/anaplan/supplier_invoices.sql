select
    invoice._key as source_key,
    {{ company }} || '|' || invoice.documentType || '|' || invoice.referenceNumber as code,
    {{ company }} as company,
    coalesce(kind.name, invoice.documentType) as document_type,
    invoice.referenceNumber as reference_number,
    invoice.status,
    {{ company }} || '|' || invoice.supplier.number as supplier,
    -- The supplier's own record is newer than the name a posted document carries.
    coalesce(supplier.name, invoice.supplier.name) as supplier_name,
    invoice.supplierReference as supplier_reference,
    invoice.date,
    invoice.dueDate as due_date,
    invoice.financialPeriod as financial_period,
    invoice.currencyId as currency,
    invoice.amount,
    invoice.vatAmount as vat_amount,
    invoice.balanceInCurrency as balance,
    invoice.description
from {{ changed('supplier_invoices') }} as invoice
left join {{ latest('suppliers') }} as supplier on supplier.number = invoice.supplier.number
left join {{ lookup('document_types') }} as kind on kind.document_type = invoice.documentType
