# OpenBao (Vault's API) for jeex, in a container and without one. Listener and audit log stand in listener.hcl, next to this.
# Relative paths are those of the folder where the server starts: seal.key, setup-secret-id, setup-policy.hcl.

# One database is one backup: secrets live in PostgreSQL, encrypted. Where it is says PGHOST and its siblings.
storage "postgresql" {
  max_connect_retries = 20
}

# Opens itself after every start. In production: a KMS or an HSM in place of a key file.
seal "static" {
  current_key_id = "jeex-1"
  current_key    = "file://./seal.key"
}

disable_mlock      = true
disable_clustering = true # one server: no second port beside the one that is asked for
ui                 = false

# What follows runs once, on the first start, with a root token that is revoked right after and never leaves the server. It makes
# one way in, for the seed process, which makes everything else and may be run again: service/services/vault_setup.py.

initialize "access" {
  request "approle" {
    operation = "update"
    path      = "sys/auth/approle"
    data      = { type = "approle", description = "Processes" }
  }
  request "setup-policy" {
    operation = "update"
    path      = "sys/policies/acl/jeex-setup"
    data = {
      policy = { eval_type = "string", eval_source = "file", path = "setup-policy.hcl" }
    }
  }
  request "setup-role" {
    operation = "update"
    path      = "auth/approle/role/jeex-setup"
    data      = { token_policies = ["jeex-setup"], token_ttl = "10m", token_max_ttl = "1h", secret_id_ttl = "0" }
  }
  request "setup-role-id" {
    operation = "update"
    path      = "auth/approle/role/jeex-setup/role-id"
    data      = { role_id = "jeex-setup" }
  }
  request "setup-secret-id" {
    operation = "update"
    path      = "auth/approle/role/jeex-setup/custom-secret-id"
    data = {
      secret_id = { eval_type = "string", eval_source = "file", path = "setup-secret-id" }
    }
  }
}

# Last of all. If the server is killed before this is written, nobody can ever sign in to what it left: unfinished.sql
# knows such a half from a whole by this policy, which allows nothing.
initialize "complete" {
  request "marker" {
    operation = "update"
    path      = "sys/policies/acl/jeex-complete"
    data      = { policy = "path \"jeex/complete\" { capabilities = [\"deny\"] }" }
  }
}
