select
    payment._key as source_key,
    {{ company }} || '|' || payment.type || '|' || payment.refNbr as code,
    {{ company }} as company,
    'AP|' || payment.type || '|' || payment.status as kind,
    payment.refNbr as reference_number,
    {{ company }} || '|' || payment.supplier.number as supplier,
    payment.applicationDate as date,
    payment.applicationPeriod as financial_period,
    payment.currency.id as currency,
    payment.paymentAmount as amount,
    payment.unappliedBalance as unapplied,
    payment.paymentMethod as payment_method,
    payment.description
from {{ changed('supplier_payments') }} as payment
