// Paths, errors and the protocol itself are what a test that uses a simulated disk speaks of.
@_exported public import CordwoodStorage
