-- Run as jeex_vault on the database `jeex_vault`, before OpenBao starts: its first start must have been whole or not at all.
--
-- A server that is killed (a power cut, kill -9) while it sets itself up leaves a storage that counts as initialised but has
-- no way in: its root token was never told to anyone. Nothing can have been stored in it, so it is emptied, and the next
-- start sets everything up again. Storage with the last entry of the set-up (server.hcl), or with any secret or key in it, is
-- left alone.

\set ON_ERROR_STOP on

DO $$ BEGIN
  IF to_regclass('public.openbao_kv_store') IS NULL THEN
    RETURN; -- never started
  END IF;
  IF EXISTS (SELECT FROM public.openbao_kv_store)
    AND NOT EXISTS (SELECT FROM public.openbao_kv_store WHERE path = '/sys/policy/' AND key = 'jeex-complete')
    AND NOT EXISTS (SELECT FROM public.openbao_kv_store WHERE path LIKE '/logical/%/versions/%') -- a secret
    AND NOT EXISTS (SELECT FROM public.openbao_kv_store WHERE path LIKE '/logical/%/policy/' AND key <> 'metadata') -- a key
  THEN
    TRUNCATE public.openbao_kv_store;
    RAISE NOTICE 'OpenBao was killed while it set itself up; it will start anew';
  END IF;
END $$;
