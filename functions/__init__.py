"""Who acts: one file is one function, one Knative Service, one step. They never import each other."""
