terraform {
  backend "kubernetes" {
    secret_suffix     = "TENANT"
    namespace         = "TENANT"
    in_cluster_config = true
  }
}
