"""What the functions share: the cluster, Helm, charts, the function shell, the models of our own kinds."""
