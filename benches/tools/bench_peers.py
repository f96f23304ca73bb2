#!/usr/bin/env python3
# Part of Cairn, Apache-2.0. The same work on other engines, for comparison.
"""Time peers on the work Cairn does: load CloudTrail gzip files into a queryable table, then run audit queries.

    pip install duckdb==1.5.5 chdb polars pyarrow
    bench_peers.py CORPUS_DIR [--engines duckdb,chdb,polars] [--work DIR] [--repeat 3] [--json OUT]

CORPUS_DIR is what gen_corpus.py wrote. Prints seconds (median of --repeat after one warm run) per engine and query;
each engine uses all cores and its own native table (DuckDB database file, ClickHouse MergeTree, polars over Parquet).
The same twenty questions, in Trino SQL as Lake takes them, are in audit_queries.sql beside this file.
"""
import argparse, glob, gzip, json, os, shutil, statistics, sys, tempfile, time

USERCOLS = "type principalId arn accountId accessKeyId userName invokedBy".split()
Q = {  # name: (duckdb, clickhouse)
 "count_by_source": ("select eventSource, count(*) c from ev group by 1 order by c desc, 1", None),
 "count_by_name_day": ("select eventName, date_trunc('day', eventTime) d, count(*) c from ev group by 1,2 order by c desc, 1, 2 limit 50", "select eventName, toStartOfDay(eventTime) d, count(*) c from ev group by 1,2 order by c desc, 1, 2 limit 50"),
 "top_errors": ("select errorCode, count(*) c from ev where errorCode is not null group by 1 order by c desc", None),
 "access_denied_by_user": ("select userIdentity_arn, count(*) c from ev where errorCode in ('AccessDenied','Client.UnauthorizedOperation') group by 1 order by c desc, 1 limit 20", None),
 "distinct_users_per_source": ("select eventSource, count(distinct userIdentity_arn) c from ev group by 1 order by c desc, 1", None),
 "console_login_no_mfa": ("select eventTime, userIdentity_arn, sourceIPAddress from ev where eventName='ConsoleLogin' and json_extract_string(additionalEventData,'$.MFAUsed')='No' order by eventTime desc limit 100", "select eventTime, userIdentity_arn, sourceIPAddress from ev where eventName='ConsoleLogin' and JSONExtractString(additionalEventData,'MFAUsed')='No' order by eventTime desc limit 100"),
 "stop_logging": ("select eventTime, eventName, userIdentity_arn from ev where eventSource='cloudtrail.amazonaws.com' and eventName in ('StopLogging','DeleteTrail','UpdateTrail') order by eventTime", None),
 "one_access_key": ("select eventTime, eventSource, eventName, sourceIPAddress from ev where userIdentity_accessKeyId=(select min(userIdentity_accessKeyId) from ev where userIdentity_accessKeyId like 'AKIA%') order by eventTime", None),
 "one_event_id": ("select eventJson from ev where eventID=(select max(eventID) from ev)", None),
 "role_activity": ("select eventSource, eventName, count(*) c from ev where userIdentity_arn like 'arn:aws:sts::%:assumed-role/app-prod-role/%' group by 1,2 order by c desc, 1, 2", None),
 "s3_top_objects": ("select json_extract_string(requestParameters,'$.bucketName') b, json_extract_string(requestParameters,'$.key') k, count(*) c from ev where eventSource='s3.amazonaws.com' and eventCategory='Data' group by 1,2 order by c desc, 1, 2 limit 20", "select JSONExtractString(requestParameters,'bucketName') b, JSONExtractString(requestParameters,'key') k, count(*) c from ev where eventSource='s3.amazonaws.com' and eventCategory='Data' group by 1,2 order by c desc, 1, 2 limit 20"),
 "sg_open_to_world": ("select eventTime, userIdentity_arn, json_extract_string(requestParameters,'$.groupId') g from ev where eventName='AuthorizeSecurityGroupIngress' and requestParameters like '%0.0.0.0/0%' order by eventTime desc limit 100", "select eventTime, userIdentity_arn, JSONExtractString(requestParameters,'groupId') g from ev where eventName='AuthorizeSecurityGroupIngress' and requestParameters like '%0.0.0.0/0%' order by eventTime desc limit 100"),
 "one_hour_window": ("select eventName, count(*) c from ev where eventTime >= timestamp '2026-10-20 10:00:00' and eventTime < timestamp '2026-10-20 11:00:00' group by 1 order by c desc, 1", "select eventName, count(*) c from ev where eventTime >= '2026-10-20 10:00:00' and eventTime < '2026-10-20 11:00:00' group by 1 order by c desc, 1"),
 "latest_writes": ("select eventTime, eventName, userIdentity_arn from ev where readOnly=false order by eventTime desc limit 50", None),
 "hourly_read_write": ("select date_trunc('hour', eventTime) h, sum(case when readOnly then 1 else 0 end) r, sum(case when readOnly then 0 else 1 end) w from ev group by 1 order by 1", "select toStartOfHour(eventTime) h, sum(if(readOnly,1,0)) r, sum(if(readOnly,0,1)) w from ev group by 1 order by 1"),
 "ips_per_user": ("select userIdentity_arn, count(distinct sourceIPAddress) c from ev where userIdentity_type='IAMUser' group by 1 order by c desc, 1 limit 20", None),
 "cross_account": ("select userIdentity_accountId a, recipientAccountId r, count(*) c from ev where userIdentity_accountId is not null and userIdentity_accountId<>recipientAccountId group by 1,2", None),
 "old_tls": ("select tls_version, eventSource, count(*) c from ev where tls_version in ('TLSv1','TLSv1.1','TLSv1.2') group by 1,2 order by c desc, 2", None),
 "kms_by_key": ("select json_extract_string(requestParameters,'$.keyId') k, count(*) c from ev where eventSource='kms.amazonaws.com' group by 1 order by c desc, 1 limit 20", "select JSONExtractString(requestParameters,'keyId') k, count(*) c from ev where eventSource='kms.amazonaws.com' group by 1 order by c desc, 1 limit 20"),
 "full_text": ("select count(*) from ev where eventJson like '%i-0%terraform%'", None),
}


def med(f, n):
    f(); ts = []
    for _ in range(n):
        t = time.perf_counter(); f(); ts.append(time.perf_counter() - t)
    return statistics.median(ts)


def duck(corpus, work, n):
    import duckdb
    p = os.path.join(work, "d.duckdb"); db = duckdb.connect(p)
    cols = ", ".join(f"u->>'$.{c}' as userIdentity_{c}" for c in USERCOLS)
    t = time.perf_counter()
    db.execute(f"""create table ev as select * from (
      select r->>'$.eventID' eventID, cast(r->>'$.eventTime' as timestamp) eventTime, r->>'$.eventSource' eventSource, r->>'$.eventName' eventName, r->>'$.awsRegion' awsRegion,
        r->>'$.sourceIPAddress' sourceIPAddress, r->>'$.userAgent' userAgent, r->>'$.errorCode' errorCode, r->>'$.errorMessage' errorMessage, cast(r->>'$.readOnly' as boolean) readOnly,
        r->>'$.eventCategory' eventCategory, r->>'$.recipientAccountId' recipientAccountId, r->>'$.tlsDetails.tlsVersion' tls_version,
        cast(r->'$.requestParameters' as varchar) requestParameters, cast(r->'$.responseElements' as varchar) responseElements, cast(r->'$.additionalEventData' as varchar) additionalEventData, cast(r->'$.resources' as varchar) resources,
        {cols}, cast(r as varchar) eventJson
      from (select r, r->'$.userIdentity' u from (select unnest(Records) r from read_json('{corpus}/AWSLogs/*/CloudTrail/*/*/*/*/*.json.gz', columns={{Records:'JSON[]'}}, maximum_object_size=200000000))))""")
    db.execute("checkpoint"); load = time.perf_counter() - t
    rows = db.execute("select count(*) from ev").fetchone()[0]
    return load, rows, os.path.getsize(p), {k: med(lambda s=v[0]: db.execute(s).fetchall(), n) for k, v in Q.items()}


def ch(corpus, work, n):
    from chdb import session
    s = session.Session(os.path.join(work, "ch"))
    s.query("create database if not exists b engine=Atomic"); s.query("use b")
    ucols = ", ".join(f"userIdentity_{c} LowCardinality(Nullable(String))" if c in ("type", "invokedBy", "accountId") else f"userIdentity_{c} Nullable(String)" for c in USERCOLS)
    s.query(f"""create table ev (eventID String, eventTime DateTime, eventSource LowCardinality(String), eventName LowCardinality(String), awsRegion LowCardinality(String), sourceIPAddress String, userAgent LowCardinality(String),
      errorCode LowCardinality(Nullable(String)), errorMessage Nullable(String), readOnly Bool, eventCategory LowCardinality(String), recipientAccountId LowCardinality(String), tls_version LowCardinality(Nullable(String)),
      requestParameters String, responseElements String, additionalEventData String, resources String, {ucols}, eventJson String) engine=MergeTree order by (eventTime) partition by toYYYYMM(eventTime)""")
    u = ", ".join(f"JSONExtract(r,'userIdentity','{c}','Nullable(String)')" for c in USERCOLS)
    t = time.perf_counter()
    s.query(f"""insert into b.ev select JSONExtractString(r,'eventID'), parseDateTimeBestEffort(JSONExtractString(r,'eventTime')), JSONExtractString(r,'eventSource'), JSONExtractString(r,'eventName'), JSONExtractString(r,'awsRegion'), JSONExtractString(r,'sourceIPAddress'), JSONExtractString(r,'userAgent'),
      JSONExtract(r,'errorCode','Nullable(String)'), JSONExtract(r,'errorMessage','Nullable(String)'), JSONExtractBool(r,'readOnly'), JSONExtractString(r,'eventCategory'), JSONExtractString(r,'recipientAccountId'), JSONExtract(r,'tlsDetails','tlsVersion','Nullable(String)'),
      JSONExtractRaw(r,'requestParameters'), JSONExtractRaw(r,'responseElements'), JSONExtractRaw(r,'additionalEventData'), JSONExtractRaw(r,'resources'), {u}, r
      from (select arrayJoin(JSONExtractArrayRaw(line,'Records')) r from file('{corpus}/AWSLogs/*/CloudTrail/*/*/*/*/*.json.gz', 'LineAsString'))""")
    load = time.perf_counter() - t
    rows = int(str(s.query("select count(*) from b.ev", "CSV")).strip()); size = int(str(s.query("select sum(bytes_on_disk) from system.parts where active and table='ev'", "CSV")).strip())
    out = {}
    for k, v in Q.items():
        sql = (v[1] or v[0]).replace(" from ev", " from b.ev")
        try: out[k] = med(lambda: str(s.query(sql, "CSV")), n)
        except Exception as e: out[k] = None; print(k, str(e)[:200], file=sys.stderr)
    return load, rows, size, out


def pl(corpus, work, n):
    import polars as p
    t = time.perf_counter()
    frames, i = [], 0
    os.makedirs(os.path.join(work, "pl"), exist_ok=True)
    batch = []
    def flush():
        nonlocal i, batch
        if not batch: return
        d = p.DataFrame({"r": batch}, schema={"r": p.String})
        ex = lambda path, name: p.col("r").str.json_path_match(path).alias(name)
        d = d.with_columns([ex(f"$.{c}", c) for c in "eventID eventTime eventSource eventName awsRegion sourceIPAddress userAgent errorCode errorMessage readOnly eventCategory recipientAccountId requestParameters responseElements additionalEventData resources".split()] + [ex("$.tlsDetails.tlsVersion", "tls_version")] + [ex(f"$.userIdentity.{c}", f"userIdentity_{c}") for c in USERCOLS]).rename({"r": "eventJson"})
        d.write_parquet(os.path.join(work, "pl", f"{i}.parquet")); i += 1; batch = []
    for f in glob.glob(f"{corpus}/AWSLogs/*/CloudTrail/*/*/*/*/*.json.gz"):
        for r in json.load(gzip.open(f))["Records"]: batch.append(json.dumps(r))
        if len(batch) > 200_000: flush()
    flush(); load = time.perf_counter() - t
    size = sum(os.path.getsize(x) for x in glob.glob(os.path.join(work, "pl", "*")))
    return load, p.scan_parquet(os.path.join(work, "pl", "*.parquet")).select(p.len()).collect().item(), size, {}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("corpus"); ap.add_argument("--engines", default="duckdb,chdb"); ap.add_argument("--work", default=os.path.join(tempfile.gettempdir(), "bench_peers")); ap.add_argument("--repeat", type=int, default=3); ap.add_argument("--json")
    a = ap.parse_args(); shutil.rmtree(a.work, ignore_errors=True); os.makedirs(a.work)
    res = {}
    for e in a.engines.split(","):
        load, rows, size, qs = {"duckdb": duck, "chdb": ch, "polars": pl}[e](a.corpus, a.work, a.repeat)
        res[e] = {"load_s": load, "rows": rows, "bytes": size, "queries_s": qs}
        print(f"{e}: loaded {rows} events in {load:.1f} s ({rows/load:.0f}/s), {size/1e6:.0f} MB on disk", flush=True)
        for k, v in qs.items(): print(f"  {k:28s} {v*1000 if v else -1:9.1f} ms", flush=True)
    if a.json: json.dump(res, open(a.json, "w"), indent=1)


if __name__ == "__main__":
    main()
