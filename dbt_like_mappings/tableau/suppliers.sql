select
    supplier._key as source_key,
    {{ company }} || '|' || supplier.number as code,
    {{ company }} as company,
    supplier.number as supplier_number,
    supplier.name,
    supplier.status,
    supplier.supplierClass.id as supplier_class,
    supplier.currencyId as currency,
    supplier.mainAddress.country.id as country,
    supplier.mainAddress.city as city,
    supplier.vatRegistrationId as vat_registration_id
from {{ changed('suppliers') }} as supplier
