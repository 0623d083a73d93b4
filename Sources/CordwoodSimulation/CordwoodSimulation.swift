// CordwoodSimulation
