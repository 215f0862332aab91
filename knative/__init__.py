"""How events travel: manifests, the Kubernetes event source, and the stack on one machine."""
