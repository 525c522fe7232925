path "KV_MOUNT/data/organizations/ORGANIZATION/*" { capabilities = ["read"] }
path "KV_MOUNT/metadata/organizations/ORGANIZATION/*" { capabilities = ["read", "list"] }
