/*
description: Delays of each carrier by month
materialized: incremental
unique_key: [carrier, month]
checks:
  - not_null: [carrier, flights]
  - unique: [carrier, month]
columns:
  carrier: Two-letter code of the airline
  airline: Name of the airline
  month: First day of the month
  flights: Flights scheduled
  cancelled: Flights that never departed
  mean_arr_delay: Mean delay at arrival, in minutes
  late_share: Share of the flights that arrived more than 15 minutes late
*/
with touched as (
    select distinct carrier, make_date(year::int, month::int, 1) as month
    from silver.nycflights__flights
    where dp_updated_at > :since
    union
    select a.carrier, m.month
    from silver.nycflights__airlines as a
    cross join (
        select make_date(2013, n, 1) as month from generate_series(1, 12) as n
    ) as m
    where a.dp_updated_at > :since
)
select
    f.carrier,
    a.name as airline,
    t.month,
    count(*) as flights,
    count(*) filter (where f.dep_time is null) as cancelled,
    round(avg(f.arr_delay)::numeric, 1) as mean_arr_delay,
    round((count(*) filter (where f.arr_delay > 15))::numeric / count(*), 3) as late_share
from silver_current.nycflights__flights as f
join touched as t
    on t.carrier = f.carrier and t.month = make_date(f.year::int, f.month::int, 1)
left join silver_current.nycflights__airlines as a on a.carrier = f.carrier
group by f.carrier, a.name, t.month
