select
    balance._key as source_key,
    {{ company }} || '|' || balance._key as code,
    {{ company }} as company,
    {{ company }} || '|' || balance.account.number as account,
    balance.account.number as account_number,
    balance.account.description as account_name,
    balance.account.type as account_type,
    balance.subaccount.subaccountNumber as subaccount,
    balance.branch.number as branch,
    balance.ledger.id as ledger,
    balance.financialPeriod as financial_period,
    cast(try_strptime(
        left(balance.financialPeriod, 4) || '-'
        || least(try_cast(substr(balance.financialPeriod, 5) as integer), {{ var('last_month') }}),
        '%Y-%m'
    ) as date) as date,
    balance.beginningBalance as beginning_balance,
    balance.periodToDateDebit as debit,
    balance.periodToDateCredit as credit,
    balance.periodToDateDebit - balance.periodToDateCredit as net,
    balance.yearToDateBalance as year_to_date
from {{ changed('gl_balances') }} as balance
where balance.balanceType = 'Actual'
