//go:build tools

// Package outside names the programs of others that are tried with the ENI manager, and their versions.
package outside

import _ "github.com/containernetworking/plugins/plugins/main/host-device"
