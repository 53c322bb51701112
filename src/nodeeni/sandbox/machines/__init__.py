"""Nodes that are machines: guests under QEMU with Debian's kernel, udev and network services.

`hosts.Machines` is for `World` what `sandbox.hosts.Hosts` is: an EC2 attach becomes the hot plug of a PCI
device with the ENI's MAC. `images` makes the images, `qemu` runs one machine, `channel` and `guest` are the
two ends of the way in.
"""
