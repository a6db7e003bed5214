-- Run on the database `jeex_vault` when `jeex secrets unseal` says so: it was killed at the moment when HashiCorp's Vault was
-- initialised, so nobody has the keys. Stop or restart Vault afterwards: it remembers that it was initialised.
--
-- Nothing can have been stored in such a Vault. Where a secret, a key or a policy of the set-up is found, it is another one
-- and left alone.

\set ON_ERROR_STOP on

DO $$ BEGIN
  IF EXISTS (
    SELECT FROM public.vault_kv_store
     WHERE (path = '/sys/policy/' AND key LIKE 'jeex-%')
        OR path LIKE '/logical/%/versions/%' -- a secret
        OR (path LIKE '/logical/%/policy/' AND key <> 'metadata') -- a key
  ) THEN
    RAISE 'this Vault has been set up: its storage is left alone';
  END IF;
  TRUNCATE public.vault_kv_store;
END $$;
