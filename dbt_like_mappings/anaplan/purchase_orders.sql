select
    purchase._key as source_key,
    {{ company }} || '|' || purchase.orderType || '|' || purchase.orderNbr as code,
    {{ company }} as company,
    purchase.orderType as order_type,
    purchase.orderNbr as order_number,
    purchase.status,
    {{ company }} || '|' || purchase.supplier.number as supplier,
    coalesce(supplier.name, purchase.supplier.name) as supplier_name,
    purchase.date,
    purchase.promisedOn as promised_on,
    purchase.currency,
    purchase.orderTotal as order_total,
    purchase.taxTotal as tax_total,
    purchase.description
from {{ changed('purchase_orders') }} as purchase
left join {{ latest('suppliers') }} as supplier on supplier.number = purchase.supplier.number
