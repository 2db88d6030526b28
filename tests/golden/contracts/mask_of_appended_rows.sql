-- _missing_0
SELECT DISTINCT c."carrier" FROM "_rows" AS c ANTI JOIN "airlines" AS p ON c."carrier" = p."carrier" WHERE c."carrier" IS NOT NULL

-- _missing_1
SELECT DISTINCT c."tailnum" FROM "_rows" AS c ANTI JOIN "planes" AS p ON c."tailnum" = p."tailnum" WHERE c."tailnum" IS NOT NULL

-- _duplicates_2
SELECT "carrier", "flight", "time_hour" FROM "_rows" WHERE "carrier" IS NOT NULL AND "flight" IS NOT NULL AND "time_hour" IS NOT NULL GROUP BY "carrier", "flight", "time_hour" HAVING count(*) > 1 UNION SELECT n."carrier", n."flight", n."time_hour" FROM "_rows" AS n SEMI JOIN "flights" AS o ON o."carrier" = n."carrier" AND o."flight" = n."flight" AND o."time_hour" = n."time_hour"

-- _duplicates_3
SELECT n."tailnum" FROM "_rows" AS n SEMI JOIN "flights" AS o ON o."tailnum" = n."tailnum"

-- bit 0: tailnum in planes.tailnum
-- bit 1: tailnum unique
-- bit 2: carrier is not null
-- bit 3: carrier in airlines.carrier
-- bit 4: carrier matches ^[A-Z\d]{2}$
-- bit 5: flight is not null
-- bit 6: dep_delay between -60 and 1500
-- bit 7: fare at least 0
-- bit 8: price one of 9.99, 10
-- bit 9: time_hour is not null
-- bit 10: carrier, flight, time_hour unique
-- bit 11: no arrival without departure
-- bit 12: arr_time - dep_delay * 2 <= 2400.5 and carrier like 'U_%'
-- quarantine 11
(CASE WHEN "tailnum" IN (SELECT "tailnum" FROM "_missing_1") THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN (("tailnum" IS NOT NULL AND row_number() OVER (PARTITION BY "tailnum" ORDER BY "time_hour" DESC NULLS LAST, "carrier" DESC NULLS LAST, "flight" DESC NULLS LAST, "dep_delay" DESC NULLS LAST, "arr_time" DESC NULLS LAST, "fare" DESC NULLS LAST, "price" DESC NULLS LAST, "extra" DESC NULLS LAST) > 1) OR coalesce("tailnum" IN (SELECT "tailnum" FROM "_duplicates_3"), FALSE)) THEN CAST(2 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN "carrier" IN (SELECT "carrier" FROM "_missing_0") THEN CAST(8 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN ("carrier", "flight", "time_hour") IN (SELECT ("carrier", "flight", "time_hour") FROM "_duplicates_2") THEN CAST(1024 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN ("carrier" IS NULL) OR (NOT regexp_matches("carrier", '\A[0-9A-Z]{2}\z')) OR ("flight" IS NULL) OR (("dep_delay" < (-60)) OR ("dep_delay" > 1500)) OR (("fare" < CAST('0.0' AS DOUBLE)) OR isnan("fare")) OR (NOT ("price" IN (CAST('9.99' AS DECIMAL(9, 2)), CAST('10.00' AS DECIMAL(9, 2))))) OR ("time_hour" IS NULL) OR (NOT (("arr_time" IS NULL) OR (NOT ("dep_delay" IS NULL)))) OR (NOT ((CAST((CAST("arr_time" AS HUGEINT) - (CAST("dep_delay" AS HUGEINT) * CAST(2 AS HUGEINT))) AS DECIMAL(22, 1)) <= CAST('2400.5' AS DECIMAL(22, 1))) AND regexp_matches("carrier", '\AU(?s:.)(?s:.)*\z'))) THEN CASE WHEN ("carrier" IS NULL) THEN CAST(4 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN (NOT regexp_matches("carrier", '\A[0-9A-Z]{2}\z')) THEN CAST(16 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN ("flight" IS NULL) THEN CAST(32 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN (("dep_delay" < (-60)) OR ("dep_delay" > 1500)) THEN CAST(64 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN (("fare" < CAST('0.0' AS DOUBLE)) OR isnan("fare")) THEN CAST(128 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN (NOT ("price" IN (CAST('9.99' AS DECIMAL(9, 2)), CAST('10.00' AS DECIMAL(9, 2))))) THEN CAST(256 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN ("time_hour" IS NULL) THEN CAST(512 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN (NOT (("arr_time" IS NULL) OR (NOT ("dep_delay" IS NULL)))) THEN CAST(2048 AS BIGINT) ELSE CAST(0 AS BIGINT) END
| CASE WHEN (NOT ((CAST((CAST("arr_time" AS HUGEINT) - (CAST("dep_delay" AS HUGEINT) * CAST(2 AS HUGEINT))) AS DECIMAL(22, 1)) <= CAST('2400.5' AS DECIMAL(22, 1))) AND regexp_matches("carrier", '\AU(?s:.)(?s:.)*\z'))) THEN CAST(4096 AS BIGINT) ELSE CAST(0 AS BIGINT) END ELSE CAST(0 AS BIGINT) END)
