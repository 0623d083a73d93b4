// CordwoodLog
