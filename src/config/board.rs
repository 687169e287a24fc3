//! Which class of board this is, and what is taken there when the configuration says nothing.

use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::machine;
use crate::model::Provider;

/// A class of boards that share their defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoardClass {
    /// NVIDIA Jetson Orin: TensorRT where its engines were prepared, else the processor; a core is left free.
    JetsonOrin,
    /// Raspberry Pi 5: the processor; a core is left free for camera and outputs.
    #[serde(rename = "raspberry-pi-5")]
    RaspberryPi5,
    /// Any other: the processor, all cores.
    #[default]
    Generic,
}

impl fmt::Display for BoardClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JetsonOrin => "jetson-orin",
            Self::RaspberryPi5 => "raspberry-pi-5",
            Self::Generic => "generic",
        })
    }
}

impl BoardClass {
    /// That of this machine.
    pub fn here() -> Self {
        machine::board(Path::new("/")).map_or(Self::Generic, |name| Self::named(&name))
    }

    /// By the name in the device tree.
    pub fn named(model: &str) -> Self {
        let model = model.to_ascii_lowercase();
        if model.contains("orin") && (model.contains("jetson") || model.contains("nvidia")) {
            Self::JetsonOrin
        } else if model.starts_with("raspberry pi 5")
            || model.starts_with("raspberry pi compute module 5")
        {
            Self::RaspberryPi5
        } else {
            Self::Generic
        }
    }

    /// Providers in the order to try.
    pub fn providers(self) -> Vec<Provider> {
        match self {
            Self::JetsonOrin => vec![Provider::TensorRt, Provider::Cpu],
            Self::RaspberryPi5 | Self::Generic => vec![Provider::Cpu],
        }
    }

    /// Threads on so many cores.
    pub fn threads(self, cores: usize) -> usize {
        match self {
            Self::JetsonOrin | Self::RaspberryPi5 => cores.saturating_sub(1).clamp(1, 64),
            Self::Generic => cores.clamp(1, 64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_are_told_by_their_names_in_the_device_tree() {
        for (name, class) in [
            (
                "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
                BoardClass::JetsonOrin,
            ),
            ("NVIDIA Orin NX Developer Kit", BoardClass::JetsonOrin),
            ("Jetson AGX Orin", BoardClass::JetsonOrin),
            ("NVIDIA Jetson Xavier NX Developer Kit", BoardClass::Generic),
            ("Raspberry Pi 5 Model B Rev 1.0", BoardClass::RaspberryPi5),
            (
                "Raspberry Pi Compute Module 5 Rev 1.0",
                BoardClass::RaspberryPi5,
            ),
            ("Raspberry Pi 4 Model B Rev 1.4", BoardClass::Generic),
            ("Radxa ROCK 5B", BoardClass::Generic),
        ] {
            assert_eq!(BoardClass::named(name), class, "{name}");
        }
    }

    #[test]
    fn a_board_leaves_a_core_free_and_never_takes_none() {
        assert_eq!(BoardClass::RaspberryPi5.threads(4), 3);
        assert_eq!(BoardClass::JetsonOrin.threads(6), 5);
        assert_eq!(BoardClass::JetsonOrin.threads(1), 1);
        assert_eq!(BoardClass::Generic.threads(2), 2);
        assert_eq!(BoardClass::Generic.threads(256), 64);
    }
}
