select
    payment._key as source_key,
    {{ company }} || '|' || payment.type || '|' || payment.refNbr as code,
    {{ company }} as company,
    'AR|' || payment.type || '|' || payment.status as kind,
    payment.refNbr as reference_number,
    {{ company }} || '|' || payment.customer.number as customer,
    payment.applicationDate as date,
    payment.applicationPeriod as financial_period,
    payment.currency,
    payment.paymentAmountInCurrency as amount,
    payment.availableBalanceInCurrency as available,
    payment.paymentMethod.id as payment_method,
    payment.invoiceText as description
from {{ changed('customer_payments') }} as payment
