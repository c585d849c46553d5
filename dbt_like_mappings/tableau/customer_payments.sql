select
    payment._key as source_key,
    {{ company }} || '|' || payment.type || '|' || payment.refNbr as code,
    {{ company }} as company,
    payment.refNbr as reference_number,
    coalesce(kind.name, payment.type) as document_type,
    payment.status,
    {{ company }} || '|' || payment.customer.number as customer,
    coalesce(customer.name, payment.customer.name) as customer_name,
    payment.applicationDate as date,
    payment.applicationPeriod as financial_period,
    payment.currency,
    payment.paymentAmountInCurrency as amount,
    payment.availableBalanceInCurrency as available,
    payment.paymentMethod.id as payment_method,
    payment.invoiceText as description
from {{ changed('customer_payments') }} as payment
left join {{ latest('customers') }} as customer on customer.number = payment.customer.number
left join {{ lookup('document_kinds') }} as kind on kind.ledger = 'AR' and kind.document_type = payment.type
