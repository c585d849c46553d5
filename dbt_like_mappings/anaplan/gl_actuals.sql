with cost_centres as (
    select subaccountNumber, segment.segmentValue as cost_centre
    from (select subaccountNumber, unnest(segments) as segment from {{ latest('subaccounts') }})
    where segment.segmentId = {{ var('cost_centre_segment') }}
),

balances as (
    select
        balance._key,
        balance.account.number as account,
        coalesce(cost_centres.cost_centre, {{ var('no_cost_centre') }}) as cost_centre,
        try_cast(balance.financialPeriod as integer) as period,
        balance.periodToDateDebit as debit,
        balance.periodToDateCredit as credit,
        -- Income and expense begin every year at nothing, what is owned and owed goes on.
        case when balance.account.type in ('Income', 'Expense') then left(balance.financialPeriod, 4) end as run,
        balance.yearToDateBalance - coalesce(lag(balance.yearToDateBalance) over earlier, 0) as moved
    from {{ changed('gl_balances') }} as balance
    left join cost_centres on cost_centres.subaccountNumber = balance.subaccount.subaccountNumber
    where balance.balanceType = 'Actual'
    window earlier as (
        partition by
            balance.branch.number, balance.ledger.id, balance.account.number, balance.subaccount.subaccountNumber,
            balance.currencyId, run
        order by balance.financialPeriod
    )
),

dated as (
    select
        *,
        try_strptime((period - greatest(period % 100 - {{ var('last_month') }}, 0))::varchar, '%Y%m') as first_day
    from balances
),

-- A balance is there for the months with postings only. Adding up the moves instead of the balances keeps the
-- share of a branch or subaccount that was quiet in a month.
months as (
    select
        min(_key) as source_key,
        account,
        cost_centre,
        first_day,
        sum(debit) as debit,
        sum(credit) as credit,
        sum(sum(moved)) over (partition by account, cost_centre, run order by first_day) as balance
    from dated
    group by account, cost_centre, run, first_day
)

select
    source_key,
    account as source_number,
    {{ company }} || '|' || account as account,
    {{ company }} || '|' || cost_centre as cost_centre,
    strftime(first_day, '%b %y') as month,
    debit,
    credit,
    debit - credit as amount,
    balance
from months
