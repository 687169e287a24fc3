//! From a box of a frame to a small RGB picture.
