with lines as (
    select _key, orderNbr, orderType, status, date, supplier, currency, unnest(lines) as line
    from {{ changed('purchase_orders') }}
)

select
    lines._key as source_key,
    {{ company }} || '|' || orderType || '|' || orderNbr || '|' || line.lineNbr as code,
    {{ company }} as company,
    orderNbr as order_number,
    orderType as order_type,
    line.lineNbr as line_number,
    lines.status,
    {{ company }} || '|' || lines.supplier.number as supplier,
    coalesce(supplier.name, lines.supplier.name) as supplier_name,
    date,
    line.requested,
    line.promised,
    line.inventory.number as inventory,
    line.lineDescription as description,
    {{ company }} || '|' || line.account.number as account,
    line.sub.subaccountNumber as subaccount,
    line.project.id as project,
    line.uom as unit,
    line.orderQty as quantity,
    line.qtyOnReceipts as received_quantity,
    line.unitCost as unit_cost,
    line.amount,
    lines.currency,
    line.completed,
    line.canceled
from lines
left join {{ latest('suppliers') }} as supplier on supplier.number = lines.supplier.number
