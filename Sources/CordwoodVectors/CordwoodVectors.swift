// CordwoodVectors
