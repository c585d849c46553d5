select
    customer._key as source_key,
    {{ company }} || '|' || customer.number as code,
    {{ company }} as company,
    customer.number as customer_number,
    customer.name,
    customer.status,
    customer.customerClass.id as customer_class,
    customer.currencyId as currency,
    customer.mainAddress.country.id as country,
    customer.mainAddress.city as city,
    customer.vatRegistrationId as vat_registration_id
from {{ changed('customers') }} as customer
