with lines as (
    select
        _key,
        -- Numbers as text: JSON's own would not be exact everywhere.
        to_json(list({
            'number': cast(line.lineNbr as varchar),
            -- As the order itself was numbered: see purchase_orders.sql.
            'order_number':
                if(coalesce(line.poOrderType, 'RegularOrder') = 'RegularOrder', '', upper(line.poOrderType) || '-') || line.poOrderNbr,
            'order_line': cast(line.poOrderLineNbr as varchar),
            'quantity': cast(line.receiptQty as varchar),
            'uom': line.uom,
            'unit': unit.code,
            'item': line.inventory.number,
            'description': line.transactionDescription
        } order by line.lineNbr)) as lines
    from (
        select _key, unnest(lines) as line from {{ changed('purchase_receipts') }}
    )
    left join {{ lookup('edi_units') }} as unit on unit.uom = line.uom
    group by _key
)

select
    receipt._key as source_key,
    {{ company }} || '|' || receipt.receiptNbr as code,
    {{ company }} as company,
    us.name as company_name,
    coalesce(mine.partner, everyone.partner) as partner,
    receipt.receiptNbr as receipt_number,
    -- A partner tells receipts apart by supplier and number, and companies may share both.
    {{ company }} || '-' || receipt.receiptNbr as document_number,
    receipt.date,
    receipt.supplier.number as supplier_number,
    coalesce(supplier.name, receipt.supplier.name) as supplier_name,
    supplier.mainAddress.addressLine1 as supplier_street,
    supplier.mainAddress.city as supplier_city,
    supplier.mainAddress.postalCode as supplier_postal_code,
    supplier.mainAddress.country.id as supplier_country,
    receipt.location.name as ship_to_name,
    {{ company }} || '-' || coalesce(receipt.warehouse.id, receipt.location.id) as ship_to,
    cast(null as varchar) as ship_to_street,
    cast(null as varchar) as ship_to_city,
    cast(null as varchar) as ship_to_postal_code,
    cast(null as varchar) as ship_to_country,
    -- Until it is released a receipt may be changed or deleted.
    case receipt.status when 'Released' then 'open' when 'Cancelled' then 'cancelled' else 'held' end as standing,
    cast(lines.lines as varchar) as lines
from {{ changed('purchase_receipts') }} as receipt
join lines on lines._key = receipt._key
left join {{ lookup('edi_partners') }} as mine on mine.supplier_number = receipt.supplier.number
left join {{ lookup('edi_partners') }} as everyone on everyone.supplier_number = '*'
left join {{ latest('suppliers') }} as supplier on supplier.number = receipt.supplier.number
left join (select name from {{ latest('branches') }} where isMainBranch) as us on true
where
    coalesce(mine.partner, everyone.partner) is not null
    and receipt.receiptType = 'PoReceipt'
