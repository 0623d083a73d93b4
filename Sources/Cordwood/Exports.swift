// A server writes `import Cordwood` and has records, metrics and errors at hand.
@_exported public import CordwoodCausality
@_exported public import CordwoodLog
@_exported public import CordwoodVectors

@_exported public import struct CordwoodStorage.StorageError
