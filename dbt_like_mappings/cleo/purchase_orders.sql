with lines as (
    select
        _key,
        sum(line.amount) as line_total,
        -- Numbers as text: JSON's own would not be exact everywhere.
        to_json(list({
            'number': cast(line.lineNbr as varchar),
            'quantity': cast(line.orderQty as varchar),
            -- What is left to come, which an 860 says of each line (POC04). A line may be completed with less.
            'open': cast(if(line.completed, 0, greatest(line.orderQty - coalesce(line.qtyOnReceipts, 0), 0)) as varchar),
            'uom': line.uom,
            'unit': unit.code,
            'price': cast(line.unitCost as varchar),
            'item': line.inventory.number,
            'supplier_item': line.alternateId,
            'description': line.lineDescription,
            'date': cast(line.promised as varchar)
        } order by line.lineNbr)) as lines
    from (
        select _key, unnest(lines) as line from {{ changed('purchase_orders') }}
    )
    left join {{ lookup('edi_units') }} as unit on unit.uom = line.uom
    where not coalesce(line.canceled, false)
    group by _key
)

select
    purchase._key as source_key,
    {{ company }} || '|' || purchase.orderType || '|' || purchase.orderNbr as code,
    {{ company }} as company,
    us.name as company_name,
    coalesce(mine.partner, everyone.partner) as partner,
    -- Kinds of orders count for themselves, so the plain number is the regular order's. X12's basic charset has
    -- capitals only, and a number is never changed to fit.
    if(purchase.orderType = 'RegularOrder', '', upper(purchase.orderType) || '-') || purchase.orderNbr as order_number,
    purchase.date,
    purchase.promisedOn as promised_on,
    purchase.currency,
    lines.line_total,
    purchase.supplier.number as supplier_number,
    coalesce(supplier.name, purchase.supplier.name) as supplier_name,
    supplier.mainAddress.addressLine1 as supplier_street,
    supplier.mainAddress.city as supplier_city,
    supplier.mainAddress.postalCode as supplier_postal_code,
    supplier.mainAddress.country.id as supplier_country,
    coalesce(purchase.shippingContact.name, purchase.shipTo.name) as ship_to_name,
    -- Two characters at least, and no two companies with the same.
    {{ company }} || '-' || coalesce(purchase.warehouse.id, purchase.shipTo.number) as ship_to,
    purchase.shippingAddress.addressLine1 as ship_to_street,
    purchase.shippingAddress.city as ship_to_city,
    purchase.shippingAddress.postalCode as ship_to_postal_code,
    purchase.shippingAddress.country.id as ship_to_country,
    purchase.description,
    -- Who edits an order puts it on hold: the partner keeps what it has until it is released again.
    case
        when purchase.status in ('Cancelled', 'Voided') then 'cancelled'
        when purchase.status in ('Open', 'PendingPrint', 'PendingEmail', 'Printed', 'Closed') then 'open'
        else 'held'
    end as standing,
    coalesce(cast(lines.lines as varchar), '[]') as lines
from {{ changed('purchase_orders') }} as purchase
left join lines on lines._key = purchase._key
left join {{ lookup('edi_partners') }} as mine on mine.supplier_number = purchase.supplier.number
left join {{ lookup('edi_partners') }} as everyone on everyone.supplier_number = '*'
left join {{ latest('suppliers') }} as supplier on supplier.number = purchase.supplier.number
left join (select name from {{ latest('branches') }} where isMainBranch) as us on true
where coalesce(mine.partner, everyone.partner) is not null
