// Cordwood
