package arch

// For tests that import what imports this package.
var (
	HostileKeys  = hostileKeys
	HostileSeeds = hostileSeeds
)
