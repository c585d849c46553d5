with lines as (
    select
        _key,
        referenceNumber,
        {{ company }} || '|' || documentType || '|' || referenceNumber as invoice,
        {{ company }} || '|' || supplier.number as supplier,
        date,
        financialPeriod,
        currencyId,
        unnest(invoiceLines) as line
    from {{ changed('supplier_invoices') }}
)

select
    _key as source_key,
    invoice || '|' || line.lineNumber as code,
    {{ company }} as company,
    invoice,
    referenceNumber as reference_number,
    line.lineNumber as line_number,
    supplier,
    date,
    financialPeriod as financial_period,
    line.transactionDescription as description,
    {{ company }} || '|' || line.account.number as account,
    line.account.description as account_name,
    line.subaccount.subaccountNumber as subaccount,
    line.project.id as project,
    line.quantity,
    line.unitCostInCurrency as unit_cost,
    line.costInCurrency as amount,
    currencyId as currency,
    line.vatCode.id as vat_code,
    line.poNumber as purchase_order
from lines
