with lines as (
    select
        _key,
        orderNbr,
        {{ company }} || '|' || orderType || '|' || orderNbr as purchase_order,
        currency,
        unnest(lines) as line
    from {{ changed('purchase_orders') }}
)

select
    _key as source_key,
    orderNbr as source_number,
    purchase_order || '|' || line.lineNbr as code,
    purchase_order,
    concat_ws(
        ' | ',
        line.lineNbr,
        coalesce(line.lineDescription, line.inventory.number, '-'),
        concat_ws(' ', regexp_replace(cast(line.orderQty as varchar), '\.?0+$', ''), line.uom),
        concat_ws(' ', regexp_replace(cast(line.amount as varchar), '\.?0+$', ''), currency)
    ) as title,
    concat_ws(
        chr(10),
        'Item: ' || line.inventory.number,
        'Unit cost: ' || regexp_replace(cast(line.unitCost as varchar), '\.?0+$', ''),
        'Received: ' || regexp_replace(cast(line.qtyOnReceipts as varchar), '\.?0+$', ''),
        'Account: ' || line.account.number,
        'Subaccount: ' || line.sub.subaccountNumber
    ) as notes,
    coalesce(line.promised, line.requested) as due_date,
    coalesce(line.completed, false) or coalesce(line.canceled, false) as ended
from lines
