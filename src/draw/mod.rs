//! Vector drawing: lettering and traffic signs, all our own shapes.

pub mod art;
pub mod canvas;
pub mod glyph;
pub mod sign;
