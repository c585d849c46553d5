select
    supplier._key as source_key,
    {{ company }} || '|' || supplier.number as code,
    {{ company }} as company,
    supplier.number,
    -- Texts, never null: the file has no null, and an empty text is what the ERP calls no value.
    coalesce(supplier.name, '') as name,
    coalesce(supplier.mainAddress.addressLine1, '') as address_line1,
    coalesce(supplier.mainAddress.addressLine2, '') as address_line2,
    coalesce(supplier.mainAddress.postalCode, '') as postal_code,
    coalesce(supplier.mainAddress.city, '') as city,
    coalesce(supplier.mainAddress.country.id, '') as country,
    coalesce(supplier.vatRegistrationId, '') as vat_number
from {{ changed('suppliers') }} as supplier
