-- bellpush.sql - schema `bellpush`: the log of events, and all that writes and reads it.
--
--   psql -f bellpush.sql      as the owner of the database, or as any role that may create a schema in
--                             it (or owns an empty schema `bellpush`); again at any time: it upgrades
--                             in place.  No superuser, no extension, no setting of the server.
--                             PostgreSQL 13 and later.
--
-- The rules that everything rests on
--
--   1. An event gets its number (log.seq) when its transaction COMMITS, under one lock that is held
--      until the commit is visible.  So whoever sees number N sees every number below N that will
--      ever exist: `WHERE seq > last ORDER BY seq` never loses an event.  Holes mean nothing: an
--      aborted commit leaves one, and maintain() jumps to begin a new partition.
--   2. NOTIFY bellpush is only the bell; the row is the letter.
--   3. publish() puts a row into the inbox.  What happens to it there is the mode:
--
--      commit   publish() -> inbox (UNLOGGED) -> COMMIT: trigger `number` -> log, bell.    Default.
--      relay    publish() -> inbox (logged)   -> one elected process calls relay() -> log, bell.
--               Publishers take no lock and ring no bell, but when the relay sleeps (trigger `ring`).
--
--   4. Locks are taken in this order, which is why there are no deadlocks:
--      presence (one worker, then members by topic and name), inbox, numbering lock, log, state.
--
-- The advisory locks all have the first key 1650813036 ('bell'); the second is
--   1 numbering, 2 housekeeper, 3 the relay sleeps, 4 maintain(), 5 loading this file;
-- idempotency keys have the first key 1650813035 and their hash as the second; who listens, the
-- first key 1650813037 and the order in which they came as the second.
--
-- Names that begin with an underscore are not for calling.

BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL check_function_bodies = on;

-- ---------------------------------------------------------------- versions: what is here, what is to do

DO $load$
DECLARE
  this_version CONSTANT int := 5;
  had int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(1650813036, 5);
  IF current_setting('server_version_num')::int < 130000 THEN
    RAISE 'bellpush: PostgreSQL 13 or later is needed, this is %', current_setting('server_version');
  END IF;
  IF to_regnamespace('bellpush') IS NULL THEN
    CREATE SCHEMA bellpush;
  ELSIF to_regclass('bellpush.schema_version') IS NULL AND EXISTS (
      SELECT FROM pg_class WHERE relnamespace = to_regnamespace('bellpush')) THEN
    RAISE 'bellpush: there is a schema "bellpush" already, and it is not of this program'
      USING HINT = 'Rename it: ALTER SCHEMA bellpush RENAME TO …';
  END IF;
  CREATE TABLE IF NOT EXISTS bellpush.schema_version (
    version      int PRIMARY KEY,
    installed_at timestamptz NOT NULL DEFAULT now(),
    installed_by name NOT NULL DEFAULT current_user
  );
  SELECT coalesce(max(version), 0) INTO had FROM bellpush.schema_version;
  IF had > this_version THEN
    RAISE 'bellpush: the database has version % of the schema, this file is the older version %',
      had, this_version
      USING HINT = 'Load the bellpush.sql that came with the newer program; nothing was changed.';
  END IF;

  -- One block for each version; a new one comes last and never changes those before it.
  -- Functions and views come after the blocks, and are replaced at every load.

  IF had < 1 THEN
    CREATE TABLE bellpush.state (
      one       boolean PRIMARY KEY DEFAULT true CHECK (one),
      mode      text   NOT NULL DEFAULT 'commit' CHECK (mode IN ('commit', 'relay')),
      epoch     text   NOT NULL,             -- names one unbroken history of numbers
      origin    text   NOT NULL,             -- server, database and timeline that wrote it
      pruned_to bigint NOT NULL DEFAULT 0    -- every event up to here may be gone
    );
    CREATE TABLE bellpush.setting (
      name  text PRIMARY KEY,
      value text NOT NULL
    );

    CREATE SEQUENCE bellpush.seq AS bigint CACHE 1; -- 1: numbers in the order of the lock

    -- A row as readers get it; also the columns of the log.
    CREATE TYPE bellpush.log_row AS (
      seq bigint, topic text COLLATE "C", type text, content_type text, id text, data bytea,
      at_us bigint, expires_us bigint, flags int
    );
    CREATE TABLE bellpush.log (
      seq          bigint NOT NULL PRIMARY KEY,
      topic        text COLLATE "C" NOT NULL,
      type         text,                     -- SSE "event:"
      content_type text,                     -- NULL: text/plain; charset=utf-8
      id           text,                     -- the publisher's own
      data         bytea NOT NULL,
      at_us        bigint NOT NULL,          -- microseconds since 1970: when it was numbered
      expires_us   bigint NOT NULL,          -- 0: never
      flags        int NOT NULL              -- 1 private, 2 retained, 4 recorded from a NOTIFY,
                                             -- 8 with 2: ends the retained value
    ) PARTITION BY RANGE (seq);
    CREATE INDEX log_topic_seq ON bellpush.log (topic, seq);

    -- The partitions: closed ones, the present one, and the tail, which has no upper end.  The
    -- tail is what a DEFAULT partition would be (publishing never fails for want of a partition),
    -- but the planner still knows that the partitions are in order.
    CREATE TABLE bellpush.part (
      lo   bigint PRIMARY KEY,
      hi   bigint,                           -- NULL: the tail
      name name NOT NULL UNIQUE
    );
    CREATE TABLE bellpush.log_0 PARTITION OF bellpush.log FOR VALUES FROM (0) TO (100000000);
    CREATE TABLE bellpush.log_100000000 PARTITION OF bellpush.log
      FOR VALUES FROM (100000000) TO (MAXVALUE);
    INSERT INTO bellpush.part
      VALUES (0, 100000000, 'log_0'), (100000000, NULL, 'log_100000000');

    CREATE TABLE bellpush.retained (         -- the last value of each topic that has one
      seq bigint NOT NULL, topic text COLLATE "C" PRIMARY KEY, type text, content_type text,
      id text, data bytea NOT NULL, at_us bigint NOT NULL, expires_us bigint NOT NULL,
      flags int NOT NULL
    );

    -- What publishers write.  Commit mode: UNLOGGED, its rows live from publish() to COMMIT, so a
    -- crash may empty it.  Relay mode (see set_mode): logged, with an index.
    -- nr has a default in relay mode only.  Its sequence is not the table's own: SET LOGGED would
    -- lock it too, and a publisher keeps that lock even when a savepoint has taken away the table's.
    CREATE SEQUENCE bellpush.inbox_nr AS bigint;
    CREATE UNLOGGED TABLE bellpush.inbox (
      nr           bigint,
      topic        text COLLATE "C" NOT NULL,
      type         text,
      content_type text,
      id           text,
      data         bytea NOT NULL,
      expires_us   bigint NOT NULL,
      flags        int NOT NULL
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
            autovacuum_vacuum_cost_delay = 0);

    CREATE TABLE bellpush.idempotency (
      key  text COLLATE "C" PRIMARY KEY,
      hash bytea NOT NULL,
      seqs bigint[],
      at   timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    CREATE INDEX idempotency_at ON bellpush.idempotency (at);

    CREATE UNLOGGED TABLE bellpush.worker (  -- what the processes say of themselves
      worker        text PRIMARY KEY,
      host          text,
      pid           int,
      open_requests int,
      state         jsonb,
      at            timestamptz NOT NULL
    );
    INSERT INTO bellpush.schema_version (version) VALUES (1);
  END IF;

  IF had < 2 THEN -- the gate
    CREATE TABLE bellpush.token_key (        -- secrets of HS256; the newest without an end signs
      kid     text PRIMARY KEY,
      secret  bytea NOT NULL,
      made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      ends_at timestamptz
    );
    CREATE TABLE bellpush.revoked (
      kind  text COLLATE "C" NOT NULL CHECK (kind IN ('subject', 'token')),
      name  text COLLATE "C" NOT NULL,
      at_us bigint NOT NULL,                 -- what was issued up to then is not good any more
      until timestamptz NOT NULL,            -- then all of it has expired anyway
      PRIMARY KEY (kind, name)
    );
    CREATE TABLE bellpush.topic_right (
      subject text COLLATE "C" NOT NULL,     -- '*': everybody who has one
      verb    text COLLATE "C" NOT NULL CHECK (verb IN ('subscribe', 'publish')),
      filter  text COLLATE "C" NOT NULL,
      until   timestamptz,
      PRIMARY KEY (subject, verb, filter)
    );
    CREATE TABLE bellpush.hook (             -- webhooks that come in
      name    text COLLATE "C" PRIMARY KEY,
      scheme  text NOT NULL,
      topic   text NOT NULL,
      type    text,
      secrets text[] NOT NULL,
      options jsonb NOT NULL
    );
    CREATE SEQUENCE bellpush.listener_nr AS int CYCLE;
    DROP FUNCTION IF EXISTS bellpush.housekeeper();
    INSERT INTO bellpush.schema_version (version) VALUES (2);
  END IF;

  IF had < 3 THEN -- presence
    CREATE TABLE bellpush.presence_worker (  -- a process that has, or had, members
      worker    text COLLATE "C" PRIMARY KEY,
      turn      bigint NOT NULL,             -- its statement that was done last; -1: some is lost
      looks     int NOT NULL DEFAULT 0,      -- of maintain(), since it was heard of last
      looked_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    CREATE TABLE bellpush.presence_session ( -- somebody on a topic, through one connection
      worker text COLLATE "C" NOT NULL,
      nr     bigint NOT NULL,                -- the process's own
      topic  text COLLATE "C" NOT NULL,
      member text COLLATE "C" NOT NULL,
      PRIMARY KEY (worker, nr)
    );
    CREATE TABLE bellpush.presence_member (  -- somebody on a topic, as the events have told it
      topic    text COLLATE "C" NOT NULL,
      member   text COLLATE "C" NOT NULL,
      data     json,
      since    timestamptz NOT NULL,
      sessions int NOT NULL CHECK (sessions > 0),
      PRIMARY KEY (topic, member)
    );
    DROP FUNCTION IF EXISTS bellpush.report(text, text, int, int, jsonb); -- it gave nothing
    INSERT INTO bellpush.schema_version (version) VALUES (3);
  END IF;

  IF had < 4 THEN -- a list of members in pages
    DROP FUNCTION IF EXISTS bellpush.who(text, int);
    INSERT INTO bellpush.schema_version (version) VALUES (4);
  END IF;

  IF had < 5 THEN -- what one call publishes is one row of the inbox
    ALTER TABLE bellpush.inbox
      ADD COLUMN many bellpush.log_row[],    -- the row stands for all of these; commit mode only
      ALTER COLUMN many SET STORAGE EXTERNAL; -- for a moment: not worth being compressed
    INSERT INTO bellpush.schema_version (version) VALUES (5);
  END IF;
END $load$;

-- ---------------------------------------------------------------- small things

CREATE OR REPLACE FUNCTION bellpush._us(moment timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (date_part('epoch', moment) * 1000000)::bigint -- float8 still tells microseconds apart
$$;

CREATE OR REPLACE FUNCTION bellpush._new_epoch() RETURNS text
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
  SELECT substr(replace(gen_random_uuid()::text, '-', ''), 1, 12)
$$;

-- Where the numbers come from: server, database, timeline.  A dump that was restored elsewhere, a
-- copied database and a promoted standby all differ from what state.origin says.
CREATE OR REPLACE FUNCTION bellpush._origin() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  server text := '';
BEGIN
  BEGIN
    server := (SELECT system_identifier::text FROM pg_control_system());
  EXCEPTION WHEN insufficient_privilege THEN -- some providers hide it: the rest must do
    NULL;
  END;
  RETURN concat_ws('/', server, (SELECT oid FROM pg_database WHERE datname = current_database()),
                   substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8));
END $$;

INSERT INTO bellpush.state (epoch, origin)
  SELECT bellpush._new_epoch(), bellpush._origin() ON CONFLICT DO NOTHING;
INSERT INTO bellpush.setting
  VALUES ('retention', '24 hours'), ('retention_bytes', '1073741824'), ('max_event_bytes', '1048576')
  ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION bellpush._get(which text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT value FROM bellpush.setting WHERE name = which);
END $$;

-- Does this session hold the session lock?  (Taking it twice would need giving it back twice.)
CREATE OR REPLACE FUNCTION bellpush._holds(lock int) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND classid = 1650813036 AND objid = lock AND objsubid = 2
      AND pid = pg_backend_pid() AND mode = 'ExclusiveLock' AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
$$;

CREATE OR REPLACE FUNCTION bellpush._shown(what text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT '"' || CASE WHEN length(what) > 80 THEN left(what, 77) || '...' ELSE what END || '"'
$$;

-- ---------------------------------------------------------------- what an event may be

-- Raises the error; the caller has seen that something is wrong.
CREATE OR REPLACE FUNCTION bellpush._refuse(topic text, type text, content_type text, id text,
                                            size int, max_size bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  field text;
  value text;
BEGIN
  IF topic IS NULL OR topic = '' THEN
    RAISE 'bellpush: a topic is needed, this one is %', CASE WHEN topic IS NULL THEN 'NULL' ELSE 'empty' END
      USING ERRCODE = '22023';
  ELSIF octet_length(topic) > 1024 THEN
    RAISE 'bellpush: topic % has % bytes, at most 1024 are allowed',
      bellpush._shown(topic), octet_length(topic) USING ERRCODE = '22023';
  ELSIF topic ~ '[+#]' THEN
    RAISE 'bellpush: topic % may not contain a wildcard (+ or #)', bellpush._shown(topic)
      USING ERRCODE = '22023',
            HINT = 'Wildcards are for subscribers. bellpush.escape() makes any text fit into a topic.';
  ELSIF topic ~ '[\x01-\x1f\x7f]' THEN
    RAISE 'bellpush: topic % may not contain a control character',
      bellpush._shown(regexp_replace(topic, '[\x01-\x1f\x7f]', '?', 'g'))
      USING ERRCODE = '22023', HINT = 'bellpush.escape() makes any text fit into a topic.';
  END IF;
  FOR field, value IN VALUES ('type', type), ('content_type', content_type), ('id', id) LOOP
    IF octet_length(value) > 200 THEN
      RAISE 'bellpush: % has % bytes, at most 200 are allowed', field, octet_length(value)
        USING ERRCODE = '22023';
    ELSIF value ~ '[\x01-\x1f\x7f]' THEN
      RAISE 'bellpush: % may not contain a control character or line break', field
        USING ERRCODE = '22023';
    END IF;
  END LOOP;
  IF size IS NULL THEN
    RAISE 'bellpush: data may not be NULL (topic %)', bellpush._shown(topic)
      USING ERRCODE = '22023', HINT = 'An empty text is allowed.';
  END IF;
  RAISE 'bellpush: an event of % bytes is larger than max_event_bytes (%)', size, max_size
    USING ERRCODE = '54000',
          HINT = 'Publish a reference to the data, or raise the limit: SELECT bellpush.set(''max_event_bytes'', ''4MB'').';
END $$;

-- True, or an error.  Cheap for what is right; the limit is looked up for big events only.
CREATE OR REPLACE FUNCTION bellpush._checked(topic text, type text, content_type text, id text,
                                             size int) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
  max_size bigint;
BEGIN
  IF size > 1024 THEN -- the least value of the setting
    max_size := bellpush._get('max_event_bytes');
  END IF;
  IF topic IS NULL OR topic = '' OR octet_length(topic) > 1024
     OR topic COLLATE "C" ~ '[+#\x01-\x1f\x7f]'
     OR type IS NOT NULL AND (octet_length(type) > 200 OR type COLLATE "C" ~ '[\x01-\x1f\x7f]')
     OR content_type IS NOT NULL
        AND (octet_length(content_type) > 200 OR content_type COLLATE "C" ~ '[\x01-\x1f\x7f]')
     OR id IS NOT NULL AND (octet_length(id) > 200 OR id COLLATE "C" ~ '[\x01-\x1f\x7f]')
     OR size IS NULL OR size > max_size THEN
    PERFORM bellpush._refuse(topic, type, content_type, id, size, max_size);
  END IF;
  RETURN true;
END $$;

-- From now, in microseconds since 1970; 0: never.
CREATE OR REPLACE FUNCTION bellpush._expiry(expires interval) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF expires IS NULL THEN
    RETURN 0;
  ELSIF expires <= '0' OR expires > '100 years' THEN
    RAISE 'bellpush: expires must be more than nothing and at most 100 years, it is %', expires
      USING ERRCODE = '22023';
  END IF;
  RETURN bellpush._us(clock_timestamp() + expires);
END $$;

-- Any text as a part of a topic: what could forge a level, a wildcard, a system topic or a line
-- becomes %XX, and so does % itself.
CREATE OR REPLACE FUNCTION bellpush.escape(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF value COLLATE "C" !~ '[%/+#$\x01-\x1f\x7f]' THEN
    RETURN value;
  END IF;
  RETURN (SELECT string_agg(CASE WHEN c COLLATE "C" ~ '[%/+#$\x01-\x1f\x7f]'
                                 THEN '%' || upper(lpad(to_hex(ascii(c)), 2, '0')) ELSE c END,
                            '' ORDER BY nr)
          FROM regexp_split_to_table(value, '') WITH ORDINALITY u(c, nr));
END $$;

-- ---------------------------------------------------------------- numbering

-- Every way into the log comes through here first.  The lock is held until this commit is visible
-- to others.  A delivered number must survive a crash, or it could be given out twice: so a commit
-- that numbers waits for its own disk, whatever synchronous_commit says.
CREATE OR REPLACE FUNCTION bellpush._numbering() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1650813036, 1);
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'local', true);
  END IF;
END $$;

-- The last value of a topic; empty data clears it, and so does the end of a watched row (flag 8).
-- Under the numbering lock.
CREATE OR REPLACE FUNCTION bellpush._retain(e bellpush.log_row) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF octet_length(e.data) = 0 OR e.flags & 8 <> 0 THEN
    DELETE FROM bellpush.retained WHERE topic = e.topic;
    RETURN;
  END IF;
  INSERT INTO bellpush.retained AS r
    SELECT e.seq, e.topic, e.type, e.content_type, e.id, e.data, e.at_us, e.expires_us, e.flags
    ON CONFLICT (topic) DO UPDATE
      SET seq = excluded.seq, type = excluded.type, content_type = excluded.content_type,
          id = excluded.id, data = excluded.data, at_us = excluded.at_us,
          expires_us = excluded.expires_us, flags = excluded.flags
      WHERE r.seq < excluded.seq;
END $$;

-- Commit mode: one row, at COMMIT.  SECURITY DEFINER matters twice: publishers need no right on the
-- log, and before PostgreSQL 18 a deferred trigger runs as whoever is current at COMMIT.
--
-- This is the hottest place: the reader waits for every microsecond of it, and all other publishers
-- wait for the lock.  So _numbering() is written out, functions are called in the condition of an IF
-- (PERFORM would make a query of each), and what can be done before COMMIT is: publish() takes its row
-- out of the inbox itself.
CREATE OR REPLACE FUNCTION bellpush._number() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  e bellpush.log_row;
BEGIN
  IF pg_advisory_xact_lock(1650813036, 1) IS NULL                -- void is not NULL
     OR pg_notify('bellpush', '') IS NULL                        -- equal ones of a transaction fold
     OR current_setting('synchronous_commit') = 'off' THEN
    PERFORM bellpush._numbering();
  END IF;
  IF NEW.many IS NULL THEN
    INSERT INTO bellpush.log
      VALUES (nextval('bellpush.seq'), NEW.topic, NEW.type, NEW.content_type, NEW.id, NEW.data,
              (date_part('epoch', clock_timestamp()) * 1000000)::bigint, NEW.expires_us, NEW.flags);
  ELSE
    INSERT INTO bellpush.log                                     -- unnest() keeps their order
      SELECT nextval('bellpush.seq'), m.topic, m.type, m.content_type, m.id, m.data,
             (date_part('epoch', clock_timestamp()) * 1000000)::bigint, m.expires_us, m.flags
      FROM unnest(NEW.many) m;
  END IF;
  IF NEW.flags & 2 <> 0 OR NEW.xmax = 0 THEN
    IF NEW.flags & 2 <> 0 THEN
      SELECT * INTO e FROM bellpush.log WHERE seq = currval('bellpush.seq');
      PERFORM bellpush._retain(e);
    END IF;
    IF NEW.xmax = 0 THEN                                         -- nobody has set it aside
      DELETE FROM bellpush.inbox WHERE ctid = NEW.ctid;          -- a TID scan: no index needed
    END IF;
  END IF;
  RETURN NULL;
END $$;

-- Relay mode: ring the relay, but only when it sleeps.  A sleeping relay holds lock 3; a publisher
-- that gets it shared keeps the relay awake until its commit, one that does not get it rings.
CREATE OR REPLACE FUNCTION bellpush._ring() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock_shared(1650813036, 3) THEN
    PERFORM pg_notify('bellpush_relay', '');
  END IF;
  RETURN NULL;
END $$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'bellpush.inbox'::regclass
                   AND tgname IN ('number', 'ring')) THEN
    CREATE CONSTRAINT TRIGGER number AFTER INSERT ON bellpush.inbox
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION bellpush._number();
  END IF;
END $$;

-- Number what this transaction has published so far.  Relay mode: there is nothing to do.
CREATE OR REPLACE FUNCTION bellpush._number_now() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SET CONSTRAINTS bellpush.number IMMEDIATE;
  SET CONSTRAINTS bellpush.number DEFERRED;
EXCEPTION WHEN undefined_object THEN
  NULL;
END $$;

-- Number many at once, straight into the log, in the order of the arrays.
CREATE OR REPLACE FUNCTION bellpush._append(topics text[], types text[], content_types text[],
                                            ids text[], datas bytea[], expiries bigint[],
                                            flagses int[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  seqs bigint[];
  e bellpush.log_row;
BEGIN
  IF pg_current_xact_id_if_assigned() IS NOT NULL THEN -- what was published before goes before
    PERFORM bellpush._number_now();
  END IF;
  PERFORM bellpush._numbering();
  WITH numbered AS (
    SELECT nextval('bellpush.seq') AS seq, o.*
    FROM (SELECT u.*, bellpush._us(clock_timestamp()) AS at_us
          FROM unnest(topics, types, content_types, ids, datas, expiries, flagses)
               WITH ORDINALITY u(topic, type, content_type, id, data, expires_us, flags, nr)
          ORDER BY nr) o
  ), kept AS (
    INSERT INTO bellpush.log
      SELECT seq, topic, type, content_type, id, data, at_us, coalesce(expires_us, 0), flags
      FROM numbered ORDER BY seq
      RETURNING seq
  )
  SELECT array_agg(seq ORDER BY seq) INTO seqs FROM kept;
  IF 2 = ANY (SELECT f & 2 FROM unnest(flagses) f) THEN
    FOR e IN SELECT * FROM bellpush.log WHERE seq = ANY (seqs) AND flags & 2 <> 0 ORDER BY seq LOOP
      PERFORM bellpush._retain(e);
    END LOOP;
  END IF;
  PERFORM pg_notify('bellpush', '');
  RETURN seqs;
END $$;

-- ---------------------------------------------------------------- publishing
-- In commit mode (nr is NULL) a row is deleted from the inbox as soon as it is in: its trigger fires
-- at COMMIT all the same, with what was in it, for nobody may sweep up what an open transaction has
-- deleted.  And what is done here is not done while everybody waits for the numbering lock.

CREATE OR REPLACE FUNCTION bellpush.publish(topic text, data bytea, type text DEFAULT NULL,
  retain boolean DEFAULT false, private boolean DEFAULT false,
  content_type text DEFAULT 'application/octet-stream', id text DEFAULT NULL,
  expires interval DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  place tid;
  turn bigint;
BEGIN
  IF bellpush._checked($1, $3, $6, $7, octet_length($2)) THEN
    INSERT INTO bellpush.inbox (topic, type, content_type, id, data, expires_us, flags)
      VALUES ($1, nullif($3, ''), nullif($6, ''), nullif($7, ''), $2,
              CASE WHEN $8 IS NULL THEN 0 ELSE bellpush._expiry($8) END,
              CASE WHEN $4 THEN 2 ELSE 0 END + CASE WHEN $5 THEN 1 ELSE 0 END)
      RETURNING ctid, nr INTO place, turn;
    IF turn IS NULL THEN
      DELETE FROM bellpush.inbox WHERE ctid = place; -- a TID scan: no index needed
    END IF;
  END IF;
END $$;

CREATE OR REPLACE FUNCTION bellpush.publish(topic text, data text, type text DEFAULT NULL,
  retain boolean DEFAULT false, private boolean DEFAULT false, content_type text DEFAULT NULL,
  id text DEFAULT NULL, expires interval DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  bytes bytea := convert_to($2, 'UTF8');
  place tid;
  turn bigint;
BEGIN
  IF bellpush._checked($1, $3, $6, $7, octet_length(bytes)) THEN
    INSERT INTO bellpush.inbox (topic, type, content_type, id, data, expires_us, flags)
      VALUES ($1, nullif($3, ''), nullif($6, ''), nullif($7, ''), bytes,
              CASE WHEN $8 IS NULL THEN 0 ELSE bellpush._expiry($8) END,
              CASE WHEN $4 THEN 2 ELSE 0 END + CASE WHEN $5 THEN 1 ELSE 0 END)
      RETURNING ctid, nr INTO place, turn;
    IF turn IS NULL THEN
      DELETE FROM bellpush.inbox WHERE ctid = place;
    END IF;
  END IF;
END $$;

CREATE OR REPLACE FUNCTION bellpush.publish(topic text, data jsonb, type text DEFAULT NULL,
  retain boolean DEFAULT false, private boolean DEFAULT false,
  content_type text DEFAULT 'application/json', id text DEFAULT NULL,
  expires interval DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM bellpush.publish($1, convert_to($2::text, 'UTF8'), $3, $4, $5, $6, $7, $8);
END $$;

CREATE OR REPLACE FUNCTION bellpush.publish(topic text, data json, type text DEFAULT NULL,
  retain boolean DEFAULT false, private boolean DEFAULT false,
  content_type text DEFAULT 'application/json', id text DEFAULT NULL,
  expires interval DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM bellpush.publish($1, convert_to($2::text, 'UTF8'), $3, $4, $5, $6, $7, $8);
END $$;

-- Many into the inbox, in their order; or an error.  In commit mode they share a row, so that COMMIT
-- calls the trigger once.  But what is large is compressed here, in a row of its own, and not under
-- the lock; and what is retained takes its time anyway.
CREATE OR REPLACE FUNCTION bellpush._put(events bellpush.log_row[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  apart boolean;
  many bellpush.log_row[];
  places tid[];
BEGIN
  SELECT bool_or(bellpush._checked(e.topic, e.type, e.content_type, e.id, octet_length(e.data))
                 AND (octet_length(e.data) > 1024 OR e.flags & 2 <> 0)) INTO apart
    FROM unnest(events) e;
  LOCK TABLE bellpush.inbox IN ROW EXCLUSIVE MODE; -- from now on the mode is what it is
  IF NOT apart AND cardinality(events) > 1 AND to_regclass('bellpush.inbox_by_nr') IS NULL THEN
    many := events;
    events := events[1:1];
  END IF;
  WITH put AS (
    INSERT INTO bellpush.inbox (topic, type, content_type, id, data, expires_us, flags, many)
      SELECT topic, type, content_type, id, data, expires_us, flags, many FROM unnest(events)
      RETURNING ctid, nr
  )
  SELECT array_agg(ctid) FILTER (WHERE nr IS NULL) INTO places FROM put;
  DELETE FROM bellpush.inbox WHERE ctid = ANY (places);
END $$;

-- Many at once; gives how many.
CREATE OR REPLACE FUNCTION bellpush.publish_many(topics text[], datas text[],
  type text DEFAULT NULL, retain boolean DEFAULT false, private boolean DEFAULT false,
  content_type text DEFAULT NULL, expires interval DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  n int := coalesce(cardinality($1), 0);
  expires_us bigint := bellpush._expiry($7);
  flags int := CASE WHEN $4 THEN 2 ELSE 0 END + CASE WHEN $5 THEN 1 ELSE 0 END;
BEGIN
  IF n <> coalesce(cardinality($2), 0) THEN
    RAISE 'bellpush: % topics and % datas were given', n, coalesce(cardinality($2), 0)
      USING ERRCODE = '22023';
  END IF;
  PERFORM bellpush._put(array_agg(
      ROW(NULL, t, nullif($3, ''), nullif($6, ''), NULL, convert_to(d, 'UTF8'), NULL, expires_us,
          flags)::bellpush.log_row ORDER BY nr))
    FROM unnest($1, $2) WITH ORDINALITY u(t, d, nr);
  RETURN n;
END $$;

-- The same from a JSON array of objects: topic, data, and optionally type, content_type, id,
-- retain, private, expires (seconds, or an interval as text).  Data that is a JSON string is
-- published as that text, anything else as JSON; data_base64 is published as bytes.
CREATE OR REPLACE FUNCTION bellpush.publish_many(events jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  e jsonb;
  n int := 0;
  wrong text;
  kind text;
  expires interval;
  event bellpush.log_row;
  all_of_them bellpush.log_row[];
BEGIN
  IF jsonb_typeof($1) IS DISTINCT FROM 'array' THEN
    RAISE 'bellpush: publish_many() wants a JSON array of events' USING ERRCODE = '22023';
  END IF;
  FOR e IN SELECT jsonb_array_elements($1) LOOP
    n := n + 1;
    IF jsonb_typeof(e) <> 'object' THEN
      RAISE 'bellpush: event % is no JSON object', n USING ERRCODE = '22023';
    END IF;
    SELECT k INTO wrong FROM jsonb_object_keys(e) k
      WHERE k <> ALL ('{topic,data,data_base64,type,content_type,id,retain,private,expires}') LIMIT 1;
    IF wrong IS NOT NULL THEN
      RAISE 'bellpush: event % has an unknown member %', n, bellpush._shown(wrong)
        USING ERRCODE = '22023';
    ELSIF (e ? 'data') = (e ? 'data_base64') THEN
      RAISE 'bellpush: event % needs data or data_base64', n USING ERRCODE = '22023';
    END IF;
    SELECT k INTO wrong FROM jsonb_each(e) j(k, v)
      WHERE k IN ('topic', 'type', 'content_type', 'id', 'data_base64')
            AND jsonb_typeof(v) NOT IN ('string', 'null')
         OR k IN ('retain', 'private') AND jsonb_typeof(v) <> 'boolean'
         OR k = 'expires' AND jsonb_typeof(v) NOT IN ('number', 'string', 'null') LIMIT 1;
    IF wrong IS NOT NULL THEN
      RAISE 'bellpush: event %: member % has the wrong JSON type', n, bellpush._shown(wrong)
        USING ERRCODE = '22023';
    END IF;
    BEGIN
      IF e ? 'data_base64' THEN
        event.data := decode(e->>'data_base64', 'base64');
        kind := 'application/octet-stream';
      ELSIF jsonb_typeof(e->'data') = 'string' THEN
        event.data := convert_to(e->>'data', 'UTF8');
        kind := NULL;
      ELSE
        event.data := convert_to((e->'data')::text, 'UTF8');
        kind := 'application/json';
      END IF;
      expires := CASE WHEN jsonb_typeof(e->'expires') = 'number'
                      THEN make_interval(secs => (e->>'expires')::float8)
                      ELSE (e->>'expires')::interval END;
    EXCEPTION WHEN data_exception THEN
      RAISE 'bellpush: event %: %', n, SQLERRM USING ERRCODE = '22023';
    END;
    event.topic := e->>'topic';
    event.type := nullif(e->>'type', '');
    event.content_type := nullif(coalesce(e->>'content_type', kind), '');
    event.id := nullif(e->>'id', '');
    event.expires_us := bellpush._expiry(expires);
    event.flags := CASE WHEN (e->>'retain')::boolean THEN 2 ELSE 0 END
                   + CASE WHEN (e->>'private')::boolean THEN 1 ELSE 0 END;
    all_of_them := array_append(all_of_them, event);
  END LOOP;
  PERFORM bellpush._put(all_of_them);
  RETURN n;
END $$;

-- Publishing from HTTP: one transaction, numbered at once in commit mode (seqs), soon in relay mode
-- (seqs NULL).  With a key, a second call waits for the first and then only tells its answer.
CREATE OR REPLACE FUNCTION bellpush.publish_batch(topics text[], types text[],
  content_types text[], ids text[], datas bytea[], retains boolean[], privates boolean[],
  expires_ms bigint[], key text, hash bytea, OUT seqs bigint[], OUT repeated boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  n int := coalesce(cardinality($1), 0);
  had bellpush.idempotency;
  flagses int[];
  expiries bigint[];
  now_us bigint := bellpush._us(clock_timestamp());
BEGIN
  repeated := false;
  IF n = 0 THEN
    RAISE 'bellpush: nothing to publish' USING ERRCODE = '22023';
  ELSIF (cardinality($2) = n AND cardinality($3) = n AND cardinality($4) = n
      AND cardinality($5) = n AND cardinality($6) = n AND cardinality($7) = n
      AND cardinality($8) = n) IS NOT TRUE THEN
    RAISE 'bellpush: the arrays of publish_batch() differ in length' USING ERRCODE = '22023';
  END IF;
  IF $9 IS NOT NULL THEN
    IF $10 IS NULL OR octet_length($9) NOT BETWEEN 1 AND 1024 THEN
      RAISE 'bellpush: an idempotency key has 1 to 1024 bytes, and a hash' USING ERRCODE = '22023';
    END IF;
    PERFORM pg_advisory_xact_lock(1650813035, hashtext($9));
    SELECT * INTO had FROM bellpush.idempotency i WHERE i.key = $9;
    IF FOUND AND had.hash <> $10 THEN
      RAISE 'bellpush: the idempotency key was used for another body' USING ERRCODE = 'BP001';
    ELSIF FOUND THEN
      seqs := had.seqs;
      repeated := true;
      RETURN;
    END IF;
  END IF;
  PERFORM bellpush._checked(t, k, c, i, octet_length(d))
    FROM unnest($1, $2, $3, $4, $5) u(t, k, c, i, d);
  SELECT array_agg(CASE WHEN r THEN 2 ELSE 0 END + CASE WHEN p THEN 1 ELSE 0 END ORDER BY nr),
         array_agg(CASE WHEN x > 0 THEN now_us + least(x, 3155760000000) * 1000 ELSE 0 END ORDER BY nr)
    INTO flagses, expiries
    FROM unnest($6, $7, $8) WITH ORDINALITY u(r, p, x, nr);
  IF (SELECT mode FROM bellpush.state) = 'commit' THEN
    seqs := bellpush._append($1, $2, $3, $4, $5, expiries, flagses);
  ELSE
    INSERT INTO bellpush.inbox (topic, type, content_type, id, data, expires_us, flags)
      SELECT t, nullif(k, ''), nullif(c, ''), nullif(i, ''), d, x, f
      FROM unnest($1, $2, $3, $4, $5, expiries, flagses) WITH ORDINALITY u(t, k, c, i, d, x, f, nr)
      ORDER BY nr;
  END IF;
  IF $9 IS NOT NULL THEN
    INSERT INTO bellpush.idempotency (key, hash, seqs) VALUES ($9, $10, publish_batch.seqs);
  END IF;
END $$;

-- The same for events that say themselves which ones they are, each by its key: those that were
-- published before are not again, and repeats tells their places (from 0).  Whoever publishes one of
-- them at this moment is waited for, in the order of the keys, so that no two wait for each other.
CREATE OR REPLACE FUNCTION bellpush.publish_once(topics text[], types text[],
  content_types text[], ids text[], datas bytea[], retains boolean[], privates boolean[],
  expires_ms bigint[], keys text[], hashes bytea[], OUT seqs bigint[], OUT repeats bigint[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  fresh bigint[];
  other bigint;
BEGIN
  IF (cardinality($9) = cardinality($1) AND cardinality($10) = cardinality($1)) IS NOT TRUE THEN
    RAISE 'bellpush: the arrays of publish_once() differ in length' USING ERRCODE = '22023';
  ELSIF EXISTS (SELECT 1 FROM unnest($9, $10) u(k, h)
                WHERE (octet_length(k) BETWEEN 1 AND 1024 AND h IS NOT NULL) IS NOT TRUE) THEN
    RAISE 'bellpush: an idempotency key has 1 to 1024 bytes, and a hash' USING ERRCODE = '22023';
  END IF;
  WITH first AS (
    SELECT DISTINCT ON (k) k, h, nr
    FROM unnest($9 COLLATE "C", $10) WITH ORDINALITY u(k, h, nr) ORDER BY k, nr
  ), mine AS (
    INSERT INTO bellpush.idempotency (key, hash) SELECT k, h FROM first ORDER BY k
      ON CONFLICT DO NOTHING RETURNING key
  )
  SELECT coalesce(array_agg(nr ORDER BY nr), '{}') INTO fresh FROM mine JOIN first ON k = key;
  SELECT min(nr) - 1 INTO other
    FROM unnest($9, $10) WITH ORDINALITY u(k, h, nr) JOIN bellpush.idempotency i ON i.key = k
    WHERE i.hash <> h;
  IF other IS NOT NULL THEN
    RAISE 'bellpush: event %: its key was used for another', other USING ERRCODE = 'BP001';
  END IF;
  IF fresh <> '{}' THEN
    SELECT (bellpush.publish_batch(
             array_agg(t ORDER BY nr), array_agg(y ORDER BY nr), array_agg(c ORDER BY nr),
             array_agg(i ORDER BY nr), array_agg(d ORDER BY nr), array_agg(r ORDER BY nr),
             array_agg(p ORDER BY nr), array_agg(x ORDER BY nr), NULL, NULL)).seqs INTO seqs
      FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) WITH ORDINALITY u(t, y, c, i, d, r, p, x, nr)
      WHERE nr = ANY (fresh);
    UPDATE bellpush.idempotency o SET seqs = ARRAY[n.seq]
      FROM unnest(fresh, publish_once.seqs) n(nr, seq) WHERE o.key = $9[n.nr::int] AND n.seq IS NOT NULL;
  END IF;
  SELECT array_agg(i.seqs[1] ORDER BY nr),
         coalesce(array_agg(nr - 1 ORDER BY nr) FILTER (WHERE nr <> ALL (fresh)), '{}')
    INTO seqs, repeats
    FROM unnest($9) WITH ORDINALITY u(k, nr) LEFT JOIN bellpush.idempotency i ON i.key = k;
  IF array_position(seqs, NULL) IS NOT NULL THEN -- relay mode: not numbered yet
    seqs := NULL;
  END IF;
END $$;

-- Plain NOTIFYs that the elected process has heard.  Never refuses: what a topic may not hold in a
-- channel's name is escaped.
CREATE OR REPLACE FUNCTION bellpush.record(channels text[], payloads text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  n int := coalesce(cardinality($1), 0);
BEGIN
  IF n <> coalesce(cardinality($2), 0) THEN
    RAISE 'bellpush: % channels and % payloads were given', n, coalesce(cardinality($2), 0)
      USING ERRCODE = '22023';
  ELSIF n > 0 THEN
    PERFORM bellpush._append(array_agg(CASE WHEN c COLLATE "C" ~ '[+#\x01-\x1f\x7f]'
                                            THEN bellpush.escape(c) ELSE c END ORDER BY nr),
                             array_fill(NULL::text, ARRAY[n]), array_fill(NULL::text, ARRAY[n]),
                             array_fill(NULL::text, ARRAY[n]),
                             array_agg(convert_to(coalesce(p, ''), 'UTF8') ORDER BY nr),
                             array_fill(0::bigint, ARRAY[n]), array_fill(4, ARRAY[n]))
      FROM unnest($1, $2) WITH ORDINALITY u(c, p, nr);
  END IF;
END $$;

-- ---------------------------------------------------------------- relay mode

-- Number the next batch; how many.  The inbox's statistics say "empty" after every quiet time, and
-- a plan made for that would walk over dead rows: hence the settings.
CREATE OR REPLACE FUNCTION bellpush.relay(max_rows int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  n bigint;
  first bigint;
  e bellpush.log_row;
  retaining boolean;
BEGIN
  -- A table lock before the numbering lock; also the cheap answer of a quiet time.
  IF NOT EXISTS (SELECT FROM bellpush.inbox) OR (SELECT mode FROM bellpush.state) <> 'relay' THEN
    RETURN 0;
  END IF;
  PERFORM bellpush._numbering();
  first := (SELECT last_value FROM bellpush.seq);
  WITH taken AS (
    DELETE FROM bellpush.inbox
      WHERE nr = ANY (ARRAY(SELECT nr FROM bellpush.inbox ORDER BY nr LIMIT greatest(max_rows, 1)))
      RETURNING *
  ), numbered AS (
    SELECT nextval('bellpush.seq') AS seq, o.*
    FROM (SELECT *, bellpush._us(clock_timestamp()) AS at_us FROM taken ORDER BY nr) o
  ), kept AS (
    INSERT INTO bellpush.log
      SELECT seq, topic, type, content_type, id, data, at_us, expires_us, flags FROM numbered
      RETURNING flags
  )
  SELECT count(*), bool_or(flags & 2 <> 0) INTO n, retaining FROM kept;
  IF retaining THEN
    FOR e IN SELECT * FROM bellpush.log WHERE seq >= first AND flags & 2 <> 0 ORDER BY seq LOOP
      PERFORM bellpush._retain(e);
    END LOOP;
  END IF;
  IF n > 0 THEN
    PERFORM pg_notify('bellpush', '');
  END IF;
  RETURN n;
END $$;

-- True: nothing waits, and whoever publishes from now on rings NOTIFY bellpush_relay.  False: look
-- again with relay().
CREATE OR REPLACE FUNCTION bellpush.relay_sleep() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT bellpush._holds(3) AND NOT pg_try_advisory_lock(1650813036, 3) THEN
    RETURN false; -- a publisher is between its INSERT and its COMMIT
  ELSIF EXISTS (SELECT FROM bellpush.inbox) AND (SELECT mode FROM bellpush.state) = 'relay' THEN
    PERFORM pg_advisory_unlock(1650813036, 3);
    RETURN false;
  END IF;
  RETURN true;
END $$;

CREATE OR REPLACE FUNCTION bellpush.relay_wake() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF bellpush._holds(3) THEN
    PERFORM pg_advisory_unlock(1650813036, 3);
  END IF;
END $$;

-- This session listens from now on.  Its place among those who do is a shared lock that it holds as
-- long as it lives: the number grows with each that comes.
CREATE OR REPLACE FUNCTION bellpush.listening() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_lock_shared(1650813037, nextval('bellpush.listener_nr')::int);
END $$;

-- Stand for election: the one process that records, relays and prunes holds a session lock.  What was
-- notified and is not yet recorded is known to those who listened then, so where the place is vacant
-- it is for who has listened longest; the others wait for that one, unless they are impatient.
CREATE OR REPLACE FUNCTION bellpush.housekeeper(impatient boolean, OUT elected boolean, OUT vacant boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  here oid := (SELECT oid FROM pg_database WHERE datname = current_database());
BEGIN
  elected := bellpush._holds(2);
  vacant := NOT elected AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory'
    AND l.database = here AND l.classid = 1650813036 AND l.objid = 2 AND l.objsubid = 2 AND l.granted);
  IF vacant AND (impatient OR (
      SELECT min(l.objid::bigint) = min(l.objid::bigint) FILTER (WHERE l.pid = pg_backend_pid())
      FROM pg_locks l
      WHERE l.locktype = 'advisory' AND l.database = here AND l.classid = 1650813037)) THEN
    elected := pg_try_advisory_lock(1650813036, 2);
    vacant := false;
  END IF;
END $$;

-- Change the mode while everything runs.  Waits for transactions that have published and are still
-- open, but in short tries, so that other publishers are not held up behind it.
CREATE OR REPLACE FUNCTION bellpush.set_mode(mode text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  tries int := 0;
BEGIN
  IF $1 IS NULL OR $1 NOT IN ('commit', 'relay') THEN
    RAISE 'bellpush: the mode is commit or relay, not %', coalesce(bellpush._shown($1), 'NULL')
      USING ERRCODE = '22023';
  END IF;
  PERFORM bellpush._number_now();
  PERFORM set_config('lock_timeout', '200ms', true);
  LOOP
    BEGIN
      LOCK TABLE bellpush.inbox IN ACCESS EXCLUSIVE MODE;
      EXIT;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      tries := tries + 1;
      IF tries >= 15 THEN
        RAISE 'bellpush: set_mode() has waited for transactions that published and are still open'
          USING ERRCODE = '55P03', HINT = 'Look for old ones in pg_stat_activity (xact_start).';
      END IF;
      PERFORM pg_sleep(0.1);
    END;
  END LOOP;
  PERFORM set_config('lock_timeout', '5s', true);
  IF $1 = (SELECT s.mode FROM bellpush.state s) THEN
    RETURN $1;
  END IF;
  IF $1 = 'relay' THEN
    DROP TRIGGER number ON bellpush.inbox;
    ALTER TABLE bellpush.inbox SET LOGGED;
    ALTER TABLE bellpush.inbox ALTER nr SET DEFAULT nextval('bellpush.inbox_nr');
    CREATE UNIQUE INDEX inbox_by_nr ON bellpush.inbox (nr);
    CREATE TRIGGER ring AFTER INSERT ON bellpush.inbox
      FOR EACH STATEMENT EXECUTE FUNCTION bellpush._ring();
  ELSE
    WHILE bellpush.relay(100000) > 0 LOOP NULL; END LOOP;
    DROP TRIGGER ring ON bellpush.inbox;
    DROP INDEX bellpush.inbox_by_nr;
    ALTER TABLE bellpush.inbox ALTER nr DROP DEFAULT;
    ALTER TABLE bellpush.inbox SET UNLOGGED;
    CREATE CONSTRAINT TRIGGER number AFTER INSERT ON bellpush.inbox
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION bellpush._number();
  END IF;
  UPDATE bellpush.state SET mode = $1;
  PERFORM pg_notify('bellpush', ''), pg_notify('bellpush_relay', '');
  RETURN $1;
END $$;

-- ---------------------------------------------------------------- reading
-- Rows are found by index range, whatever the statistics of a fresh partition say; and planning once
-- is enough (18 partitions: 0.16 ms a read with a generic plan, 0.36 ms when planned each time).

CREATE OR REPLACE FUNCTION bellpush._head() RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN greatest((SELECT seq FROM bellpush.log ORDER BY seq DESC LIMIT 1),
                  (SELECT pruned_to FROM bellpush.state));
END $$;

-- A new epoch: every cursor given out so far is answered with a gap.  For after a restore that
-- hello() cannot notice (it notices another server, database or timeline by itself).
CREATE OR REPLACE FUNCTION bellpush.new_epoch() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  made text;
BEGIN
  PERFORM bellpush._numbering();
  UPDATE bellpush.state SET epoch = bellpush._new_epoch(), origin = bellpush._origin()
    RETURNING epoch INTO made;
  PERFORM setval('bellpush.seq', greatest((SELECT last_value FROM bellpush.seq),
                                          bellpush._head(), 1));
  PERFORM pg_notify('bellpush', '');
  RETURN made;
END $$;

CREATE OR REPLACE FUNCTION bellpush.hello(program text, OUT schema_version int, OUT epoch text,
  OUT pruned_to bigint, OUT head bigint, OUT mode text, OUT max_event_bytes bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  s bellpush.state;
BEGIN
  SELECT * INTO STRICT s FROM bellpush.state;
  IF NOT pg_is_in_recovery() AND s.origin <> bellpush._origin() THEN
    PERFORM bellpush._numbering();
    SELECT * INTO STRICT s FROM bellpush.state; -- somebody else may have been quicker
    IF s.origin <> bellpush._origin() THEN
      RAISE LOG 'bellpush: new epoch, noticed by %: the log was written by %, this is %',
        $1, s.origin, bellpush._origin();
      PERFORM bellpush.new_epoch();
      SELECT * INTO STRICT s FROM bellpush.state;
    END IF;
  END IF;
  schema_version := (SELECT max(v.version) FROM bellpush.schema_version v);
  epoch := s.epoch;
  pruned_to := s.pruned_to;
  head := bellpush._head();
  mode := s.mode;
  max_event_bytes := bellpush._get('max_event_bytes');
END $$;

-- The present place.  In a REPEATABLE READ transaction: the place that belongs to the data that the
-- transaction sees; otherwise call it before reading the data.
CREATE OR REPLACE FUNCTION bellpush.cursor() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT epoch FROM bellpush.state) || '-' || bellpush._head();
END $$;

-- New rows.  The last row (seq and topic NULL) says, read after the others, how far retention has come
-- (at_us), for who reads on far behind must not step over a hole unawares; and whose history this is
-- (type: the epoch), for some of the rows may be of a new one.
CREATE OR REPLACE FUNCTION bellpush.read(after bigint, max_rows int, max_bytes bigint)
RETURNS SETOF bellpush.log_row
LANGUAGE plpgsql VOLATILE ROWS 100 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN QUERY
    SELECT r.seq, r.topic, r.type, r.content_type, r.id, r.data, r.at_us, r.expires_us, r.flags
    FROM (SELECT l.*, sum(octet_length(l.data)) OVER (ORDER BY l.seq ROWS UNBOUNDED PRECEDING) AS bytes,
                 row_number() OVER (ORDER BY l.seq) AS nr -- octet_length() does not unpack
          FROM (SELECT * FROM bellpush.log WHERE seq > $1 ORDER BY seq LIMIT greatest($2, 1)) l) r
    WHERE r.bytes <= $3 OR r.nr = 1
    ORDER BY r.seq;
  RETURN QUERY
    SELECT NULL::bigint, NULL, epoch, NULL, NULL, NULL::bytea, pruned_to, NULL::bigint, NULL::int
    FROM bellpush.state;
END $$;

-- For a session that answers bells: the prepared statement bellpush_few (after bigint, max_rows int,
-- max_data bigint) gives what read() gives, without a function around it, in half of the time.  Adding up
-- bytes would cost half of what that saves: so data of more than max_data bytes is NULL, and whoever
-- finds one asks read() for it.  Few rows, then: read() is for many.  False: the caller may not read
-- the log itself, and nothing is prepared.
--
-- Rows and closing row come from one snapshot.  That is enough where the statement is executed by the
-- protocol (PQexecPrepared): all partitions of the plan are locked, and only then the snapshot is
-- taken.  So what was dropped before is in pruned_to, and what was not cannot be dropped meanwhile.
-- (SQL's own EXECUTE takes the snapshot first, and so does a transaction that has one for all of it.)
-- The other settings are for the plan, as with read(); this session does little else.
CREATE OR REPLACE FUNCTION bellpush.prepare_few() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT (has_table_privilege('bellpush.log', 'SELECT')
          AND has_table_privilege('bellpush.state', 'SELECT')) THEN
    RETURN false;
  END IF;
  PERFORM set_config(name, value, false)
    FROM (VALUES ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'), ('jit', 'off'),
                 ('plan_cache_mode', 'force_generic_plan'),
                 ('default_transaction_isolation', 'read committed')) s(name, value);
  IF NOT EXISTS (SELECT FROM pg_prepared_statements p WHERE p.name = 'bellpush_few') THEN
    PREPARE bellpush_few (bigint, int, bigint) AS
      (SELECT seq, topic, type, content_type, id, CASE WHEN octet_length(data) <= $3 THEN data END,
              at_us, expires_us, flags
       FROM bellpush.log WHERE seq > $1 ORDER BY seq LIMIT $2)
      UNION ALL
      SELECT NULL, NULL, epoch, NULL, NULL, NULL, pruned_to, NULL, NULL FROM bellpush.state;
  END IF;
  RETURN true;
END $$;

-- MQTT 5 section 4.7 as an anchored regular expression.
CREATE OR REPLACE FUNCTION bellpush._filter_regex(filter text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  re text;
BEGIN
  IF filter IS NULL OR filter = '' OR octet_length(filter) > 1024
     OR filter COLLATE "C" ~ '[\x01-\x1f\x7f]' THEN
    RAISE 'bellpush: a filter has 1 to 1024 bytes and no control characters' USING ERRCODE = '22023';
  ELSIF filter ~ '[^/][+#]|\+[^/]|#.' THEN
    RAISE 'bellpush: filter %: + and # stand for whole levels, and # is the last',
      bellpush._shown(filter) USING ERRCODE = '22023';
  END IF;
  IF filter = '#' THEN
    RETURN '^[^$]';
  END IF;
  re := regexp_replace(filter, '/#$', '');
  re := regexp_replace(re, '([.\\*?()\[\]{}|^$])', '\\\1', 'g');
  re := regexp_replace(re, '^\+', '([^$/][^/]*)?'); -- $-topics are not matched by a leading wildcard
  re := regexp_replace(re, '/\+', '/[^/]*', 'g');
  RETURN '^' || re || CASE WHEN filter ~ '/#$' THEN '(/|$)' ELSE '$' END;
END $$;

-- The past of one reader, without what has expired.  Exact topics are found by index; with a
-- wildcard, at most max_scan rows are looked at.  The last row (topic NULL) says up to where
-- everything has been looked at (go on from there), as type the epoch, and as at_us how far retention had come when
-- the rows had been read: a dropped partition is gone for older snapshots, too, so only a mark
-- that is read later tells whether some of them are missing.  Hence VOLATILE: a snapshot each.
CREATE OR REPLACE FUNCTION bellpush.replay(after bigint, filters text[], max_rows int,
                                           max_bytes bigint, max_scan int)
RETURNS SETOF bellpush.log_row
LANGUAGE plpgsql VOLATILE ROWS 100 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  now_us bigint := bellpush._us(clock_timestamp());
  exact text[];
  wild text;
  upto bigint := greatest(bellpush._head(), after);
  n int := 0;
  bytes bigint := 0;
  r bellpush.log_row;
  rows refcursor;
BEGIN
  IF coalesce(cardinality(filters), 0) = 0 THEN
    RAISE 'bellpush: replay() wants at least one filter' USING ERRCODE = '22023';
  END IF;
  max_rows := greatest(max_rows, 1);
  SELECT array_agg(DISTINCT f) FILTER (WHERE re IS NOT NULL AND f !~ '[+#]'),
         string_agg(DISTINCT re, '|') FILTER (WHERE f ~ '[+#]')
    INTO exact, wild
    FROM (SELECT f, bellpush._filter_regex(f) FROM unnest(filters) f) x(f, re);
  IF wild IS NULL THEN
    OPEN rows FOR
      SELECT l.* FROM unnest(exact) t(name), LATERAL (
        SELECT * FROM bellpush.log
        WHERE (topic, seq) > (t.name, after) AND topic <= t.name AND seq > after AND seq <= upto
          AND (expires_us = 0 OR expires_us > now_us)
        ORDER BY topic, seq LIMIT max_rows) l -- not topic = t.name: then the planner would see that
                                              -- the numbers' index has this order too
      ORDER BY l.seq LIMIT max_rows;
  ELSE
    upto := coalesce((SELECT seq FROM bellpush.log WHERE seq > after
                      ORDER BY seq LIMIT 1 OFFSET greatest(max_scan, 1) - 1), upto);
    OPEN rows FOR
      SELECT * FROM bellpush.log
      WHERE seq > after AND seq <= upto AND (topic ~ wild OR topic = ANY (exact))
        AND (expires_us = 0 OR expires_us > now_us)
      ORDER BY seq LIMIT max_rows;
  END IF;
  LOOP
    FETCH rows INTO r;
    EXIT WHEN NOT FOUND;
    bytes := bytes + octet_length(r.data);
    IF n > 0 AND bytes > max_bytes THEN
      upto := r.seq - 1;
      EXIT;
    END IF;
    RETURN NEXT r;
    n := n + 1;
    IF n >= max_rows THEN
      upto := r.seq;
      EXIT;
    END IF;
  END LOOP;
  CLOSE rows;
  r := NULL;
  r.seq := upto;
  SELECT s.pruned_to, s.epoch INTO r.at_us, r.type FROM bellpush.state s;
  RETURN NEXT r;
END $$;

-- Where was a time?  By halving: each probe is one step in the index of the numbers.
CREATE OR REPLACE FUNCTION bellpush.locate(at_us bigint, OUT epoch text, OUT pruned_to bigint,
                                           OUT head bigint, OUT seq bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  above bigint;
  middle bigint;
  probe record;
BEGIN
  SELECT s.epoch, s.pruned_to, bellpush._head() INTO epoch, pruned_to, head FROM bellpush.state s;
  seq := pruned_to;
  above := head; -- what is wanted lies in [seq, above]
  WHILE $1 > 0 AND seq < above LOOP
    middle := seq + (above - seq + 1) / 2;
    SELECT l.seq, l.at_us INTO probe FROM bellpush.log l WHERE l.seq >= middle
      ORDER BY l.seq LIMIT 1;
    IF FOUND AND probe.at_us < $1 THEN
      seq := probe.seq;
    ELSE
      above := middle - 1;
    END IF;
  END LOOP;
END $$;

-- The last values that match: for a subscriber that wants the present state first.
CREATE OR REPLACE FUNCTION bellpush.last_values(filters text[]) RETURNS SETOF bellpush.log_row
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT r.* FROM bellpush.retained r
  WHERE topic ~ (SELECT string_agg(bellpush._filter_regex(f), '|') FROM unnest(filters) f)
    AND (expires_us = 0 OR expires_us > bellpush._us(clock_timestamp()))
  ORDER BY seq
$$;

-- ---------------------------------------------------------------- watching tables
-- Each watch is one trigger on the table (with a condition: one for each operation); what it shall
-- do stands in the trigger's arguments, so there is no registry that could disagree with the
-- tables, and a dump carries it along:
--   0 name  1 topic  2 operations  3 columns  4 payload  5 type  6 flags  7 condition
--   8 literal, 9 column, 10 literal, 11 column, … the topic in pieces

-- The pieces of a topic template: literal, column, literal, …
CREATE OR REPLACE FUNCTION bellpush._pieces(template text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  pieces text[] := '{}';
  rest text := template;
  m text[];
BEGIN
  WHILE rest <> '' LOOP
    m := regexp_match(rest, '^([^{}]*)(?:\{([^{}]+)\})?(.*)$');
    IF m[1] = '' AND m[2] IS NULL THEN
      RAISE 'bellpush: topic % has a brace without its partner', bellpush._shown(template)
        USING ERRCODE = '22023', HINT = 'A column is written {name}.';
    END IF;
    pieces := array_append(pieces, m[1]);
    IF m[2] IS NOT NULL THEN
      pieces := array_append(pieces, m[2]);
    END IF;
    rest := m[3];
  END LOOP;
  RETURN pieces;
END $$;

-- The topic of a row.  NULL becomes %00, which no text can forge.  A topic that would be too long
-- has its long values replaced by %~ and their MD5, so that a writer is never turned away.
CREATE OR REPLACE FUNCTION bellpush._topic_of(pieces text[], data jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  topic text := '';
  shorten boolean := false;
  value text;
BEGIN
  LOOP
    FOR i IN array_lower(pieces, 1) .. array_upper(pieces, 1) BY 2 LOOP
      topic := topic || pieces[i];
      IF pieces[i + 1] IS NOT NULL THEN
        value := coalesce(bellpush.escape(data ->> pieces[i + 1]), '%00');
        topic := topic || CASE WHEN shorten AND octet_length(value) > 34
                               THEN '%~' || md5(value) ELSE value END;
      END IF;
    END LOOP;
    IF octet_length(topic) <= 1024 OR shorten THEN
      RETURN CASE WHEN topic = '' THEN '%00' ELSE topic END;
    END IF;
    topic := '';
    shorten := true;
  END LOOP;
END $$;

CREATE OR REPLACE FUNCTION bellpush._only(columns text[], data jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN columns IS NULL OR data IS NULL THEN data
              ELSE (SELECT coalesce(jsonb_object_agg(k, v), '{}') FROM jsonb_each(data) e(k, v)
                    WHERE k = ANY (columns)) END
$$;

-- The primary key's columns; NULL: none.
CREATE OR REPLACE FUNCTION bellpush._key_columns(relation oid) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT array_agg(a.attname::text) FROM pg_index i
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
  WHERE i.indrelid = relation AND i.indisprimary
$$;

-- Fires for a writer who may have no right here at all.  Never fails because of what is in a row.
CREATE OR REPLACE FUNCTION bellpush._watched() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  columns text[] := nullif(TG_ARGV[3], '')::text[];
  payload text := TG_ARGV[4];
  pieces text[] := TG_ARGV[8:];
  was jsonb;
  is_now jsonb;
  was_topic text;
  now_topic text;
BEGIN
  IF TG_OP <> 'INSERT' THEN
    was := to_jsonb(OLD);
    was_topic := bellpush._topic_of(pieces, was);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    is_now := to_jsonb(NEW);
    now_topic := bellpush._topic_of(pieces, is_now);
  END IF;
  IF TG_OP = 'UPDATE' AND was_topic <> now_topic THEN
    -- The row has moved: who listens there sees it go, who listens here sees it come, and neither
    -- sees what was only the other's.
    PERFORM bellpush._tell(TG_RELID, 'DELETE', was_topic, payload, columns, was, NULL, true,
                           TG_ARGV[5], TG_ARGV[6]::int);
    PERFORM bellpush._tell(TG_RELID, 'INSERT', now_topic, payload, columns, NULL, is_now, true,
                           TG_ARGV[5], TG_ARGV[6]::int);
  ELSIF TG_OP <> 'UPDATE' OR bellpush._only(columns, was) <> bellpush._only(columns, is_now) THEN
    PERFORM bellpush._tell(TG_RELID, TG_OP, coalesce(now_topic, was_topic), payload, columns, was,
                           is_now, false, TG_ARGV[5], TG_ARGV[6]::int);
  END IF;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION bellpush._tell(relation oid, op text, topic text, payload text,
  columns text[], was jsonb, is_now jsonb, moved boolean, type text, flags int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  head jsonb;
  body jsonb;
  bytes bytea;
  key jsonb;
  w jsonb := bellpush._only(columns, was);
  n jsonb := bellpush._only(columns, is_now);
  place tid;
  turn bigint;
BEGIN
  SELECT jsonb_build_object('op', op, 'table', s.nspname || '.' || c.relname) INTO head
    FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
    WHERE c.oid = coalesce(pg_partition_root(relation), relation);
  IF moved THEN
    head := head || '{"moved": true}';
  END IF;
  body := head || CASE payload
    WHEN 'keys' THEN '{}'
    WHEN 'old_new' THEN CASE WHEN w IS NULL THEN '{}' ELSE jsonb_build_object('old', w) END
                        || CASE WHEN n IS NULL THEN '{}' ELSE jsonb_build_object('new', n) END
    ELSE CASE WHEN op = 'DELETE' THEN jsonb_build_object('old', w)
              WHEN op = 'UPDATE' AND payload = 'changes' THEN
                jsonb_build_object('new', (SELECT coalesce(jsonb_object_agg(k, v), '{}')
                                           FROM jsonb_each(n) e(k, v) WHERE v IS DISTINCT FROM w -> k))
              ELSE jsonb_build_object('new', n) END END;
  IF payload IN ('keys', 'changes') THEN
    key := bellpush._only(bellpush._key_columns(relation), coalesce(is_now, was));
    body := body || jsonb_build_object('key', key);
    IF op = 'UPDATE' AND key <> bellpush._only(bellpush._key_columns(relation), was) THEN
      body := body || jsonb_build_object('old_key', bellpush._only(bellpush._key_columns(relation), was));
    END IF;
  END IF;
  bytes := convert_to(body::text, 'UTF8');
  IF octet_length(bytes) > 1024 AND octet_length(bytes) > bellpush._get('max_event_bytes')::bigint THEN
    key := CASE WHEN bellpush._key_columns(relation) IS NOT NULL
                THEN bellpush._only(bellpush._key_columns(relation), coalesce(is_now, was)) END;
    bytes := convert_to((head || jsonb_build_object('truncated', true, 'key', key))::text, 'UTF8');
    IF octet_length(bytes) > 1024 THEN -- a monster of a key
      bytes := convert_to((head || '{"truncated": true, "key": null}')::text, 'UTF8');
    END IF;
  END IF;
  INSERT INTO bellpush.inbox (topic, type, content_type, id, data, expires_us, flags)
    VALUES (topic, nullif(type, ''), 'application/json', NULL, bytes, 0,
            CASE WHEN op = 'DELETE' AND flags & 2 <> 0 THEN flags | 8 ELSE flags END)
    RETURNING ctid, nr INTO place, turn;
  IF turn IS NULL THEN
    DELETE FROM bellpush.inbox WHERE ctid = place;
  END IF;
END $$;

-- Runs with the rights of its caller, who needs the right TRIGGER on the table (owners have it).
CREATE OR REPLACE FUNCTION bellpush.watch(relation regclass, topic text,
  operations text[] DEFAULT '{INSERT,UPDATE,DELETE}', columns text[] DEFAULT NULL,
  condition text DEFAULT NULL, payload text DEFAULT 'new', name text DEFAULT 'watch',
  type text DEFAULT NULL, private boolean DEFAULT false, retain boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  ops text[];
  wrong text;
  pieces text[];
  literals text := '';
  names text[];
  events text;
BEGIN
  IF $1 IS NULL OR (SELECT relkind FROM pg_class WHERE oid = $1) NOT IN ('r', 'p', 'f') THEN
    RAISE 'bellpush: % is not a table', coalesce(bellpush._shown($1::text), 'NULL')
      USING ERRCODE = '42809';
  ELSIF $7 IS NULL OR $7 COLLATE "C" !~ '^[A-Za-z0-9_]{1,40}$' THEN
    RAISE 'bellpush: the name of a watch has 1 to 40 letters, digits and _, not %',
      coalesce(bellpush._shown($7), 'NULL') USING ERRCODE = '22023';
  ELSIF $6 IS NULL OR $6 NOT IN ('new', 'old_new', 'changes', 'keys') THEN
    RAISE 'bellpush: payload is new, old_new, changes or keys, not %',
      coalesce(bellpush._shown($6), 'NULL') USING ERRCODE = '22023';
  ELSIF $6 = 'keys' AND bellpush._key_columns($1) IS NULL THEN
    RAISE 'bellpush: payload keys needs a primary key, table % has none', $1 USING ERRCODE = '22023';
  END IF;

  SELECT array_agg(DISTINCT upper(o)), min(o) FILTER (WHERE upper(o) NOT IN ('INSERT', 'UPDATE', 'DELETE'))
    INTO ops, wrong FROM unnest($3) o;
  IF wrong IS NOT NULL OR ops IS NULL OR array_position(ops, NULL) IS NOT NULL THEN
    RAISE 'bellpush: operations are INSERT, UPDATE and DELETE, not %',
      coalesce(bellpush._shown(wrong), 'nothing')
      USING ERRCODE = '22023',
            HINT = CASE WHEN upper(wrong) = 'TRUNCATE' THEN 'TRUNCATE has no rows to tell of.'
                        ELSE 'For example: operations => ''{INSERT,UPDATE}''.' END;
  END IF;

  PERFORM bellpush._checked(regexp_replace($2, '\{[^{}]*\}', 'x', 'g'), $8, NULL, NULL, 0);
  pieces := bellpush._pieces($2);
  names := $4;
  FOR i IN 1 .. cardinality(pieces) LOOP
    IF i % 2 = 1 THEN
      literals := literals || pieces[i];
    ELSE
      names := array_append(names, pieces[i]);
      literals := literals || repeat('x', 34);
    END IF;
  END LOOP;
  IF octet_length(literals) > 1024 THEN
    RAISE 'bellpush: the topic is too long' USING ERRCODE = '22023';
  ELSIF cardinality($4) = 0 THEN
    RAISE 'bellpush: columns is empty; leave it out to watch all' USING ERRCODE = '22023';
  END IF;
  SELECT coalesce(n, 'NULL') INTO wrong FROM unnest(names) n
    WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = $1 AND attname = n
                        AND attnum > 0 AND NOT attisdropped) LIMIT 1;
  IF FOUND THEN
    RAISE 'bellpush: table % has no column %', $1, bellpush._shown(wrong)
      USING ERRCODE = '42703',
            HINT = 'It has: ' || (SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
                                  WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped);
  END IF;

  PERFORM bellpush.unwatch($1, $7);
  FOREACH events IN ARRAY CASE WHEN $5 IS NULL THEN ARRAY[array_to_string(ops, ' OR ')] ELSE ops END LOOP
    BEGIN
      EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s FOR EACH ROW %s EXECUTE FUNCTION bellpush._watched(%s)',
        'bellpush_' || $7 || CASE WHEN $5 IS NULL THEN '' ELSE '_' || lower(events) END, events, $1,
        CASE WHEN $5 IS NULL THEN '' ELSE 'WHEN (' || $5 || ')' END,
        (SELECT string_agg(quote_literal(a), ', ' ORDER BY nr)
         FROM unnest(ARRAY[$7, $2, ops::text, coalesce($4::text, ''), $6, coalesce($8, ''),
                           ((CASE WHEN $9 THEN 1 ELSE 0 END) + (CASE WHEN $10 THEN 2 ELSE 0 END))::text,
                           coalesce($5, '')] || pieces) WITH ORDINALITY u(a, nr)));
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported
                   OR invalid_object_definition THEN
      IF $5 IS NULL OR SQLSTATE = '42501' THEN
        RAISE;
      END IF;
      RAISE 'bellpush: the condition cannot be used for %: %', events, SQLERRM
        USING ERRCODE = SQLSTATE,
              HINT = 'INSERT has NEW, DELETE has OLD, UPDATE has both; watch() once for each set of operations.';
    END;
  END LOOP;
  RETURN $7;
END $$;

-- End one watch of a table, or all (name NULL); gives how many.
CREATE OR REPLACE FUNCTION bellpush.unwatch(relation regclass, name text DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
  ended text[] := '{}';
BEGIN
  FOR t IN SELECT tgname, bellpush._trigger_args(tgargs) AS args FROM pg_trigger
           WHERE tgrelid = $1 AND tgfoid = 'bellpush._watched()'::regprocedure AND tgparentid = 0 LOOP
    IF $2 IS NULL OR t.args[1] = $2 THEN
      EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, $1);
      ended := array_append(ended, t.args[1]);
    END IF;
  END LOOP;
  RETURN (SELECT count(DISTINCT e) FROM unnest(ended) e);
END $$;

-- pg_trigger.tgargs: the arguments, each with a zero byte behind it.
CREATE OR REPLACE FUNCTION bellpush._trigger_args(bytes bytea) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  args text[] := '{}';
  rest bytea := bytes;
  zero int;
BEGIN
  LOOP
    zero := position('\x00'::bytea IN rest);
    EXIT WHEN zero = 0;
    args := array_append(args, convert_from(substring(rest FROM 1 FOR zero - 1), getdatabaseencoding()));
    rest := substring(rest FROM zero + 1);
  END LOOP;
  RETURN args;
END $$;

-- ---------------------------------------------------------------- the gate: tokens, rights, webhooks
-- What a worker must know of it is little, and it reads all of that with gate() when it connects and
-- whenever an event on $bellpush/gate comes by in the log: so a revocation is in force everywhere a
-- moment after its commit, in the order of the log, and over any way by which events come.

CREATE OR REPLACE FUNCTION bellpush._gate_changed() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM bellpush.publish('$bellpush/gate', ''::text, private => true);
END $$;

-- RFC 2104 with SHA-256: pgcrypto is an extension, and not everybody may have it.
CREATE OR REPLACE FUNCTION bellpush._hmac(key bytea, message bytea) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  inner_pad bytea := CASE WHEN octet_length(key) > 64 THEN sha256(key) ELSE key END;
  outer_pad bytea;
BEGIN
  inner_pad := inner_pad || decode(repeat('00', 64 - octet_length(inner_pad)), 'hex');
  outer_pad := inner_pad;
  FOR i IN 0..63 LOOP
    inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # 54);
    outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # 92);
  END LOOP;
  RETURN sha256(outer_pad || sha256(inner_pad || message));
END $$;

CREATE OR REPLACE FUNCTION bellpush._base64url(bytes bytea) RETURNS text
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
  SELECT translate(encode(bytes, 'base64'), E'+/=\n', '-_')
$$;

-- 256 bits: gen_random_uuid() is the server's strong random, 122 bits a time.
CREATE OR REPLACE FUNCTION bellpush._secret() RETURNS bytea
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
  SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
$$;

-- A new key signs from now on; what the others have signed stays good for so long.  Gives its id.
CREATE OR REPLACE FUNCTION bellpush.new_token_key(others_end_after interval DEFAULT '1 day') RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  made text := 'db-' || bellpush._new_epoch();
BEGIN
  IF $1 IS NULL OR $1 < '0' THEN
    RAISE 'bellpush: the other keys cannot end %', coalesce('after ' || $1, 'never')
      USING ERRCODE = '22023', HINT = 'An interval, such as ''1 day''; ''0'' ends all tokens at once.';
  END IF;
  UPDATE bellpush.token_key k SET ends_at = least(k.ends_at, clock_timestamp() + $1);
  INSERT INTO bellpush.token_key (kid, secret) VALUES (made, bellpush._secret());
  PERFORM bellpush._gate_changed();
  RETURN made;
END $$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM bellpush.token_key) THEN
    INSERT INTO bellpush.token_key (kid, secret) VALUES ('db-' || bellpush._new_epoch(), bellpush._secret());
  END IF;
END $$;

-- A token (JWT, RFC 7519, HS256) for a page to hand out: what its bearer may hear and publish, for
-- how long, and who that is.
CREATE OR REPLACE FUNCTION bellpush.token(subscribe text[] DEFAULT '{}', publish text[] DEFAULT '{}',
  ttl interval DEFAULT '1 hour', subject text DEFAULT NULL, payload jsonb DEFAULT NULL,
  issuer text DEFAULT NULL, audience text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  now_s numeric := extract(epoch FROM clock_timestamp())::numeric(20, 6);
  k bellpush.token_key;
  claims jsonb;
  signed text;
BEGIN
  IF ttl IS NULL OR ttl < '1 second' OR ttl > '400 days' THEN
    RAISE 'bellpush: a token lives from 1 second to 400 days, not %', coalesce(ttl::text, 'NULL')
      USING ERRCODE = '22023';
  ELSIF cardinality($1) > 100 OR cardinality($2) > 100 THEN
    RAISE 'bellpush: a token holds at most 100 filters of each kind' USING ERRCODE = '22023',
      HINT = 'Use wildcards (orders/#), or bellpush.grant_topic().';
  ELSIF octet_length($4) > 255 OR $4 ~ '[\x01-\x1f\x7f]' THEN
    RAISE 'bellpush: a subject has at most 255 bytes and no control characters' USING ERRCODE = '22023';
  ELSIF octet_length($5::text) > 4096 THEN
    RAISE 'bellpush: a token''s payload has at most 4096 bytes' USING ERRCODE = '22023';
  END IF;
  PERFORM bellpush._filter_regex(f) FROM unnest($1 || $2) f;
  SELECT * INTO STRICT k FROM bellpush.token_key
    WHERE ends_at IS NULL ORDER BY made_at DESC, kid LIMIT 1;
  claims := jsonb_strip_nulls(jsonb_build_object(
    'sub', nullif($4, ''), 'iss', $6, 'aud', $7, 'jti', bellpush._new_epoch(), 'iat', now_s,
    'exp', ceil(now_s + extract(epoch FROM ttl)::numeric)));
  claims := claims || jsonb_build_object('bellpush', jsonb_build_object('subscribe', coalesce($1, '{}'),
    'publish', coalesce($2, '{}')) || CASE WHEN $5 IS NULL THEN '{}' ELSE jsonb_build_object('payload', $5) END);
  signed := bellpush._base64url(convert_to(format('{"alg":"HS256","typ":"JWT","kid":"%s"}', k.kid), 'UTF8'))
    || '.' || bellpush._base64url(convert_to(claims::text, 'UTF8'));
  RETURN signed || '.' || bellpush._base64url(bellpush._hmac(k.secret, convert_to(signed, 'UTF8')));
END $$;

-- All that the subject was given until now ends, or the one token (its jti).  Open streams end too.
CREATE OR REPLACE FUNCTION bellpush.revoke(subject text DEFAULT NULL, token_id text DEFAULT NULL,
  keep interval DEFAULT '400 days') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF (coalesce($1, '') = '') = (coalesce($2, '') = '') THEN
    RAISE 'bellpush: revoke a subject or a token: revoke(''alice'') or revoke(token_id => ''…'')'
      USING ERRCODE = '22023';
  ELSIF $3 IS NULL OR $3 < '1 second' THEN
    RAISE 'bellpush: a revocation is kept until the longest token has expired, not %', coalesce($3::text, 'NULL')
      USING ERRCODE = '22023';
  END IF;
  INSERT INTO bellpush.revoked (kind, name, at_us, until)
    VALUES (CASE WHEN $2 IS NULL THEN 'subject' ELSE 'token' END, coalesce($2, $1),
            bellpush._us(clock_timestamp()), clock_timestamp() + $3)
    ON CONFLICT ON CONSTRAINT revoked_pkey DO UPDATE
      SET at_us = excluded.at_us, until = greatest(revoked.until, excluded.until);
  PERFORM bellpush._gate_changed();
END $$;

-- Rights in a table, for those whom tokens or the site's own login name.
CREATE OR REPLACE FUNCTION bellpush.grant_topic(subject text, filter text, verb text DEFAULT 'subscribe',
  until timestamptz DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF coalesce($1, '') = '' OR octet_length($1) > 255 THEN
    RAISE 'bellpush: a subject has 1 to 255 bytes; ''*'' is everybody who has one' USING ERRCODE = '22023';
  ELSIF $3 IS NULL OR $3 NOT IN ('subscribe', 'publish') THEN
    RAISE 'bellpush: the verb is subscribe or publish, not %', coalesce(bellpush._shown($3), 'NULL')
      USING ERRCODE = '22023';
  END IF;
  PERFORM bellpush._filter_regex($2);
  INSERT INTO bellpush.topic_right VALUES ($1, $3, $2, $4)
    ON CONFLICT ON CONSTRAINT topic_right_pkey DO UPDATE SET until = excluded.until;
  PERFORM bellpush._gate_changed();
END $$;

-- Gives how many rights have ended.
CREATE OR REPLACE FUNCTION bellpush.revoke_topic(subject text, filter text DEFAULT NULL,
  verb text DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  n int;
BEGIN
  DELETE FROM bellpush.topic_right r
    WHERE r.subject = $1 AND r.filter = coalesce($2, r.filter) AND r.verb = coalesce($3, r.verb);
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n > 0 THEN
    PERFORM bellpush._gate_changed();
  END IF;
  RETURN n;
END $$;

-- What the site would say has changed: bellpush.authorize() is new, somebody has logged out.  Workers
-- forget what it said; streams that rest on it end, and ask again when they come back.
CREATE OR REPLACE FUNCTION bellpush.ask_again() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM bellpush._gate_changed();
END $$;

-- Does every topic that matches inner match outer?  As filter_covers() of the program.
CREATE OR REPLACE FUNCTION bellpush._covers(outer_filter text, inner_filter text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  o text[] := string_to_array(CASE WHEN outer_filter = '+/#' THEN '#' ELSE outer_filter END, '/'); -- the same
  i text[] := string_to_array(inner_filter, '/');
BEGIN
  IF (left(outer_filter, 1) IN ('+', '#')) AND left(inner_filter, 1) = '$' THEN
    RETURN false;
  END IF;
  FOR at IN 1..cardinality(o) LOOP
    IF o[at] = '#' THEN
      RETURN true;
    ELSIF at > cardinality(i) THEN
      RETURN false;
    ELSIF i[at] = '#' OR o[at] <> '+' AND o[at] <> i[at] THEN
      RETURN false;
    END IF;
  END LOOP;
  -- a/# covers a, too; and a/b is not covered by a
  RETURN cardinality(i) = cardinality(o);
END $$;

-- May it?  who: {"subject": …, "payload": …, "cookies": {…}, "address": …}, what of it there is.  Asks
-- the table of rights, then the site's own bellpush.authorize(who jsonb, verb text, topic text).
CREATE OR REPLACE FUNCTION bellpush.may(who jsonb, verb text, names text[]) RETURNS boolean[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  may boolean[];
BEGIN
  SELECT array_agg(EXISTS (
           SELECT FROM bellpush.topic_right r
           WHERE r.subject IN ($1 ->> 'subject', CASE WHEN $1 ->> 'subject' <> '' THEN '*' END)
             AND r.verb = $2 AND (r.until IS NULL OR r.until > clock_timestamp())
             AND bellpush._covers(r.filter, n)) ORDER BY nr)
    INTO may FROM unnest($3) WITH ORDINALITY u(n, nr);
  IF false = ANY (may) AND to_regprocedure('bellpush.authorize(jsonb,text,text)') IS NOT NULL THEN
    EXECUTE 'SELECT array_agg(m OR coalesce(bellpush.authorize($1, $2, n), false) ORDER BY nr)
             FROM unnest($3, $4) WITH ORDINALITY u(n, m, nr)' INTO may USING $1, $2, $3, may;
  END IF;
  RETURN may;
END $$;

-- What a worker must know.  kind: `key` (name: kid; value: the secret; until_us, 0: not ended), `token`
-- and `subject` (revoked: what was issued up to at_us), `ask` (may() has something to say).  The
-- newest revocations first, for a worker keeps so many and no more.
CREATE OR REPLACE FUNCTION bellpush.gate(OUT kind text, OUT name text, OUT value bytea, OUT at_us bigint,
  OUT until_us bigint) RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY
    SELECT 'key'::text, k.kid, k.secret, bellpush._us(k.made_at), coalesce(bellpush._us(k.ends_at), 0)
    FROM bellpush.token_key k WHERE k.ends_at IS NULL OR k.ends_at > clock_timestamp()
    ORDER BY k.made_at DESC LIMIT 64;
  RETURN QUERY
    (SELECT r.kind, r.name, NULL::bytea, r.at_us, bellpush._us(r.until)
     FROM bellpush.revoked r WHERE r.until > clock_timestamp() ORDER BY r.at_us DESC LIMIT 100000);
  IF to_regprocedure('bellpush.authorize(jsonb,text,text)') IS NOT NULL
     OR EXISTS (SELECT FROM bellpush.topic_right) THEN
    RETURN QUERY SELECT 'ask'::text, NULL::text, NULL::bytea, 0::bigint, 0::bigint;
  END IF;
END $$;

-- A webhook: POST /hook/NAME, verified by its sender's scheme, becomes an event.  The topic may have
-- {header.x-github-event} and {json.repository.full_name} in it; each value is escaped.
CREATE OR REPLACE FUNCTION bellpush.define_hook(name text, scheme text, topic text, secrets text[],
  type text DEFAULT NULL, options jsonb DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF $1 IS NULL OR $1 !~ '^[A-Za-z0-9._-]{1,64}$' THEN
    RAISE 'bellpush: a hook''s name has 1 to 64 letters, digits, dots, dashes and underscores'
      USING ERRCODE = '22023';
  ELSIF $2 IS NULL OR $2 NOT IN ('github', 'stripe', 'slack', 'gitlab', 'shopify', 'twilio', 'hmac',
                                 'standard', 'websub', 'cloudevents') THEN
    RAISE 'bellpush: there is no scheme %', coalesce(bellpush._shown($2), 'NULL') USING ERRCODE = '22023',
      HINT = 'github, stripe, slack, gitlab, shopify, twilio, hmac, standard, websub or cloudevents.';
  ELSIF coalesce(cardinality($4), 0) NOT BETWEEN 1 AND 10
     OR EXISTS (SELECT FROM unnest($4) s WHERE s IS NULL OR octet_length(s) NOT BETWEEN 8 AND 1024) THEN
    RAISE 'bellpush: a hook has 1 to 10 secrets of 8 to 1024 bytes; all of them are good'
      USING ERRCODE = '22023', HINT = 'To rotate: define it with the new and the old one, later with the new one.';
  ELSIF jsonb_typeof($6) IS DISTINCT FROM 'object' THEN
    RAISE 'bellpush: options are a JSON object' USING ERRCODE = '22023';
  END IF;
  PERFORM bellpush._checked(regexp_replace($3, '\{[^{}]*\}', 'x', 'g'), $5, NULL, NULL, 0);
  INSERT INTO bellpush.hook (name, scheme, topic, secrets, type, options) VALUES ($1, $2, $3, $4, nullif($5, ''), $6)
    ON CONFLICT ON CONSTRAINT hook_pkey DO UPDATE SET scheme = excluded.scheme, topic = excluded.topic,
      secrets = excluded.secrets, type = excluded.type, options = excluded.options;
END $$;

CREATE OR REPLACE FUNCTION bellpush.drop_hook(name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  DELETE FROM bellpush.hook h WHERE h.name = $1;
  RETURN FOUND;
END $$;

-- For the worker.
CREATE OR REPLACE FUNCTION bellpush.hook_of(name text, OUT scheme text, OUT topic text, OUT type text,
  OUT secrets text[], OUT options text) RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT h.scheme, h.topic, h.type, h.secrets, h.options::text FROM bellpush.hook h WHERE h.name = $1;
END $$;

CREATE OR REPLACE VIEW bellpush.hooks AS
  SELECT name, scheme, topic, type, cardinality(secrets) AS secrets, options FROM bellpush.hook;

-- ---------------------------------------------------------------- settings

CREATE OR REPLACE FUNCTION bellpush.set(name text, value text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  span interval;
  size bigint;
BEGIN
  IF $1 = 'mode' THEN
    RETURN bellpush.set_mode($2);
  ELSIF $1 IS NULL OR $1 NOT IN ('retention', 'retention_bytes', 'max_event_bytes') THEN
    RAISE 'bellpush: there is no setting %', coalesce(bellpush._shown($1), 'NULL')
      USING ERRCODE = '22023', HINT = 'See SELECT * FROM bellpush.settings.';
  END IF;
  BEGIN
    IF $1 = 'retention' THEN
      span := $2::interval;
      IF span IS NULL OR span NOT BETWEEN '1 second' AND '100 years' THEN
        RAISE 'from 1 second to 100 years' USING ERRCODE = '22023';
      END IF;
    ELSE
      size := pg_size_bytes($2);
      IF $1 = 'retention_bytes' AND size IS DISTINCT FROM 0
         AND (size < 8388608 OR size IS NULL) THEN
        RAISE '0 (no limit) or at least 8MB' USING ERRCODE = '22023';
      ELSIF $1 = 'max_event_bytes' AND (size NOT BETWEEN 1024 AND 16777216 OR size IS NULL) THEN
        RAISE 'from 1kB to 16MB' USING ERRCODE = '22023';
      END IF;
    END IF;
  EXCEPTION WHEN data_exception THEN
    RAISE 'bellpush: % cannot be %: %', $1, coalesce(bellpush._shown($2), 'NULL'), SQLERRM
      USING ERRCODE = '22023';
  END;
  UPDATE bellpush.setting s SET value = coalesce(span::text, size::text) WHERE s.name = $1;
  PERFORM pg_notify('bellpush', '');
  RETURN coalesce(span::text, size::text);
END $$;

-- ---------------------------------------------------------------- housekeeping
-- The partitions are wide in numbers and short in time: the present one is closed when it has
-- lasted a sixteenth of the retention (or holds a sixteenth of retention_bytes), by jumping to the
-- first number of the next.  So there are never many of them, nothing must be estimated, and
-- pruning is dropping a table.

-- Bound the tail and put a new one behind it.  Its rows, if there are any (nobody kept house for
-- long), are read once to verify the bound.
CREATE OR REPLACE FUNCTION bellpush._rotate() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  width CONSTANT bigint := 100000000;
  tail bellpush.part;
  top bigint;
BEGIN
  PERFORM bellpush._numbering();
  LOCK TABLE bellpush.log IN ACCESS EXCLUSIVE MODE;
  SELECT * INTO STRICT tail FROM bellpush.part WHERE hi IS NULL;
  SELECT last_value INTO top FROM bellpush.seq;
  top := (greatest(top, tail.lo) / width + 1) * width;
  EXECUTE format('ALTER TABLE bellpush.log DETACH PARTITION bellpush.%I', tail.name);
  EXECUTE format('ALTER TABLE bellpush.log ATTACH PARTITION bellpush.%I FOR VALUES FROM (%s) TO (%s)',
                 tail.name, tail.lo, top);
  EXECUTE format('CREATE TABLE bellpush.%I PARTITION OF bellpush.log FOR VALUES FROM (%s) TO (MAXVALUE)',
                 'log_' || top, top);
  UPDATE bellpush.part SET hi = top WHERE lo = tail.lo;
  INSERT INTO bellpush.part VALUES (top, NULL, 'log_' || top);
  IF (SELECT last_value FROM bellpush.seq) < tail.lo THEN
    PERFORM setval('bellpush.seq', tail.lo, false);
  END IF;
END $$;

-- One small step; anybody may call it at any time, about once a minute is right.  Waits for a lock
-- 100 ms at most, then leaves it to the next call ("busy").  "more": call again soon.
CREATE OR REPLACE FUNCTION bellpush.maintain() RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET lock_timeout = '100ms' SET enable_seqscan = off SET jit = off AS $$
DECLARE
  keep interval := bellpush._get('retention');
  keep_bytes bigint := bellpush._get('retention_bytes');
  now_us bigint := bellpush._us(clock_timestamp());
  now_at timestamptz := clock_timestamp();
  present bellpush.part;
  p bellpush.part;
  later bellpush.part;
  ahead CONSTANT bigint := 60000000; -- so far ahead of now: the clock was wrong then
  first_us bigint;
  last record;
  total bigint;
  dropped int := 0;
  rotated boolean := false;
  busy boolean := false;
  lapsed boolean := false;
BEGIN
  IF NOT pg_try_advisory_xact_lock(1650813036, 4) THEN
    RETURN '{"skipped": true}';
  END IF;
  DELETE FROM bellpush.idempotency WHERE key IN (
    SELECT key FROM bellpush.idempotency WHERE at < now_at - interval '24 hours'
    ORDER BY at LIMIT 10000 FOR UPDATE SKIP LOCKED);
  BEGIN
    lapsed := bellpush._presence_lapse(1000);
  EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    NULL; -- the next call
  END;

  SELECT * INTO STRICT present FROM bellpush.part WHERE hi IS NOT NULL ORDER BY lo DESC LIMIT 1;
  EXECUTE format('SELECT at_us FROM bellpush.%I ORDER BY seq LIMIT 1', present.name) INTO first_us;
  IF first_us < bellpush._us(now_at - keep / 16)
     OR first_us > now_us + ahead
     OR first_us IS NOT NULL AND keep_bytes > 0
        AND pg_total_relation_size(format('bellpush.%I', present.name)::regclass) > keep_bytes / 16
     OR (SELECT last_value FROM bellpush.seq) >= present.hi THEN
    BEGIN
      PERFORM bellpush._rotate();
      rotated := true;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      busy := true;
    END;
  END IF;

  -- What has expired, oldest first; the present partition and the tail stay.
  SELECT sum(pg_total_relation_size(format('bellpush.%I', name)::regclass)) INTO total FROM bellpush.part;
  FOR p IN SELECT * FROM bellpush.part
           WHERE hi <= (SELECT max(lo) FROM bellpush.part WHERE hi IS NOT NULL) ORDER BY lo LOOP
    EXECUTE format('SELECT seq, at_us FROM bellpush.%I ORDER BY seq DESC LIMIT 1', p.name) INTO last;
    IF last.at_us > now_us + ahead THEN -- its end is when the clock was right again, and others began
      FOR later IN SELECT * FROM bellpush.part WHERE lo > p.lo LOOP
        EXECUTE format('SELECT at_us FROM bellpush.%I ORDER BY seq LIMIT 1', later.name) INTO first_us;
        last.at_us := least(last.at_us, first_us);
      END LOOP;
    END IF;
    EXIT WHEN busy OR dropped >= 8
      OR last.at_us >= bellpush._us(now_at - keep) AND NOT (keep_bytes > 0 AND total > keep_bytes);
    BEGIN
      total := total - pg_total_relation_size(format('bellpush.%I', p.name)::regclass);
      EXECUTE format('DROP TABLE bellpush.%I', p.name);
      DELETE FROM bellpush.part WHERE lo = p.lo;
      UPDATE bellpush.state SET pruned_to = greatest(pruned_to, last.seq);
      dropped := dropped + 1;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      busy := true;
    END;
  END LOOP;

  DELETE FROM bellpush.retained WHERE topic IN (
    SELECT topic FROM bellpush.retained WHERE expires_us BETWEEN 1 AND now_us
    LIMIT 1000 FOR UPDATE SKIP LOCKED);
  DELETE FROM bellpush.revoked WHERE until < now_at;
  DELETE FROM bellpush.topic_right WHERE until < now_at;
  DELETE FROM bellpush.token_key WHERE ends_at < now_at;
  RETURN jsonb_build_object('rotated', rotated, 'dropped', dropped, 'busy', busy,
                            'more', busy OR dropped >= 8 OR lapsed);
END $$;

-- What a process says of itself.  In state, "filters" ({"orders/#": 12, …}) feeds the view subscribers.
-- Gives what presence knows of it: its last turn; NULL: nothing.
CREATE OR REPLACE FUNCTION bellpush.report(worker text, host text, pid int, open_requests int,
                                           state jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO bellpush.worker AS w VALUES ($1, $2, $3, $4, $5, clock_timestamp())
    ON CONFLICT ON CONSTRAINT worker_pkey DO UPDATE
      SET host = excluded.host, pid = excluded.pid, open_requests = excluded.open_requests,
          state = excluded.state, at = excluded.at;
  DELETE FROM bellpush.worker w WHERE w.worker IN (
    SELECT x.worker FROM bellpush.worker x WHERE x.at < clock_timestamp() - interval '1 minute'
    FOR UPDATE SKIP LOCKED);
  UPDATE bellpush.presence_worker p SET looks = 0 WHERE p.worker IN (
    SELECT x.worker FROM bellpush.presence_worker x WHERE x.worker = $1 AND x.looks > 0
    FOR UPDATE SKIP LOCKED);
  RETURN (SELECT p.turn FROM bellpush.presence_worker p WHERE p.worker = $1);
END $$;

-- ---------------------------------------------------------------- presence: who is on a topic
-- A session is somebody's presence on a topic through one connection of one process; the first one
-- of a name makes it a member, which is told on $presence/TOPIC (`join`), and with the last one it
-- ends (`leave`).  A member's row and its event are written in one transaction, so whoever reads both
-- in one snapshot, as who() does, has a list and the place in the log that it belongs to.  In relay
-- mode the event is numbered a moment later, and may tell what the list has already.
--
-- Processes say what has changed, each change once and in their order (turn).  One that dies leaves
-- its sessions behind: maintain() looks every ten seconds or more whether it has been heard of, and
-- after four looks in vain takes them away.  Looks are counted, not seconds: after the database was
-- down or frozen, or its clock was set, everybody has the time of four looks to be heard.

-- Sessions have come and gone: bring the members up to date, and tell of it.  Names are locked in
-- their order, so that no two wait for each other.  (Callers switch sequential scans off: plans made
-- while a table was empty are kept.)
CREATE OR REPLACE FUNCTION bellpush._presence_settle(nrs bigint[], topics text[], members text[],
  datas text[], left_topics text[], left_members text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  r record;
  m bellpush.presence_member;
  comes boolean;
  goes boolean;
  body text;
  tell_nr bigint[] := '{}';     -- 0: those who go are told first
  tell_topic text[] := '{}';
  tell_body text[] := '{}';
BEGIN
  <<names>>
  FOR r IN
    SELECT x.topic, x.member, count(x.nr) AS came, count(*) - count(x.nr) AS gone, min(x.nr) AS nr,
           (array_agg(x.data ORDER BY x.nr))[1] AS data
    FROM (SELECT u.t, u.m, u.n, u.d FROM unnest($1, $2, $3, $4) u(n, t, m, d) UNION ALL
          SELECT u.t, u.m, NULL, NULL FROM unnest($5, $6) u(t, m)) x(topic, member, nr, data)
    GROUP BY x.topic, x.member ORDER BY x.topic COLLATE "C", x.member COLLATE "C"
  LOOP
    comes := false;
    goes := false;
    LOOP
      SELECT * INTO m FROM bellpush.presence_member p
        WHERE p.topic = r.topic AND p.member = r.member FOR UPDATE;
      EXIT WHEN FOUND;
      CONTINUE names WHEN r.came = 0;
      INSERT INTO bellpush.presence_member
        VALUES (r.topic, r.member, r.data::json, clock_timestamp(), r.came) ON CONFLICT DO NOTHING;
      comes := FOUND; -- else somebody else was quicker
      EXIT WHEN comes;
    END LOOP;
    IF comes THEN
      NULL;
    ELSIF m.sessions > r.gone THEN
      UPDATE bellpush.presence_member p SET sessions = m.sessions - r.gone + r.came
        WHERE p.topic = r.topic AND p.member = r.member AND r.came <> r.gone;
    ELSIF r.came = 0 THEN
      DELETE FROM bellpush.presence_member p WHERE p.topic = r.topic AND p.member = r.member;
      goes := true;
    ELSIF m.data::text IS NOT DISTINCT FROM r.data THEN -- from one connection to another: no news
      UPDATE bellpush.presence_member p SET sessions = r.came
        WHERE p.topic = r.topic AND p.member = r.member;
    ELSE
      UPDATE bellpush.presence_member p
        SET data = r.data::json, since = clock_timestamp(), sessions = r.came
        WHERE p.topic = r.topic AND p.member = r.member;
      goes := true;
      comes := true;
    END IF;
    IF goes THEN
      tell_nr := array_append(tell_nr, 0::bigint);
      tell_topic := array_append(tell_topic, r.topic);
      tell_body := array_append(tell_body, '{"member":' || to_json(r.member) || ',"data":'
                                           || coalesce(m.data::text, 'null') || '}');
    END IF;
    IF comes THEN
      body := '{"member":' || to_json(r.member) || ',"data":' || coalesce(r.data, 'null') || '}';
      IF octet_length(body) > 1024 AND octet_length(body) > bellpush._get('max_event_bytes')::bigint THEN
        RAISE 'bellpush: a member of % bytes is larger than max_event_bytes', octet_length(body)
          USING ERRCODE = '54000';
      END IF;
      tell_nr := array_append(tell_nr, r.nr);
      tell_topic := array_append(tell_topic, r.topic);
      tell_body := array_append(tell_body, body);
    END IF;
  END LOOP;
  IF tell_nr <> '{}' THEN
    INSERT INTO bellpush.inbox (topic, type, content_type, id, data, expires_us, flags)
      SELECT '$presence/' || u.t, CASE WHEN u.n = 0 THEN 'leave' ELSE 'join' END, 'application/json',
             NULL, convert_to(u.b, 'UTF8'), 0, 0
      FROM unnest(tell_nr, tell_topic, tell_body) WITH ORDINALITY u(n, t, b, nr) ORDER BY u.n, u.nr;
  END IF;
END $$;

-- What has changed in one process.  after, upto: the arrivals are all that there are of the numbers
-- after < nr <= upto; who else is there of these has left.  after = 0 begins to say all of it anew,
-- which is also the cure when the answer is `lost`: the database does not know what the process
-- believes that it knows (`known`, the last turn that was answered), and nothing was changed.  A
-- turn that was done already, or overtaken, is not done again.  rejected: arrivals whose topic has
-- as many members as may be; roughly, for processes count at the same time.
CREATE OR REPLACE FUNCTION bellpush.presence_change(worker text, turn bigint, known bigint,
  nrs bigint[], topics text[], members text[], datas text[], departures bigint[], after bigint,
  upto bigint, topic_max bigint, OUT lost boolean, OUT rejected bigint[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  n int := coalesce(cardinality($4), 0);
  had bigint;
  wanted record;
  room bigint;
  left_topics text[];
  left_members text[];
BEGIN
  lost := false;
  rejected := '{}';
  IF coalesce($1, '') = '' OR $2 IS NULL OR $3 IS NULL OR ($9 IS NULL) <> ($10 IS NULL)
     OR (coalesce(cardinality($5), 0) = n AND coalesce(cardinality($6), 0) = n
         AND coalesce(cardinality($7), 0) = n) IS NOT TRUE THEN
    RAISE 'bellpush: these are no arguments of presence_change()' USING ERRCODE = '22023';
  END IF;
  PERFORM bellpush._checked(u.t, NULL, NULL, NULL, 0), u.d::json FROM unnest($5, $7) u(t, d);
  IF EXISTS (SELECT FROM unnest($4, $5, $6) u(nr, t, m)
             WHERE (u.nr > 0 AND octet_length(u.t) <= 1014 AND left(u.t, 1) <> '$'
                    AND octet_length(u.m) BETWEEN 1 AND 255 AND u.m COLLATE "C" !~ '[\x01-\x1f\x7f]')
                   IS NOT TRUE) THEN
    RAISE 'bellpush: a member has 1 to 255 bytes without control characters, and its topic at most 1014'
      USING ERRCODE = '22023';
  END IF;

  LOOP
    SELECT w.turn INTO had FROM bellpush.presence_worker w WHERE w.worker = $1 FOR UPDATE;
    EXIT WHEN FOUND;
    INSERT INTO bellpush.presence_worker (worker, turn) VALUES ($1, 0) ON CONFLICT DO NOTHING;
  END LOOP;
  IF had < $3 AND $9 IS DISTINCT FROM 0 THEN
    lost := true;
    RETURN;
  END IF;

  IF had < $2 THEN
    UPDATE bellpush.presence_worker w SET turn = $2, looks = 0 WHERE w.worker = $1;
    WITH gone AS (
      DELETE FROM bellpush.presence_session s WHERE s.worker = $1 AND s.nr = ANY ($8)
        RETURNING s.topic, s.member
    )
    SELECT array_agg(g.topic), array_agg(g.member) INTO left_topics, left_members FROM gone g;
    IF $9 IS NOT NULL THEN
      WITH gone AS (
        DELETE FROM bellpush.presence_session s
          WHERE s.worker = $1 AND s.nr > $9 AND s.nr <= $10 AND s.nr NOT IN (SELECT unnest($4))
          RETURNING s.topic, s.member
      )
      SELECT left_topics || array_agg(g.topic), left_members || array_agg(g.member)
        INTO left_topics, left_members FROM gone g;
    ELSE
      FOR wanted IN SELECT u.t, count(*) AS n FROM unnest($5) u(t) GROUP BY u.t LOOP
        room := $11 - (SELECT count(*) FROM bellpush.presence_member p WHERE p.topic = wanted.t);
        CONTINUE WHEN room >= wanted.n;
        rejected := rejected || ARRAY(
          SELECT y.nr FROM (
            SELECT x.nr, dense_rank() OVER (ORDER BY x.first) AS place FROM (
              SELECT u.nr, min(u.nr) OVER (PARTITION BY u.m) AS first FROM unnest($4, $5, $6) u(nr, t, m)
              WHERE u.t = wanted.t AND NOT EXISTS (
                SELECT FROM bellpush.presence_member p WHERE p.topic = u.t AND p.member = u.m)) x) y
          WHERE y.place > room);
      END LOOP;
      rejected := ARRAY(SELECT r FROM unnest(rejected) r ORDER BY r);
    END IF;
    SELECT array_agg(u.nr), array_agg(u.t), array_agg(u.m), array_agg(u.d) INTO nrs, topics, members, datas
      FROM unnest($4, $5, $6, $7) u(nr, t, m, d)
      WHERE u.nr NOT IN (SELECT unnest(presence_change.rejected)) AND NOT EXISTS (
        SELECT FROM bellpush.presence_session s WHERE s.worker = $1 AND s.nr = u.nr);
    INSERT INTO bellpush.presence_session (worker, nr, topic, member)
      SELECT $1, u.nr, u.t, u.m FROM unnest(nrs, topics, members) u(nr, t, m);
    PERFORM bellpush._presence_settle(nrs, topics, members, datas, left_topics, left_members);
  ELSE -- done already: who is not there was rejected then, or has been overtaken
    SELECT coalesce(array_agg(u.nr ORDER BY u.nr), '{}') INTO rejected FROM unnest($4) u(nr)
      WHERE NOT EXISTS (SELECT FROM bellpush.presence_session s WHERE s.worker = $1 AND s.nr = u.nr);
  END IF;
END $$;

-- One look after the processes; true: more sessions of the silent ones are left.
CREATE OR REPLACE FUNCTION bellpush._presence_lapse(max_rows int) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  silent text;
  left_topics text[];
  left_members text[];
BEGIN
  UPDATE bellpush.presence_worker p SET looks = p.looks + 1, looked_at = clock_timestamp()
    WHERE p.worker IN (
      SELECT x.worker FROM bellpush.presence_worker x
      WHERE x.looked_at NOT BETWEEN clock_timestamp() - interval '10 seconds' AND clock_timestamp()
      FOR UPDATE SKIP LOCKED);
  FOR silent IN SELECT p.worker FROM bellpush.presence_worker p WHERE p.looks >= 4
                ORDER BY p.worker FOR UPDATE SKIP LOCKED LOOP
    WITH gone AS (
      DELETE FROM bellpush.presence_session s
        WHERE s.worker = silent AND s.nr IN (
          SELECT x.nr FROM bellpush.presence_session x WHERE x.worker = silent
          ORDER BY x.nr LIMIT max_rows)
        RETURNING s.topic, s.member
    )
    SELECT array_agg(g.topic), array_agg(g.member) INTO left_topics, left_members FROM gone g;
    IF left_topics IS NULL THEN
      DELETE FROM bellpush.presence_worker p WHERE p.worker = silent;
    ELSE
      UPDATE bellpush.presence_worker p SET turn = -1 WHERE p.worker = silent; -- should it come back
      PERFORM bellpush._presence_settle('{}', '{}', '{}', '{}', left_topics, left_members);
      RETURN true; -- the others later: one worker, then its members (the order of locks)
    END IF;
  END LOOP;
  RETURN false;
END $$;

-- Who is there, by name, the first so many behind `after`.  The last row (member NULL) says as of
-- which place in the log that is (epoch, head), and how many there are in all (total).  STABLE: one
-- snapshot.
CREATE OR REPLACE FUNCTION bellpush.who(topic text, max_rows int, after text DEFAULT '',
  OUT member text, OUT data text, OUT since_us bigint, OUT sessions int, OUT epoch text,
  OUT head bigint, OUT total bigint)
RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
  RETURN QUERY
    SELECT p.member, p.data::text, bellpush._us(p.since), p.sessions, NULL::text, NULL::bigint, NULL::bigint
    FROM bellpush.presence_member p WHERE p.topic = $1 AND p.member > $3 ORDER BY p.member LIMIT $2;
  RETURN QUERY
    SELECT NULL::text, NULL::text, NULL::bigint, NULL::int, s.epoch, bellpush._head(),
           (SELECT count(*) FROM bellpush.presence_member p WHERE p.topic = $1)
    FROM bellpush.state s;
END $$;

CREATE OR REPLACE VIEW bellpush.present AS
  SELECT topic, member, data, since, sessions FROM bellpush.presence_member;

-- ---------------------------------------------------------------- views, for people

-- Bytes as text, where they are text.
CREATE OR REPLACE FUNCTION bellpush._text(data bytea, content_type text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF content_type IS NULL OR content_type ~* '^(text/|application/([a-z.-]+\+)?(json|xml|x-ndjson|javascript)\M)' THEN
    RETURN convert_from(data, 'UTF8');
  END IF;
  RETURN NULL;
EXCEPTION WHEN data_exception OR untranslatable_character THEN
  RETURN NULL;
END $$;

CREATE OR REPLACE VIEW bellpush.events AS
  SELECT l.seq, (SELECT epoch FROM bellpush.state) || '-' || l.seq AS cursor, l.topic, l.type,
         bellpush._text(l.data, l.content_type) AS data, l.content_type, l.id,
         to_timestamp(l.at_us / 1000000.0) AS at,
         CASE WHEN l.expires_us > 0 THEN to_timestamp(l.expires_us / 1000000.0) END AS expires,
         l.flags & 1 <> 0 AS private, l.flags & 2 <> 0 AS retained, l.flags & 4 <> 0 AS recorded,
         octet_length(l.data) AS size, l.data AS bytes
  FROM bellpush.log l;

CREATE OR REPLACE VIEW bellpush.settings AS
  SELECT s.name, s.value, d.initial, d.meaning
  FROM (SELECT name, value FROM bellpush.setting UNION ALL SELECT 'mode', mode FROM bellpush.state) s
  JOIN (VALUES
    ('mode', 'commit', 'who numbers: commit (each transaction) or relay (one process, for many publishers)'),
    ('retention', '24:00:00', 'how long an event stays in the log at least'),
    ('retention_bytes', '1073741824', 'size of the log from which older events go earlier; 0: no limit'),
    ('max_event_bytes', '1048576', 'largest event')) d(name, initial, meaning) USING (name);

CREATE OR REPLACE VIEW bellpush.watches AS
  SELECT w.relation, w.args[1] AS name, w.args[2] AS topic, w.args[3]::text[] AS operations,
         nullif(w.args[4], '')::text[] AS columns, nullif(w.args[8], '') AS condition,
         w.args[5] AS payload, nullif(w.args[6], '') AS type, w.args[7]::int & 1 <> 0 AS private,
         w.args[7]::int & 2 <> 0 AS retain, bool_and(w.enabled) AS enabled
  FROM (SELECT tgrelid::regclass AS relation, bellpush._trigger_args(tgargs) AS args,
               tgenabled <> 'D' AS enabled
        FROM pg_trigger
        WHERE tgfoid = 'bellpush._watched()'::regprocedure AND tgparentid = 0) w
  GROUP BY w.relation, w.args;

CREATE OR REPLACE VIEW bellpush.workers AS
  SELECT worker, host, pid, open_requests, state, at FROM bellpush.worker
  WHERE at > clock_timestamp() - interval '1 minute';

CREATE OR REPLACE VIEW bellpush.subscribers AS
  SELECT f.filter, sum(f.n::bigint)::bigint AS subscribers, count(*) AS workers
  FROM bellpush.workers w,
       jsonb_each_text(CASE WHEN jsonb_typeof(w.state -> 'filters') = 'object'
                            THEN w.state -> 'filters' ELSE '{}' END) f(filter, n)
  WHERE f.n ~ '^\d{1,15}$'
  GROUP BY f.filter;

CREATE OR REPLACE VIEW bellpush.stats AS
  SELECT s.mode, s.epoch, s.pruned_to,  -- no function of ours: those run with the reader's rights
         greatest((SELECT seq FROM bellpush.log ORDER BY seq DESC LIMIT 1), s.pruned_to) AS head,
         (SELECT to_timestamp(at_us / 1000000.0) FROM bellpush.log ORDER BY seq LIMIT 1) AS oldest,
         (SELECT count(*) FROM bellpush.part) AS partitions,
         (SELECT sum(pg_total_relation_size(format('bellpush.%I', name)::regclass))::bigint
          FROM bellpush.part) AS log_bytes,
         (SELECT count(*) FROM bellpush.inbox) AS waiting, -- relay mode: not yet numbered
         (SELECT count(*) FROM bellpush.retained) AS retained,
         pg_notification_queue_usage() AS bell_queue,      -- 1: full, NOTIFY fails
         (SELECT count(*) FROM bellpush.workers) AS workers,
         (SELECT coalesce(sum(open_requests), 0) FROM bellpush.workers) AS open_requests
  FROM bellpush.state s;

-- ---------------------------------------------------------------- rights
-- PUBLIC has none.  Functions are for the owner, and for whom it gives them with grant_publisher()
-- and grant_worker().

DO $$
BEGIN
  REVOKE ALL ON SCHEMA bellpush FROM PUBLIC;
  REVOKE ALL ON ALL TABLES IN SCHEMA bellpush FROM PUBLIC;
  REVOKE ALL ON ALL SEQUENCES IN SCHEMA bellpush FROM PUBLIC;
  REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bellpush FROM PUBLIC;
END $$;

-- May publish, escape, and ask for the cursor.
CREATE OR REPLACE FUNCTION bellpush.grant_publisher(who regrole) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  f regprocedure;
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA bellpush TO %s', who);
  FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'bellpush'::regnamespace
             AND proname IN ('publish', 'publish_many', 'escape', 'cursor') LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', f, who);
  END LOOP;
END $$;

-- May do a worker's work: read everything, publish, record, relay, prune; and look at the views.
CREATE OR REPLACE FUNCTION bellpush.grant_worker(who regrole) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  f regprocedure;
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA bellpush TO %s', who);
  FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'bellpush'::regnamespace
             AND proname IN ('hello', 'read', 'replay', 'locate', 'cursor', 'last_values',
                             'publish_batch', 'publish_once', 'record', 'relay', 'relay_sleep',
                             'relay_wake', 'prepare_few', 'listening', 'housekeeper',
                             'maintain', 'report', 'gate', 'may', 'hook_of', 'presence_change',
                             'who') LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', f, who);
  END LOOP;
  EXECUTE format('GRANT SELECT ON bellpush.stats, bellpush.settings, bellpush.workers, '
                 'bellpush.subscribers, bellpush.present, bellpush.log, bellpush.state TO %s', who);
END $$;

-- May hand out tokens and rights, and take them back: for the site's login.
CREATE OR REPLACE FUNCTION bellpush.grant_issuer(who regrole) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  f regprocedure;
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA bellpush TO %s', who);
  FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'bellpush'::regnamespace
             AND proname IN ('token', 'revoke', 'grant_topic', 'revoke_topic', 'ask_again') LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', f, who);
  END LOOP;
END $$;

CREATE OR REPLACE FUNCTION bellpush.revoke_all(who regrole) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bellpush FROM %s', who);
  EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA bellpush FROM %s', who);
  EXECUTE format('REVOKE ALL ON SCHEMA bellpush FROM %s', who);
END $$;

REVOKE ALL ON FUNCTION bellpush.grant_publisher(regrole), bellpush.grant_worker(regrole),
  bellpush.grant_issuer(regrole), bellpush.revoke_all(regrole) FROM PUBLIC;

-- The two roles, where we may create roles.  Where we may not, roles of these names are somebody
-- else's (roles belong to the whole server): nothing is granted to them.
DO $$
DECLARE
  wanted text;
BEGIN
  IF NOT (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    RAISE NOTICE 'bellpush: not allowed to create roles: everything works under the owner alone';
    RETURN;
  END IF;
  FOREACH wanted IN ARRAY '{bellpush_publisher,bellpush_worker}'::text[] LOOP
    IF to_regrole(wanted) IS NULL THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN -- another database, this moment
        NULL;
      END;
    END IF;
  END LOOP;
  PERFORM bellpush.grant_publisher('bellpush_publisher'), bellpush.grant_worker('bellpush_worker');
END $$;

-- Roles that were granted an older version get what this one adds.  They are known by a function
-- that nobody would give by hand, so that nobody gets more than was meant.
DO $$
DECLARE
  known record;
BEGIN
  FOR known IN
    SELECT DISTINCT a.grantee::regrole AS who, p.proname AS function
    FROM pg_proc p, aclexplode(p.proacl) a
    WHERE p.pronamespace = 'bellpush'::regnamespace
      AND p.proname IN ('publish_many', 'relay', 'ask_again') AND a.grantee NOT IN (0, p.proowner)
  LOOP
    CASE known.function
      WHEN 'publish_many' THEN PERFORM bellpush.grant_publisher(known.who);
      WHEN 'relay' THEN PERFORM bellpush.grant_worker(known.who);
      WHEN 'ask_again' THEN PERFORM bellpush.grant_issuer(known.who);
    END CASE;
  END LOOP;
END $$;

COMMIT;
