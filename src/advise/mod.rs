//! The speed limit a vehicle may use, kept from one sign to the next. It never invents a limit.

use std::sync::Arc;

use crate::event::{AdviceState, ClassInfo, Family, SignEvent, SpeedAdvice};
use crate::units::{RegionCode, Timestamp};

/// The limit in force, as the signs said it.
#[derive(Debug, Default)]
pub struct SpeedLimit {
    current: Option<Arc<ClassInfo>>,
}

impl SpeedLimit {
    /// A sign was confirmed: gives the advice when it changes.
    pub fn sign(&mut self, sign: &SignEvent) -> Option<SpeedAdvice> {
        let class = sign.naming.class()?;
        let state = match class.family {
            Family::SpeedLimit => {
                let same = |c: &Arc<ClassInfo>| c.value == class.value && c.unit == class.unit;
                if self.current.as_ref().is_some_and(same) {
                    return None;
                }
                self.current = Some(Arc::clone(class));
                AdviceState::Set
            }
            Family::End => {
                self.current.take()?;
                AdviceState::Ended
            }
            _ => return None,
        };
        Some(SpeedAdvice {
            time: sign.time,
            frame: sign.frame,
            state,
            value: self.current.as_ref().and_then(|c| c.value),
            unit: self.current.as_ref().and_then(|c| c.unit),
            track: Some(sign.track),
            confidence: sign.probability,
            region: sign.region,
        })
    }

    /// The car crossed a border: a limit of the other country no longer holds.
    pub fn region(
        &mut self,
        time: Timestamp,
        frame: u64,
        region: RegionCode,
    ) -> Option<SpeedAdvice> {
        self.current.take()?;
        Some(SpeedAdvice {
            time,
            frame,
            state: AdviceState::Expired,
            value: None,
            unit: None,
            track: None,
            confidence: 0.0,
            region,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Naming;
    use crate::units::{BoxPx, SpeedUnit, TrackId};

    fn sign(key: &str, family: Family, value: Option<f32>) -> SignEvent {
        SignEvent {
            time: Timestamp::from_seconds(1.0),
            frame: 30,
            track: TrackId(7),
            naming: Naming::Sign(Arc::new(ClassInfo {
                key: key.to_owned(),
                national_code: None,
                family,
                value,
                unit: value.map(|_| SpeedUnit::KilometresPerHour),
                label_en: String::new(),
                label_local: String::new(),
            })),
            probability: 0.9,
            top: heapless::Vec::new(),
            region: RegionCode::WORLD,
            bbox: BoxPx::default(),
            observations: 3,
            first_seen: Timestamp::ZERO,
        }
    }

    #[test]
    fn a_limit_is_set_once_ended_once_and_expires_at_the_border() {
        let mut limit = SpeedLimit::default();
        let fifty = sign("speed_limit_50", Family::SpeedLimit, Some(50.0));
        let end = sign("end_of_restriction", Family::End, None);
        assert!(limit.sign(&end).is_none());
        assert_eq!(limit.sign(&fifty).unwrap().value, Some(50.0));
        assert!(limit.sign(&fifty).is_none());
        let ended = limit.sign(&end).unwrap();
        assert_eq!((ended.state, ended.value), (AdviceState::Ended, None));
        limit.sign(&fifty);
        let expired = limit.region(Timestamp::ZERO, 1, RegionCode::WORLD).unwrap();
        assert_eq!(expired.state, AdviceState::Expired);
        assert!(
            limit
                .region(Timestamp::ZERO, 2, RegionCode::WORLD)
                .is_none()
        );
    }

    #[test]
    fn other_signs_change_nothing() {
        let mut limit = SpeedLimit::default();
        assert!(limit.sign(&sign("stop", Family::Priority, None)).is_none());
    }
}
