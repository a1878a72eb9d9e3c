/*
description: Routes by number of flights, with distance and typical delay
materialized: table
unique_key: [origin, dest]
checks:
  - row_count: {min: 1}
columns:
  origin: Airport of departure
  dest: Airport of arrival
  destination: Name of the airport of arrival
  flights: Flights scheduled
  carriers: Number of airlines on the route
*/
select
    f.origin,
    f.dest,
    p.name as destination,
    count(*) as flights,
    count(distinct f.carrier) as carriers,
    max(f.distance) as miles,
    percentile_cont(0.5) within group (order by f.arr_delay) as median_arr_delay
from silver_current.nycflights__flights as f
left join silver_current.nycflights__airports as p on p.faa = f.dest
group by f.origin, f.dest, p.name
order by flights desc
