"""Makes the sign encoder and the region packs that the tsedge runtime uses."""
