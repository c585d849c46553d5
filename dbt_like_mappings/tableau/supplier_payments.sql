select
    payment._key as source_key,
    {{ company }} || '|' || payment.type || '|' || payment.refNbr as code,
    {{ company }} as company,
    payment.refNbr as reference_number,
    coalesce(kind.name, payment.type) as document_type,
    payment.status,
    {{ company }} || '|' || payment.supplier.number as supplier,
    coalesce(supplier.name, payment.supplier.name) as supplier_name,
    payment.applicationDate as date,
    payment.applicationPeriod as financial_period,
    payment.currency.id as currency,
    payment.paymentAmount as amount,
    payment.unappliedBalance as unapplied,
    payment.paymentMethod as payment_method,
    payment.description
from {{ changed('supplier_payments') }} as payment
left join {{ latest('suppliers') }} as supplier on supplier.number = payment.supplier.number
left join {{ lookup('document_kinds') }} as kind on kind.ledger = 'AP' and kind.document_type = payment.type
