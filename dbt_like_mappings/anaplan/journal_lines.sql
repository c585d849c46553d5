with lines as (
    select
        _key,
        replace(module, 'Module', '') as module,
        batchNumber,
        status,
        ledger,
        transactionDate,
        financialPeriod,
        currencyId,
        unnest(journalTransactionLines) as line
    from {{ changed('journal_transactions') }}
)

select
    _key as source_key,
    {{ company }} || '|' || module || '|' || batchNumber || '|' || line.lineNumber as code,
    {{ company }} as company,
    module,
    batchNumber as batch_number,
    line.lineNumber as line_number,
    status,
    ledger,
    transactionDate as date,
    financialPeriod as financial_period,
    {{ company }} || '|' || line.accountNumber as account,
    {{ company }} || '|' || coalesce(
        [part.segmentValue for part in line.subaccount.segments if part.segmentId = {{ var('cost_centre_segment') }}][1],
        {{ var('no_cost_centre') }}
    ) as cost_centre,
    line.subaccount.subaccountNumber as subaccount,
    currencyId as currency,
    line.debitAmount as debit,
    line.creditAmount as credit,
    line.debitAmount - line.creditAmount as amount,
    line.referenceNumber as reference_number,
    line.transactionDescription as description
from lines
