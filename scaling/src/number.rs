//! Replicas from a load that is no whole number.

/// The whole number at or above `load`, at least zero; `u32::MAX` where it is larger, zero for no number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "such casts are clamped, and whole"
)]
pub const fn ceiling(load: f64) -> u32 {
    load.ceil() as u32
}
