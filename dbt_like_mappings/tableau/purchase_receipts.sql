with lines as (
    select _key, receiptNbr, receiptType, status, date, supplier, currency, unnest(lines) as line
    from {{ changed('purchase_receipts') }}
)

select
    lines._key as source_key,
    {{ company }} || '|' || receiptNbr || '|' || line.lineNbr as code,
    {{ company }} as company,
    receiptNbr as receipt_number,
    receiptType as receipt_type,
    line.lineNbr as line_number,
    lines.status,
    {{ company }} || '|' || lines.supplier.number as supplier,
    coalesce(supplier.name, lines.supplier.name) as supplier_name,
    date,
    line.inventory.number as inventory,
    line.transactionDescription as description,
    line.uom as unit,
    line.receiptQty as quantity,
    line.unitCost as unit_cost,
    line.amount,
    lines.currency,
    line.poOrderNbr as purchase_order,
    line.poOrderLineNbr as purchase_order_line
from lines
left join {{ latest('suppliers') }} as supplier on supplier.number = lines.supplier.number
