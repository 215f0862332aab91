"""A real node beside the fake one: containerd, kubelet and kube-proxy, undone without a trace.

`make node` adds it to the local stack, `make node-down` and `make down` put the machine back. docs/node.md tells more.
"""
