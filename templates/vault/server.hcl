# HashiCorp's Vault for jeex, where JEEX_VAULT_IMAGE names it. It has neither a static seal nor `initialize` blocks: jeex
# initialises and unseals it (`jeex secrets unseal`), and keeps the keys under .jeex/. Where its storage is says
# VAULT_PG_CONNECTION_URL (start.sh); bootstrap.sql has made the table.
storage "postgresql" {
  table = "vault_kv_store"
}

disable_mlock      = true
disable_clustering = true # one server: no second port beside the one that is asked for
ui                 = false
