//! Drawing: traffic signs and their lettering as our own vector shapes; boxes and names on frames.

pub mod annotate;
pub mod art;
pub mod canvas;
pub mod colour;
pub mod glyph;
pub mod sign;
