with lines as (
    select
        _key,
        orderNbr,
        {{ company }} || '|' || orderType || '|' || orderNbr as purchase_order,
        unnest(lines) as line
    from {{ changed('purchase_orders') }}
)

select
    _key as source_key,
    orderNbr as source_number,
    purchase_order || '|' || line.lineNbr as code,
    purchase_order,
    {{ company }} as company,
    line.lineNbr as line_number,
    line.inventory.number as inventory,
    line.lineDescription as description,
    {{ company }} || '|' || line.account.number as account,
    line.sub.subaccountNumber as subaccount,
    line.uom,
    line.orderQty as quantity,
    line.qtyOnReceipts as received_quantity,
    line.unitCost as unit_cost,
    line.amount,
    line.completed,
    line.canceled
from lines
