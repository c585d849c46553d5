with lines as (
    select
        _key,
        referenceNumber,
        {{ company }} || '|' || documentType || '|' || referenceNumber as invoice,
        unnest(invoiceLines) as line
    from {{ changed('supplier_invoices') }}
)

select
    _key as source_key,
    referenceNumber as source_number,
    invoice || '|' || line.lineNumber as code,
    invoice,
    {{ company }} as company,
    line.lineNumber as line_number,
    line.transactionDescription as description,
    {{ company }} || '|' || line.account.number as account,
    line.subaccount.subaccountNumber as subaccount,
    line.quantity,
    line.unitCostInCurrency as unit_cost,
    line.costInCurrency as amount,
    line.vatCode.id as vat_code,
    line.poNumber as po_number,
    line.poLineNr as po_line
from lines
