"""A real cluster on one machine: `make cluster`, and `make clustertest` for the tests in it.

control_plane  etcd, kube-apiserver, controller manager and scheduler, as processes on loopback
node_image     what nodes start from: kubelet and images are in it
nodes          guests with containerd and kubelet; EC2's attach is a PCI device that is plugged in
cluster        both of them, and the sandbox's EC2
images.sh      our image, built from the tree, and what else a node runs
"""
