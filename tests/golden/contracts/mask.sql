-- _missing_0
SELECT DISTINCT c."carrier" FROM "_rows" AS c ANTI JOIN "airlines" AS p ON c."carrier" = p."carrier" WHERE c."carrier" IS NOT NULL

-- _missing_1
SELECT DISTINCT c."tailnum" FROM "_rows" AS c ANTI JOIN "planes" AS p ON c."tailnum" = p."tailnum" WHERE c."tailnum" IS NOT NULL

-- _duplicates_2
SELECT "carrier", "flight", "time_hour" FROM "_rows" WHERE "carrier" IS NOT NULL AND "flight" IS NOT NULL AND "time_hour" IS NOT NULL GROUP BY "carrier", "flight", "time_hour" HAVING count(*) > 1

-- bit 0: tailnum in planes.tailnum
-- bit 1: tailnum unique
-- bit 2: flight is long
-- bit 3: dep_delay is long
-- bit 4: fare is double
-- bit 5: price is decimal(9, 2)
-- bit 6: time_hour is timestamptz
-- bit 7: carrier is not null
-- bit 8: carrier in airlines.carrier
-- bit 9: carrier matches ^[A-Z\d]{2}$
-- bit 10: flight is not null
-- bit 11: dep_delay between -60 and 1500
-- bit 12: fare at least 0
-- bit 13: price one of 9.99, 10
-- bit 14: time_hour is not null
-- bit 15: carrier, flight, time_hour unique
-- bit 16: no arrival without departure
-- bit 17: arr_time - dep_delay * 2 <= 2400.5 and carrier like 'U_%'
-- quarantine 1111111
(CASE WHEN "tailnum" IN (SELECT "tailnum" FROM "_missing_1") THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN ("tailnum" IS NOT NULL AND row_number() OVER (PARTITION BY "tailnum" ORDER BY "time_hour" DESC NULLS LAST, "carrier" DESC NULLS LAST, "flight" DESC NULLS LAST, "dep_delay" DESC NULLS LAST, "arr_time" DESC NULLS LAST, "fare" DESC NULLS LAST, "price" DESC NULLS LAST, "extra" DESC NULLS LAST) > 1) THEN CAST(2 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN "carrier" IN (SELECT "carrier" FROM "_missing_0") THEN CAST(256 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN ("carrier", "flight", "time_hour") IN (SELECT ("carrier", "flight", "time_hour") FROM "_duplicates_2") THEN CAST(32768 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN ("flight" IS NULL) OR ("_raw.dep_delay" IS NOT NULL AND "dep_delay" IS NULL) OR ("_raw.fare" IS NOT NULL AND "fare" IS NULL) OR ("_raw.price" IS NOT NULL AND "price" IS NULL) OR ("time_hour" IS NULL) OR ("carrier" IS NULL) OR (NOT regexp_matches("carrier", '\A[0-9A-Z]{2}\z')) OR (("dep_delay" < (-60)) OR ("dep_delay" > 1500)) OR (("fare" < CAST('0.0' AS DOUBLE)) OR isnan("fare")) OR (NOT ("price" IN (CAST('9.99' AS DECIMAL(9, 2)), CAST('10.00' AS DECIMAL(9, 2))))) OR (NOT (("arr_time" IS NULL) OR (NOT ("dep_delay" IS NULL)))) OR (NOT ((CAST((CAST("arr_time" AS HUGEINT) - (CAST("dep_delay" AS HUGEINT) * CAST(2 AS HUGEINT))) AS DECIMAL(22, 1)) <= CAST('2400.5' AS DECIMAL(22, 1))) AND regexp_matches("carrier", '\AU(?s:.)(?s:.)*\z'))) THEN CASE WHEN ("_raw.flight" IS NOT NULL AND "flight" IS NULL) THEN CAST(4 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN ("_raw.dep_delay" IS NOT NULL AND "dep_delay" IS NULL) THEN CAST(8 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN ("_raw.fare" IS NOT NULL AND "fare" IS NULL) THEN CAST(16 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN ("_raw.price" IS NOT NULL AND "price" IS NULL) THEN CAST(32 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN ("_raw.time_hour" IS NOT NULL AND "time_hour" IS NULL) THEN CAST(64 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN ("carrier" IS NULL) THEN CAST(128 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN (NOT regexp_matches("carrier", '\A[0-9A-Z]{2}\z')) THEN CAST(512 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN ("_raw.flight" IS NULL) THEN CAST(1024 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN (("dep_delay" < (-60)) OR ("dep_delay" > 1500)) THEN CAST(2048 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN (("fare" < CAST('0.0' AS DOUBLE)) OR isnan("fare")) THEN CAST(4096 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN (NOT ("price" IN (CAST('9.99' AS DECIMAL(9, 2)), CAST('10.00' AS DECIMAL(9, 2))))) THEN CAST(8192 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN ("_raw.time_hour" IS NULL) THEN CAST(16384 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN (NOT (("arr_time" IS NULL) OR (NOT ("dep_delay" IS NULL)))) THEN CAST(65536 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN (NOT ((CAST((CAST("arr_time" AS HUGEINT) - (CAST("dep_delay" AS HUGEINT) * CAST(2 AS HUGEINT))) AS DECIMAL(22, 1)) <= CAST('2400.5' AS DECIMAL(22, 1))) AND regexp_matches("carrier", '\AU(?s:.)(?s:.)*\z'))) THEN CAST(131072 AS BIGINT) ELSE CAST(0 AS BIGINT) END ELSE CAST(0 AS BIGINT) END)
