/*
description: How rain, wind and bad sight delay departures
materialized: table
checks:
  - not_null: [weather, flights]
columns:
  weather: Kind of weather in the hour of departure
  flights: Flights scheduled in such hours
  mean_dep_delay: Mean delay at departure, in minutes
  cancelled_share: Share of the flights that never departed
*/
with hours as (
    select
        origin,
        time_hour,
        case
            when visib < 2 then '1 fog or snow (visibility under 2 miles)'
            when precip > 0.1 then '2 heavy rain'
            when precip > 0 then '3 light rain'
            when wind_speed > 20 then '4 dry, strong wind'
            else '5 fair'
        end as weather
    from silver_current.nycflights__weather
)
select
    h.weather,
    count(*) as flights,
    round(avg(f.dep_delay)::numeric, 1) as mean_dep_delay,
    round((count(*) filter (where f.dep_time is null))::numeric / count(*), 4) as cancelled_share
from silver_current.nycflights__flights as f
join hours as h on h.origin = f.origin and h.time_hour = f.time_hour
group by h.weather
order by h.weather
