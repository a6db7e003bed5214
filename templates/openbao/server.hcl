# OpenBao (Vault's API) for jeex, in a container and without one. The listener stands in listener.hcl, next to this.
# Relative paths are those of the folder where the server starts: seal.key, operator-secret-id, api-secret-id, policies/.

# One database is one backup: secrets live in PostgreSQL, encrypted. Where it is says PGHOST and its siblings.
storage "postgresql" {
  max_connect_retries = 20
}

# Opens itself after every start. In production: a KMS or an HSM in place of a key file.
seal "static" {
  current_key_id = "jeex-1"
  current_key    = "file://./seal.key"
}

disable_mlock = true
ui            = false

# What follows runs once, on the first start, with a root token that is revoked right after and never leaves the server.

initialize "engines" {
  request "kv" {
    operation = "update"
    path      = "sys/mounts/secret"
    data      = { type = "kv", options = { version = "2" }, description = "Settings and credentials" }
  }
  request "transit" {
    operation = "update"
    path      = "sys/mounts/transit"
    data      = { type = "transit", description = "Keys that never leave" }
  }
}

initialize "access" {
  request "approle" {
    operation = "update"
    path      = "sys/auth/approle"
    data      = { type = "approle", description = "Processes" }
  }
  request "operator-policy" {
    operation = "update"
    path      = "sys/policies/acl/jeex-operator"
    data = {
      policy = { eval_type = "string", eval_source = "file", path = "policies/jeex-operator.hcl" }
    }
  }
  request "api-policy" {
    operation = "update"
    path      = "sys/policies/acl/jeex-api"
    data = {
      policy = { eval_type = "string", eval_source = "file", path = "policies/jeex-api.hcl" }
    }
  }

  # What `jeex` and the seed process sign in as. Its secret id is the one of this project.
  request "operator-role" {
    operation = "update"
    path      = "auth/approle/role/jeex-operator"
    data      = { token_policies = ["jeex-operator"], token_ttl = "10m", token_max_ttl = "1h", secret_id_ttl = "0" }
  }
  request "operator-role-id" {
    operation = "update"
    path      = "auth/approle/role/jeex-operator/role-id"
    data      = { role_id = "jeex-operator" }
  }
  request "operator-secret-id" {
    operation = "update"
    path      = "auth/approle/role/jeex-operator/custom-secret-id"
    data = {
      secret_id = { eval_type = "string", eval_source = "file", path = "operator-secret-id" }
    }
  }

  # What the API signs in as, again whenever its token has ended. One secret id is this project's; where processes get one
  # each, the operator issues them, wrapped, for as many uses as it says.
  request "api-role" {
    operation = "update"
    path      = "auth/approle/role/jeex-api"
    data      = { token_policies = ["jeex-api"], token_ttl = "20m", token_max_ttl = "24h", secret_id_ttl = "0" }
  }
  request "api-role-id" {
    operation = "update"
    path      = "auth/approle/role/jeex-api/role-id"
    data      = { role_id = "jeex-api" }
  }
  request "api-secret-id" {
    operation = "update"
    path      = "auth/approle/role/jeex-api/custom-secret-id"
    data = {
      secret_id = { eval_type = "string", eval_source = "file", path = "api-secret-id" }
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
